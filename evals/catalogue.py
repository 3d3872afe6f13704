"""Every benchmark by name: where it is made, and what it is in a line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One benchmark. place: "module:function"; the function takes the recipe's `[options]`, and its
    annotations say their types.

    about: a line for `eval list`. protocols: those it can be asked in.
    """

    place: str
    about: str
    protocols: tuple[str, ...] = ("completion", "chat")


BENCHES: Final[Mapping[str, Entry]] = {
    "humaneval": Entry(
        place="evals.humaneval:humaneval", about="164 Python functions from their docstrings"
    ),
}
