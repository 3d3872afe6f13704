"""The schemas of recipes that train classifiers of documents."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from curate.scoring.recipe import FastTextTable
from seedcoder.recipe import APART, Recipe


class LearningTable(FastTextTable):
    """fastText's settings for two kinds or few. Ours: with less, some hundred pages are learnt no
    better than by guessing the most common."""

    epochs: int = Field(default=25, ge=1)
    learning_rate: float = Field(default=0.5, gt=0)


class ClassifierRecipe(Recipe):
    """What both have.

    corpus: a recipe of recipes/curate/ that has been run. whole: all its documents, not only those
    it keeps. text: the column that is read, "webpage.text" for pages that are there as HTML.
    view: "code" as it is laid out, "prose" for pages: without the marks of code blocks. out: the
    folder that is made. validate_share: of the examples, kept back to choose the threshold (paper,
    section 2.2.3: 30%). apart: documents of one "repo" (or site) are all learnt or all kept back;
    "key": each by itself. target_recall: the threshold is the highest that still finds so many of
    the positives kept back.
    """

    corpus: Annotated[Path, APART]
    whole: bool = False
    text: str = "text"
    view: Literal["code", "prose"] = "code"
    out: Annotated[Path, APART]
    validate_share: float = Field(default=0.3, gt=0.0, lt=1.0)
    apart: Literal["repo", "key"] = "repo"
    target_recall: float = Field(default=0.99, gt=0.0, le=1.0)
    seed: int = 0
    fasttext: LearningTable = LearningTable()


class RecallRecipe(ClassifierRecipe):
    """A classifier from documents that are told apart already: by ratings, or by their tags.

    positive, negative: conditions as in `select.keep`; all of a list must hold. most: of each, by
    lot (the paper scored 10M candidate pages). The paper reached a recall of 99% at a precision of
    45% (section 2.2.3).
    """

    view: Literal["code", "prose"] = "prose"
    positive: tuple[str, ...] = Field(min_length=1)
    negative: tuple[str, ...] = Field(min_length=1)
    most: int = Field(default=1_000_000, ge=1)


class SourceTable(BaseModel):
    """What is looked for in one part of a corpus. Lists of conditions: all of a list must hold.

    where: which documents belong to it. seeds: which of them are good beyond doubt; at most
    `most_seeds` are taken (paper, section 2.2.5: about 100,000 a source). hard: negatives that look
    good and are not (paper: rated high, without comments). grow: of what a round recalls, the new
    positives. low: of what it recalls, the new negatives (paper: rated low).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    where: tuple[str, ...] = ()
    seeds: tuple[str, ...] = Field(min_length=1)
    hard: tuple[str, ...] = ()
    grow: tuple[str, ...] = Field(min_length=1)
    low: tuple[str, ...] = Field(min_length=1)
    most_seeds: int = Field(default=100_000, ge=1)


class SelectionRecipe(ClassifierRecipe):
    """High-quality data by rounds of classifiers, one for each of `sources` (paper, section 2.2.5:
    major languages, algorithms, application development, notebooks, general code; 2 or 3 rounds).

    quality: the column that seeds are ordered by. diverse: columns by which they shall differ;
    numbers are taken in tenths, of a list its first. random, hard_share: negatives by lot and hard
    ones, in positives (ours). grow_share: new positives of a round, in positives (ours).
    """

    sources: dict[str, SourceTable] = Field(min_length=1)
    rounds: int = Field(default=3, ge=1, le=10)
    quality: str = "score.value"
    diverse: tuple[str, ...] = ("language", "traits.comments", "traits.imports")
    random: float = Field(default=1.0, gt=0.0)
    hard_share: float = Field(default=1.0, ge=0.0)
    grow_share: float = Field(default=0.5, ge=0.0)
    target_recall: float = Field(default=0.9, gt=0.0, le=1.0)
