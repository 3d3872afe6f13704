"""Scores against closed forms and brute force."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.stats import bootstrap, grouped_bootstrap, pass_at_k, wilson


def _share_of_draws_with_a_pass(samples: int, passes: int, k: int) -> float:
    draws = list(itertools.combinations([1] * passes + [0] * (samples - passes), k))
    return sum(any(draw) for draw in draws) / len(draws)


@given(
    st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n)))
)
def test_pass_at_k_is_the_share_of_all_draws_that_hold_a_pass(case: tuple[int, int, int]) -> None:
    samples, passes, k = case
    assert pass_at_k(samples, passes, k) == pytest.approx(
        _share_of_draws_with_a_pass(samples, passes, k), abs=1e-12
    )


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
def test_pass_at_1_is_the_share_of_passes_however_many_samples(case: tuple[int, int]) -> None:
    samples, passes = case
    assert pass_at_k(samples, passes, 1) == pytest.approx(passes / samples, abs=1e-9)


@given(
    st.integers(1, 400).flatmap(
        lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))
    )
)
def test_pass_at_k_agrees_with_exact_binomials(case: tuple[int, int, int]) -> None:
    samples, passes, k = case
    exact = 1 - math.comb(samples - passes, k) / math.comb(samples, k)
    assert pass_at_k(samples, passes, k) == pytest.approx(exact, abs=1e-9)
    assert 0.0 <= pass_at_k(samples, passes, k) <= 1.0


@given(
    st.integers(2, 60).flatmap(
        lambda n: st.tuples(st.just(n), st.integers(0, n - 1), st.integers(1, n - 1))
    )
)
def test_pass_at_k_grows_with_passes_and_with_k(case: tuple[int, int, int]) -> None:
    samples, passes, k = case
    here = pass_at_k(samples, passes, k)
    assert pass_at_k(samples, passes + 1, k) >= here - 1e-12
    assert pass_at_k(samples, passes, k + 1) >= here - 1e-12


@pytest.mark.parametrize(("samples", "passes", "k"), [(5, 6, 1), (5, -1, 1), (5, 1, 0), (5, 1, 6)])
def test_impossible_counts_are_refused(samples: int, passes: int, k: int) -> None:
    with pytest.raises(ValueError, match="must lie in"):
        pass_at_k(samples, passes, k)


@given(st.integers(1, 3000).flatmap(lambda n: st.tuples(st.floats(0, n), st.just(n))))
def test_wilson_bounds_solve_the_score_equation(case: tuple[float, int]) -> None:
    successes, total = case
    low, high = wilson(successes, total)
    share = successes / total
    assert 0.0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1.0
    z = 1.959963984540054
    for bound in (low, high):  # |share - bound| = z * sqrt(bound * (1 - bound) / total)
        if 0.0 < bound < 1.0:
            assert (share - bound) ** 2 == pytest.approx(
                z * z * bound * (1 - bound) / total, rel=1e-6, abs=1e-12
            )


def test_wilson_of_the_demos_known_score() -> None:
    low, high = wilson(11, 164)
    assert low == pytest.approx(0.0378621, abs=1e-6)
    assert high == pytest.approx(0.1161014, abs=1e-6)


def test_wilson_at_the_ends_leaves_room_for_doubt() -> None:
    assert wilson(0, 164)[0] == 0.0
    assert 0.0 < wilson(0, 164)[1] < 0.05
    assert wilson(164, 164)[1] == 1.0
    assert 0.95 < wilson(164, 164)[0] < 1.0


@pytest.mark.slow
def test_bootstrap_covers_the_mean_about_as_often_as_it_says() -> None:
    rng = random.Random(5)
    held = 0
    for seed in range(150):
        values = [float(rng.random() < 0.4) for _ in range(100)]
        low, high = bootstrap(values, seed=seed, resamples=400)
        held += low <= 0.4 <= high
    assert 0.88 <= held / 150 <= 1.0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_bootstrap_does_not_depend_on_the_order_of_the_values(
    values: list[float], rng: random.Random
) -> None:
    shuffled = list(values)
    rng.shuffle(shuffled)
    first = bootstrap(values, seed=3, resamples=50)
    assert bootstrap(shuffled, seed=3, resamples=50) == first
    assert min(values) - 1e-9 <= first[0] <= first[1] <= max(values) + 1e-9


@pytest.mark.slow
def test_bootstrap_agrees_with_the_normal_width_for_many_values() -> None:
    values = [1.0] * 500 + [0.0] * 500
    low, high = bootstrap(values, resamples=4000)
    assert (high - low) / 2 == pytest.approx(1.96 * math.sqrt(0.25 / 1000), rel=0.08)


@pytest.mark.slow
def test_a_grouped_bootstrap_draws_within_groups_only() -> None:
    assert grouped_bootstrap([[1.0] * 9, [0.0]]) == (0.5, 0.5)
    halves = [[1.0] * 250 + [0.0] * 250] * 2
    low, high = grouped_bootstrap(halves, resamples=4000)
    assert (high - low) / 2 == pytest.approx(1.96 * math.sqrt(0.25 / 1000), rel=0.08)


def test_no_values_and_odd_confidences_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        bootstrap([])
    with pytest.raises(ValueError, match="each group"):
        grouped_bootstrap([[1.0], []])
    with pytest.raises(ValueError, match="confidence"):
        wilson(1, 2, confidence=1.0)
    with pytest.raises(ValueError, match="successes"):
        wilson(3, 2)
