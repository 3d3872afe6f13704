"""MBPP+'s inputs as its functions take them: JSON has no tuples, sets or complex numbers.

Which task's lists are what is EvalPlus's knowledge (`mbpp_deserialize_inputs` in evalplus 0.3.1,
evalplus/data/mbpp.py); the table says the same by the place where a list turns into a tuple.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from seedcoder.errors import UsageError

Convert = Callable[[Any], Any]


def mbpp_arguments(key: str, inputs: Sequence[Any]) -> list[Sequence[Any]]:
    """Return the arguments of each call. key: "Mbpp/2". Raises UsageError for ill-formed inputs.

    A task without extra inputs has an empty object in place of a list.
    """
    number = key.rpartition("/")[2]
    convert = _BY_TASK.get(int(number)) if number.isdecimal() else None
    try:
        return [convert(one) if convert else one for one in inputs]
    except (TypeError, ValueError, AttributeError, IndexError) as error:
        raise UsageError(
            f"{key}: an input is not of the form that EvalPlus's is: {error}"
        ) from None


def _deep(value: Any) -> Any:
    return tuple(map(_deep, value)) if isinstance(value, list) else value


def _each(convert: Convert) -> Convert:
    """Return what converts each member and gives a list."""
    return lambda value: [convert(one) for one in value]


def _at(**places: Convert) -> Convert:
    """Return what converts the arguments at `_0`, `_1`... and leaves the others."""
    found = {int(name[1:]): convert for name, convert in places.items()}
    return lambda value: [
        found[place](one) if place in found else one for place, one in enumerate(value)
    ]


def _tuple_if_list(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _set_if_filled(value: Any) -> Any:
    # An empty list stands for a dict there.
    return set(value) if isinstance(value, list) and value else {}


_SHAPES: Final[tuple[tuple[tuple[int, ...], Convert], ...]] = (
    # Every argument is a tuple.
    (
        (2, 116, 132, 143, 222, 261, 273, 394, 399, 421, 424, 429, 470, 560, 579, 596, 616, 630),
        _each(tuple),
    ),
    ((726, 740, 744, 809), _each(tuple)),
    # Every argument is a list of tuples.
    (
        (63, 64, 70, 94, 120, 237, 272, 299, 400, 409, 417, 438, 473, 614, 780),
        _each(_each(tuple)),
    ),
    # A list of tuples and something else; what comes after is not passed on.
    ((75, 413, 444, 753), lambda one: [[tuple(x) for x in one[0]], one[1]]),
    ((106, 750), lambda one: [one[0], tuple(one[1])]),
    ((115,), lambda one: [[_set_if_filled(x) for x in one[0]]]),
    ((124,), lambda one: (float(one[0]), complex(one[1]))),
    ((250, 405, 446, 617, 720, 763, 808), lambda one: [tuple(one[0]), one[1]]),
    # Every argument is a tuple of tuples.
    ((259, 401, 445), _each(lambda value: tuple(map(tuple, value)))),
    ((278,), lambda one: [tuple(_tuple_if_list(x) for x in one[0])]),
    ((307,), lambda one: [tuple(one[0]), one[1], one[2]]),
    ((722,), _at(_0=lambda value: {key: tuple(x) for key, x in value.items()})),
    ((252,), lambda one: [complex(one[0])]),
    ((580, 615, 791), _deep),
)
_BY_TASK: Final[Mapping[int, Convert]] = {
    number: convert for numbers, convert in _SHAPES for number in numbers
}
