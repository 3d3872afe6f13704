"""Nearly right programs for the gold check: each answer is computed, and then spoilt."""

from __future__ import annotations

from typing import Final

_SPOILER: Final = """

def _spoil(function):
    def spoilt(*args):
        value = function(*args)
        if isinstance(value, bool):
            return not value
        if isinstance(value, (int, float, complex)):
            return value + 1
        if isinstance(value, str):
            return value + "?"
        if isinstance(value, (list, tuple)):
            return value + type(value)([None])
        if isinstance(value, dict):
            return {**value, "?": None}
        return 0
    return spoilt


"""


def spoilt(source: str, name: str) -> str:
    """Return the program with what function `name` returns off by one, negated or longer."""
    return f"{source}{_SPOILER}{name} = _spoil({name})\n"
