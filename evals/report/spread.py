"""How what a benchmark measured besides the verdict is spread over a run's answers."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median
from typing import Final

from evals.tally import Answer
from seedcoder import report
from seedcoder.report import Html

_SPAN: Final = (0.0, 1.0)
_BINS: Final = 20


def distributions(answers: Sequence[Answer]) -> list[Html]:
    """Return a drawing for each name in the answers' values; none where there are none."""
    found: dict[str, list[float]] = {}
    for answer in answers:
        for name, value in answer.values.items():
            found.setdefault(name, []).append(value)
    pieces = []
    for name, values in found.items():
        within = min(values) >= 0 and max(values) <= 1
        said = f"mean {fmean(values):.3f}, median {median(values):.3f}, {len(values)} answers"
        drawing = report.histogram(
            values, bins=_bins(values), span=_SPAN if within else None, label=name
        )
        pieces.append(report.panel(name, report.text(said), drawing))
    return pieces


def _bins(values: Sequence[float]) -> int:
    """Return a bar a number where the values are few whole numbers, else the usual."""
    different = int(max(values) - min(values)) + 1
    whole = all(value == int(value) for value in values)
    return different if whole and different <= 2 * _BINS else _BINS
