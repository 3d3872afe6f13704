"""Find the fenced code blocks of a reply, as models really write them.

CommonMark first (a fence may be longer than three, indented in a list, quoted, or never closed),
then a looser reading for fences glued to other text. Linear in the length of the text.

Does not cover: indented code blocks without a fence, HTML `<pre>`, and code given inline.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_FENCE = re.compile(
    r"(?P<lead>[ \t]*(?P<quote>(?:>[ \t]*)*)(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?)"
    r"(?P<fence>`{3,}|~{3,})(?P<info>.*)$"
)
_QUOTE = re.compile(r"[ \t]*>[ \t]?")
_TAB_COLUMNS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """The inside of one fenced block.

    language: the first word behind the opening fence, lower case; empty where there is none.
    closed: False when the reply ended first.
    """

    text: str
    language: str = ""
    closed: bool = True


@dataclass(slots=True)
class _Open:
    """A block that is being read."""

    mark: str
    indent: int
    quotes: int
    language: str
    lines: list[str]

    def block(self, closed: bool) -> Block:
        return Block(text="\n".join(self.lines), language=self.language, closed=closed)


def strict_blocks(text: str, *, open_at_start: bool = False) -> Iterator[Block]:
    """Yield the blocks whose fences stand on lines of their own.

    open_at_start: the text begins inside a block whose opening fence was in the prompt.
    A fence deeper than its block's opening by more than three columns is content: docstrings hold
    fences too. A fence with a language inside a block ends it and opens the next: models forget
    to close.
    """
    block = _Open("```", 0, 0, "", []) if open_at_start else None
    for line in text.split("\n"):
        match = _FENCE.match(line)
        if block is None:
            if match and _opens(match):
                block = _begin(match)
            continue
        if match and _ends(block, match):
            yield block.block(closed=True)
            block = _begin(match) if match["info"].strip() else None
            continue
        block.lines.append(_content(line, block))
    if block is not None:
        yield block.block(closed=False)


def loose_blocks(text: str, *, open_at_start: bool = False) -> Iterator[Block]:
    """Yield what stands between any two runs of three backticks, wherever on a line they are.

    Finds "Here it is:```python" and "return x```", which `strict_blocks` does not.
    """
    place = 0
    inside = open_at_start
    while True:
        fence = text.find("```", place)
        if inside:
            body = text[place : fence if fence >= 0 else len(text)]
            language = ""
            if not (open_at_start and place == 0):
                info, newline, rest = body.partition("\n")
                if newline and len(info.split()) <= 1:
                    language, body = info.strip().lower(), rest
            yield Block(text=body, language=language, closed=fence >= 0)
        if fence < 0:
            return
        place = fence + 3
        inside = not inside


def _opens(match: re.Match[str]) -> bool:
    # A backtick in the info string makes it inline code: ```x = 1```.
    return match["fence"][0] == "~" or "`" not in match["info"]


def _begin(match: re.Match[str]) -> _Open:
    words = match["info"].split()
    return _Open(
        mark=match["fence"],
        indent=_columns(match["lead"]),
        quotes=match["quote"].count(">"),
        language=words[0].lower().strip("{.}") if words else "",
        lines=[],
    )


def _ends(block: _Open, match: re.Match[str]) -> bool:
    fence, info = match["fence"], match["info"].strip()
    if fence[0] != block.mark[0] or _columns(match["lead"]) > block.indent + 3:
        return False
    if info:
        return re.fullmatch(r"[A-Za-z][\w+#.-]*", info) is not None
    return len(fence) >= len(block.mark)


def _content(line: str, block: _Open) -> str:
    """Return the line without the quote marks and the indentation that its block stands in."""
    for _ in range(block.quotes):
        match = _QUOTE.match(line)
        if not match:
            break
        line = line[match.end() :]
    if block.quotes:
        return line
    column = place = 0
    while place < len(line) and column < block.indent and line[place] in " \t":
        column += _TAB_COLUMNS if line[place] == "\t" else 1
        place += 1
    return line[place:]


def _columns(lead: str) -> int:
    return len(lead.expandtabs(_TAB_COLUMNS))
