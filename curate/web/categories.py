"""Which category a page is of: learnt from what a model said of some, applied to all.

    categories.bin    fastText's model
    categories.json   labels and seed, right answers on sites kept back, ratings by category; last

The ratings by category show where thresholds must differ: they are in the card as quartiles.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import fmean, quantiles
from typing import Any, Final

import pyarrow as pa

from curate.scoring.recipe import FastTextTable
from curate.selection.classifier import kept_back, learn_lines, line_of, place_of
from curate.web.rubric import CATEGORIES
from seedcoder.errors import UsageError
from seedcoder.rows import read_rows

MODEL: Final = "categories.bin"
CARD: Final = "categories.json"
_VIEW: Final = "prose"


@dataclass(frozen=True, slots=True, kw_only=True)
class PageLabel:
    """What a model said of a page."""

    key: str
    repo: str
    text: str
    score: int
    category: str


def read_page_labels(path: Path) -> list[PageLabel]:
    """Return the labels that `curate score ask --pages` wrote.

    UsageError: no such file, or one without categories.
    """
    if not path.is_file():
        raise UsageError(f"no labels {str(path)!r}: seedcoder curate score ask --pages makes them")
    found: dict[str, PageLabel] = {}
    for row in read_rows(path):
        if row.get("kind") != "label":
            continue
        if row.get("category") not in CATEGORIES or not isinstance(row.get("text"), str):
            raise UsageError(f"{path}: {row['key']!r} is no label of a page: a text and a category")
        found[row["key"]] = PageLabel(
            key=row["key"],
            repo=str(row.get("repo", "")),
            text=row["text"],
            score=int(row["score"]),
            category=row["category"],
        )
    if not found:
        raise UsageError(f"{path} holds no labels")
    return list(found.values())


def train(
    labels: Sequence[PageLabel],
    folder: Path,
    *,
    settings: FastTextTable,
    seed: int,
    share: float = 0.3,
) -> dict[str, Any]:
    """Learn from labels, measure on `share` of the sites, write the folder whole; return its card.

    UsageError: too few sites to keep some back.
    """
    ordered = sorted(labels, key=lambda one: (place_of(one.key, seed, "order"), one.key))
    learn = [one for one in ordered if not kept_back(one.repo or one.key, share, seed)]
    test = [one for one in ordered if kept_back(one.repo or one.key, share, seed)]
    if not learn or not test:
        raise UsageError(f"{len(labels)} labels of too few sites to keep {share:.0%} back")
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        lines = [f"__label__{one.category} {line_of(_VIEW, '', one.text)}\n" for one in learn]
        learn_lines(lines, made / MODEL, settings, seed)
        said = [name for name, _ in _asked(_load(made), [one.text for one in test])]
        common = Counter(one.category for one in learn).most_common(1)[0][0]
        card: dict[str, Any] = {
            "sha256": hashlib.sha256((made / MODEL).read_bytes()).hexdigest(),
            "seed": seed,
            "fasttext": settings.model_dump(),
            "learnt": len(learn),
            "tested": len(test),
            "right": _share(a == b.category for a, b in zip(said, test, strict=True)),
            "right_by_the_most_common": _share(one.category == common for one in test),
            "scores": _scores(ordered),
        }
        (made / CARD).write_text(json.dumps(card, indent=2), encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        made.replace(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return card


class Categories:
    """The step. Columns: category; value, how sure it is, 0 to 1. Null where there is no text."""

    name = "category"
    version = 1

    def __init__(self, model: Path, text: str) -> None:
        """Read the card; the model is loaded once in each process."""
        try:
            card = json.loads((model / CARD).read_text(encoding="utf-8"))
            digest = hashlib.sha256((model / MODEL).read_bytes()).hexdigest()
        except (OSError, ValueError):
            raise UsageError(
                f"{str(model)!r} knows no categories: seedcoder curate classify categories does"
            ) from None
        if digest != card["sha256"]:
            raise UsageError(f"{str(model / MODEL)!r} is not the model that {CARD} describes")
        self._folder = model
        self._digest: str = digest
        self._text = text
        self.reads = (text,)

    def schema(self) -> pa.Schema:
        """Return category, value."""
        return pa.schema([("category", pa.string()), ("value", pa.float64())])

    def settings(self) -> Mapping[str, Any]:
        """Return the digest of the model."""
        return {"model": self._digest}

    def compute(self, table: pa.Table) -> pa.Table:
        """Ask of each text."""
        texts = table.column(self._text).to_pylist()
        asked = [row for row, text in enumerate(texts) if text is not None]
        names: list[str | None] = [None] * len(texts)
        values: list[float | None] = [None] * len(texts)
        found = _asked(_opened(self._folder, self._digest), [texts[row] for row in asked])
        for row, (name, value) in zip(asked, found, strict=True):
            names[row], values[row] = name, value
        return pa.table({"category": names, "value": values}, schema=self.schema())


def category(*, model: Path, text: str = "text") -> Categories:
    """Tell pages' categories by the model of this folder. UsageError where there is none.

    text: the column that is read, "webpage.text" for pages that are there as HTML.
    """
    return Categories(model, text)


def _asked(model: Any, texts: Sequence[str]) -> list[tuple[str, float]]:
    if not texts:
        return []
    named, shares = model.predict([line_of(_VIEW, "", text) for text in texts], k=1)
    return [
        (names[0].removeprefix("__label__"), min(1.0, float(values[0])))
        for names, values in zip(named, shares, strict=True)
    ]


def _load(folder: Path) -> Any:
    import fasttext

    return fasttext.load_model(str(folder / MODEL))


@lru_cache(maxsize=2)
def _opened(folder: Path, _digest: str) -> Any:
    return _load(folder)


def _share(answers: Iterable[bool]) -> float:
    found = list(answers)
    return round(sum(found) / len(found), 4)


def _scores(labels: Sequence[PageLabel]) -> dict[str, Any]:
    """Return pages, mean and quartiles of the ratings of each category."""
    found: dict[str, list[int]] = {}
    for one in labels:
        found.setdefault(one.category, []).append(one.score)
    return {
        name: {
            "pages": len(scores),
            "mean": round(fmean(scores), 2),
            "quartiles": quantiles(scores, n=4, method="inclusive") if len(scores) > 1 else scores,
        }
        for name, scores in sorted(found.items())
    }
