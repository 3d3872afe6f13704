"""The schema of recipes for `seedcoder curate pack`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from seedcoder.recipe import APART, Recipe

FIM_RATE = 0.5  # paper, sec. 2.2.6: regular pretraining; 0.1 in continued pretraining


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceTable(_Table):
    """Some of what a curate recipe keeps.

    name: of the source in the accounts. recipe: a curate recipe that has been run; changes: as
    `--set` of `seedcoder curate run` had them. where: conditions as `select` has them, on top.
    text: a column in whose place the document's text is taken where it is null
    ("secrets.redacted"). weight: its share of `tokens`, of all weights together. languages: shares
    inside the source, "*" for all languages that are not named; each becomes a source of its own.
    order: "documents" one by one, or "repositories": one text for each, files after what they
    import. score, min_score: repositories whose files' mean of that column is lower are left out.
    fim_rate: instead of the recipe's. max_epochs: how often a document may be packed.
    """

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9._+-]+$")
    recipe: Annotated[Path, APART]
    changes: Annotated[tuple[str, ...], APART] = ()
    where: tuple[str, ...] = ()
    text: str = "text"
    weight: float | None = Field(default=None, gt=0)
    languages: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    order: Literal["documents", "repositories"] = "documents"
    score: str = ""
    min_score: float = 0.0
    fim_rate: float | None = Field(default=None, ge=0, le=1)
    max_epochs: float = Field(default=4.0, gt=0)  # ours


class FimTable(_Table):
    """Filling in the middle, on single documents that fit in a sequence whole.

    rate: share of them that is rearranged. order: "spm" is suffix, prefix, middle. format: whose
    tokens, a name of `seedcoder.fim.FIM`.
    """

    rate: float = Field(default=FIM_RATE, ge=0, le=1)
    order: Literal["spm", "psm"] = "spm"
    format: str = "seed-coder"


class RepositoryTable(_Table):
    """How a repository becomes a text.

    file: a special token before each file's path (one fine-tune of Seed-Coder writes "<filename>";
    the paper does not say what it writes); "" writes no paths. max_kb: longer repositories are
    split into sub-graphs, in 1,000 bytes of text.
    """

    file: str = ""
    max_kb: int = Field(default=4000, ge=1)  # ours: about 1M tokens


class PackRecipe(Recipe):
    """Packed shards out of what curate recipes keep.

    out: the folder of runs. tokenizer: "bytes", a tokenizer.json or a folder that holds one. bos,
    eos, pad: its special tokens; bos "" writes none. length: tokens in a sequence.
    shard_sequences: sequences in a file. layout: "fit" cuts only documents that are longer than a
    sequence and fits the rest in whole; "cut" writes one behind the other and cuts where a sequence
    is full. tokens: how many in all, by the sources' weights; None packs every document once.
    verify: decode each document again and count those that do not come back.
    """

    out: Annotated[Path, APART] = Path("runs")
    tokenizer: Annotated[str, APART] = "bytes"
    bos: str = ""
    eos: str = Field(default="<[end▁of▁sentence]>", min_length=1)
    pad: str = Field(default="<[PAD▁TOKEN]>", min_length=1)
    length: int = Field(default=8192, ge=16)  # paper, sec. 2.2.5: 8K, then 32K
    shard_sequences: int = Field(default=4096, ge=1)  # ours
    unit_kb: int = Field(default=4000, ge=1)  # ours: text packed together, in 1,000 bytes
    layout: Literal["fit", "cut"] = "fit"
    tokens: int | None = Field(default=None, ge=1)
    seed: int = 0
    verify: bool = False
    workers: Annotated[int | None, Field(ge=1), APART] = None
    fim: FimTable = FimTable()
    repositories: RepositoryTable = RepositoryTable()
    sources: tuple[SourceTable, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _weights(self) -> Self:
        names = [source.name for source in self.sources]
        if len(set(names)) != len(names):
            raise ValueError(f"two sources have one name: {', '.join(sorted(names))}")
        for source in self.sources:
            if self.tokens is None and (source.weight is not None or source.languages):
                raise ValueError(f"source {source.name!r} has weights; say how many tokens in all")
            if self.tokens is not None and source.weight is None:
                raise ValueError(f"source {source.name!r} has no weight, but tokens is given")
        return self
