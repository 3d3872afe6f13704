"""What became of a number of things, step by step: bars one under the other, each part standing
below the part it came out of, and ribbons between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from seedcoder.report.markup import Html, Tone, attribute, esc, tone_class


@dataclass(frozen=True, slots=True)
class Step:
    """Where a thing stands at one level."""

    label: str
    tone: Tone = "plain"


@dataclass(slots=True)
class _Node:
    step: Step
    count: int = 0
    below: dict[str, _Node] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Bar:
    step: Step
    count: int
    begins: int  # how many things stand to the left


def flow(levels: Sequence[str], paths: Mapping[tuple[Step, ...], int]) -> Html:
    """Return the drawing. levels: the name of each. paths: how many things went which way.

    A path may end early: nothing stands below its last step. Parts stand in the order in which
    their paths come. ValueError for a path longer than the levels, or a negative count.
    """
    root = _Node(Step(""))
    for path, count in paths.items():
        if len(path) > len(levels):
            raise ValueError(f"a path of {len(path)} steps for {len(levels)} levels")
        if count < 0:
            raise ValueError(f"count must be 0 or more, got {count}")
        if count:
            _put(root, path, count)
    if not root.count:
        return Html('<p class="empty">Nothing to count yet.</p>')
    bars: list[list[_Bar]] = [[] for _ in levels]
    _lay(root, 0, 0, bars)
    pieces = []
    for depth, (name, level) in enumerate(zip(levels, bars, strict=True)):
        if depth and level:
            pieces.append(_ribbons(level, root.count))
        if level:
            pieces.append(_level(name, level, root.count))
    return Html(f'<div class="flow">{"".join(pieces)}</div>')


def _put(root: _Node, path: tuple[Step, ...], count: int) -> None:
    root.count += count
    node = root
    for step in path:
        node = node.below.setdefault(step.label, _Node(step))
        node.count += count


def _lay(node: _Node, depth: int, begins: int, bars: list[list[_Bar]]) -> None:
    for child in node.below.values():
        bars[depth].append(_Bar(child.step, child.count, begins))
        _lay(child, depth + 1, begins, bars)
        begins += child.count


def _level(name: str, level: Sequence[_Bar], whole: int) -> str:
    totals: dict[str, tuple[Step, int]] = {}
    for bar in level:
        before = totals.get(bar.step.label, (bar.step, 0))[1]
        totals[bar.step.label] = (bar.step, before + bar.count)
    said = ", ".join(f"{label} {count}" for label, (_, count) in totals.items())
    drawn = []
    for bar in level:
        x, width = 100 * bar.begins / whole, 100 * bar.count / whole
        told = f"{bar.step.label}: {bar.count} ({width:.1f}%)"
        drawn.append(
            f'<rect class="{tone_class(bar.step.tone)}" x="{x:.3f}%" y="0" '
            f'width="{width:.3f}%" height="22"><title>{esc(told)}</title></rect>'
        )
        if bar.begins:
            drawn.append(f'<line class="seam" x1="{x:.3f}%" x2="{x:.3f}%" y1="0" y2="22"/>')
    legend = "".join(
        f'<li><i class="{tone_class(step.tone)}"></i><span>{esc(label)}</span><b>{count}</b>'
        f"<small>{100 * count / whole:.1f}%</small></li>"
        for label, (step, count) in totals.items()
    )
    return (
        f'<figure class="stacked"><figcaption>{esc(name)}</figcaption>'
        f'<svg width="100%" height="22" role="img" aria-label="{attribute(f"{name}: {said}")}">'
        f'{"".join(drawn)}</svg><ul class="legend">{legend}</ul></figure>'
    )


def _ribbons(level: Sequence[_Bar], whole: int) -> str:
    drawn = "".join(
        f'<rect class="{tone_class(bar.step.tone)}" x="{100 * bar.begins / whole:.3f}%" y="0" '
        f'width="{100 * bar.count / whole:.3f}%" height="14"/>'
        for bar in level
    )
    return f'<svg class="ribbons" width="100%" height="14" aria-hidden="true">{drawn}</svg>'
