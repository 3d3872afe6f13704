"""Drawings of many numbers: how they are spread, and how they change along an axis.

Horizontal places are percentages of the drawing's own width, as in `charts`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from seedcoder.report.markup import Html, Tone, attribute, esc, number, tone_class

_HEIGHT_PX = 120
_MOST_NAMES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A value at a place of the axis, within `low`..`high`. note: told when pointed at."""

    label: str
    value: float
    low: float
    high: float
    note: str = ""


def histogram(
    values: Sequence[float],
    *,
    bins: int = 20,
    span: tuple[float, float] | None = None,
    tone: Tone = "cool",
    label: str = "",
) -> Html:
    """Return how many values lie in each of `bins` equal parts of `span`.

    span: by default from the least value to the greatest; values beyond it count at its ends.
    label: what the values are. ValueError for a value that is no number.
    """
    if not all(map(math.isfinite, values)):
        raise ValueError("a histogram needs finite numbers")
    if not values:
        return Html('<p class="empty">Nothing to show.</p>')
    low, high = span or (min(values), max(values))
    if low == high:
        return Html(f'<p class="text">All {len(values)} are {esc(number(low))}.</p>')
    counts = [0] * bins
    for value in values:
        place = math.floor(bins * (value - low) / (high - low))
        counts[min(bins - 1, max(0, place))] += 1
    return counted(counts, low, high, tone=tone, label=label)


def counted(
    counts: Sequence[int],
    low: float,
    high: float,
    *,
    marks: Sequence[tuple[str, float]] = (),
    tone: Tone = "cool",
    label: str = "",
) -> Html:
    """Return a histogram that was counted before: equal parts from `low` to `high`.

    marks: places that mean something, such as a threshold: (label, value). ValueError unless
    low < high and no count is negative.
    """
    if not low < high or any(count < 0 for count in counts):
        raise ValueError(f"no histogram from {low} to {high} with {list(counts)}")
    most, bins = max(counts, default=0), len(counts)
    if not most:
        return Html('<p class="empty">Nothing to show.</p>')
    drawn = []
    for place, count in enumerate(counts):
        if not count:
            continue
        tall = max(2.0, _HEIGHT_PX * count / most)
        begins, ends = (low + (high - low) * at / bins for at in (place, place + 1))
        told = f"{_short(begins)} to {_short(ends)}: {count}"
        drawn.append(
            f'<rect class="{tone_class(tone)}" x="{100 * place / bins:.3f}%" '
            f'y="{14 + _HEIGHT_PX - tall:.1f}" width="{98 / bins:.3f}%" height="{tall:.1f}">'
            f"<title>{esc(told)}</title></rect>"
        )
    for words, value in marks:
        if low <= value <= high:
            x = 100 * (value - low) / (high - low)
            side = "end" if x > 50 else "start"
            drawn.append(
                f'<g class="mark"><line x1="{x:.3f}%" x2="{x:.3f}%" y1="14" '
                f'y2="{14 + _HEIGHT_PX}"/><text x="{x:.3f}%" y="26" text-anchor="{side}">'
                f"{esc(words)}</text></g>"
            )
    total = sum(counts)
    said = f"{label}: {total} values from {_short(low)} to {_short(high)}, most in a bar {most}"
    said += "".join(f"; {words} at {_short(value)}" for words, value in marks)
    return Html(
        f'<svg class="series" width="100%" height="{_HEIGHT_PX + 34}" role="img" '
        f'aria-label="{attribute(said)}"><text x="0" y="10">{most}</text>{"".join(drawn)}'
        f"{_axis([_short(low), _short((low + high) / 2), _short(high)])}</svg>"
    )


def trend(points: Sequence[Point], *, percent: bool = True, tone: Tone = "good") -> Html:
    """Return the values along an axis of names, in the order given, joined, each with its doubt.

    percent: the height is 0 to 100%; else from the least bound to the greatest.
    ValueError for numbers that are none, or a value outside its bounds.
    """
    if not points:
        return Html('<p class="empty">Nothing to show.</p>')
    for point in points:
        if not all(map(math.isfinite, (point.value, point.low, point.high))):
            raise ValueError(f"{point.label!r} needs finite numbers")
        if not point.low <= point.value <= point.high:
            raise ValueError(f"{point.label!r}: {point.value} is outside {point.low}..{point.high}")
    low = 0.0 if percent else min(point.low for point in points)
    high = 1.0 if percent else max(point.high for point in points)
    if low == high:
        low, high = low - 0.5, high + 0.5

    def y(value: float) -> float:
        return 14 + _HEIGHT_PX * (1 - (value - low) / (high - low))

    def x(place: int) -> float:
        return 100 * (place + 0.5) / len(points)

    def say(value: float) -> str:
        return f"{100 * value:.0f}%" if percent else _short(value)

    drawn = [
        f'<line class="rule" x1="0" x2="100%" y1="{y(at):.1f}" y2="{y(at):.1f}"/>'
        f'<text x="0" y="{y(at) - 3:.1f}">{esc(say(at))}</text>'
        for at in (low, (low + high) / 2, high)
    ]
    for place, point in enumerate(points):
        here = f"{x(place):.3f}%"
        if place:
            before = points[place - 1]
            drawn.append(
                f'<line class="joins" x1="{x(place - 1):.3f}%" y1="{y(before.value):.1f}" '
                f'x2="{here}" y2="{y(point.value):.1f}"/>'
            )
        told = f"{point.label}: {say(point.value)}, {say(point.low)} to {say(point.high)}"
        told += f", {point.note}" if point.note else ""
        drawn.append(
            f'<g><title>{esc(told)}</title><line class="doubt" x1="{here}" x2="{here}" '
            f'y1="{y(point.high):.1f}" y2="{y(point.low):.1f}"/>'
            f'<circle cx="{here}" cy="{y(point.value):.1f}" r="4"/></g>'
        )
    every = math.ceil(len(points) / _MOST_NAMES)
    names = [
        f'<text class="axis" x="{x(place):.3f}%" y="{_HEIGHT_PX + 30}" text-anchor="middle">'
        f"{esc(point.label)}</text>"
        for place, point in enumerate(points)
        if place % every == 0
    ]
    said = "; ".join(f"{point.label} {say(point.value)}" for point in points)
    return Html(
        f'<svg class="series {tone_class(tone)}" width="100%" height="{_HEIGHT_PX + 36}" '
        f'role="img" aria-label="{attribute(said)}">{"".join(drawn)}{"".join(names)}</svg>'
    )


def _axis(names: Sequence[str]) -> str:
    anchors = ("start", "middle", "end")
    return "".join(
        f'<text class="axis" x="{50 * place}%" y="{_HEIGHT_PX + 30}" text-anchor="{anchor}">'
        f"{esc(name)}</text>"
        for place, (name, anchor) in enumerate(zip(names, anchors, strict=True))
    )


def _short(value: float) -> str:
    return number(float(f"{value:.4g}"))
