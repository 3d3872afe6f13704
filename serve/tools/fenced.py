"""Calls in words, for models that no engine parses calls of: a fenced block marked `run_code`.

    ```run_code
    print(2 ** 10)
    ```

A code model has written fenced blocks all its life; JSON with a program in it, hardly ever. The
block is taken out of the text that the client sees, which is told of it in `code_runs`.

A block counts where it begins a line (three spaces at most before it) outside any other fence. It
ends with a line of as many backticks; at the end of a reply it may lack that line, but not where
the reply was cut for its length: half a program is not run.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from serve.tools import arguments

_MARK = "run_code"
_OPENING = re.compile(
    rf" {{0,3}}(?P<fence>`{{3,}})[ \t]*{_MARK}(?:[ \t]+(?P<language>[^\s`]*)[^`]*)?\r?"
)
# What may still become an opening line: every beginning of one.
_BEGINNINGS = "|".join(_MARK[:length] for length in range(1, len(_MARK)))
_MAY_OPEN = re.compile(
    rf" {{0,3}}(?:`{{0,2}}|`{{3,}}[ \t]*(?:{_BEGINNINGS}|{_MARK}(?:[ \t][^`]*)?)?)\r?"
)
_OTHER = re.compile(r" {0,3}(?P<fence>`{3,}|~{3,})(?P<info>.*)")


def words() -> str:
    """Return what the model is told of the tool."""
    others = ", ".join(arguments.languages()[1:])
    return (
        "You can run code. Write the program in a fenced block marked run_code, and end your turn"
        " with it:\n\n"
        "```run_code\nprint(2 ** 10)\n```\n\n"
        "You are then told what it printed, and go on from there. Never make up an output: run the"
        " program. Python blocks share their variables and files; the value of a last expression is"
        " shown too. There is no network. Other languages are named after the mark, as in"
        f" ```run_code cpp; there are {others}. Blocks with any other mark are only shown."
    )


def with_words(messages: Sequence[Any]) -> list[Any]:
    """Return the messages with the tool explained in the system's."""
    first = messages[0] if messages else None
    if isinstance(first, dict) and first.get("role") == "system":
        content = first.get("content")
        if isinstance(content, list):
            merged: Any = [*content, {"type": "text", "text": f"\n\n{words()}"}]
        else:
            merged = f"{content}\n\n{words()}" if content else words()
        return [{**first, "content": merged}, *messages[1:]]
    return [{"role": "system", "content": words()}, *messages]


def block(code: str, language: str = "python") -> str:
    """Return a call as the model writes it."""
    longest = max((len(run) for run in re.findall(r"`{3,}", code)), default=2)
    fence = "`" * (longest + 1)
    mark = "run_code" if language == "python" else f"run_code {language}"
    return f"{fence}{mark}\n{code.rstrip()}\n{fence}"


class Scanner:
    """A growing reply, its first `run_code` block told apart from the rest.

    What comes out, joined, does not depend on how the text was cut. After a block has closed
    nothing more is taken.
    """

    def __init__(self) -> None:
        self._line = ""  # the line that is being written
        self._sent = 0  # characters of it that were given back
        self._fence = ""  # of another block, while that is open
        self._own = ""  # of ours, while that is open
        self._opening = ""
        self._code: list[str] = []
        self.language = "python"
        self.is_complete = False

    @property
    def is_open(self) -> bool:
        """Whether a block of ours has begun, and has not ended."""
        return bool(self._own) and not self.is_complete

    @property
    def code(self) -> str:
        """The program of the block."""
        return "".join(self._code)

    def feed(self, piece: str) -> str:
        """Take the next piece; return what of the text is certain to be for the client."""
        out: list[str] = []
        for part in piece.splitlines(keepends=True) if piece else ():
            if self.is_complete:
                break
            # Other line ends than "\n" are within a line.
            self._line += part
            if part.endswith("\n"):
                self._end_line(out)
            else:
                self._go_on(out)
        return "".join(out)

    def _go_on(self, out: list[str]) -> None:
        if self._own or (not self._fence and _MAY_OPEN.fullmatch(self._line)):
            return
        out.append(self._line[self._sent :])
        self._sent = len(self._line)

    def _end_line(self, out: list[str]) -> None:
        line, self._line = self._line, ""
        sent, self._sent = self._sent, 0
        bare = line.rstrip("\n")
        if self._own:
            if _closes(bare, self._own):
                self.is_complete = True
            else:
                self._code.append(line)
            return
        if self._fence:
            if _closes(bare, self._fence):
                self._fence = ""
        elif (opening := _OPENING.fullmatch(bare)) is not None:
            self._own, self._opening = opening["fence"], line
            self.language = (opening["language"] or "python").lower()
            return
        elif (other := _OTHER.fullmatch(bare)) is not None and "`" not in other["info"]:
            self._fence = other["fence"]
        out.append(line[sent:])

    def end(self, *, is_cut: bool) -> str:
        """Say that the reply has ended; return what was held back and is no program.

        is_cut: it ended because of its length.
        """
        if self.is_complete:
            return ""
        held, self._line = self._line[self._sent :], ""
        if not self._own:
            # An opening line without a program is no call.
            return held
        if _closes(held.rstrip("\r"), self._own):
            self.is_complete = True
            return ""
        if held:
            self._code.append(held)
        if is_cut or not self.code.strip():
            self._own = ""
            return self._opening + self.code
        self.is_complete = True
        return ""


def _closes(line: str, fence: str) -> bool:
    mark = line.strip(" \t\r")
    return len(mark) >= len(fence) and mark == fence[0] * len(mark)
