"""Edit similarity, by hand and against the plain definitions."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.infilling.similarity import edit_ratio, indel_ratio, ratio


@pytest.mark.parametrize(
    ("written", "gold", "blocks", "indel", "edit"),
    [
        # 4 of 5 and 4 characters in one block: 2*4/9 = 0.889; one deletion of 5: 1 - 1/5.
        ("abcde", "abcd", 0.89, 0.89, 0.8),
        # kitten/sitting: blocks "itt" and "n": 2*4/13 = 0.615; distance 3 of 7.
        ("kitten", "sitting", 0.62, 0.62, 1 - 3 / 7),
        # difflib takes the longest block "bcd" (6/10) and has used up both "a"s' sides; the
        # common subsequence is "abd"/"bcd" as well: 3.
        ("abxbcd", "bcda", 0.6, 0.6, 1 - 4 / 6),
        # Here they part: blocks take "ab" first and lose "cc"; the subsequence keeps "acc": 3.
        ("abacc", "accab", 0.6, 0.6, 1 - 4 / 5),
        ("return x", "return x", 1.0, 1.0, 1.0),
        ("  return x\n", "return x", 1.0, 1.0, 1.0),
        ("", "return x", 0.0, 0.0, 0.0),
        # 1 of 40: 2.5 percent and a hair rounds up where python-Levenshtein subtracts.
        ("a", "a" + "b" * 78, 0.02, 0.03, 1 - 78 / 79),
        ("", "", 1.0, 1.0, 0.0),
    ],
)
def test_the_three_similarities_are_those_computed_by_hand(
    written: str, gold: str, blocks: float, indel: float, edit: float
) -> None:
    assert ratio(written, gold) == pytest.approx(blocks)
    assert indel_ratio(written, gold) == pytest.approx(indel)
    assert edit_ratio(written, gold) == pytest.approx(edit)


def test_blocks_and_subsequences_are_told_apart() -> None:
    # difflib's longest block is "xyz"; what stands before it in one stands behind it in the other.
    written, gold = "xyzabcdef", "abQcdRefxyz"
    assert ratio(written, gold) == 0.30  # 2*3 of 20
    assert indel_ratio(written, gold) == 0.60  # "abcdef": 2*6 of 20


@pytest.mark.slow
@given(st.text("ab c", max_size=12), st.text("ab c", max_size=12))
@settings(max_examples=300, deadline=None)
def test_bit_vectors_agree_with_the_tables_of_the_textbook(first: str, second: str) -> None:
    a, b = first.strip(), second.strip()
    common = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    distance = [[i + j for j in range(len(b) + 1)] for i in range(len(a) + 1)]
    for i, left in enumerate(a, start=1):
        for j, right in enumerate(b, start=1):
            same = left == right
            common[i][j] = max(common[i - 1][j], common[i][j - 1], common[i - 1][j - 1] + int(same))
            distance[i][j] = min(
                distance[i - 1][j] + 1,
                distance[i][j - 1] + 1,
                distance[i - 1][j - 1] + int(not same),
            )
    if a or b:
        assert edit_ratio(first, second) == pytest.approx(
            1 - distance[-1][-1] / max(len(a), len(b))
        )
        both = len(a) + len(b)
        assert indel_ratio(first, second) == pytest.approx(2 * common[-1][-1] / both, abs=0.0051)
