"""Text that is markup, text that is not, and the one way from the second to the first."""

from __future__ import annotations

import html
import re
from typing import Final, Literal, get_args

Tone = Literal["good", "bad", "warn", "hot", "cool", "odd", "muted", "plain"]
TONES: Final[tuple[Tone, ...]] = get_args(Tone)


class Html(str):
    """Markup that goes into a page as it is. Joining it with a plain `str` gives a plain `str`."""

    __slots__ = ()


Content = str | int | float | None
"""What a piece shows: `Html` as it is, everything else as text."""

# Everything a browser would drop, obey or choke on. Tab and newline are what they look like.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff"
    "\ufdd0-\ufdef\ufff9-\ufffb\ufffe\uffff\ud800-\udfff]"
)


def esc(value: Content) -> Html:
    """Return `value` as markup that shows it.

    Control characters appear as their pictures (␀, ␍), lone surrogates, byte order marks and the
    invisible characters that turn text around as \\u escapes. None is shown as an en dash.
    """
    if isinstance(value, Html):
        return value
    if value is None:
        return Html("–")
    return Html(html.escape(_UNSEEN.sub(_show, str(value)), quote=True))


def attribute(value: str) -> str:
    """Return `value` for use between double quotes in a tag. Never a style, script or address."""
    return html.escape(_UNSEEN.sub(_show, value), quote=True)


def join(pieces: list[Html] | tuple[Html, ...]) -> Html:
    """Return the pieces one after the other."""
    return Html("".join(pieces))


def tone_class(tone: Tone) -> str:
    """Return the class of a tone; ValueError for a word that is none."""
    if tone not in TONES:
        raise ValueError(f"tone must be one of {', '.join(TONES)}, got {tone!r}")
    return f"tone-{tone}"


def number(value: float) -> str:
    """Return a number as people read it: at most three decimals, more only where all were 0."""
    if isinstance(value, int):
        return str(value)
    if abs(value) >= 1e15 or 0 < abs(value) < 0.001:
        return f"{value:.3g}"
    return f"{value:.3f}".rstrip("0").rstrip(".")


def _show(match: re.Match[str]) -> str:
    code_point = ord(match.group())
    if code_point < 0x20:
        return chr(0x2400 + code_point)
    if code_point == 0x7F:
        return "\u2421"
    return f"\\x{code_point:02x}" if code_point < 0x100 else f"\\u{code_point:04x}"
