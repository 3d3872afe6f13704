"""Numbers by lot, and the shuffle."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from curate.packing.lots import Shuffle, below, lot, share


@given(n=st.integers(0, 700), seed=st.integers(0, 2**64))
@settings(max_examples=60, deadline=None)
def test_a_shuffle_holds_every_place_once(n: int, seed: int) -> None:
    order = Shuffle(n, seed)
    assert sorted(order(at) for at in range(n)) == list(range(n))


def test_lots_are_the_same_for_ever_and_differ_by_seed_and_name() -> None:
    # Written down once: another number would mean other bytes for the same seed.
    assert lot(0, "a") == 15270482384145340437
    assert len({lot(seed, name) for seed in range(20) for name in ("a", "b", "ab")}) == 60


def test_shares_and_bounds_are_even() -> None:
    found = [share(1, at) for at in range(20000)]
    assert abs(sum(found) / len(found) - 0.5) < 0.01
    counts = [0] * 7
    for at in range(21000):
        counts[below(7, 3, at)] += 1
    assert max(counts) < 3300 and min(counts) > 2700


def test_a_shuffle_of_many_moves_and_needs_no_memory() -> None:
    order = Shuffle(10**15, 5)
    found = {order(at) for at in range(1000)}
    assert len(found) == 1000
    assert max(found) > 9 * 10**14
