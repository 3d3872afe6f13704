"""The values that walk through a benchmark: a problem, a model's answer to it, a score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seedcoder.completion import Completion, Finish


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One task of a benchmark, as its data has it.

    key: the benchmark's own id, unique in it ("HumanEval/0").
    prompt: as upstream wrote it, before any protocol dresses it.
    entry_point: the function or class that the tests call.
    tests: the benchmark's own test data, plain JSON; `Bench.tests` makes sandbox tests of it.
        It holds the answers: it never enters a prompt, nor a candidate's box.
    canonical: upstream's own solution, for the gold check; empty where there is none.
    date: ISO day the problem became public, for contamination windows; None where unknown.
    """

    key: str
    prompt: str
    entry_point: str
    tests: Mapping[str, Any]
    canonical: str = ""
    tags: tuple[str, ...] = ()
    date: str | None = None

    def __post_init__(self) -> None:
        if not self.key:
            raise ValueError("key must not be empty")

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`."""
        data = {name: getattr(self, name) for name in self.__slots__}
        return {**data, "tests": dict(self.tests), "tags": list(self.tags)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Problem:
        """Return the problem that `to_json` wrote."""
        return cls(**{**data, "tags": tuple(data["tags"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One answer of a model.

    key: unique in a run, `sample_key(problem, n)`. problem: the problem's key.
    n: which of the problem's samples, from 0. text: the reply as the model gave it.
    finish: "stop" or "length". A reply that was never had ("error") is no sample.
    """

    key: str
    problem: str
    n: int
    text: str
    finish: Finish
    tokens: int = 0
    prompt_tokens: int = 0

    def __post_init__(self) -> None:
        if self.finish == "error":
            raise ValueError("finish: a reply that was not had is an error row, not a sample")
        if self.n < 0:
            raise ValueError(f"n must not be negative, got {self.n}")

    @classmethod
    def of(cls, completion: Completion) -> Sample:
        """Return the sample that `completion` is; its key is the problem's key."""
        return cls(
            key=sample_key(completion.key, completion.n),
            problem=completion.key,
            n=completion.n,
            text=completion.text,
            finish=completion.finish,
            tokens=completion.tokens,
            prompt_tokens=completion.prompt_tokens,
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Sample:
        """Return the sample that `to_json` wrote; keys of a row that are not ours are passed by."""
        return cls(**{name: data[name] for name in cls.__slots__ if name in data})


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One number for a benchmark, with its doubt.

    metric: "pass@1". value, and the bounds of both 95% intervals: shares within 0..1.
    problems: how many the mean is over. left_out: problems without enough judged samples for the
        metric (our failures), which the mean does not know of.
    """

    metric: str
    value: float
    wilson: tuple[float, float]
    bootstrap: tuple[float, float]
    problems: int
    left_out: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`."""
        data = {name: getattr(self, name) for name in self.__slots__}
        pairs = {"wilson": list(self.wilson), "bootstrap": list(self.bootstrap)}
        return {**data, **pairs}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Score:
        """Return the score that `to_json` wrote."""
        wilson, bootstrap = (
            (float(data[name][0]), float(data[name][1])) for name in ("wilson", "bootstrap")
        )
        return cls(**{**data, "wilson": wilson, "bootstrap": bootstrap})


def sample_key(problem: str, n: int) -> str:
    """Return the key under which sample `n` of a problem is kept."""
    return f"{problem}#{n}"
