"""Comparers: is what the program gave what it should have given? They run outside every box.

A comparer is a frozen callable `(expected, got) -> bool`; it never raises on odd values.
Text comparers (stdout) take strings; value comparers take decoded builtin values.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol


class Comparer(Protocol):
    """Decide whether `got` answers for `expected`."""

    def __call__(self, expected: Any, got: Any, /) -> bool: ...


def _lines(text: str) -> list[str]:
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


@dataclass(frozen=True, slots=True)
class Exact:
    """Values: equal, and of the same type at every level (True is not 1, 1 is not 1.0).

    NaN answers for NaN. Strings: equal to the letter.
    """

    def __call__(self, expected: Any, got: Any, /) -> bool:
        return _same(expected, got)


@dataclass(frozen=True, slots=True)
class Equal:
    """Values: Python's `==` (1 answers for 1.0 and True); what asserts in test code mean.

    NaN does not answer for NaN, as in Python.
    """

    def __call__(self, expected: Any, got: Any, /) -> bool:
        return _python_equal(expected, got)


@dataclass(frozen=True, slots=True)
class Lines:
    """Text: line by line; white space at line ends and empty lines at the end do not count."""

    def __call__(self, expected: Any, got: Any, /) -> bool:
        return _lines(expected) == _lines(got)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Text: the same lines of the same words; the white space between words does not count."""

    def __call__(self, expected: Any, got: Any, /) -> bool:
        return [x.split() for x in _lines(expected)] == [x.split() for x in _lines(got)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """Numbers may differ by `atol + rtol * max(|expected|, |got|)`; all else must be equal.

    Works on values at every depth, and on text word by word. Symmetric in its arguments.
    Int and float answer for each other; bool does not answer for a number.
    """

    rtol: float = 1e-6
    atol: float = 1e-6

    def __call__(self, expected: Any, got: Any, /) -> bool:
        if isinstance(expected, str) and isinstance(got, str):
            want, have = expected.split(), got.split()
            return len(want) == len(have) and all(map(self._word, want, have))
        return self._value(expected, got)

    def _word(self, want: str, have: str) -> bool:
        if want == have:
            return True
        try:
            return self._number(float(want), float(have))
        except ValueError:
            return False

    def _number(self, want: float, have: float) -> bool:
        if want == have or (want != want and have != have):
            return True
        try:
            limit = self.atol + self.rtol * max(abs(want), abs(have))
            return math.isfinite(limit) and abs(want - have) <= limit
        except OverflowError:
            return False

    def _value(self, want: Any, have: Any) -> bool:
        if type(want) in (int, float, complex) and type(have) in (int, float, complex):
            if complex in (type(want), type(have)):
                try:
                    want, have = complex(want), complex(have)
                except OverflowError:  # an int beyond every float
                    return False
                return self._number(want.real, have.real) and self._number(want.imag, have.imag)
            return self._number(want, have)
        if type(want) is not type(have):
            return False
        if isinstance(want, list | tuple):
            return len(want) == len(have) and all(map(self._value, want, have))
        if isinstance(want, dict):
            return want.keys() == have.keys() and all(self._value(want[k], have[k]) for k in want)
        return _same(want, have)


@dataclass(frozen=True, slots=True)
class Unordered:
    """Values: the two sequences hold equal members, each as often, in any order.

    Text: the same lines in any order. `inner` compares the members.
    """

    inner: Comparer = Exact()

    def __call__(self, expected: Any, got: Any, /) -> bool:
        if isinstance(expected, str) and isinstance(got, str):
            expected, got = _lines(expected), _lines(got)
            if self.inner in (EXACT, EQUAL):  # output may have lines without number
                return Counter(expected) == Counter(got)
        elif type(expected) is not type(got):
            return False
        if not isinstance(expected, list | tuple | set | frozenset):
            return self.inner(expected, got)
        rest = list(got)
        if len(rest) != len(expected):
            return False
        for want in expected:
            for i, have in enumerate(rest):
                if self.inner(want, have):
                    del rest[i]
                    break
            else:
                return False
        return True


@dataclass(frozen=True, slots=True)
class Custom:
    """A function of ours decides; it runs outside the box and its errors are raised, not hidden."""

    function: Callable[[Any, Any], bool]

    def __call__(self, expected: Any, got: Any, /) -> bool:
        return bool(self.function(expected, got))


EXACT = Exact()
EQUAL = Equal()
LINES = Lines()
TOKENS = Tokens()

_PLAIN: Mapping[str, Comparer] = {"exact": EXACT, "equal": EQUAL, "lines": LINES, "tokens": TOKENS}
_NAMES = (*_PLAIN, "close", "unordered")
_MOST_INSIDE = 8  # ours: comparers within comparers


def to_json(comparer: Comparer) -> dict[str, Any]:
    """Return the comparer's name and parameters. Raises ValueError for one that has no name."""
    for name, one in _PLAIN.items():
        if one == comparer:
            return {"name": name}
    if isinstance(comparer, Close):
        return {"name": "close", "rtol": comparer.rtol, "atol": comparer.atol}
    if isinstance(comparer, Unordered):
        return {"name": "unordered", "inner": to_json(comparer.inner)}
    raise ValueError(f"comparer: {comparer!r} is code of ours and cannot be written as data")


def from_json(data: object, depth: int = 0) -> Comparer:
    """Return the comparer that `to_json` wrote; a name alone will do. Raises ValueError."""
    if isinstance(data, str):
        data = {"name": data}
    if not isinstance(data, Mapping):
        raise ValueError("comparer: a name is missing")
    name, given = data.get("name"), set(data) - {"name"}
    if not isinstance(name, str) or name not in _NAMES:
        raise ValueError(f"comparer: name must be one of {', '.join(_NAMES)}, got {name!r:.100}")
    known = {"close": {"rtol", "atol"}, "unordered": {"inner"}}.get(name, set())
    for key in given - known:
        raise ValueError(f"comparer: {name} knows no {key!r:.100}")
    if name in _PLAIN:
        return _PLAIN[name]
    if name == "unordered":
        if depth >= _MOST_INSIDE:
            raise ValueError(f"comparer: more than {_MOST_INSIDE} within each other")
        return Unordered(inner=from_json(data["inner"], depth + 1)) if given else Unordered()
    for key in given:
        value = data[key]
        if type(value) not in (int, float) or not 0 <= value <= sys.float_info.max:
            raise ValueError(f"comparer: {key} must be a number of 0 or more, got {value!r:.100}")
    return Close(**{key: float(data[key]) for key in given})


def _is_array(value: Any) -> bool:
    return type(value).__module__ == "numpy"


def _same(want: Any, have: Any) -> bool:
    if type(want) is not type(have):
        return False
    if isinstance(want, float):
        return want == have or (want != want and have != have)
    if isinstance(want, complex):
        return _same(want.real, have.real) and _same(want.imag, have.imag)
    if isinstance(want, list | tuple):
        return len(want) == len(have) and all(map(_same, want, have))
    if isinstance(want, dict):
        if len(want) != len(have):
            return False
        types = {key: type(key) for key in have}
        return all(
            key in have and types[key] is type(key) and _same(value, have[key])
            for key, value in want.items()
        )
    if isinstance(want, set | frozenset):
        return want == have and {(type(x), x) for x in want} == {(type(x), x) for x in have}
    if _is_array(want):
        return (
            want.dtype == have.dtype
            and want.shape == have.shape
            and _same(want.tolist(), have.tolist())
        )
    return bool(want == have)


def _python_equal(want: Any, have: Any) -> bool:
    if _is_array(want) or _is_array(have):
        return _same(want, have)
    try:
        return bool(want == have)
    except (RecursionError, ValueError):
        return False
