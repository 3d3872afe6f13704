"""Two models on the same problems: how far apart are they, and could that be chance?

Problems are what is drawn and counted; of a problem with several samples its pass rate is taken.
Does not cover: doubt about the tests themselves; problems that resemble one another, which make
every interval here too narrow; choosing, after the fact, the one comparison of many that came out.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from evals.stats import bootstrap

# ours: up to here the exact sum of binomials costs nothing worth saving
_EXACT_UP_TO: Final = 2_000
_DRAWN_UP_TO: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The mean difference over problems, second minus first, with its 95% interval."""

    value: float
    low: float
    high: float
    problems: int

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Discordance:
    """On how many problems one did better than the other, and how likely so lopsided a split is
    when both are as good.

    method: "McNemar, exact" or "McNemar, approximate" (one sample a problem); "sign flips of pass
        rates" (several), ", approximate" too for very many problems.
    """

    first_better: int
    second_better: int
    equal: int
    p_value: float
    method: str

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`."""
        return {name: getattr(self, name) for name in self.__slots__}


def difference(
    first: Sequence[float], second: Sequence[float], *, seed: int = 0, resamples: int = 5000
) -> Difference:
    """Return how much higher `second` is on average; the two are paired by place.

    The interval is the paired bootstrap's: problems are drawn with replacement, both values of a
    problem together. The same values and seed give the same interval, in whatever order the pairs
    come. Raises ValueError for none, or not as many of each.
    """
    if not first or len(first) != len(second):
        raise ValueError(f"pairs are needed, got {len(first)} and {len(second)} values")
    gaps = [there - here for here, there in zip(first, second, strict=True)]
    low, high = bootstrap(gaps, seed=seed, resamples=resamples)
    return Difference(value=math.fsum(gaps) / len(gaps), low=low, high=high, problems=len(gaps))


def discordance(
    first: Sequence[float], second: Sequence[float], *, several: bool = False, seed: int = 0
) -> Discordance:
    """Return McNemar's test over passes (0 or 1) paired by place; over pass rates, sign flips.

    McNemar's exact test is the sign test over the pairs that differ: of `n`, as many as came out
    one way are a draw of Binomial(n, 1/2). Counting which of two rates is higher would favour the
    run with fewer samples (1 of 1 beats 3 of 4), so for rates it is their mean that is tested.
    Raises ValueError unless there are as many of each.
    """
    if len(first) != len(second):
        raise ValueError(f"pairs are needed, got {len(first)} and {len(second)} values")
    gaps = [there - here for here, there in zip(first, second, strict=True)]
    down, up = sum(gap < 0 for gap in gaps), sum(gap > 0 for gap in gaps)
    if several:
        exact = down + up <= _DRAWN_UP_TO
        p_value = flips_p(gaps, seed=seed) if exact else flips_approximate_p(gaps)
        name = "sign flips of pass rates" if exact else "sign flips of pass rates, approximate"
    else:
        exact = down + up <= _EXACT_UP_TO
        p_value = exact_p(down, up) if exact else approximate_p(down, up)
        name = f"McNemar, {'exact' if exact else 'approximate'}"
    return Discordance(
        first_better=down,
        second_better=up,
        equal=len(gaps) - down - up,
        p_value=p_value,
        method=name,
    )


def flips_p(gaps: Sequence[float], *, seed: int = 0, draws: int = 5000) -> float:
    """Return the share of `draws` in which random signs put the sum of `gaps` as far from 0.

    Two-sided; the gaps themselves count as one draw more, so that it is never 0. The same for any
    order of the gaps.
    """
    sizes = sorted(abs(gap) for gap in gaps if gap)
    if not sizes:
        return 1.0
    reached = abs(math.fsum(gaps)) - 1e-9  # sums of the same numbers differ by their rounding
    rng = random.Random(seed)
    whole = math.fsum(sizes)
    as_far = 0
    for _ in range(draws):
        bits = rng.getrandbits(len(sizes))
        taken = sum(size for place, size in enumerate(sizes) if bits >> place & 1)
        as_far += abs(2 * taken - whole) >= reached
    return (as_far + 1) / (draws + 1)


def flips_approximate_p(gaps: Sequence[float]) -> float:
    """Return what `flips_p` comes to for many gaps: their sum is then near a normal draw."""
    spread = math.sqrt(math.fsum(gap * gap for gap in gaps))
    return math.erfc(abs(math.fsum(gaps)) / spread / math.sqrt(2)) if spread else 1.0


def exact_p(down: int, up: int) -> float:
    """Return the two-sided p-value of `down` against `up` under Binomial(down + up, 1/2)."""
    flips = down + up
    tail = sum(math.comb(flips, k) for k in range(min(down, up) + 1))
    # In whole numbers: 2 ** flips is beyond what a float holds from 1024 flips on.
    return 1.0 if 2 * tail >= 1 << flips else (2 * tail) / (1 << flips)


def approximate_p(down: int, up: int) -> float:
    """Return McNemar's p-value by chi-square with one degree of freedom, corrected for
    continuity (Edwards 1948)."""
    flips = down + up
    if not flips:
        return 1.0
    distance = max(0.0, abs(down - up) - 1) / math.sqrt(flips)
    return math.erfc(distance / math.sqrt(2))


def holm(p_values: Mapping[str, float]) -> Mapping[str, float]:
    """Return the p-values corrected for being several (Holm 1979), by the same names."""
    ranked = sorted(p_values, key=lambda name: p_values[name])
    corrected, least = {}, 0.0
    for place, name in enumerate(ranked):
        least = max(least, min(1.0, (len(ranked) - place) * p_values[name]))
        corrected[name] = least
    return {name: corrected[name] for name in p_values}
