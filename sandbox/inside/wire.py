"""Values as text: exact builtin types (and numpy arrays) out of one process, and into another.

The text is JSON, read by a parser that can build nothing but plain data, so text from an untrusted
process is safe to read. Lists, strings, bools, None, floats and ints stand for themselves; every
other type is an object with one key that names it. A subclass is refused: an `int` whose `__eq__`
always says yes must not reach a comparison.

Round trip: `decode(encode(x))` has the same types and values at every level (NaN, -0.0, lone
surrogates and big ints too). Refused: functions, instances, cyclic values, values nested deeper
than MAX_DEPTH.
"""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

MAX_DEPTH = 200  # ours: far above any benchmark's data, far below Python's recursion limit
_PLAIN_INT = 1 << 63  # above it the decimal form meets Python's digit limit: written in hex

_ATOMS = frozenset({type(None), bool, float, str})
_dumps = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class WireError(ValueError):
    """A value that cannot cross as data, or text that is no value."""


def encode(value: Any) -> str:
    """Return the text of `value`. Raises WireError, naming the type that cannot cross."""
    return _dumps(_plain(value, 0))


def decode(text: str) -> Any:
    """Return the value of `text`. Raises WireError on anything that `encode` did not write."""
    try:
        return json.loads(text, object_pairs_hook=_tagged)
    except (ValueError, RecursionError, OverflowError, TypeError, MemoryError) as error:
        raise WireError(f"not a value: {error}") from None


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
    raise WireError(f"a value of type {kind.__module__}.{kind.__qualname__} is not plain data")


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
    if tag == "t":
        return tuple(_listed(body))
    if tag == "d":
        keys, values = body
        return dict(zip(keys, values, strict=True))
    if tag == "s":
        return set(_listed(body))
    if tag == "f":
        return frozenset(_listed(body))
    if tag == "i":
        return int(body, 16)
    if tag == "b":
        return base64.b64decode(body, validate=True)
    if tag == "B":
        return bytearray(base64.b64decode(body, validate=True))
    if tag == "c":
        real, imag = body
        return complex(float(real), float(imag))
    if tag == "r":
        return range(*body)
    if tag in ("n", "g"):
        return _array(tag, body)
    raise WireError(f"unknown tag {tag!r}")


def _listed(body: Any) -> list[Any]:
    if type(body) is not list:
        raise WireError("a list is missing")
    return body


def _array(tag: str, body: Any) -> Any:
    try:
        import numpy
    except ImportError:
        raise WireError("a numpy value came, and numpy is not installed here") from None
    dtype = numpy.dtype(body[0])
    if dtype.kind not in "biufc":
        raise WireError(f"numpy dtype {body[0]!r} is not plain data")
    flat = numpy.frombuffer(base64.b64decode(body[-1], validate=True), dtype=dtype)
    return flat[0] if tag == "g" else flat.reshape(body[1]).copy()
