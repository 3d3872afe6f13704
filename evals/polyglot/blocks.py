"""Where blocks in braces begin and end, in languages that look like C.

Read off the signs of the text, without comments and literals; not parsed. Does not know: raw
strings of C++, verbatim strings of C# that end in a backslash, and braces that macros hide.
"""

from __future__ import annotations

import re

_NOISE = re.compile(
    r'//[^\n]*|/\*.*?(?:\*/|\Z)|"""(?:\\.|.)*?(?:"""|\Z)|`[^`]*(?:`|\Z)|"(?:\\.|[^"\\\n])*"?'
    r"|'(?:\\.[^'\n]{0,6}|[^'\\\n])'",
    re.DOTALL,
)


def blanked(text: str) -> str:
    """Return the text with comments and literals as white space, every other sign in its place."""
    return _NOISE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)


def closing(blank: str, opened: int) -> int:
    """Return where the brace that opens there is closed; the text's end where it is not.

    blank: what `blanked` returns.
    """
    depth = 0
    for match in re.finditer(r"[{}]", blank[opened:]):
        depth += 1 if match[0] == "{" else -1
        if depth == 0:
            return opened + match.start()
    return len(blank)


def without(text: str, header: str) -> str:
    """Return the text without the blocks behind each `header`, a pattern of what goes before {."""
    found = re.compile(rf"(?:{header})\s*\{{", re.MULTILINE)
    at = 0
    while match := found.search(blank := blanked(text), at):
        end = closing(blank, match.end() - 1) + 1
        text = text[: match.start()] + text[end:]
        at = match.start()
    return text


def around(text: str, place: int, header: str) -> str | None:
    """Return the inside of the innermost block with such a header that holds `place`."""
    blank = blanked(text)
    inside = None
    for match in re.finditer(rf"(?:{header})[^{{;]*\{{", blank):
        end = closing(blank, match.end() - 1)
        if match.end() <= place < end:
            inside = text[match.end() : end]
    return inside
