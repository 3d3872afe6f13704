"""The schema of instruction recipes: who is asked, what each stage does, where it all lies.

A stage whose `input` is empty reads what the stage before it wrote under `out`. Keys marked APART
do not make another run: the run is named by the settings and by the digest of what it reads.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sandbox import Limits
from seedcoder.completion import Sampling
from seedcoder.recipe import APART, Recipe


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SamplingTable(_Table):
    """How replies are drawn. The numbers are ours: the paper states none for these stages."""

    max_tokens: int = Field(default=2048, ge=1)
    temperature: float = Field(default=0.7, ge=0.0)
    top_p: float = Field(default=0.95, gt=0.0, le=1.0)
    seed: int = 0

    def sampling(self) -> Sampling:
        """Return it as models take it."""
        return Sampling(
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            seed=self.seed,
        )


class LimitsTable(_Table):
    """What one program may use; see `sandbox.Limits`."""

    cpu_s: float = Field(default=5.0, gt=0.0)
    memory_mb: int = Field(default=512, ge=1)

    def limits(self) -> Limits:
        """Return it as the sandbox takes it."""
        return Limits(cpu_s=self.cpu_s, memory_mb=self.memory_mb)


class PoolTable(_Table):
    """The sandbox. box, require: as `sandbox.open_box` takes them."""

    box: str = "auto"
    workers: Annotated[int | None, Field(ge=1), APART] = None
    require: Annotated[Literal["namespace", "docker", "restricted"] | None, APART] = None


class StepTable(_Table):
    """A step of curate's catalogue that rows must pass. options: the step's own."""

    use: str
    options: dict[str, Any] = Field(default_factory=dict)


class SynthesizeTable(_Table):
    """Instructions and responses from snippets, in the manner of OSS-Instruct.

    corpus: a recipe of recipes/curate/ that was run: what it keeps is drawn from; its `select`
        says what "high-scored" is. text: the column read where it is not null, such as
        "secrets.redacted".
    files: JSON lines {"key"?, "text", "language"?} to draw from as well.
    queries: JSON lines {"key"?, "prompt"} of real users: only a response is asked for.
    languages: only these; empty for all. limit: documents drawn at most. per_document: snippets of
    each. lines: least and most lines of a snippet. mixed: the share of instructions whose style
    is blended from two. styles: JSON lines {"name", "style"} beside the built-in ones.
    """

    corpus: Annotated[Path | None, APART] = None
    text: str = "text"
    files: Annotated[tuple[Path, ...], APART] = ()
    queries: Annotated[tuple[Path, ...], APART] = ()
    styles: Annotated[Path | None, APART] = None
    languages: tuple[str, ...] = ()
    limit: int = Field(default=1000, ge=1)
    per_document: int = Field(default=1, ge=1)
    lines: tuple[int, int] = (8, 40)
    hybrid_chars: int = Field(default=4000, ge=100)
    mixed: float = Field(default=0.5, ge=0.0, le=1.0)


class FilterTable(_Table):
    """Responses that parse, are right as a model says, and not too easy.

    syntax: the step that code blocks must pass; null for none. correctness: the least score of 10
    (ours; the paper says "low"). difficulty: the least of 10 (paper, sec. 3.1: below 3 dropped).
    """

    input: Annotated[Path | None, APART] = None
    syntax: StepTable | None = StepTable(use="syntax")
    correctness: int = Field(default=6, ge=0, le=10)
    difficulty: int = Field(default=3, ge=0, le=10)


class CorrectTable(_Table):
    """Solution and unit tests, run, revised until all pass.

    revisions: at most so many (the paper states no number). asserts: least number of tests.
    """

    input: Annotated[Path | None, APART] = None
    revisions: int = Field(default=3, ge=0)
    asserts: int = Field(default=3, ge=1)


class ProblemsTable(_Table):
    """Problems for reinforcement learning. samples: of the model, to estimate the pass rate.

    most: drop above this pass rate (paper, sec. 3.2: 87.5%); problems never solved are dropped too.
    """

    input: Annotated[Path | None, APART] = None
    samples: int = Field(default=16, ge=1)
    most: float = Field(default=0.875, ge=0.0, le=1.0)


class PairsTable(_Table):
    """DPO pairs. samples: candidates a prompt (paper, sec. 3.1: hundreds). per_prompt: pairs of
    each at most. The rule by which they are paired is ours; see `curate.instruct.pairs`."""

    input: Annotated[Path | None, APART] = None
    samples: int = Field(default=128, ge=2)
    per_prompt: int = Field(default=1, ge=1)


class LongCotTable(_Table):
    """Long chains of thought, kept only where the answer passes.

    per_prompt: kept of each, the shortest thoughts first. open, close: the tags around a thought.
    prefill: begin replies with `open`. thought_chars: a thought must be so long at least.
    """

    input: Annotated[Path | None, APART] = None
    samples: int = Field(default=8, ge=1)
    per_prompt: int = Field(default=1, ge=1)
    open: str = Field(default="<think>", min_length=1)
    close: str = Field(default="</think>", min_length=1)
    prefill: bool = False
    thought_chars: int = Field(default=1, ge=1)
    sampling: SamplingTable = SamplingTable(max_tokens=16384, temperature=0.6)


class InstructRecipe(Recipe):
    """Instruction data, stage by stage. A stage that has no table is left out by `run`.

    out: the folder of what the stages write, and of their runs. model: writes. judge: scores; by
    default the same. seed: of every draw. decontaminate: the step and its options that all that is
    written must pass, with the file of problems; null for none. max_error_rate: the share of items
    that may be lost to failures of ours before a stage counts as failed. chunk: items in work at
    once.
    """

    out: Annotated[Path, APART] = Path("instruct")
    model: str
    judge: str = ""
    seed: int = 0
    sampling: SamplingTable = SamplingTable()
    limits: LimitsTable = LimitsTable()
    pool: PoolTable = PoolTable()
    decontaminate: StepTable | None = None
    synthesize: SynthesizeTable | None = None
    filter: FilterTable | None = None
    correct: CorrectTable | None = None
    problems: ProblemsTable | None = None
    pairs: PairsTable | None = None
    longcot: LongCotTable | None = None
    max_error_rate: Annotated[float, Field(ge=0.0, le=1.0), APART] = 0.01
    chunk: Annotated[int, Field(ge=1), APART] = 64
    batch: Annotated[int, Field(ge=1), APART] = 32
    threads: Annotated[int | None, Field(ge=1), APART] = None
