"""The program out of a model's reply, for `/submit`. Four rules, in this order:

1. The first fenced block whose language is the problem's (by any of its names).
2. The first fenced block that names no language.
3. A block of either sort that was opened and never closed.
4. The whole text, as it stands.

Nothing is parsed or repaired. What an evaluation needs beyond this belongs to its own protocol.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from sandbox.languages import canonical

_OPENING = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*([^\s`]*+)[^\n`]*+$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Extracted:
    """A program's text, and where it was found."""

    code: str
    how: Literal["fenced", "incomplete_fenced", "heuristic", "empty"]


def extract(text: str, language: str) -> Extracted:
    """Return the program in a reply, for a problem of the language."""
    if not text.strip():
        return Extracted("", "empty")
    blocks = _blocks(text)
    for closed in (True, False):
        for wanted in (True, False):
            for said, code, is_closed in blocks:
                named = bool(said)
                if is_closed is closed and named is wanted and (not named or _is(said, language)):
                    return Extracted(code, "fenced" if closed else "incomplete_fenced")
    return Extracted(text, "heuristic")


def _is(said: str, language: str) -> bool:
    try:
        return canonical(said.strip("{}.")) == language
    except ValueError:
        return False


def _blocks(text: str) -> list[tuple[str, str, bool]]:
    """Return the fenced blocks: language, text, whether it was closed."""
    found = []
    at = 0
    while (opening := _OPENING.search(text, at)) is not None:
        fence = opening[1]
        begin = opening.end() + 1
        closing = re.compile(rf"^[ \t]*{fence[0]}{{{len(fence)},}}[ \t]*$", re.MULTILINE)
        end = closing.search(text, begin) if begin <= len(text) else None
        found.append((opening[2], text[begin : end.start() if end else len(text)], end is not None))
        at = end.end() if end else len(text)
    return found
