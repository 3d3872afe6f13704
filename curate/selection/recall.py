"""A classifier from documents that are told apart already: the recall route of web pages.

The paper (section 2.2.3) rates candidate pages, learns from 70% and chooses the threshold on the
rest. Pages with tags of code are about code by themselves; the classifier is for those without.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from curate.selection.classifier import Example, line_of, place_of, train
from curate.selection.documents import Documents, met
from curate.selection.recipe import RecallRecipe
from seedcoder.errors import UsageError


def recall(recipe: RecallRecipe) -> dict[str, Any]:
    """Train what the recipe says; return the classifier's card.

    UsageError: the corpus was not run, or has none of a kind. RecipeError: a condition is wrong.
    """
    documents = Documents(recipe.corpus, whole=recipe.whole, text=recipe.text)
    good = _drawn(documents, recipe, "positive")
    bad = _drawn(documents, recipe, "negative")
    both = good & bad
    if both:
        raise UsageError(f"{len(both)} documents are positive and negative at once")
    return train(
        _examples(documents, recipe, good, bad),
        Path(recipe.out),
        settings=recipe.fasttext,
        view=recipe.view,
        share=recipe.validate_share,
        target_recall=recipe.target_recall,
        seed=recipe.seed,
        facts={"positive": list(recipe.positive), "negative": list(recipe.negative)},
    )


def _drawn(documents: Documents, recipe: RecallRecipe, kind: str) -> set[str]:
    """Return the keys of a kind, at most `most`, by lot."""
    texts = recipe.positive if kind == "positive" else recipe.negative
    conditions = documents.conditions(texts, kind)
    columns = [column for one in conditions for column in one.columns]
    keys = (
        key
        for table in documents.tables(columns)
        for key in table.filter(met(table, conditions)).column("key").to_pylist()
    )
    return set(heapq.nsmallest(recipe.most, keys, lambda key: place_of(key, recipe.seed, kind)))


def _examples(
    documents: Documents, recipe: RecallRecipe, good: set[str], bad: set[str]
) -> Iterator[Example]:
    for one in documents.texts(good | bad):
        yield Example(
            key=one.key,
            group=one.repo if recipe.apart == "repo" and one.repo else one.key,
            good=one.key in good,
            line=line_of(recipe.view, one.language, one.text),
        )
