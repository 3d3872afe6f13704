"""Read what a session's process says of a cell: claims, whose form at least is made sure of."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping

from sandbox.inside import cells
from sandbox.outcome import Kind
from sandbox.session.clock import CellClock
from sandbox.session.result import CellError, CellResult

_KINDS = {
    cells.FINE: Kind.PASSED,
    cells.LEFT: Kind.PASSED,
    cells.FAILED: Kind.CRASHED,
    cells.REFUSED: Kind.COMPILE_ERROR,
    cells.FULL: Kind.MEMORY,
}
_FORMS = ("text/plain", "text/html", "image/png", "image/svg+xml")


def read(parts: list[bytes], clock: CellClock) -> CellResult:
    """Return the result in a reply, without what is measured outside; the clock's kind wins."""
    _, state, cut, value, name, message, traceback = parts[: cells.FIXED_PARTS]
    error = None
    if name or state not in (cells.FINE, cells.LEFT):
        text = _text(message)
        if clock.kind is not None and name == b"KeyboardInterrupt":
            text = f"interrupted at the limit of {clock.why()}"
        error = CellError(name=_text(name), message=text, traceback=_text(traceback))
    elif clock.kind is not None:  # it ended by itself, or took the interrupt for its own
        text = f"over the limit of {clock.why()}"
        error = CellError(name="OverLimit", message=text, traceback=text)
    return CellResult(
        kind=clock.kind or _KINDS.get(state, Kind.CRASHED),
        truncated=bool(cut),
        value=_text(value[1:]) if value[:1] == cells.A_VALUE else None,
        error=error,
        displays=_displays(parts[cells.FIXED_PARTS :]),
    )


def error_of(parts: list[bytes], name: str) -> OSError:
    """Return why a file could not be written."""
    number = int(parts[4]) if parts[4].isdigit() and len(parts[4]) < 6 else 0
    return OSError(number, os.strerror(number) if number else _text(parts[5]), name)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _displays(parts: list[bytes]) -> tuple[Mapping[str, str], ...]:
    """Return the displays of triples (which one, form, content); what is none is left out."""
    found: dict[bytes, dict[str, str]] = {}
    for index, form, content in zip(parts[::3], parts[1::3], parts[2::3], strict=False):
        name = _text(form)
        if name not in _FORMS:
            continue
        if name == "image/png":
            try:
                base64.b64decode(content, validate=True)
            except (binascii.Error, ValueError):
                continue
        found.setdefault(index, {})[name] = _text(content)
    return tuple(found.values())
