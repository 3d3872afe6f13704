"""Source text of languages with C's comments, without its comments or without its strings."""

from __future__ import annotations

import re
from typing import Final

_PIECES: Final = re.compile(
    r"/\*.*?\*/|//[^\n]*|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`", re.DOTALL
)


def without_comments(text: str) -> str:
    """Return the text with a space for each comment; lines stay lines."""

    def kept(match: re.Match[str]) -> str:
        found = match[0]
        return "\n" * found.count("\n") or " " if found.startswith(("/*", "//")) else found

    return _PIECES.sub(kept, text)


def bare(text: str) -> str:
    """Return the text without comments and with empty strings."""

    def kept(match: re.Match[str]) -> str:
        return "\n" * match[0].count("\n") or " "

    return _PIECES.sub(kept, text)
