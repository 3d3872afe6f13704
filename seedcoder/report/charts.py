"""Drawings in SVG: a value with its doubt, shares of a whole, a ranking.

Horizontal places are percentages of the drawing's own width, so that it stretches with its
surroundings while its text does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from seedcoder.report.markup import Html, Tone, attribute, esc, number, tone_class


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A share of a stacked bar."""

    label: str
    count: float
    tone: Tone = "plain"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.count) and self.count >= 0):
            raise ValueError(f"count of {self.label!r} must be 0 or more, got {self.count}")


def interval_bar(
    value: float,
    low: float,
    high: float,
    *,
    span: tuple[float, float] = (0.0, 1.0),
    marks: Sequence[tuple[str, float]] = (),
    percent: bool = True,
    tone: Tone = "good",
) -> Html:
    """Return `value` as a line in the band from `low` to `high`, on an axis over `span`.

    marks: other values to stand beside, such as a published score: (label, value).
    percent: write the numbers as percentages.
    ValueError unless low <= value <= high, all finite, and the span has a width.
    """
    start, end = span
    at = _scale(value, low, high, span, *(place for _, place in marks))

    def say(x: float) -> str:
        return f"{number(round(100 * x, 1))}%" if percent else number(x)

    def tick(x: float) -> str:
        # As many decimals as tell the ticks apart, and no more.
        return (
            say(x) if percent else number(round(x, max(0, 2 - math.floor(math.log10(end - start)))))
        )

    band = f"{say(value)}, interval {say(low)} to {say(high)}"
    top = 18 if marks else 2
    drawn = [
        f'<rect class="track" x="0" y="{top}" width="100%" height="14" rx="3"/>',
        f'<rect class="band" x="{at(low):.2f}%" y="{top}" '
        f'width="{max(at(high) - at(low), 0.4):.2f}%" height="14" rx="3"/>',
        f'<line class="value" x1="{at(value):.2f}%" x2="{at(value):.2f}%" '
        f'y1="{top - 2}" y2="{top + 16}"/>',
    ]
    for label, place in marks:
        x = at(place)
        drawn.append(
            f'<g class="mark"><line x1="{x:.2f}%" x2="{x:.2f}%" y1="{top - 4}" y2="{top + 14}"/>'
            f'<text x="{x:.2f}%" y="11" text-anchor="{_anchor(x)}">{esc(label)}</text></g>'
        )
    for quarter in range(5):
        x = 25.0 * quarter
        drawn.append(
            f'<text class="axis" x="{x}%" y="{top + 30}" text-anchor="{_anchor(x)}">'
            f"{esc(tick(start + (end - start) * quarter / 4))}</text>"
        )
    return Html(
        f'<svg class="interval {tone_class(tone)}" width="100%" height="{top + 34}" role="img" '
        f'aria-label="{attribute(band)}"><title>{esc(band)}</title>{"".join(drawn)}</svg>'
    )


def spark(
    value: float,
    low: float,
    high: float,
    *,
    span: tuple[float, float] = (0.0, 1.0),
    said: str = "",
    tone: Tone = "good",
) -> Html:
    """Return `interval_bar` small and without words, for the cell of a table.

    said: what it shows, for those who do not see it. ValueError as for `interval_bar`.
    """
    at = _scale(value, low, high, span)

    told = attribute(said or f"{number(value)}, interval {number(low)} to {number(high)}")
    return Html(
        f'<svg class="spark {tone_class(tone)}" width="100%" height="8" role="img" '
        f'aria-label="{told}"><title>{told}</title>'
        '<rect class="track" x="0" y="1" width="100%" height="6" rx="2"/>'
        f'<rect class="band" x="{at(low):.2f}%" y="1" '
        f'width="{max(at(high) - at(low), 0.8):.2f}%" height="6" rx="2"/>'
        f'<line class="value" x1="{at(value):.2f}%" x2="{at(value):.2f}%" y1="0" y2="8"/></svg>'
    )


def stacked_bar(parts: Sequence[Part]) -> Html:
    """Return shares of a whole side by side in the order given, with a legend of counts.

    Parts of count 0 are left out. With nothing to show it says so.
    """
    shown = [part for part in parts if part.count > 0]
    whole = sum(part.count for part in shown)
    if not shown:
        return Html('<p class="empty">Nothing to count yet.</p>')
    drawn: list[str] = []
    legend: list[str] = []
    begun = 0.0
    for part in shown:
        share = 100 * part.count / whole
        said = f"{part.label}: {number(part.count)} ({share:.1f}%)"
        drawn.append(
            f'<rect class="{tone_class(part.tone)}" x="{begun:.3f}%" y="0" '
            f'width="{share:.3f}%" height="22"><title>{esc(said)}</title></rect>'
        )
        # The gap is drawn over the seam: gaps between the parts would shrink the small ones.
        if begun:
            drawn.append(f'<line class="seam" x1="{begun:.3f}%" x2="{begun:.3f}%" y1="0" y2="22"/>')
        legend.append(
            f'<li><i class="{tone_class(part.tone)}"></i><span>{esc(part.label)}</span>'
            f"<b>{esc(number(part.count))}</b><small>{share:.1f}%</small></li>"
        )
        begun += share
    said = ", ".join(f"{part.label} {number(part.count)}" for part in shown)
    return Html(
        f'<figure class="stacked"><svg width="100%" height="22" role="img" '
        f'aria-label="{attribute(said)}">{"".join(drawn)}</svg>'
        f'<ul class="legend">{"".join(legend)}</ul></figure>'
    )


def bars(
    rows: Sequence[tuple[str, float]], *, unit: str = "", tone: Tone = "cool", target: str = ""
) -> Html:
    """Return a ranking: a label, a bar from zero, and its number with `unit`, in the order given.

    target: the `name` of a table in the same page; a label then opens the row of that anchor.
    ValueError for a negative or non-finite number.
    """
    if not rows:
        return Html('<p class="empty">Nothing to show.</p>')
    for label, value in rows:
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(f"bar {label!r} must be 0 or more, got {value}")
    longest = max(value for _, value in rows) or 1.0
    lines = []
    for label, value in rows:
        name = esc(label)
        if target:
            name = Html(f'<a href="#{attribute(anchor_of(target, label))}">{name}</a>')
        lines.append(
            f'<li><span class="name">{name}</span><svg width="100%" height="12" aria-hidden="true">'
            f'<rect class="{tone_class(tone)}" x="0" y="0" rx="2" height="12" '
            f'width="{100 * value / longest:.2f}%"/></svg>'
            f"<b>{esc(number(value))}{esc(f' {unit}' if unit else '')}</b></li>"
        )
    return Html(f'<ol class="bars">{"".join(lines)}</ol>')


def anchor_of(table_name: str, row_anchor: str) -> str:
    """Return the id of a row of a table in the page."""
    return "-".join(["row", *_words(table_name), *_words(row_anchor)])


def _words(text: str) -> list[str]:
    # An id may hold no white space, and a browser percent-encodes the rest of what is not plain.
    kept = "".join(c if c.isascii() and c.isalnum() else f"_{ord(c):x}_" for c in text)
    return [kept] if kept else []


def _anchor(x_percent: float) -> str:
    if x_percent < 8:
        return "start"
    return "end" if x_percent > 92 else "middle"


def _scale(
    value: float, low: float, high: float, span: tuple[float, float], *others: float
) -> Callable[[float], float]:
    """Return where on a bar a number stands, in percent; ValueError for what is no interval."""
    start, end = span
    numbers = (value, low, high, start, end, *others)
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"an interval needs finite numbers, got {numbers}")
    if not low <= value <= high:
        raise ValueError(f"value {value} lies outside its interval {low}..{high}")
    if not start < end:
        raise ValueError(f"span must have a width, got {start}..{end}")
    return lambda x: 100 * min(1.0, max(0.0, (x - start) / (end - start)))
