"""The step that asks a trained classifier. Its model's SHA-256 is among its settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from curate.selection.classifier import Classifier, card_of, open_classifier
from seedcoder.errors import RecipeError


class FastText:
    """The step. Columns: keep, reason; value, how likely the document is one of the positives (null
    where it was not asked); route, "besides" or "recall" where it is kept, "" else."""

    name = "fasttext"
    version = 1

    def __init__(self, model: Path, threshold: float | None, text: str, besides: str) -> None:
        """Read the card; the model is loaded once in each process."""
        card = card_of(model)
        self._folder = model
        self._digest: str = card["sha256"]
        self._view: str = card["view"]
        self._threshold: float = card["threshold"] if threshold is None else threshold
        self._text = text
        self._besides = besides
        beside = "meta" if besides.startswith("meta.") else besides
        self.reads = tuple(dict.fromkeys((text, "language", *([beside] if beside else []))))

    def schema(self) -> pa.Schema:
        """Return keep, reason, value, route."""
        return pa.schema(
            [
                ("keep", pa.bool_()),
                ("reason", pa.string()),
                ("value", pa.float64()),
                ("route", pa.string()),
            ]
        )

    def settings(self) -> Mapping[str, Any]:
        """Return the digest of the model, how texts are read, and the threshold."""
        return {
            "model": self._digest,
            "view": self._view,
            "threshold": self._threshold,
            "besides": self._besides,
        }

    def compute(self, table: pa.Table) -> pa.Table:
        """Ask for those that are not kept anyway. A document without a text has null columns."""
        texts = table.column(self._text).to_pylist()
        languages = table.column("language").to_pylist()
        beside = self._kept_besides(table)
        asked = [row for row, text in enumerate(texts) if text is not None and not beside[row]]
        classifier = _opened(self._folder, self._digest)
        values: list[float | None] = [None] * len(texts)
        found = classifier.values([texts[row] for row in asked], [languages[row] for row in asked])
        for row, number in zip(asked, found, strict=True):
            values[row] = number
        keep: list[bool | None] = []
        for text, value, kept in zip(texts, values, beside, strict=True):
            above = value is not None and value >= self._threshold
            keep.append(None if text is None and not kept else kept or above)
        return pa.table(
            {
                "keep": pa.array(keep, pa.bool_()),
                "reason": ["below the threshold" if one is False else "" for one in keep],
                "value": pa.array(values, pa.float64()),
                "route": [
                    "besides" if kept else "recall" if one else ""
                    for kept, one in zip(beside, keep, strict=True)
                ],
            }
        )

    def _kept_besides(self, table: pa.Table) -> list[bool]:
        if not self._besides:
            return [False] * table.num_rows
        if self._besides.startswith("meta."):
            name = self._besides.removeprefix("meta.")
            return [json.loads(meta).get(name) is True for meta in table.column("meta").to_pylist()]
        return [one is True for one in table.column(self._besides).to_pylist()]


@lru_cache(maxsize=4)
def _opened(folder: Path, _digest: str) -> Classifier:
    return open_classifier(folder)[0]


def fasttext(
    *, model: Path, threshold: float | None = None, text: str = "text", besides: str = ""
) -> FastText:
    """Keep what a classifier recalls. model: its folder. threshold: None is the one it was trained
    to. text: the column that is read.

    besides: a column of truths, or meta.NAME: where it is true the document is kept without
    asking ("webpage.tagged", "meta.tagged": pages with tags of code).
    UsageError where there is no classifier, or its model was changed.
    """
    if threshold is not None and not 0 <= threshold <= 1:
        raise RecipeError(f"fasttext: threshold must be from 0 to 1, got {threshold}")
    return FastText(model, threshold, text, besides)
