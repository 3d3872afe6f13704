"""Copies of a file that are certainly worse: a scorer must rate each below its original.

By construction, not by anybody's opinion: that is what makes them worth measuring on. They are of
any language, so they look at lines and words and parse nothing.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from typing import Final

_COMMENT: Final = re.compile(r"^\s*(#|//|\*|/\*|--).*$")
_WORD: Final = re.compile(r"\b[a-z]\w{4,}\b")
_DOC: Final = re.compile(r"^[ \t]*(\"\"\"|''')(.*?)\1[ \t]*$\n?", re.DOTALL | re.MULTILINE)


def damaged(text: str, how: str, seed: int = 0) -> str | None:
    """Return a worse copy; None where the file gives no hold for that. how: a key of WAYS."""
    found = WAYS[how](text, random.Random(f"{seed} {len(text)}"))
    return found if found != text else None


def _bare(text: str, rng: random.Random) -> str:
    """Without comments and docstrings."""
    lines = _DOC.sub("", text).splitlines(keepends=True)
    return "".join(line for line in lines if not _COMMENT.match(line))


def _nameless(text: str, rng: random.Random) -> str:
    """Its most used long words, which are names, become x1, x2..."""
    counts: dict[str, int] = {}
    for word in _WORD.findall(text):
        counts[word] = counts.get(word, 0) + 1
    kept = {"import", "class", "return", "print", "raise", "yield", "while", "break", "continue",
            "except", "finally", "lambda", "global", "assert", "async", "await"}  # fmt: skip
    often = sorted((word for word in counts if word not in kept), key=lambda one: -counts[one])[:40]
    new = {word: f"x{at}" for at, word in enumerate(often)}
    return _WORD.sub(lambda match: new.get(match[0], match[0]), text)


def _shuffled(text: str, rng: random.Random) -> str:
    """Its lines in any order."""
    lines = text.splitlines(keepends=True)
    rng.shuffle(lines)
    return "".join(lines)


def _repeated(text: str, rng: random.Random) -> str:
    """A stretch of it four times more."""
    lines = text.splitlines(keepends=True)
    if len(lines) < 12:
        return text
    size = max(6, len(lines) // 4)
    at = rng.randrange(len(lines) - size + 1)
    return "".join([*lines[: at + size], *(4 * lines[at : at + size]), *lines[at + size :]])


def _buried(text: str, rng: random.Random) -> str:
    """A table of numbers four times as long as it at its end."""
    count = max(40, 4 * len(text.splitlines()))
    rows = [", ".join(str(rng.randrange(10**5)) for _ in range(12)) for _ in range(count)]
    return f"{text}\nDATA = [\n" + "".join(f"    {row},\n" for row in rows) + "]\n"


WAYS: Final[Mapping[str, Callable[[str, random.Random], str]]] = {
    "bare": _bare,
    "nameless": _nameless,
    "shuffled": _shuffled,
    "repeated": _repeated,
    "buried": _buried,
}
