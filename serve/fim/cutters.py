"""Simple ends: none, a line's, of indentation and of time as llama.cpp has; several in a row."""

from __future__ import annotations

import time
from collections.abc import Sequence

from serve.stops import Cutter


class Chain:
    """Several cutters, each working on what the one before lets through."""

    def __init__(self, cutters: Sequence[Cutter]) -> None:
        self._cutters = cutters

    def feed(self, text: str) -> tuple[str, bool]:
        """Return what all let through; the first that ends it, ends it for all."""
        is_over = False
        for cutter in self._cutters:
            text, ended = cutter.feed(text)
            if is_over and not ended:
                text += cutter.finish()
            is_over = is_over or ended
        return text, is_over

    def finish(self) -> str:
        """Return what was held back and belongs to the text."""
        text = ""
        for cutter in self._cutters:
            text, ended = cutter.feed(text)
            if not ended:
                text += cutter.finish()
        return text

    @property
    def has_ended(self) -> bool:
        """Whether one of them found the end."""
        return any(cutter.has_ended for cutter in self._cutters)


class IndentEnd:
    """The end before the first line, but for the one begun, that is less indented than asked.

    White space counts by the character, as in llama.cpp's `n_indent`.
    """

    def __init__(self, least: int) -> None:
        self._least = least
        self._held = ""  # the newline and the white space after it
        self.has_ended = False

    def feed(self, text: str) -> tuple[str, bool]:
        """Return the text up to that end."""
        if self.has_ended:
            return "", True
        text = self._held + text
        self._held = ""
        at = 0
        while (newline := text.find("\n", at)) >= 0:
            begins = newline + 1
            while begins < len(text) and text[begins] in " \t":
                begins += 1
            if begins == len(text):
                self._held = text[newline:]
                return text[:newline], False
            if text[begins] != "\n" and begins - newline - 1 < self._least:
                self.has_ended = True
                return text[:newline], True
            at = begins
        return text, False

    def finish(self) -> str:
        """Return what was held back."""
        held, self._held = self._held, ""
        return "" if self.has_ended else held


class TimeEnd:
    """The end when time is up since the first text, once there is a whole line."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._first_s: float | None = None
        self._has_line = False
        self.has_ended = False

    def feed(self, text: str) -> tuple[str, bool]:
        """Return the text, and whether it has taken long enough."""
        now_s = time.monotonic()
        if text and self._first_s is None:
            self._first_s = now_s
        self._has_line = self._has_line or "\n" in text
        is_late = self._first_s is not None and now_s - self._first_s > self._limit_s
        self.has_ended = self._has_line and is_late
        return text, self.has_ended

    def finish(self) -> str:
        """Return nothing: nothing is held back."""
        return ""


class NoEnd:
    """No end but the model's own."""

    has_ended = False

    def feed(self, text: str) -> tuple[str, bool]:
        """Return the text as it is."""
        return text, False

    def finish(self) -> str:
        """Return nothing: nothing is held back."""
        return ""


class LineEnd:
    """The end of the first line that has something on it."""

    def __init__(self) -> None:
        self._has_text = False
        self.has_ended = False

    def feed(self, text: str) -> tuple[str, bool]:
        """Return the text up to that end."""
        at = 0
        if not self._has_text:
            blank = len(text) - len(text.lstrip())
            if blank == len(text):
                return text, False
            self._has_text, at = True, blank
        end = text.find("\n", at)
        self.has_ended = end >= 0
        return (text[:end], True) if self.has_ended else (text, False)

    def finish(self) -> str:
        """Return nothing: nothing is held back."""
        return ""
