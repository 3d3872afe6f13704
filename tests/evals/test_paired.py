"""Paired statistics against values worked out by hand, brute force, and what must always hold."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.paired import (
    approximate_p,
    difference,
    discordance,
    exact_p,
    flips_approximate_p,
    flips_p,
    holm,
)

rates = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=25)


@pytest.mark.parametrize(
    ("down", "up", "p_value"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),  # 2 * 1/2
        (5, 0, 0.0625),  # 2 / 2**5
        (0, 6, 0.03125),  # 2 / 2**6
        (1, 9, 0.021484375),  # 2 * (1 + 10) / 1024
        (2, 8, 0.109375),  # 2 * (1 + 10 + 45) / 1024
        (5, 5, 1.0),
    ],
)
def test_the_exact_p_value_is_the_one_worked_out_by_hand(
    down: int, up: int, p_value: float
) -> None:
    assert exact_p(down, up) == pytest.approx(p_value, abs=1e-15)


def test_the_exact_p_value_holds_where_floats_would_not() -> None:
    assert exact_p(1000, 1000) == 1.0
    assert 0 < exact_p(900, 1100) < 1e-4
    assert exact_p(0, 1500) == 0.0 or exact_p(0, 1500) < 1e-300


def test_the_approximation_agrees_with_a_table_and_with_the_exact_value() -> None:
    # Chi-square (|10 - 25| - 1)**2 / 35 = 5.6; one degree of freedom: p = 0.01796.
    assert approximate_p(10, 25) == pytest.approx(0.01796, abs=2e-5)
    assert approximate_p(480, 540) == pytest.approx(exact_p(480, 540), abs=0.002)
    assert approximate_p(0, 0) == 1.0


@given(st.integers(0, 40), st.integers(0, 40))
def test_which_of_the_two_comes_first_does_not_matter(down: int, up: int) -> None:
    assert exact_p(down, up) == exact_p(up, down)
    assert 0 < exact_p(down, up) <= 1
    assert approximate_p(down, up) == approximate_p(up, down)


@given(rates)
@settings(deadline=None, max_examples=40)
def test_a_difference_lies_in_its_interval_and_turns_with_its_sides(
    pairs: list[tuple[float, float]],
) -> None:
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    gap = difference(first, second, seed=1, resamples=200)
    assert gap.value == pytest.approx(
        math.fsum(second) / len(pairs) - math.fsum(first) / len(pairs)
    )
    spread = [b - a for a, b in pairs]
    assert min(spread) - 1e-9 <= gap.low <= gap.high <= max(spread) + 1e-9
    back = difference(second, first, seed=1, resamples=200)
    assert back.value == pytest.approx(-gap.value)
    shuffled = random.Random(4).sample(pairs, len(pairs))
    again = difference([a for a, _ in shuffled], [b for _, b in shuffled], seed=1, resamples=200)
    assert (again.low, again.high) == (gap.low, gap.high)


def test_pairing_narrows_the_interval_where_the_two_agree() -> None:
    first = [float(n % 2) for n in range(100)]
    second = [*first[:-1], 0.0]
    assert difference(first, second).high <= 0.0
    shifted = [first[-1], *first[:-1]]  # as many passes, on other problems
    loose = difference(first, shifted)
    tight = difference(first, second)
    assert loose.high - loose.low > 5 * (tight.high - tight.low)


@pytest.mark.slow
def test_a_real_difference_is_told_from_none() -> None:
    rng = random.Random(2)
    same = [float(rng.random() < 0.5) for _ in range(300)]
    other = [float(rng.random() < 0.5) for _ in range(300)]
    better = [max(one, float(rng.random() < 0.3)) for one in same]
    assert discordance(same, other).p_value > 0.05
    assert discordance(same, better).p_value < 1e-6
    assert difference(same, better).low > 0 > difference(same, other).low


@given(st.lists(st.sampled_from([-1.0, -0.5, -0.25, 0.25, 0.5, 1.0]), min_size=1, max_size=9))
@settings(deadline=None, max_examples=30)
def test_sign_flips_agree_with_all_signs_tried(gaps: list[float]) -> None:
    reached = abs(sum(gaps))
    signs = list(itertools.product((-1, 1), repeat=len(gaps)))
    far = sum(
        abs(sum(s * g for s, g in zip(one, gaps, strict=True))) >= reached - 1e-9 for one in signs
    )
    assert flips_p(gaps, draws=4000) == pytest.approx(far / len(signs), abs=0.05)


def test_a_run_with_fewer_samples_is_not_favoured_for_it() -> None:
    """At equal ability 1 of 1 beats 3 of 4 more often than it loses to it."""
    rng = random.Random(8)
    once = [float(rng.random() < 0.9) for _ in range(400)]
    often = [sum(rng.random() < 0.9 for _ in range(4)) / 4 for _ in range(400)]
    found = discordance(once, often, several=True)
    assert exact_p(found.first_better, found.second_better) < 0.001  # what would be wrong to say
    assert found.p_value > 0.05
    assert "sign flips" in found.method


def test_many_rates_go_by_the_approximation_and_agree_with_the_draws() -> None:
    rng = random.Random(3)
    gaps = [rng.choice([-0.5, 0.5, 0.25]) for _ in range(300)]
    assert flips_approximate_p(gaps) == pytest.approx(flips_p(gaps), abs=0.02)
    assert flips_approximate_p([]) == flips_p([]) == 1.0
    many = discordance([0.0] * 900, [0.5, 0.0, 1.0] * 300, several=True)
    assert many.method.endswith("approximate")


def test_several_comparisons_are_corrected_as_worked_out_by_hand() -> None:
    # Sorted: .01 * 3, .02 * 2, .9 * 1; names keep their places.
    assert holm({"b": 0.02, "c": 0.9, "d": 0.01}) == pytest.approx({"b": 0.04, "c": 0.9, "d": 0.03})
    # Never lower than that of a smaller p-value.
    assert holm({"b": 0.03, "c": 0.04}) == pytest.approx({"b": 0.06, "c": 0.06})
    assert holm({}) == {}


def test_what_is_not_paired_is_refused() -> None:
    with pytest.raises(ValueError, match="pairs"):
        difference([], [])
    with pytest.raises(ValueError, match="2 and 1"):
        discordance([1.0, 0.0], [1.0])
