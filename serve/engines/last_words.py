"""What an engine's log says of why it ended."""

from __future__ import annotations

import re
from pathlib import Path

from serve.engines.guard import MARK

_TAIL_BYTES = 64 << 10
_LINES = 5
_LINE_CHARS = 300
# The first of these is often far above the end: vLLM's front process only says that its engine
# process failed, "see root cause above".
_CAUSE = re.compile(r"\b[A-Za-z_.]*(?:Error|Exception): \S|\berror: ")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def last_words(log: Path) -> str:
    """Return the last lines of the latest start in a log as one line; empty where it said nothing.

    The first line that names an error comes before them, where it lies further up.
    """
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    lines: list[str] = []
    for raw in text.splitlines():
        line = _COLOUR.sub("", raw).strip()
        if line.startswith(MARK):
            lines = []
        elif line:
            lines.append(line[:_LINE_CHARS])
    tail, before = lines[-_LINES:], lines[:-_LINES]
    cause = [line for line in before if _CAUSE.search(line) and line not in tail][:1]
    return " | ".join([*cause, *tail])
