"""Documents into sequences, and middles."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.packing.fitting import Piece, cut, fit
from curate.packing.middle import Marks, arranged, parts_of, undone

LENGTHS = st.lists(st.integers(0, 90), max_size=60)


@pytest.mark.parametrize("lay", [fit, cut])
@given(lengths=LENGTHS)
@settings(max_examples=80, deadline=None)
def test_every_token_lies_in_one_sequence_and_none_overflows(
    lay: Callable[[list[int], int], list[list[Piece]]], lengths: list[int]
) -> None:
    bins = lay(lengths, 32)
    assert all(0 < sum(piece.length for piece in one) <= 32 for one in bins)
    found = sorted(
        (p.document, p.start + at) for one in bins for p in one for at in range(p.length)
    )
    assert found == [(at, token) for at, length in enumerate(lengths) for token in range(length)]


@given(lengths=LENGTHS)
@settings(max_examples=80, deadline=None)
def test_fitting_cuts_only_what_is_longer_than_a_sequence(lengths: list[int]) -> None:
    pieces = [piece for one in fit(lengths, 32) for piece in one]
    for document, length in enumerate(lengths):
        own = sum(piece.document == document for piece in pieces)
        assert own == -(-length // 32)


def test_fitting_leaves_little_room() -> None:
    lengths = [(at * 7919) % 500 + 1 for at in range(2000)]
    bins = fit(lengths, 1024)
    assert sum(lengths) / (len(bins) * 1024) > 0.99


@given(text=st.text(max_size=60), seed=st.integers(0, 99), is_spm=st.booleans())
def test_a_middle_goes_to_the_end_and_comes_back(text: str, seed: int, is_spm: bool) -> None:
    three = parts_of(text, 1.0, seed, "key")
    assert three is not None and "".join(three) == text
    marks = Marks(prefix=-1, suffix=-2, middle=-3, is_spm=is_spm)
    prefix, middle, suffix = ([ord(letter) for letter in part] for part in three)
    whole = arranged(marks, prefix, middle, suffix)
    assert whole[0] == (-2 if is_spm else -1)
    assert undone(marks, whole) == (prefix, middle, suffix)


def test_the_rate_is_the_share_of_documents_that_are_rearranged() -> None:
    for rate in (0.0, 0.1, 0.5, 1.0):
        drawn = sum(parts_of("text", rate, 1, key) is not None for key in range(4000))
        assert abs(drawn / 4000 - rate) < 0.03


def test_the_layout_is_that_of_the_base_models_card() -> None:
    marks = Marks(prefix=124, suffix=125, middle=126, is_spm=True)
    assert arranged(marks, [1, 2], [3], [4, 5]) == [125, 4, 5, 124, 1, 2, 126, 3]


def test_what_was_not_rearranged_is_refused() -> None:
    with pytest.raises(ValueError, match="first token"):
        undone(Marks(prefix=1, suffix=2, middle=3, is_spm=True), [9, 1, 3])
