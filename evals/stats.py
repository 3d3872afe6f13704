"""Scores and their intervals: unbiased pass@k, Wilson, bootstrap.

Does not cover: paired comparison of two models, and doubt about the tests themselves. An interval
here says how far the score could lie from the model's score on problems of the same kind.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from statistics import NormalDist


def pass_at_k(samples: int, passes: int, k: int) -> float:
    """Return the chance that at least one of `k` samples drawn from `samples` passes.

    The unbiased estimator of Chen et al. 2021 (1 - C(n-c, k) / C(n, k)), as a product, so that
    no binomial overflows. Raises ValueError unless 0 <= passes <= samples and 1 <= k <= samples.
    """
    if not 0 <= passes <= samples:
        raise ValueError(f"passes must lie in 0..{samples}, got {passes}")
    if not 1 <= k <= samples:
        raise ValueError(f"k must lie in 1..{samples}, got {k}")
    fails = samples - passes
    if fails < k:
        return 1.0
    all_fail = 1.0
    for i in range(fails + 1, samples + 1):
        all_fail *= 1.0 - k / i
    return 1.0 - all_fail


def wilson(successes: float, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the Wilson score interval (low, high) of a share, both within 0..1.

    `successes` may be fractional: the sum of each problem's pass rate, when a problem has several
    samples. The problems are then what is counted, which is right, since the samples of one
    problem are not independent. Raises ValueError unless 0 <= successes <= total and total >= 1.
    """
    if total < 1 or not 0 <= successes <= total:
        raise ValueError(f"successes must lie in 0..total (total >= 1), got {successes} of {total}")
    z = _normal_quantile(confidence)
    share = successes / total
    spread = 1 + z * z / total
    centre = (share + z * z / (2 * total)) / spread
    half = z / spread * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    # At 0 and at `total` the bound is 0 and 1 exactly; rounding would leave a hair.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == total else min(1.0, centre + half)
    return low, high


def bootstrap(
    values: Sequence[float], *, seed: int = 0, resamples: int = 5000, confidence: float = 0.95
) -> tuple[float, float]:
    """Return the percentile bootstrap interval (low, high) of the mean of `values`.

    `values` holds one number a problem; problems are drawn with replacement. The same values and
    seed give the same interval, in whatever order the values come. When all values are equal the
    interval has no width: that is the method's blind spot, and why reports show Wilson beside it.
    Raises ValueError when `values` is empty.
    """
    return grouped_bootstrap([values], seed=seed, resamples=resamples, confidence=confidence)


def grouped_bootstrap(
    groups: Sequence[Sequence[float]],
    *,
    seed: int = 0,
    resamples: int = 5000,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of the mean of the groups' means.

    Each group's problems are drawn among themselves: which groups there are is no chance. The order
    within a group does not matter. Raises ValueError for no group, or an empty one.
    """
    if not groups or not all(groups):
        raise ValueError("bootstrap needs at least one value in each group")
    _normal_quantile(confidence)
    rng = random.Random(seed)
    ordered = [sorted(group) for group in groups]
    means = sorted(
        math.fsum(math.fsum(rng.choices(group, k=len(group))) / len(group) for group in ordered)
        / len(ordered)
        for _ in range(resamples)
    )
    tail = (1 - confidence) / 2
    return _quantile(means, tail), _quantile(means, 1 - tail)


def _normal_quantile(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value at `share` of the way through, linear between neighbours."""
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
