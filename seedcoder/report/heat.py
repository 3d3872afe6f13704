"""A heat map: rows by columns, each cell a number as text on a ground as strong as its value.

The text is in the cell, so that nothing is told by colour alone; each of the eleven grounds has a
text colour of a contrast of 4.5 or more on it, light and dark (page.css).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from seedcoder.report.markup import Content, Html, attribute, esc

STEPS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat:
    """A cell. value: what its ground is by; text: what it says; note: told when pointed at."""

    value: float
    text: str
    note: str = ""


def heat_map(
    rows: Sequence[str],
    columns: Sequence[str],
    cells: Mapping[tuple[str, str], Heat],
    *,
    corner: str = "",
    span: tuple[float, float] = (0.0, 1.0),
    label: str = "",
) -> Html:
    """Return the cells by (row, column); what is not there stays empty.

    corner: what rows and columns are ("depth, by length"). span: the values of the palest and the
    strongest ground. label: what the map shows, for those who do not see it.
    ValueError for a value that is no number, or a span without a width.
    """
    low, high = span
    if not low < high:
        raise ValueError(f"span must have a width, got {low}..{high}")
    if not rows or not columns:
        return Html('<p class="empty">Nothing to show.</p>')
    heads = "".join(f'<th scope="col">{esc(column)}</th>' for column in columns)
    lines = []
    for row in rows:
        shown = "".join(_cell(cells.get((row, column)), low, high) for column in columns)
        lines.append(f'<tr><th scope="row">{esc(row)}</th>{shown}</tr>')
    said = f' aria-label="{attribute(label)}"' if label else ' aria-label="Heat map"'
    return Html(
        f'<div class="scroll heat" tabindex="0" role="region"{said}><table><thead><tr>'
        f'<th class="corner" scope="col">{esc(corner)}</th>{heads}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _cell(heat: Heat | None, low: float, high: float) -> str:
    if heat is None:
        return '<td class="none"></td>'
    if not math.isfinite(heat.value):
        raise ValueError(f"a heat must be a number, got {heat.value}")
    share = min(1.0, max(0.0, (heat.value - low) / (high - low)))
    # Only the very ends get the outermost grounds: 99.6% is not all, and 0.4% not none.
    step = min(STEPS - 1, max(1, round(share * STEPS))) if 0 < share < 1 else round(share * STEPS)
    note: Content = f' title="{attribute(heat.note)}"' if heat.note else ""
    return f'<td class="h{step}"{note}>{esc(heat.text)}</td>'
