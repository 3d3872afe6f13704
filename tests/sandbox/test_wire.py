"""The encoder: exact values there and back, and nothing but a WireError for garbage."""

from __future__ import annotations

import json
import math
import time
from collections import Counter, OrderedDict, defaultdict, namedtuple
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.inside import wire

surrogates = st.one_of(  # a high one before a low one is read as one character
    st.text(st.characters(min_codepoint=0xD800, max_codepoint=0xDBFF), max_size=3),
    st.text(st.characters(min_codepoint=0xDC00, max_codepoint=0xDFFF), max_size=3),
)
texts = st.one_of(st.text(max_size=20), surrogates)
big_ints = st.integers(min_value=-(1 << 400), max_value=1 << 400)
hashable_atoms = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    big_ints,
    st.floats(allow_nan=False),
    texts,
    st.binary(max_size=20),
    st.complex_numbers(allow_nan=False),
    st.builds(range, st.integers(-5, 5), st.integers(-5, 1 << 70), st.integers(1, 5)),
)
atoms = st.one_of(hashable_atoms, st.floats(), st.binary(max_size=9).map(bytearray))
hashables = st.recursive(
    hashable_atoms,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(tuple), st.frozensets(inner, max_size=4)
    ),
    max_leaves=8,
)
values = st.recursive(
    st.one_of(atoms, hashables),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.lists(inner, max_size=5).map(tuple),
        st.sets(hashables, max_size=5),
        st.dictionaries(hashables, inner, max_size=5),
    ),
    max_leaves=20,
)


def same(one: Any, other: Any) -> bool:
    """Return whether two values have the same types and contents at every level."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        if math.isnan(one):
            return math.isnan(other)
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    if isinstance(one, complex):
        return same(one.real, other.real) and same(one.imag, other.imag)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return same(list(one), list(other)) and same([*one.values()], [*other.values()])
    if isinstance(one, set | frozenset):
        kinds = sorted(str(type(x)) for x in one), sorted(str(type(x)) for x in other)
        return bool(one == other) and kinds[0] == kinds[1]
    return bool(one == other)


@pytest.mark.slow
@given(values)
def test_a_value_comes_back_with_the_same_types_and_contents(value: Any) -> None:
    assert same(wire.decode(wire.encode(value)), value)


@given(values)
def test_the_text_of_a_value_is_one_line_of_ascii(value: Any) -> None:
    text = wire.encode(value)
    assert text.isascii()
    assert "\n" not in text


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf"), -0.0, 5e-324, 1e308])
def test_odd_floats_come_back(number: float) -> None:
    assert same(
        wire.decode(wire.encode([number, (number,), {1: number}])), [number, (number,), {1: number}]
    )


@pytest.mark.parametrize("power", [62, 63, 64, 1000, 100_000])
def test_big_ints_come_back(power: int) -> None:
    for number in (2**power - 1, 2**power, -(2**power), -(2**power) - 1):
        assert wire.decode(wire.encode({number: [number]})) == {number: [number]}


def test_numpy_arrays_and_scalars_come_back() -> None:
    numpy = pytest.importorskip("numpy")
    arrays = [
        numpy.arange(6).reshape(2, 3),
        numpy.arange(6).reshape(2, 3).T,
        numpy.array(3.5),
        numpy.array([], dtype="f4"),
        numpy.zeros((0, 5)),
        numpy.array([True, False]),
        numpy.array([1j, float("nan")]),
        numpy.arange(4, dtype=">u2")[::2],
        numpy.array([1.5], dtype="f2"),
    ]
    for array in arrays:
        back = wire.decode(wire.encode([array]))[0]
        assert type(back) is numpy.ndarray
        assert (back.dtype, back.shape) == (array.dtype, array.shape)
        assert numpy.array_equal(back, array, equal_nan=array.dtype.kind in "fc")
        assert back.flags.writeable
    for scalar in (numpy.int64(5), numpy.float32(0.5), numpy.bool_(True), numpy.complex128(1j)):
        back = wire.decode(wire.encode(scalar))
        assert (type(back), back) == (type(scalar), scalar)


class Liar(int):
    """Says that it equals everything."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = int.__hash__


class Point(NamedTuple):
    """A named tuple."""

    x: int


@pytest.mark.parametrize(
    "value",
    [
        Liar(3),
        object(),
        len,
        lambda: 0,
        int,
        (x for x in [1]),
        {}.keys(),
        Point(1),
        Counter("a"),
        NotImplemented,
        ...,
        memoryview(b"x"),
        [Liar(3)],
        {"a": (Liar(1),)},
        {Liar(1): 1},
        frozenset([Liar(1)]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_plain_data_is_refused_by_its_type(value: Any) -> None:
    with pytest.raises(wire.ForeignType, match="is not plain data"):
        wire.encode(value)


def test_numpy_values_that_are_not_numbers_are_refused() -> None:
    numpy = pytest.importorskip("numpy")
    for value in (
        numpy.array([object()]),
        numpy.array(["text"]),
        numpy.array([1], dtype=[("a", "i4")]),
        numpy.datetime64("2020-01-01"),
        numpy.ma.masked_array([1], [True]),
        numpy.zeros((2, 2)).view(numpy.matrix),
        numpy.dtype("i4"),
    ):
        with pytest.raises(wire.WireError):
            wire.encode(value)


def test_dicts_of_the_standard_library_are_written_as_dicts_where_that_is_asked() -> None:
    pair = namedtuple("pair", "a b")
    value = OrderedDict(
        a=Counter("aab"), b=[defaultdict(list, x=[1])], c=(pair(1, {2}),), d=Point(5)
    )
    plain = {"a": {"a": 2, "b": 1}, "b": [{"x": [1]}], "c": ((1, {2}),), "d": (5,)}
    assert same(wire.decode(wire.encode(value, loose=True)), plain)
    with pytest.raises(wire.ForeignType):
        wire.encode([Liar(1)], loose=True)


def test_values_inside_themselves_or_too_deep_are_refused() -> None:
    inside: list[Any] = []
    inside.append(inside)
    deep: Any = 1
    for _ in range(wire.MAX_DEPTH):
        deep = [deep]
    assert wire.decode(wire.encode(deep)) == deep
    for value in (inside, [deep], {"a": inside}):
        for loose in (False, True):
            with pytest.raises(wire.WireError, match="deeper") as caught:
                wire.encode(value, loose=loose)
            assert not isinstance(caught.value, wire.ForeignType)
    with pytest.raises(wire.WireError, match="deeper"):
        wire.decode("[" * (wire.MAX_DEPTH + 1) + "]" * (wire.MAX_DEPTH + 1))


def _is_plain(value: Any) -> bool:
    kinds = (type(None), bool, int, float, complex, str, bytes, bytearray, range)
    if isinstance(value, dict):
        return all(map(_is_plain, value)) and all(map(_is_plain, value.values()))
    if isinstance(value, list | tuple | set | frozenset):
        return all(map(_is_plain, value))
    return type(value) in kinds or type(value).__module__ == "numpy"


def _read(text: str) -> None:
    try:
        value = wire.decode(text)
    except wire.WireError:
        return
    assert _is_plain(value)


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from([*"tdsfibBcrngxz", ""]), inner, max_size=2),
    ),
    max_leaves=12,
)


@given(st.text())
def test_any_text_is_a_value_or_a_wire_error(text: str) -> None:
    _read(text)


@pytest.mark.slow
@settings(max_examples=300)
@given(json_values)
def test_any_json_is_a_value_or_a_wire_error(value: Any) -> None:
    _read(json.dumps(value))


@given(values, st.data())
def test_a_spoilt_text_is_a_value_or_a_wire_error(value: Any, data: st.DataObject) -> None:
    text = wire.encode(value)
    place = data.draw(st.integers(0, len(text)))
    _read(text[:place] + data.draw(st.text(max_size=4)) + text[place + 1 :])


@pytest.mark.parametrize(
    "text",
    [
        '{"r":{"r":[0,1000000000000]}}',
        '{"s":{"r":[0,1000000000000]}}',
        '{"t":{"r":[0,1000000000000]}}',
        '{"f":{"r":[0,1000000000000]}}',
        '{"d":[{"r":[0,1000000000000]},{"r":[0,1000000000000]}]}',
        '{"d":{"r":[0,1000000000000]}}',
        '{"c":{"r":[0,1000000000000]}}',
        '{"n":["<f8",[1000000000000,0],""]}',
        '{"n":["<f8",[-1],"AAAAAAAAAAA="]}',
        '{"n":["O",[1],"AAAAAAAAAAA="]}',
        '{"n":["|O8",[1],"AAAAAAAAAAA="]}',
        '{"n":["<f8,<f8",[1],"AAAAAAAAAAA="]}',
        '{"n":["<f8"]}',
        '{"n":[]}',
        '{"g":["<f8",""]}',
        '{"b":"é"}',
        '{"b":["a"]}',
        '{"i":5}',
        '{"i":"zz"}',
        "9" * 5000,
        "[" * 100_000,
        '{"d":[[[]],[1]]}',
        '{"d":[[1,2],[1]]}',
        '{"s":[[]]}',
        "{}",
        '{"t":[],"s":[]}',
        "",
    ],
)
def test_a_text_that_costs_more_than_its_length_is_refused_at_once(text: str) -> None:
    began = time.monotonic()
    with pytest.raises(wire.WireError):
        wire.decode(text)
    assert time.monotonic() - began < 1


def test_keys_made_to_collide_are_refused_before_they_are_put_into_a_table() -> None:
    alike = [hex(k * (2**61 - 1)) for k in range(5, 50_000)]
    members = ",".join(f'{{"i":"{number}"}}' for number in alike)
    began = time.monotonic()
    for text in (f'{{"s":[{members}]}}', f'{{"f":[{members}]}}'):
        with pytest.raises(wire.WireError, match="hash alike"):
            wire.decode(text)
    assert time.monotonic() - began < 3
    honest = set(range(100_000)) | {-1, -2}
    assert wire.decode(wire.encode(honest)) == honest
