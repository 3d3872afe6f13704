"""Where a middle ends: found in the text a model writes, as it comes.

Models that were trained to fill in the middle often do not stop: they write the middle, then what
follows it in the file, once more or something else. `SyntaxEnd` looks for the place where what was
written fits what follows the cursor:

echo        it begins to write what follows the cursor
brackets    it closes a bracket that what follows closes, and does not open another on that line
indentation it writes a line further out than the line that follows, or leaves the cursor's block
            for the level of what follows
repetition  it writes the same lines again and again
item        it has written one whole item (a function) at the level it began at, and begins the
            next; only where the grammar finds the file whole

A text that is sent cannot be taken back: lines that may lie behind the end are held back until
that is known. What no rule sees: sibling statements that belong there as well as not; only the
model, the stop strings and the token limit end those.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from serve.fim.brackets import Brackets, Close, fits, indent_of
from serve.fim.cutters import LineEnd, NoEnd
from serve.fim.echo import Echo, solid
from serve.fim.grammar import is_whole
from serve.fim.languages import Language
from serve.stops import Cutter

Mode = Literal["syntax", "line", "none"]
Reason = Literal["", "echo", "brackets", "indentation", "repetition", "item", "line"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the rules go by. Chosen on one half of the files that bench/fim_ends.py cuts, its
    figures are of the other half.

    echo_characters: of what follows the cursor (blanks not counted) that must be written again.
    repeated_characters: a block that comes twice is a repetition from so many.
    repeated_lines: the same line in a row is one from so many times.
    """

    echo_characters: int = 24
    repeated_characters: int = 12
    repeated_lines: int = 4
    leaves_block: bool = True
    items: bool = True
    blank_line: bool = False


def ending(mode: Mode, before: str, after: str, language: Language) -> Cutter:
    """Return what finds the end of a middle between two texts."""
    if mode == "none":
        return NoEnd()
    if mode == "line":
        return LineEnd()
    return SyntaxEnd(before, after, language)


@dataclass(slots=True)
class _Seam:
    """What follows the cursor, as an end is fitted to it.

    blank: the white space it begins with. indent: of its first whole line; None where it has none
    that says how deep the code is. closes: the brackets it closes.
    """

    text: str
    blank: str
    indent: int | None
    closes: list[Close]

    def fitted(self, text: str) -> str:
        """Return `text` without the white space at its end that the seam brings itself."""
        bare = text.rstrip()
        space = text[len(bare) :]
        if self.blank and space.endswith(self.blank):
            return text[: len(text) - len(self.blank)]
        if "\n" in self.blank:
            return bare
        if "\n" in space:
            return bare + space[: space.rfind("\n") + 1]
        return text


_OPENERS: Final = (":", "{", "(", "[")
_UNSEEN: Final = re.compile(r"\s*(?:\#(?:if|el|end|def|undef|include|pragma)|[\w]+:\s*$)")
# A line that goes on from the one before it says nothing of how deep the code is.
_HANGING: Final = re.compile(r"[.?:&|+*/=<>-]")


def _seam(after: str, language: Language) -> _Seam:
    rest, newline, whole = after.partition("\n")
    indent = None
    if not rest.strip() or newline:
        lines = (line for line in whole.split("\n") if line.strip()) if newline else iter(())
        first = next(lines, None)
        if first is not None and not _HANGING.match(first.lstrip()):
            indent = indent_of(first)
    closes = Brackets(language, is_line_start=False).read(after[:_LOOKED_AT])
    bare = after.lstrip()
    return _Seam(after, after[: len(after) - len(bare)], indent, closes)


_LOOKED_AT: Final = 20_000  # ours: characters on each side that brackets are read in


@dataclass(slots=True)
class _Line:
    """A line that was written: where it begins, and how far in."""

    at: int
    indent: int
    text: str


class SyntaxEnd:
    """The end of a middle as brackets, indentation, echo and repetition tell it."""

    def __init__(
        self, before: str, after: str, language: Language, rules: Rules | None = None
    ) -> None:
        """Fit the middle between `before` and `after`."""
        self.reason: Reason = ""
        self._rules = rules or Rules()
        self._language = language
        self._before, self._after = before, after
        self._seam = _seam(after, language)
        self._state = Brackets(language)
        self._state.read(_tail(before))
        self._head = before[before.rfind("\n") + 1 :]
        self._base = len(self._state.opened)
        self._is_whole_file = len(before) < _LOOKED_AT and not before[:1].isspace()
        # What follows may close more than is open: then the middle must open it, or the file's
        # beginning was not sent.
        closes = len(self._seam.closes)
        self._least = closes if self._is_whole_file else min(closes, self._base)
        self._echo = Echo(after, self._rules.echo_characters)
        self._text = ""  # all that was written
        self._sent = 0
        self._read = 0  # up to here lines are judged; a line's start
        self._lines: list[_Line] = []
        self._block: int | None = None
        self._was_deeper = False

    @property
    def has_ended(self) -> bool:
        """Whether the end was found; `reason` says by what."""
        return bool(self.reason)

    def feed(self, text: str) -> tuple[str, bool]:
        """Take more; return what is certain to belong to the middle, and whether it ended."""
        if self.reason:
            return "", True
        self._text += text
        end = self._echo.find(self._text)
        while True:
            newline = self._text.find("\n", self._read)
            if newline < 0 or (end is not None and newline >= end):
                break
            if (cut := self._judge(self._text[self._read : newline + 1])) is not None:
                return self._end(cut)
        if end is not None:
            is_echo = self._fits_at(end) or self._echo.is_long(self._text, end)
            if is_echo:
                self.reason = "echo"
                return self._end(end)
            if is_echo is None:
                return self._send(min(self._certain(), end))
            self._echo.skip(end)
        return self._send(self._certain())

    def finish(self) -> str:
        """Return what is held back and belongs to the middle, now that nothing more comes."""
        if self.reason:
            return ""
        end = self._echo.find(self._text)
        if end is not None and self._echo.is_long(self._text, end) is not False:
            self.reason = "echo"
            return self._end(end)[0]
        cut = self._judge(self._text[self._read :], is_last=True)
        if cut is None and (end := self._echo.tail(self._text)) is not None and self._fits_at(end):
            self.reason, cut = "echo", end
        if cut is not None:
            return self._end(cut)[0]
        return self._send(len(self._text))[0]

    def _end(self, at: int) -> tuple[str, bool]:
        cut = len(self._seam.fitted(self._text[:at]))
        if not self._text[:cut].strip() and self._text[:at].strip():
            cut = at
        return self._send(max(cut, self._sent))[0], True

    def _send(self, upto: int) -> tuple[str, bool]:
        part = self._text[self._sent : upto]
        self._sent = max(self._sent, upto)
        return part, False

    def _certain(self) -> int:
        """Return how much of the text no later piece can put behind the end."""
        upto = min(self._read, self._echo.held_from(self._text))
        upto = min(upto, self._repetition_from())
        # White space at the end may be what the seam brings.
        return len(self._text[:upto].rstrip())

    # One line after the other.

    def _judge(self, line: str, *, is_last: bool = False) -> int | None:
        """Read one line; return where the middle ended, if it did before or on this line."""
        start = self._read
        is_first = not self._lines
        text = self._head + line if is_first else line
        state = self._state
        in_code = not state.inside
        in_parentheses = bool(state.opened) and state.opened[-1].kind != "{"
        is_blank = not line.strip()
        indent = indent_of(text)
        if (
            in_code
            and not is_blank
            and not in_parentheses
            and not (is_first and self._head.strip())
        ):
            self._see(indent)
            reason = self._outside(line, indent, start)
            # An empty middle is no answer; only an echo says that nothing belongs here.
            if reason and self._text[:start].strip():
                self.reason = reason
                return self._before_repeats(start)
        cut = self._overrun(line, start)
        if cut is not None and self._text[:cut].strip():
            self.reason = "brackets"
            return self._before_repeats(cut)
        self._read = start + len(line)
        self._lines.append(_Line(start, indent, line.strip()))
        if not is_last and (cut := self._repeated()) is not None:
            self.reason = "repetition"
            return cut
        return None

    def _see(self, indent: int) -> None:
        if self._block is None:
            head = self._head.rstrip()
            self._block = indent_of(self._head) if head else indent
            if head.endswith(_OPENERS):
                self._block = indent_of(self._head) + 1

    def _outside(self, line: str, indent: int, start: int) -> Reason:
        """Say whether, and by what, a line lies outside of where the middle may be."""
        if self._language.goes_on.match(line.lstrip()) or _UNSEEN.match(line):
            return ""
        seam, block = self._seam.indent, self._block
        if seam is not None and indent < seam and self._may_follow(seam) and self._fits():
            return "indentation"
        if block is None:
            return ""
        if (
            self._rules.leaves_block
            and indent < block
            and (seam is None or indent <= seam)
            and (indent == 0 or not self._lines[-1].text)
            and self._fits()
        ):
            return "indentation"
        if self._rules.items and self._is_next_item(indent, start):
            return "item"
        if indent > block:
            self._was_deeper = True
        return ""

    def _before_repeats(self, cut: int) -> int:
        """Return the cut, or where the lines right before it began to repeat others."""
        start = self._repetition_from()
        again = self._text[start:cut]
        return start if len(solid(again)) >= self._rules.repeated_characters else cut

    def _may_follow(self, indent: int) -> bool:
        """Say whether a line so far in may follow what was written so far."""
        last = next((line for line in reversed(self._lines) if line.text), None)
        if last is None or (last is self._lines[0] and self._head.strip()):
            written = (self._before + (last.text if last else "")).rstrip()
            line = written[written.rfind("\n") + 1 :]
            last = _Line(0, indent_of(line), line.strip())
        return last.indent >= indent or last.text.endswith(_OPENERS)

    def _is_next_item(self, indent: int, start: int) -> bool:
        if indent != self._block or indent not in (0, self._seam.indent) or not self._lines:
            return False
        is_after_blank = not self._lines[-1].text
        if not is_after_blank or not (self._was_deeper or self._rules.blank_line):
            return False
        return self._fits() and is_whole(
            self._before, self._seam.fitted(self._text[:start]), self._after, self._language
        )

    def _overrun(self, line: str, start: int) -> int | None:
        """Read the line's brackets; return where it closes what what follows closes."""
        state = self._state.copy()
        cut: int | None = None
        did_fit = self._fits(state)
        depth = len(state.opened)

        def seen(place: int) -> None:
            nonlocal cut, did_fit, depth
            does_fit = self._fits(state)
            closed = len(state.opened) < depth
            depth = len(state.opened)
            if closed and depth < self._base:
                self._base = depth
                if cut is None and did_fit and not does_fit:
                    cut = place
            if does_fit:
                cut = None
            did_fit = does_fit

        unmatched = state.read(line, seen)
        if cut is None and unmatched and self._is_whole_file:
            cut = unmatched[0].at
        self._state = state
        if cut is not None:
            is_first = not line[:cut].strip()
            return start if is_first and self._lines else start + cut
        return None

    def _fits(self, state: Brackets | None = None) -> bool:
        state = state or self._state
        return len(state.opened) >= self._least and fits(state.opened, self._seam.closes)

    def _fits_at(self, end: int) -> bool:
        """Say whether the brackets fit if the middle ends there; on the line being written."""
        if end < self._read:
            return True
        state = self._state.copy()
        state.read(self._text[self._read : end])
        return self._fits(state)

    # Repetition.

    def _repeated(self) -> int | None:
        """Return where the lines at the end began to repeat those before them."""
        lines = [line.text for line in self._lines]
        for size in range(1, len(lines) // 2 + 1):
            block = lines[-size:]
            if lines[-2 * size : -size] != block:
                continue
            characters = sum(map(len, block))
            if size == 1 or sum(1 for line in block if line) < 2:
                times = self._rules.repeated_lines
                if characters < 4 or len(lines) < times * size:
                    continue
                if any(lines[-k * size :][:size] != block for k in range(2, times + 1)):
                    continue
                return self._lines[len(lines) - (times - 1) * size].at
            if characters >= self._rules.repeated_characters:
                return self._lines[-size].at
        return None

    def _repetition_from(self) -> int:
        """Return from where the lines at the end may be the beginning of a repetition."""
        lines = [line.text for line in self._lines]
        for start in range(max(1, len(lines) - 40), len(lines)):
            run = lines[start:]
            if not any(run):
                continue
            for earlier in range(start - 1, -1, -1):
                if lines[earlier : earlier + len(run)] == run:
                    return self._lines[start].at
        return len(self._text)


def _tail(before: str) -> str:
    return before[-_LOOKED_AT:]
