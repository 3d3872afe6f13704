"""A table that sorts, filters, and whose rows open. Without scripts every row lies open."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from seedcoder.report.charts import anchor_of
from seedcoder.report.markup import Content, Html, attribute, esc, number


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A cell whose look and sorting differ.

    sort: what the column is ordered by. value: the plain text it is filtered by, where the
        content is markup ("WRONG" for its badge).
    """

    content: Content
    sort: float | str | None = None
    value: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column. align: default right for a column of numbers, else left.

    choose: offer its values as buttons that show only the rows that have them.
    unit: said once, in the heading. high_first: the first sorting puts the highest on top.
    """

    title: str
    align: Literal["left", "right"] | None = None
    choose: bool = False
    unit: str = ""
    high_first: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row, and what it opens to show. anchor: its name in an address, unique in the table.

    ours: it stands out from the others, which are there for comparison.
    """

    cells: Sequence[Content | Cell]
    detail: Html | None = None
    anchor: str = ""
    ours: bool = False


def table(
    columns: Sequence[Column],
    rows: Sequence[Row],
    *,
    name: str = "rows",
    find: str = "Find",
    pinned: bool = False,
) -> Html:
    """Return the rows in the order given; the headings sort, the field and the buttons filter.

    name: unique in the page; `bars(target=name)` links to its rows' anchors.
    pinned: the first column stays where a narrow window scrolls the others.
    ValueError where a row has not one cell a column, or two rows have one anchor.
    """
    width = len(columns)
    for place, row in enumerate(rows):
        if len(row.cells) != width:
            raise ValueError(f"row {place} has {len(row.cells)} cells for {width} columns")
    anchored = Counter(row.anchor for row in rows if row.anchor)
    if anchored and anchored.most_common(1)[0][1] > 1:
        raise ValueError(f"two rows have the anchor {anchored.most_common(1)[0][0]!r}")
    if not rows:
        return Html('<p class="empty">No rows.</p>')
    aligned = [_alignment(column, place, rows) for place, column in enumerate(columns)]
    heads = "".join(
        f'<th scope="col" class="{side}"{_first(column)}><button type="button">{esc(column.title)}'
        + (f" <small>{esc(column.unit)}</small>" if column.unit else "")
        + "</button></th>"
        for column, side in zip(columns, aligned, strict=True)
    )
    looks = "grid" + (" pinned" if pinned else "")
    if all(row.detail is None for row in rows):
        looks += " bare"
    body = "".join(_row(row, aligned, name, place) for place, row in enumerate(rows))
    return Html(
        f'<div class="{looks}"><div class="controls"><input type="search" '
        f'placeholder="{attribute(find)}" aria-label="{attribute(find)}">'
        f'{_choices(columns, rows)}<output class="shown">{len(rows)} rows</output></div>'
        f'<div class="scroll" tabindex="0" role="region" aria-label="{attribute(name)}"><table>'
        f'<thead><tr><th class="opener"></th>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table></div></div>"
    )


def _first(column: Column) -> str:
    return ' data-first="descending"' if column.high_first else ""


def _row(row: Row, aligned: Sequence[str], name: str, place: int) -> str:
    shown = []
    for item, side in zip(row.cells, aligned, strict=True):
        cell = _cell(item)
        order = "" if cell.sort is None else f' data-sort="{attribute(str(cell.sort))}"'
        value = "" if cell.value is None else f' data-value="{attribute(cell.value)}"'
        content = cell.content
        if isinstance(content, int | float) and not isinstance(content, bool):
            content = number(content)
        shown.append(f'<td class="{side}"{order}{value}>{esc(content)}</td>')
    anchor = attribute(anchor_of(name, row.anchor or str(place)))
    look = " ours" if row.ours else ""
    if row.detail is None:
        return f'<tr class="row{look}" id="{anchor}"><td class="opener"></td>{"".join(shown)}</tr>'
    button = (
        f'<button type="button" aria-expanded="false" aria-controls="{anchor}-detail" '
        f'aria-label="Open this row"></button>'
    )
    return (
        f'<tr class="row opens{look}" id="{anchor}"><td class="opener">{button}</td>'
        f"{''.join(shown)}</tr>"
        f'<tr class="detail" id="{anchor}-detail"><td colspan="{len(shown) + 1}">{row.detail}'
        "</td></tr>"
    )


def _cell(item: Content | Cell) -> Cell:
    if isinstance(item, Cell):
        return item
    if isinstance(item, int | float) and not isinstance(item, bool):
        return Cell(content=item, sort=item)
    return Cell(content=item)


def _alignment(column: Column, place: int, rows: Sequence[Row]) -> str:
    if column.align:
        return column.align
    first = next(
        (c for c in (_cell(row.cells[place]) for row in rows) if c.content is not None), None
    )
    return "right" if first is not None and isinstance(first.sort, int | float) else "left"


def _choices(columns: Sequence[Column], rows: Sequence[Row]) -> str:
    groups = []
    for place, column in enumerate(columns):
        if not column.choose:
            continue
        # Column 0 in the page is the one that holds the openers.
        counted = Counter(_plain(_cell(row.cells[place])) for row in rows)
        buttons = "".join(
            f'<button type="button" aria-pressed="false" data-column="{place + 1}" '
            f'data-choice="{attribute(value)}">{esc(value)}<small>{count}</small></button>'
            for value, count in counted.most_common()
        )
        groups.append(
            f'<div class="choices" role="group" aria-label="{attribute(column.title)}">'
            f"{buttons}</div>"
        )
    return "".join(groups)


def _plain(cell: Cell) -> str:
    if cell.value is not None:
        return cell.value
    if isinstance(cell.content, Html):
        # The page compares with the text that the browser shows: tags out, the rest as it is.
        return _text_of(cell.content)
    return str(cell.content) if cell.content is not None else "–"


def _text_of(markup: Html) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", markup))
