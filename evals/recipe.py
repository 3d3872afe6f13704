"""The schema of `recipes/eval/*.toml`: which model answers which benchmark, how, and within what.

Keys marked APART say where, how fast or how strictly a run is worked off; they do not change what
the run is, so changing one goes on with the same run folder.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from evals.bench import Protocols, Style
from evals.problem import Problem
from sandbox import Limits
from seedcoder.completion import Sampling
from seedcoder.errors import UsageError
from seedcoder.fim import FIM, Fim, Order
from seedcoder.models.thought import CLOSE, OPEN
from seedcoder.recipe import APART, Recipe


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SamplingTable(_Table):
    """How tokens are drawn; what is left out is the benchmark's own choice, seed 0."""

    max_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0.0)
    top_p: float | None = Field(default=None, gt=0.0, le=1.0)
    seed: int = 0
    stop: tuple[str, ...] | None = None
    stop_after_fence: bool | None = None


class LimitsTable(_Table):
    """What one program may use; see `sandbox.Limits`. What is left out is the benchmark's own."""

    cpu_s: float | None = Field(default=None, gt=0.0)
    wall_s: float | None = Field(default=None, gt=0.0)
    memory_mb: int | None = Field(default=None, ge=1)
    processes: int | None = Field(default=None, ge=1)
    output_kb: int | None = Field(default=None, ge=1)
    disk_mb: int | None = Field(default=None, ge=1)

    def over(self, upstream: Limits) -> Limits:
        """Return the benchmark's own limits with what the recipe says on top."""
        said = {name: value for name, value in self if value is not None}
        if "cpu_s" in said and "wall_s" not in said:
            said["wall_s"] = 0.0  # ten times the new CPU time, not the old
        return replace(upstream, **said)


class PriceTable(_Table):
    """What a million tokens cost, in US dollars."""

    prompt: float = Field(ge=0.0)
    reply: float = Field(ge=0.0)


class FimTable(_Table):
    """How a model is asked to fill in the middle: a known format, or tokens of its own."""

    format: Annotated[str | None, Field(description="one of " + ", ".join(FIM))] = None
    prefix: str = ""
    suffix: str = ""
    middle: str = ""
    order: Order = "psm"
    stop: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_way(self) -> FimTable:
        if self.format is not None and self.format not in FIM:
            raise ValueError(f"format must be one of {', '.join(FIM)}, not {self.format!r}")
        if (self.format is None) == (not self.prefix):
            raise ValueError("say a format, or the tokens (prefix, suffix, middle), not both")
        return self

    def fim(self) -> Fim:
        """Return it as prompts are made with it."""
        if self.format is not None:
            return FIM[self.format]
        return Fim(
            prefix=self.prefix,
            suffix=self.suffix,
            middle=self.middle,
            order=self.order,
            stop=self.stop,
        )


class PoolTable(_Table):
    """The sandbox. box: as `sandbox.open_box` takes it. require: refuse a weaker one than this."""

    box: str = "auto"
    workers: Annotated[int | None, Field(ge=1), APART] = None
    require: Annotated[Literal["namespace", "docker", "restricted"] | None, APART] = None

    @field_validator("box")
    @classmethod
    def _known(cls, box: str) -> str:
        if not re.fullmatch(r"auto|namespace|restricted|unsafe|docker(:.+)?|https?://.+", box):
            raise ValueError(
                "must be auto, namespace, restricted, unsafe, docker, docker:IMAGE or a URL"
            )
        return box


class EvalRecipe(Recipe):
    """One model on one benchmark.

    prefill, prelude, strip_prompt, fim: see `evals.bench.Style`. options: the benchmark's own.
    limit: only the first so many problems. keys: only these problems, in the benchmark's order.
    majority: with several samples a problem, also score the answer that most of them agree in.
    whole_programs: replies are programs as they are to be judged (imported samples): nothing is
    taken out of them.
    think: the tags around a reasoning model's thought, taken off before code is looked for;
    empty for none.
    k: the k of each pass@k that is scored. max_error_rate: the share of samples that may be lost
    to failures of ours (a server gone, a box broken) before the run stops and counts as failed.
    """

    bench: str
    options: dict[str, Any] = Field(default_factory=dict)
    model: str
    protocol: Protocols
    prefill: bool = True
    prelude: bool = False
    strip_prompt: bool = True
    samples: int = Field(default=1, ge=1)
    limit: int | None = Field(default=None, ge=1)
    keys: tuple[str, ...] = ()
    whole_programs: bool = False
    think: tuple[str, ...] = (OPEN, CLOSE)
    fim: FimTable | None = None
    k: tuple[int, ...] = (1,)
    majority: bool = False
    sampling: SamplingTable = SamplingTable()
    limits: LimitsTable = LimitsTable()
    pool: PoolTable = PoolTable()
    price: Annotated[PriceTable | None, APART] = None
    max_error_rate: Annotated[float, Field(ge=0.0, le=1.0), APART] = 0.01
    check_gold: Annotated[bool, APART] = True
    batch: Annotated[int, Field(ge=1), APART] = 32
    threads: Annotated[int | None, Field(ge=1), APART] = None

    @field_validator("think")
    @classmethod
    def _a_pair(cls, think: tuple[str, ...]) -> tuple[str, ...]:
        if think and (len(think) != 2 or not all(think)):
            raise ValueError("must be a pair of tags, or empty")
        return think

    @model_validator(mode="after")
    def _k_within_samples(self) -> EvalRecipe:
        if not self.k or min(self.k) < 1 or max(self.k) > self.samples:
            raise ValueError(f"k must hold numbers from 1 to samples ({self.samples})")
        if len(set(self.k)) < len(self.k):
            raise ValueError("k names a number twice")
        return self

    def style(self) -> Style:
        """Return how problems are asked."""
        return Style(
            protocol=self.protocol,
            prefill=self.prefill,
            prelude=self.prelude,
            strip_prompt=self.strip_prompt,
            fim=self.fim.fim() if self.fim else None,
        )

    def chosen(self, problems: Sequence[Problem]) -> Sequence[Problem]:
        """Return the problems that the recipe asks. Raises UsageError for a key that none has."""
        if not self.keys:
            return problems[: self.limit]
        there = {problem.key for problem in problems}
        if lacking := [key for key in self.keys if key not in there]:
            raise UsageError(f"{self.bench} has no problem {lacking[0]!r} (recipe: keys)")
        wanted = set(self.keys)
        return [problem for problem in problems if problem.key in wanted][: self.limit]

    def sampling_over(self, upstream: Sampling) -> Sampling:
        """Return the benchmark's own sampling with what the recipe says on top."""
        said = {name: value for name, value in self.sampling if value is not None}
        return replace(upstream, **said)
