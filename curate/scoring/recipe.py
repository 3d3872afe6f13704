"""The schema of a scorer's recipe: what it learns from and how."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from seedcoder.recipe import APART, Recipe


class FastTextTable(BaseModel):
    """fastText's own settings. epochs over the labels; dim of a word; word_ngrams in a feature."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(default=15, ge=1)
    learning_rate: float = Field(default=0.3, gt=0)
    dim: int = Field(default=64, ge=1)
    word_ngrams: int = Field(default=2, ge=1, le=5)


class LinearTable(BaseModel):
    """Ridge regression. words: buckets that words are hashed into. hats: points of the broken line
    that each number of a text may have."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    words: int = Field(default=2048, ge=16)
    hats: int = Field(default=10, ge=2)


class LlamaTable(BaseModel):
    """A Llama with a head of one number. The paper's is a pretrained one of 1.3B, learnt for one
    epoch by mean squared error; its rates and lengths are not stated and are ours.

    base: a checkpoint to start from; "" begins at random with the sizes given. asked: the text
    stands in the question that the model was asked, as in the paper; else after its language alone.
    batch: texts a step; at_once: of them in memory. dtype: of the arithmetic; weights are learnt in
    float32. recompute: activations again in the backward pass, for memory.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    base: str = ""
    hidden: int = Field(default=128, ge=16)
    layers: int = Field(default=4, ge=1)
    heads: int = Field(default=4, ge=1)
    ffn: int = Field(default=384, ge=16)
    vocabulary: int = Field(default=4096, ge=300)
    max_tokens: int = Field(default=512, ge=16)
    asked: bool = False
    epochs: int = Field(default=1, ge=1)
    batch: int = Field(default=16, ge=1)
    at_once: int = Field(default=16, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    dtype: Literal["float32", "bfloat16"] = "float32"
    recompute: bool = False


class ScorerRecipe(Recipe):
    """A scorer. labels: rows of `curate score ask`. out: its folder. test_share: of the
    repositories, kept back to measure it. shuffled: so large a share of the labels is learnt once
    more with the lines in any order, rated 1 at most, so that order counts (ours; 0 for none)."""

    labels: Path
    out: Annotated[Path, APART]
    kind: Literal["linear", "fasttext", "llama"] = "linear"
    test_share: float = Field(default=0.1, ge=0.0, lt=1.0)
    shuffled: float = Field(default=0.1, ge=0.0, le=1.0)
    seed: int = 0
    linear: LinearTable = LinearTable()
    fasttext: FastTextTable = FastTextTable()
    llama: LlamaTable = LlamaTable()
