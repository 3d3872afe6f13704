"""The schema of `recipes/eval/*.toml`: which model answers which benchmark, how, and within what.

Keys marked APART say where, how fast or how strictly a run is worked off; they do not change what
the run is, so changing one goes on with the same run folder.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from evals.bench import Protocols, Style
from sandbox import Limits
from seedcoder.completion import Sampling
from seedcoder.recipe import APART, Recipe


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SamplingTable(_Table):
    """How tokens are drawn; what is left out is the protocol's own choice."""

    max_tokens: int | None = Field(default=None, ge=1)
    temperature: float = Field(default=0.0, ge=0.0)
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    seed: int = 0
    stop: tuple[str, ...] | None = None
    stop_after_fence: bool | None = None


class LimitsTable(_Table):
    """What one program may use; see `sandbox.Limits`. wall_s: left out, ten times cpu_s."""

    cpu_s: float = Field(default=5.0, gt=0.0)  # ours; upstream's is 3 s by the wall clock
    wall_s: float | None = Field(default=None, gt=0.0)
    memory_mb: int = Field(default=512, ge=1)
    processes: int = Field(default=64, ge=1)
    output_kb: int = Field(default=1024, ge=1)
    disk_mb: int = Field(default=64, ge=1)

    def limits(self) -> Limits:
        """Return them as the sandbox takes them."""
        return Limits(**{name: value for name, value in self if value is not None})


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

    prefill, prelude, strip_prompt: see `evals.bench.Style`. limit: only the first so many problems.
    k: the k of each pass@k that is scored. max_error_rate: the share of samples that may be lost
    to failures of ours (a server gone, a box broken) before the run stops and counts as failed.
    """

    bench: str
    model: str
    protocol: Protocols
    prefill: bool = True
    prelude: bool = False
    strip_prompt: bool = True
    samples: int = Field(default=1, ge=1)
    limit: int | None = Field(default=None, ge=1)
    k: tuple[int, ...] = (1,)
    sampling: SamplingTable = SamplingTable()
    limits: LimitsTable = LimitsTable()
    pool: PoolTable = PoolTable()
    max_error_rate: Annotated[float, Field(ge=0.0, le=1.0), APART] = 0.01
    check_gold: Annotated[bool, APART] = True
    batch: Annotated[int, Field(ge=1), APART] = 32
    threads: Annotated[int | None, Field(ge=1), APART] = None

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
        )

    def sampling_over(self, upstream: Sampling) -> Sampling:
        """Return the benchmark's own sampling with what the recipe says on top."""
        said = {name: value for name, value in self.sampling if value is not None}
        return replace(upstream, **said)
