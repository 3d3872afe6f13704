"""Which brackets are open at the end of a text, and which a text closes that it did not open.

Reads words, not grammar: comments and strings are skipped as the language writes them, so that it
can go on piece by piece in the middle of a file. What it gets wrong: code that is left out by a
preprocessor, strings within the braces of other strings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from serve.fim.languages import Language

_PAIRS: Final = {")": "(", "]": "[", "}": "{"}
_TAB_COLUMNS: Final = 4  # ours: only ever compared within one file


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """An open bracket. indent: of the line it stands on."""

    kind: str
    indent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """A bracket that closes what was opened before. at: its place in the text.

    indent: of its line, where it is the first on it; None elsewhere.
    """

    kind: str
    indent: int | None
    at: int


@dataclass(slots=True)
class Brackets:
    """What is open after some text. inside: what ends the comment or string it is in, or ""."""

    language: Language
    opened: list[Open] = field(default_factory=list)
    inside: str = ""
    indent: int = 0
    is_line_start: bool = True

    def copy(self) -> Brackets:
        """Return one that goes its own way."""
        return Brackets(
            self.language, list(self.opened), self.inside, self.indent, self.is_line_start
        )

    def read(self, text: str, seen: Callable[[int], None] | None = None) -> list[Close]:
        """Take more text. A string or comment must not be cut in two, unless it may span lines.

        seen: called after each bracket with its place. Returns the brackets that close what is
        not open here.
        """
        unmatched: list[Close] = []
        at = line_from = 0
        if self.is_line_start and not self.inside:
            self.indent += indent_of(text)
        if self.inside:
            end = text.find(self.inside)
            if end < 0:
                return unmatched
            at = line_from = end + len(self.inside)
            self.inside = ""
        words = _words(self.language)
        while (word := words.search(text, at)) is not None:
            at = word.end()
            if word.lastgroup == "newline":
                self.is_line_start, line_from = True, at
                self.indent = indent_of(text[at : at + 200])
                continue
            is_first = self.is_line_start and not text[line_from : word.start()].strip()
            self.is_line_start = False
            if word.lastgroup == "bracket":
                indent = self.indent if is_first else None
                self._bracket(word.group(), unmatched, indent, word.start())
                if seen is not None:
                    seen(word.start())
            elif word.lastgroup == "open":
                self.inside = dict(self.language.open_ended)[word.group()]
                return unmatched
        if text[line_from:].strip():
            self.is_line_start = False
        return unmatched

    def _bracket(self, bracket: str, unmatched: list[Close], indent: int | None, at: int) -> None:
        if bracket not in _PAIRS:
            self.opened.append(Open(kind=bracket, indent=self.indent))
        elif self.opened and self.opened[-1].kind == _PAIRS[bracket]:
            self.opened.pop()
        elif not self.opened:
            unmatched.append(Close(kind=_PAIRS[bracket], indent=indent, at=at))
        else:
            self._mend(_PAIRS[bracket])

    def _mend(self, kind: str) -> None:
        """Take a bracket of another kind than the innermost: close down to its own, if any."""
        for place in range(len(self.opened) - 1, -1, -1):
            if self.opened[place].kind == kind:
                del self.opened[place:]
                return


def indent_of(line: str) -> int:
    """Return how far a line is indented, in columns."""
    columns = 0
    for character in line:
        if character == " ":
            columns += 1
        elif character == "\t":
            columns += _TAB_COLUMNS
        else:
            break
    return columns


def fits(opened: Sequence[Open], closes: Sequence[Close]) -> bool:
    """Say whether what is open is what `closes` close, from the inside out, as far as both go.

    A brace that begins its line closes one that was opened on a line as far in.
    """
    for one, other in zip(reversed(opened), closes, strict=False):
        if one.kind != other.kind:
            return False
        if one.kind == "{" and other.indent is not None and one.indent != other.indent:
            return False
    return True


@cache
def _words(language: Language) -> re.Pattern[str]:
    opens = "|".join(re.escape(word) for word, _ in language.open_ended) or r"(?!)"
    return re.compile(
        f"(?P<opaque>{language.opaque.pattern})|(?P<open>{opens})"
        r"|(?P<bracket>[()\[\]{}])|(?P<newline>\n)",
        re.DOTALL,
    )
