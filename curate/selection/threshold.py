"""Where to cut a classifier's values, so that so many of the positives are found.

Does not guard: positives kept back that are unlike those to come. `checked` says how the recall
holds on documents that did not choose the threshold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A threshold and what it comes to. value >= threshold counts as found.

    recall: of the positives; precision: of those found; both on the documents that it was chosen
    on. positives, negatives: how many these were.
    """

    threshold: float
    recall: float
    precision: float
    positives: int
    negatives: int

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`."""
        return {name: getattr(self, name) for name in self.__slots__}


def cut_for(positives: Sequence[float], negatives: Sequence[float], target_recall: float) -> Cut:
    """Return the highest threshold that finds `target_recall` of the positives or more.

    ValueError: there are no positives.
    """
    if not positives:
        raise ValueError("no positives to choose a threshold by")
    ordered = sorted(positives, reverse=True)
    wanted = max(1, math.ceil(target_recall * len(ordered) - 1e-9))
    return measured(positives, negatives, ordered[wanted - 1])


def measured(positives: Sequence[float], negatives: Sequence[float], threshold: float) -> Cut:
    """Return what a threshold comes to. Of no documents at all, precision is 1, recall 0."""
    found = sum(value >= threshold for value in positives)
    wrong = sum(value >= threshold for value in negatives)
    return Cut(
        threshold=threshold,
        recall=found / len(positives) if positives else 0.0,
        precision=found / (found + wrong) if found + wrong else 1.0,
        positives=len(positives),
        negatives=len(negatives),
    )


def checked(positives: Sequence[float], negatives: Sequence[float], target_recall: float) -> Cut:
    """Return what a threshold chosen on every other document comes to on those between.

    Both ways, added up; its threshold is the mean of the two.
    """
    halves = [(positives[at::2], negatives[at::2]) for at in (0, 1)]
    if not all(good for good, _ in halves):
        return measured((), negatives, 0.0)
    cuts = [cut_for(*half, target_recall) for half in halves]
    other = [
        measured(*half, cut.threshold) for half, cut in zip(halves, reversed(cuts), strict=True)
    ]
    found = sum(round(one.recall * one.positives) for one in other)
    wrong = sum(
        sum(value >= cut.threshold for value in bad)
        for (_, bad), cut in zip(halves, reversed(cuts), strict=True)
    )
    return Cut(
        threshold=(cuts[0].threshold + cuts[1].threshold) / 2,
        recall=found / len(positives),
        precision=found / (found + wrong) if found + wrong else 1.0,
        positives=len(positives),
        negatives=len(negatives),
    )
