"""Where a reply ends: stop strings and the closing fence of its first code block.

Text arrives in pieces, from a tokenizer or over HTTP; a stop string may lie across pieces. The
same rules hold for every client, so that a score does not depend on how the model is reached.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

# A line that opens a fenced block: any indentation (blocks sit inside lists), three or more
# backticks or tildes, and an info string, which holds no backtick after a backtick fence.
_OPENING = re.compile(r"(?P<indent>[ \t]*)(?:(?P<ticks>`{3,})[^`]*|(?P<tildes>~{3,}).*)\Z")
_DEEPER_COLUMNS = 3  # CommonMark: a fence indented further than this is content, as in a docstring


class FenceWatch:
    """Says where the first fenced code block of a growing text ends.

    The closing line is known to be one only when it is complete: "```" may still become
    "```python", which opens nothing and closes nothing inside a block.
    """

    def __init__(self, before: str = "") -> None:
        """Start after `before` (a prefill, say), which may have opened a block already."""
        self._line = ""
        self._fence: str | None = None
        self._deepest_columns = 0
        self._length_chars = -len(before)
        for _ in self._closings(before):
            pass  # a block that `before` closes itself is not the reply's

    @property
    def is_open(self) -> bool:
        """Whether a block has been opened and has not been closed."""
        return self._fence is not None

    def feed(self, piece: str) -> int | None:
        """Take the next piece. Return where the closing line ends (its newline left out), counted
        in characters from the end of `before`, or None while the block is not closed. Feed nothing
        after that.
        """
        return next(self._closings(piece), None)

    def _closings(self, piece: str) -> Iterator[int]:
        start = 0
        while (newline := piece.find("\n", start)) >= 0:
            line = self._line + piece[start:newline]
            self._length_chars += newline - start
            if self._closes(line.removesuffix("\r")):
                yield self._length_chars - line.endswith("\r")
            self._length_chars += 1
            self._line = ""
            start = newline + 1
        self._line += piece[start:]
        self._length_chars += len(piece) - start

    def _closes(self, line: str) -> bool:
        if self._fence is None:
            if opening := _OPENING.match(line):
                self._fence = opening["ticks"] or opening["tildes"]
                self._deepest_columns = len(opening["indent"].expandtabs(4)) + _DEEPER_COLUMNS
            return False
        mark = line.strip(" \t")
        if len(mark) < len(self._fence) or mark != self._fence[0] * len(mark):
            return False
        if len(line.rstrip().expandtabs(4)) - len(mark) > self._deepest_columns:
            return False
        self._fence = None
        return True


class ReplyEnd:
    """Gathers a reply and cuts it where it ends.

    stop: strings that end the reply and are left out of it. after_fence: end it with the closing
    line of its first code block, which is kept. prefill: what the reply was started with; it is
    no part of the text, but may have opened the block.
    """

    def __init__(
        self, *, stop: Sequence[str] = (), after_fence: bool = False, prefill: str = ""
    ) -> None:
        self._stop = tuple(text for text in stop if text)
        self._longest_chars = max((len(text) for text in self._stop), default=0)
        self._watch = FenceWatch(prefill) if after_fence else None
        self._text = ""

    @property
    def text(self) -> str:
        """The reply so far, cut where it ended."""
        return self._text

    def feed(self, piece: str) -> bool:
        """Take the next piece and return whether the reply has ended; feed nothing after that."""
        if not piece:
            return False
        # A stop string may have begun in the pieces before this one.
        search_from = max(0, len(self._text) - self._longest_chars + 1)
        self._text += piece
        ends = [at for text in self._stop if (at := self._text.find(text, search_from)) >= 0]
        if self._watch is not None and (closed := self._watch.feed(piece)) is not None:
            ends.append(closed)
        if not ends:
            return False
        self._text = self._text[: min(ends)]
        return True


def after_opening(text: str, *, anywhere: bool) -> str:
    """Return what follows the first line of `text` that opens a fenced block.

    For a reply that opens its own block although the prefill opened one for it. With
    `anywhere` false only the first line that is not blank is looked at, and it must name a
    language, since a bare fence there would close the prefill's block. Without such a line
    `text` comes back unchanged.
    """
    at = 0
    for line in text.splitlines(keepends=True):
        at += len(line)
        bare = line.rstrip("\r\n")
        if _OPENING.match(bare) and (anywhere or bare.strip().strip("`~")):
            return text[at:]
        if not anywhere and bare.strip():
            break
    return text
