"""Values as text: exact builtin types (and numpy arrays) out of one process, and into another.

The text is JSON, read by a parser that can build nothing but plain data, so text from an untrusted
process is safe to read. Lists, strings, bools, None, floats and ints stand for themselves; every
other type is an object with one key that names it. A subclass is refused: an `int` whose `__eq__`
always says yes must not reach a comparison.

Round trip: `decode(encode(x))` has the same types and values at every level (NaN, -0.0, lone
surrogates and big ints too; a high surrogate before a low one is read as the character that the two
mean). Refused: functions, instances, cyclic values, values nested deeper
than MAX_DEPTH; in `decode` also what would cost the reader more than its text is long (a range to
be spelt out, keys that all hash alike).
"""

from __future__ import annotations

import base64
import json
import math
import sys
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any

MAX_DEPTH = 200  # ours: far above any benchmark's data, far below Python's recursion limit
_PLAIN_INT = 1 << 63  # above it the decimal form meets Python's digit limit: written in hex
_MOST_ALIKE = 256  # ours: members of one set or dict that may share a hash
_EMPTY_SIDE = 1 << 16  # ours: the longest side of an array that holds nothing

_ATOMS = frozenset({type(None), bool, float, str})
_CONTAINERS = frozenset({list, tuple, dict, set, frozenset})
_DICTS = frozenset({dict, Counter, OrderedDict, defaultdict})


def _writer() -> Callable[[Any], str]:
    """Return json's writer without the Python frames around it: in a fresh child each costs."""
    slow = json.JSONEncoder(separators=(",", ":"), check_circular=False)
    make = json.encoder.c_make_encoder  # type: ignore[attr-defined]
    if make is None:
        return slow.encode
    chunks = make(
        None, slow.default, json.encoder.encode_basestring_ascii, None, ":", ",", False, False, True
    )
    return lambda value: "".join(chunks(value, 0))


class WireError(ValueError):
    """A value that cannot cross as data, or text that is no value."""


class ForeignType(WireError):
    """A value of a type that `decode` never gives, so none that came over the wire."""


def encode(value: Any, *, loose: bool = False) -> str:
    """Return the text of `value`. Raises WireError, naming the type that cannot cross.

    loose: write the standard library's dicts and named tuples as the dicts and tuples that they
    equal, instead of refusing them.
    """
    try:
        return _dumps(_plain(value, 0))
    except ForeignType:
        if not loose:
            raise
        return _dumps(_plain(_plainer(value, 0), 0))


def decode(text: str) -> Any:
    """Return the value of `text`. Raises WireError on text that `encode` cannot have written."""
    try:
        value, end = _scan(text, 0)
        if end != len(text):
            raise ValueError("more than one value")
    except (
        StopIteration,
        ValueError,
        LookupError,
        RecursionError,
        OverflowError,
        TypeError,
        MemoryError,
    ) as error:
        raise WireError(f"not a value: {error}") from None
    if text.count("[") > MAX_DEPTH:
        _check_depth(value)
    return value


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [one for one in level if type(one) in _CONTAINERS]
        if not level:
            return
        parts = [(*one.keys(), *one.values()) if type(one) is dict else one for one in level]
        level = [member for members in parts for member in members]
    raise WireError(f"a value nested deeper than {MAX_DEPTH} levels")


def _plainer(value: Any, depth: int) -> Any:
    """Return `value` with dicts for the standard library's kinds of dict, tuples for named ones."""
    kind = type(value)
    if depth > MAX_DEPTH:
        return value
    if kind in _DICTS:
        return {key: _plainer(member, depth + 1) for key, member in dict.items(value)}
    if kind is list:
        return [_plainer(member, depth + 1) for member in value]
    if kind is tuple or (kind.__bases__ == (tuple,) and hasattr(kind, "_fields")):
        return tuple(_plainer(member, depth + 1) for member in tuple.__iter__(value))
    return value


def _plain(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind in _ATOMS:
        return value
    if kind is int:
        return value if -_PLAIN_INT <= value < _PLAIN_INT else {"i": hex(value)}
    if depth >= MAX_DEPTH:
        raise WireError(f"a value nested deeper than {MAX_DEPTH} levels, or inside itself")
    if kind is list:
        return _members(value, depth)
    if kind is tuple:
        return {"t": _members(value, depth)}
    if kind is dict:
        return {"d": [_members(value.keys(), depth), _members(value.values(), depth)]}
    if kind is set:
        return {"s": _members(value, depth)}
    if kind is frozenset:
        return {"f": _members(value, depth)}
    if kind is bytes:
        return {"b": base64.b64encode(value).decode()}
    if kind is complex:
        return {"c": [value.real, value.imag]}
    if kind is range:
        return {"r": _members((value.start, value.stop, value.step), depth)}
    if kind is bytearray:
        return {"B": base64.b64encode(value).decode()}
    if kind.__module__ == "numpy":
        return _numpy(value)
    raise ForeignType(f"a value of type {kind.__module__}.{kind.__qualname__} is not plain data")


def _members(values: Any, depth: int) -> list[Any]:
    kinds = set(map(type, values))
    if kinds <= _ATOMS:
        return list(values)
    if kinds == {int} and min(values) >= -_PLAIN_INT and max(values) < _PLAIN_INT:
        return list(values)
    return [_plain(value, depth + 1) for value in values]


def _numpy(value: Any) -> dict[str, Any]:
    numpy = sys.modules.get("numpy")
    if numpy is not None and type(value) is numpy.ndarray and value.dtype.kind in "biufc":
        raw = numpy.ascontiguousarray(value).tobytes()
        return {"n": [value.dtype.str, list(value.shape), base64.b64encode(raw).decode()]}
    if numpy is not None and isinstance(value, numpy.generic) and value.dtype.kind in "biufc":
        return {"g": [value.dtype.str, base64.b64encode(value.tobytes()).decode()]}
    raise WireError(f"a value of type {type(value).__qualname__} is not plain data")


def _tagged(pairs: list[tuple[str, Any]]) -> Any:
    if len(pairs) != 1:
        raise WireError("an object needs exactly one tag")
    tag, body = pairs[0]
    if tag == "i":
        return int(_text(body), 16)
    if tag == "b":
        return base64.b64decode(_text(body), validate=True)
    if tag == "B":
        return bytearray(base64.b64decode(_text(body), validate=True))
    parts = _listed(body)
    if tag == "t":
        return tuple(parts)
    if tag == "d":
        keys, values = parts
        return dict(zip(_hashable(_listed(keys)), _listed(values), strict=True))
    if tag == "s":
        return set(_hashable(parts))
    if tag == "f":
        return frozenset(_hashable(parts))
    if tag == "c":
        real, imag = parts
        return complex(float(real), float(imag))
    if tag == "r":
        return range(*parts)
    if tag in ("n", "g"):
        return _array(tag, *parts)
    raise WireError(f"unknown tag {tag!r}")


# Every body is checked before it is used: a range where a list should be would be spelt out in the
# reader's memory, however short its text was.


def _listed(body: Any) -> list[Any]:
    if type(body) is not list:
        raise WireError("a list is missing")
    return body


def _text(body: Any) -> str:
    if type(body) is not str:
        raise WireError("a string is missing")
    return body


def _hashable(members: list[Any]) -> list[Any]:
    """Return the members; raise WireError where a table of them would take quadratic time."""
    if len(members) > _MOST_ALIKE:
        hashes = sorted(map(hash, members))
        pairs = zip(hashes, hashes[_MOST_ALIKE:], strict=False)
        if any(first == last for first, last in pairs):
            raise WireError("too many keys that hash alike")
    return members


def _array(tag: str, name: Any, *rest: Any) -> Any:
    try:
        import numpy
    except ImportError:
        raise WireError("a numpy value came, and numpy is not installed here") from None
    if not (_text(name)[:1] in "<>|" and name[1:2] in "biufc" and name[2:].isdecimal()):
        raise WireError(f"numpy dtype {name!r} is not plain data")
    flat = numpy.frombuffer(base64.b64decode(_text(rest[-1]), validate=True), dtype=name)
    if tag == "g":
        if flat.size != 1:
            raise WireError("a numpy scalar is missing")
        return flat[0]
    shape = _listed(rest[0])
    if any(type(side) is not int or side < 0 for side in shape) or math.prod(shape) != flat.size:
        raise WireError("an array's shape is not that of its data")
    if not flat.size and max(shape) > _EMPTY_SIDE:
        raise WireError("an empty array of many rows")
    return flat.reshape(shape).copy()


_dumps = _writer()
_scan = json.JSONDecoder(object_pairs_hook=_tagged).scan_once  # type: ignore[attr-defined]
