"""A program's text without what does not matter to it: what two samples have to agree in."""

from __future__ import annotations

import ast


def plain(source: str) -> str | None:
    """Return the program without comments and layout; None for an empty one.

    Python is parsed (never run); what does not parse, and any other language, keeps its words and
    loses only how they are spaced.
    """
    if not source.strip():
        return None
    try:
        return ast.dump(ast.parse(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return " ".join(source.split())
