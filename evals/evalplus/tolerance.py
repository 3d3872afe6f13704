"""numpy's `allclose`, for plain values and without numpy.

EvalPlus compares floats with `np.allclose(out, exp, rtol=1e-07, atol=atol)` (evalplus 0.3.1,
evalplus/eval/__init__.py); numpy is not among what this project needs to run. The same answer for
numbers and for lists and tuples of them at any depth, with numpy's broadcasting; what numpy makes
an error of (ragged lists, strings, None, integers beyond 64 bits, sets, dicts) is not close.
"""

from __future__ import annotations

import cmath
from collections.abc import Iterator
from typing import Any, Final

RTOL: Final = 1e-07
_NUMBERS: Final = frozenset((bool, int, float, complex))
_INT_LEAST, _INT_MOST = -(1 << 63), (1 << 64) - 1
_MOST_BROADCAST: Final = 10_000_000  # ours; no pair of answers that numpy could hold is larger


def is_floats(value: Any) -> bool:
    """Return whether EvalPlus takes the value for floats: a float, or a flat sequence of them."""
    if isinstance(value, float):
        return True
    if isinstance(value, list | tuple) and value:
        return all(isinstance(one, float) for one in value)
    kind = type(value)
    return kind.__module__ == "numpy" and str(getattr(value, "dtype", "")) in ("float64", "float32")


def all_close(got: Any, want: Any, atol: float) -> bool:
    """Return whether each number is within `atol + RTOL * |want|` of the wanted one."""
    got, want = _plain(got), _plain(want)
    shape, other = _shape(got), _shape(want)
    if shape is None or other is None:
        return False
    if shape == other:
        return all(map(_near, _flat(got), _flat(want), _repeat(atol)))
    both = _broadcast(shape, other)
    if both is None:
        return False
    return all(
        _near(_pick(got, shape, place), _pick(want, other, place), atol) for place in _places(both)
    )


def _plain(value: Any) -> Any:
    """Return numpy's values as lists and numbers: they came over the wire as they are."""
    return value.tolist() if type(value).__module__ == "numpy" else value


def _repeat(value: float) -> Iterator[float]:
    while True:
        yield value


def _near(got: Any, want: Any, atol: float) -> bool:
    try:
        if got == want:
            return True
        if not (cmath.isfinite(got) and cmath.isfinite(want)):
            return False
        return bool(abs(got - want) <= atol + RTOL * abs(want))
    except OverflowError:
        return False


def _shape(value: Any) -> tuple[int, ...] | None:
    """Return numpy's shape of the value; None where it would hold something else than numbers."""
    kind = type(value)
    if kind in _NUMBERS:
        return () if kind is not int or _INT_LEAST <= value <= _INT_MOST else None
    if kind not in (list, tuple):
        return None
    if not value:
        return (0,)
    first = _shape(value[0])
    if first is None or any(_shape(one) != first for one in value[1:]):
        return None
    return (len(value), *first)


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        for one in value:
            yield from _flat(one)
    else:
        yield value


def _broadcast(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...] | None:
    deep = max(len(one), len(other))
    one, other = (1,) * (deep - len(one)) + one, (1,) * (deep - len(other)) + other
    size, sides = 1, []
    for a, b in zip(one, other, strict=True):
        if a != b and 1 not in (a, b):
            return None
        side = b if a == 1 else a
        size *= side
        sides.append(side)
    return tuple(sides) if size <= _MOST_BROADCAST else None


def _places(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    if not shape:
        yield ()
        return
    for first in range(shape[0]):
        for rest in _places(shape[1:]):
            yield (first, *rest)


def _pick(value: Any, shape: tuple[int, ...], place: tuple[int, ...]) -> Any:
    for side, index in zip(shape, place[len(place) - len(shape) :], strict=True):
        value = value[0 if side == 1 else index]
    return value
