"""What a cell shows beside its output: the forms that values offer to notebooks, and figures."""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable
from typing import Any

# Ours; a whole reply must fit into what the supervisor reads.
TEXT_MOST = 1 << 16  # characters of a value, and of a traceback
SHOWN_MOST = 1 << 22  # bytes of all displays of a cell
PARTS_MOST = 200  # forms of displays in a cell

_FORMS = {"text/html": "html", "image/png": "png", "image/svg+xml": "svg"}


class Shown:
    """The displays of one cell after the other: each from form to content."""

    def __init__(self) -> None:
        self._displays: list[dict[str, bytes]] = []

    def clear(self) -> None:
        """Begin with a new cell."""
        self._displays = []

    def value(self, value: Any, text: str) -> None:
        """Show a cell's value, where it has more forms than its repr, `text`."""
        rich = _forms(value)
        if rich:
            self._displays.append({"text/plain": encoded(text[:TEXT_MOST]), **rich})

    def display(self, *values: Any) -> None:
        """Show values at once: what notebooks call `display`."""
        for value in values:
            text = encoded(repr(value)[:TEXT_MOST])
            self._displays.append({"text/plain": text, **_forms(value)})

    def figures(self) -> None:
        """Show the figures that the cell drew with matplotlib, and close them."""
        pyplot = sys.modules.get("matplotlib.pyplot")
        if pyplot is None:
            return
        import io

        for number in pyplot.get_fignums():
            figure = pyplot.figure(number)
            picture = io.BytesIO()
            figure.savefig(picture, format="png", bbox_inches="tight")
            drawn = base64.b64encode(picture.getvalue())
            self._displays.append({"text/plain": encoded(repr(figure)), "image/png": drawn})
        pyplot.close("all")

    def parts(self) -> list[bytes]:
        """Return triples of which display, form and content; what is too much is told, not sent."""
        parts: list[bytes] = []
        room, forms = SHOWN_MOST, PARTS_MOST
        for index, display in enumerate(self._displays):
            for form, content in display.items():
                if not forms:
                    return parts
                if len(content) > room:
                    content = b"%b of %d bytes: too much to show" % (form.encode(), len(content))
                    form = "text/plain"
                room -= len(content)
                forms -= 1
                parts += [b"%d" % index, form.encode(), content]
        return parts


def encoded(text: str) -> bytes:
    """Return text as bytes, with escapes for what UTF-8 has no bytes for."""
    return text.encode("utf-8", "backslashreplace")


def _forms(value: Any) -> dict[str, bytes]:
    """Return the richer forms that a value offers, as notebooks ask for them."""
    found: dict[str, bytes] = {}
    if isinstance(value, type):
        return found
    for form, name in _FORMS.items():
        try:
            method: Callable[[], Any] | None = getattr(value, f"_repr_{name}_", None)
            content = method() if callable(method) else None
        except Exception:  # noqa: BLE001 - notebooks leave out a form that cannot be made
            continue
        if isinstance(content, tuple):  # with metadata
            content = content[0] if content else None
        if isinstance(content, bytes):
            found[form] = base64.b64encode(content)
        elif isinstance(content, str):
            found[form] = encoded(content)
    return found
