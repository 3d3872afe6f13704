"""Comparers: what counts as the same, and that order of the two sides does not matter."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.compare import EQUAL, EXACT, LINES, TOKENS, Close, Comparer, Custom, Unordered

atoms = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.floats(), st.text("ab 1\n\r", max_size=4)
)
values = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(
            st.one_of(st.integers(0, 2), st.booleans(), st.text("ab")), inner, max_size=3
        ),
        st.sets(st.one_of(st.integers(0, 2), st.booleans()), max_size=3),
    ),
    max_leaves=8,
)
outputs = st.text("ab 01.\n\r\t", max_size=12)
VALUE_COMPARERS: list[Comparer] = [
    EXACT,
    EQUAL,
    Close(),
    Close(rtol=0.5, atol=0.5),
    Unordered(),
    Unordered(inner=EQUAL),
]
TEXT_COMPARERS: list[Comparer] = [EXACT, LINES, TOKENS, Close(), Unordered()]


@pytest.mark.parametrize("comparer", VALUE_COMPARERS, ids=repr)
@given(values, values)
def test_values_may_change_sides(comparer: Comparer, one: Any, other: Any) -> None:
    assert comparer(one, other) is comparer(other, one)


@pytest.mark.parametrize("comparer", TEXT_COMPARERS, ids=repr)
@given(outputs, outputs)
def test_texts_may_change_sides(comparer: Comparer, one: str, other: str) -> None:
    assert comparer(one, other) is comparer(other, one)


@pytest.mark.parametrize("comparer", [EXACT, Close(), Unordered()], ids=repr)
@given(values)
def test_a_value_answers_for_itself(comparer: Comparer, value: Any) -> None:
    assert comparer(value, value)


@pytest.mark.parametrize("comparer", TEXT_COMPARERS, ids=repr)
@given(outputs)
def test_a_text_answers_for_itself(comparer: Comparer, text: str) -> None:
    assert comparer(text, text)


@given(st.lists(values, max_size=5), st.randoms())
def test_any_order_answers_for_any_other(members: list[Any], draw: Any) -> None:
    shuffled = list(members)
    draw.shuffle(shuffled)
    assert Unordered()(members, shuffled)
    assert not Unordered()(members, [*shuffled, "one more"])


NAN = float("nan")


@pytest.mark.parametrize(
    ("expected", "got", "exact", "equal", "close"),
    [
        (1, 1, True, True, True),
        (1, True, False, True, False),
        (1, 1.0, False, True, True),
        (0, False, False, True, False),
        (0.0, -0.0, True, True, True),
        (NAN, NAN, True, False, True),
        (1.0, 1.0 + 1e-9, False, False, True),
        (float("inf"), float("inf"), True, True, True),
        (float("inf"), -float("inf"), False, False, False),
        (float("inf"), 1e308, False, False, False),
        (float("inf"), NAN, False, False, False),
        (10**400, float("inf"), False, False, False),
        (10**400, 10**400, True, True, True),
        (1, "1", False, False, False),
        ([1], (1,), False, False, False),
        ([1, [2]], [1, [2]], True, True, True),
        ([1], [1, 1], False, False, False),
        ({"a": 1}, {"a": 1.0}, False, True, True),
        ({"a": 1}, {"a": 1, "b": 2}, False, False, False),
        ({1: "x"}, {True: "x"}, False, True, True),
        ({1, 2}, {2, 1}, True, True, True),
        ({1}, {True}, False, True, False),
        ({1}, frozenset({1}), False, True, False),
        (None, None, True, True, True),
        (None, False, False, False, False),
        ("a", "a ", False, False, True),
        (b"a", "a", False, False, False),
        (range(3), range(3), True, True, True),
        (range(3), [0, 1, 2], False, False, False),
        (1 + 1j, 1 + 1j, True, True, True),
        (1, 1 + 0j, False, True, True),
    ],
)
def test_what_answers_for_what(
    expected: Any, got: Any, exact: bool, equal: bool, close: bool
) -> None:
    assert EXACT(expected, got) is exact
    assert EQUAL(expected, got) is equal
    assert Close()(expected, got) is close


@pytest.mark.parametrize(
    ("expected", "got", "lines", "tokens"),
    [
        ("1 2\n", "1 2", True, True),
        ("1 2\n", "1  2 \n", False, True),
        ("1 2", " 1 2", False, True),
        ("1\n2", "1\r\n2\r\n\r\n", True, True),
        ("1\n2", "1 2", False, False),
        ("1\n\n2", "1\n2", False, False),
        ("", "\n \n", True, True),
        ("", "0", False, False),
        ("1\n2\n3", "1", False, False),
        ("1", "1\n2", False, False),
        ("yes", "YES", False, False),
        ("1.0", "1", False, False),
    ],
)
def test_which_output_answers_for_which(expected: str, got: str, lines: bool, tokens: bool) -> None:
    assert LINES(expected, got) is lines
    assert TOKENS(expected, got) is tokens


def test_numbers_in_text_may_differ_a_little() -> None:
    close = Close(rtol=1e-3, atol=0)
    assert close("x 1.000\n2", "x 1.0005 2.0")
    assert not close("x 1.0", "x 1.01")
    assert not close("x 1.0", "y 1.0")
    assert not close("1 2", "1 2 3")
    assert not close("1.0", "nan")
    assert not close("1.0", "inf")


def test_tolerance_reaches_every_depth() -> None:
    close = Close(rtol=0, atol=0.1)
    assert close({"a": [1.0, (2.0,)]}, {"a": [1.05, (1.95,)]})
    assert not close({"a": [1.0, (2.0,)]}, {"a": [1.05, (1.8,)]})
    assert not close([1.0], (1.0,))


def test_unordered_counts_members_and_uses_its_inner_comparer() -> None:
    assert Unordered()([1, 2, 2], [2, 1, 2])
    assert not Unordered()([1, 2, 2], [1, 1, 2])
    assert not Unordered()([1], (1,))
    assert not Unordered()([1], [True])
    assert Unordered(inner=Close(atol=0.1))([1.0, 2.0], [2.05, 0.95])
    assert Unordered()("b\na\n", "a\nb")
    assert not Unordered()("b\na\n", "a\nb\nb")


def test_a_custom_comparer_is_a_function_of_ours_and_its_errors_are_raised() -> None:
    assert Custom(function=lambda want, got: len(want) == len(got))([1], [2]) is True
    with pytest.raises(ZeroDivisionError):
        Custom(function=lambda want, got: bool(1 / 0))(1, 1)


def test_arrays_are_compared_by_type_shape_and_content() -> None:
    numpy = pytest.importorskip("numpy")
    one = numpy.array([1.0, float("nan")])
    for comparer in (EXACT, EQUAL, Close()):
        assert comparer(one, one.copy())
        assert not comparer(one, numpy.array([1.0, 2.0]))
        assert not comparer(one, one.reshape(2, 1))
        assert not comparer(one, [1.0, float("nan")])
        assert not comparer([1.0], numpy.array([1.0]))
        assert not comparer(numpy.array([]), numpy.array([1.0]))
    assert not EXACT(one, one.astype("f4"))
    assert EXACT({"a": [numpy.int64(1)]}, {"a": [numpy.int64(1)]})
    assert not EXACT(1, numpy.int64(1))


def test_comparers_take_whatever_a_program_may_have_returned() -> None:
    numpy = pytest.importorskip("numpy")
    odd = [
        None, 0, NAN, 10**400, "", b"", [], (), {}, set(), frozenset(), range(10**18), 1j,
        bytearray(), numpy.zeros((2, 2)), numpy.float32(1), numpy.array([]), [numpy.zeros(2)],
        {"a": numpy.zeros(2)}, "\ud800", [[NAN]], {NAN: NAN}, {(1, NAN): 1},
    ]  # fmt: skip
    for comparer in VALUE_COMPARERS:
        for one in odd:
            for other in odd:
                assert comparer(one, other) in (True, False)


def test_many_lines_in_another_order_are_compared_at_once() -> None:
    lines = [f"{number}" for number in range(200_000)]
    output = "\n".join(reversed(lines))
    assert Unordered()("\n".join(lines), output)
    assert not Unordered()("\n".join(lines), output.replace("77\n", "78\n", 1))
    assert Unordered(inner=TOKENS)("a  b\nc", "c\na b")
