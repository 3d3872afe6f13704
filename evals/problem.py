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
    entry_point: the function or class that the tests call; "" where there is none.
    tests: the benchmark's own test data, plain JSON; `Bench.tests` makes sandbox tests of it.
        It holds the answers: it never enters a prompt, nor a candidate's box.
    canonical: upstream's own solution, for the gold check; empty where there is none.
    tags: what the problem belongs to, "kind:value" ("language:java", "difficulty:hard"): scores are
        told for each.
    date: ISO day the problem became public, for contamination windows; None where unknown.
    language: of the program that answers it, as `sandbox.Program` has it.
    """

    key: str
    prompt: str
    entry_point: str
    tests: Mapping[str, Any]
    canonical: str = ""
    tags: tuple[str, ...] = ()
    date: str | None = None
    language: str = "python"

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
    finish: "stop", "length" or "overflow". A reply that was never had ("error") is no sample.
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

    metric: "pass@1". value, and the bounds of both 95% intervals; unit: "share" (all within 0..1)
        or what else is counted ("points", "Elo"), which has no Wilson interval.
    problems: how many the mean is over. left_out: problems without enough judged samples for the
        metric (our failures), which the mean does not know of.
    """

    metric: str
    value: float
    wilson: tuple[float, float] | None
    bootstrap: tuple[float, float]
    problems: int
    left_out: int = 0
    unit: str = "share"

    @property
    def interval(self) -> tuple[float, float]:
        """The interval to show where only one is: Wilson's where there is one."""
        return self.wilson or self.bootstrap

    def words(self, value: float | None = None) -> str:
        """Return the value, or another in its unit, as people read it."""
        shown = self.value if value is None else value
        return f"{100 * shown:.1f}%" if self.unit == "share" else f"{shown:.1f} {self.unit}"

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`."""
        data = {name: getattr(self, name) for name in self.__slots__}
        pairs = {
            "wilson": list(self.wilson) if self.wilson else None,
            "bootstrap": list(self.bootstrap),
        }
        return {**data, **pairs}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Score:
        """Return the score that `to_json` wrote."""
        wilson, bootstrap = (
            (float(pair[0]), float(pair[1])) if pair else None
            for pair in (data["wilson"], data["bootstrap"])
        )
        if bootstrap is None:
            raise ValueError("a score needs its bootstrap interval")
        return cls(**{**data, "wilson": wilson, "bootstrap": bootstrap})


def sample_key(problem: str, n: int) -> str:
    """Return the key under which sample `n` of a problem is kept."""
    return f"{problem}#{n}"


def sample_problem(key: str) -> str:
    """Return the key of the problem that a sample's key names."""
    return key.rpartition("#")[0]
