"""How far predicted ratings are from a model's own (paper, section 2.2.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from curate.scoring.rubric import MOST


def mae(predicted: Sequence[float], rated: Sequence[int]) -> float:
    """Return the mean absolute error over all files. ValueError where there are none."""
    wrong = _errors(predicted, rated)
    return float(wrong.mean())


def class_averaged_mae(predicted: Sequence[float], rated: Sequence[int]) -> float:
    """Return the mean over the classes 0 to 10 of the mean absolute error in each.

    The paper's cMAE divides by all 11 classes; a class without files has no error to add, so here
    the mean is over those that have any. ValueError where there are none.
    """
    wrong, classes = _errors(predicted, rated), np.asarray(rated)
    means = [
        float(wrong[classes == one].mean()) for one in range(MOST + 1) if (classes == one).any()
    ]
    return float(np.mean(means))


def spearman(predicted: Sequence[float], rated: Sequence[float]) -> float:
    """Return the rank correlation, ties sharing their mean rank; 0 where one side is constant."""
    left, right = _ranks(np.asarray(predicted, float)), _ranks(np.asarray(rated, float))
    if not len(left) or left.std() == 0 or right.std() == 0:
        return 0.0
    return float(np.corrcoef(left, right)[0, 1])


def _errors(predicted: Sequence[float], rated: Sequence[int]) -> Any:
    if len(predicted) != len(rated) or not len(rated):
        raise ValueError(f"{len(predicted)} predictions for {len(rated)} ratings")
    return np.abs(np.asarray(predicted, float) - np.asarray(rated, float))


def _ranks(values: Any) -> Any:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2)[inverse]
