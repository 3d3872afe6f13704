"""The linear scorer: ridge regression on hashed words and on what can be counted in a text.

Each number of `shape` is spread over hats between its quantiles, so that what the model learns of
it may be any broken line. The penalty is chosen on a part of the labels. Weights come out of a
solver whose last bits depend on the machine's threads: equal to a float32, not to the bit.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from curate.scoring.labels import Label, divided
from curate.scoring.recipe import LinearTable
from curate.scoring.rubric import MOST
from curate.scoring.shape import MOST_CHARS, NAMES, shape_of

FILE: Final = "scorer.npz"
_WORD: Final = re.compile(r"[A-Za-z_]\w*|[^\w\s]{1,3}")
_ROWS: Final = 1024  # of features at once
_PENALTIES: Final = (1.0, 10.0, 100.0, 1000.0)  # ours


def train(labels: Sequence[Label], settings: LinearTable, folder: Path, seed: int) -> None:
    """Learn and write the scorer."""
    shapes = np.array([shape_of(one.text) for one in labels])
    shares = np.linspace(0, 1, settings.hats)
    knots = np.quantile(shapes, shares, axis=0).T
    knots = np.maximum.accumulate(knots + np.arange(settings.hats) * 1e-9, axis=1)
    rated = np.array([one.score for one in labels], float)
    mean = float(rated.mean())

    kept_back = {one.key for one in divided(labels, 0.15, seed + 1)[1]}
    back = np.array([one.key in kept_back for one in labels])
    best = _PENALTIES[1]
    if back.any() and not back.all():
        gram, aim = _sums(labels, shapes, rated - mean, knots, settings.words, ~back)
        rows = np.flatnonzero(back)
        errors = []
        for penalty in _PENALTIES:
            weights = _solved(gram, aim, penalty)
            found = mean + _predicted(
                [labels[int(row)] for row in rows], shapes[rows], knots, settings.words, weights
            )
            errors.append(float(np.abs(np.clip(found, 0, MOST) - rated[rows]).mean()))
        best = _PENALTIES[int(np.argmin(errors))]
    everything: Any = np.ones(len(labels), bool)
    gram, aim = _sums(labels, shapes, rated - mean, knots, settings.words, everything)
    np.savez(
        folder / FILE,
        knots=knots.astype(np.float64),
        weights=_solved(gram, aim, best).astype(np.float32),
        mean=np.float64(mean),
        words=np.int64(settings.words),
    )


class LinearScorer:
    """A scorer that `train` wrote."""

    def __init__(self, folder: Path) -> None:
        """Load it."""
        with np.load(folder / FILE, allow_pickle=False) as file:
            self._knots, self._weights = file["knots"], file["weights"].astype(float)
            self._mean, self._words = float(file["mean"]), int(file["words"])

    def scores(self, texts: Sequence[str], languages: Sequence[str]) -> list[float]:
        """Return a score for each text, 0 to 10."""
        labels = [
            Label(key="", language=language, repo="", text=text, score=0)
            for language, text in zip(languages, texts, strict=True)
        ]
        if not labels:
            return []
        shapes = np.array([shape_of(text) for text in texts])
        found = self._mean + _predicted(labels, shapes, self._knots, self._words, self._weights)
        return [float(one) for one in np.clip(found, 0, MOST)]


def _features(labels: Sequence[Label], shapes: Any, knots: Any, words: int) -> Any:
    """Return a row a text: hats of its numbers, its words, and 1."""
    rows = np.arange(len(labels))
    parts = []
    for column in range(len(NAMES)):
        ticks = knots[column]
        value = np.clip(shapes[:, column], ticks[0], ticks[-1])
        at = np.clip(np.searchsorted(ticks, value, "right") - 1, 0, len(ticks) - 2)
        share = (value - ticks[at]) / (ticks[at + 1] - ticks[at])
        hats = np.zeros((len(labels), len(ticks)))
        hats[rows, at] = 1 - share
        hats[rows, at + 1] += share
        parts.append(hats)
    counted = np.zeros((len(labels), words))
    for row, one in enumerate(labels):
        places = [_place(word, words) for word in _WORD.findall(one.text[:MOST_CHARS])]
        counts = np.log1p(np.bincount(places, minlength=words)) if places else np.zeros(words)
        length = float(np.linalg.norm(counts)) or 1.0
        counted[row] = 3 * counts / length
        counted[row, _place(f"<{one.language}>", words)] += 1
    return np.hstack([*parts, counted, np.ones((len(labels), 1))])


@lru_cache(maxsize=100_000)
def _place(word: str, words: int) -> int:
    return zlib.crc32(word.encode("utf-8", "replace")) % words


def _sums(
    labels: Sequence[Label], shapes: Any, aims: Any, knots: Any, words: int, mask: Any
) -> tuple[Any, Any]:
    """Return what the normal equations need, a block of rows at a time."""
    rows = np.flatnonzero(mask)
    width = knots.size + words + 1
    gram, aim = np.zeros((width, width)), np.zeros(width)
    for begin in range(0, len(rows), _ROWS):
        some = rows[begin : begin + _ROWS]
        block = _features([labels[row] for row in some], shapes[some], knots, words)
        gram += block.T @ block
        aim += block.T @ aims[some]
    return gram, aim


def _solved(gram: Any, aim: Any, penalty: float) -> Any:
    return np.linalg.solve(gram + penalty * np.eye(len(aim)), aim)


def _predicted(labels: Sequence[Label], shapes: Any, knots: Any, words: int, weights: Any) -> Any:
    found = []
    for begin in range(0, len(labels), _ROWS):
        some = slice(begin, begin + _ROWS)
        found.append(_features(labels[some], shapes[some], knots, words) @ weights)
    return np.concatenate(found)
