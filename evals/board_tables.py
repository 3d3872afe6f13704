"""The paper's tables, each whole, with our runs in the columns where they compare."""

from __future__ import annotations

from evals.board import Board, BoardRow
from evals.problem import Score
from evals.published import PublishedColumn, PublishedTable, published
from seedcoder import report
from seedcoder.report import Html


def tables(board: Board) -> list[Html]:
    """Return a piece a table, those that have a run of ours in them open and first."""
    with_ours: list[Html] = []
    without: list[Html] = []
    for table in published():
        ours, why_not = _ours(board, table)
        (with_ours if ours else without).append(_piece(table, ours, why_not))
    return [*with_ours, *without]


def _piece(
    table: PublishedTable, ours: dict[BoardRow, dict[str, Score]], why_not: list[str]
) -> Html:
    columns = [
        report.Column(title="Model", align="left"),
        report.Column(title="Size"),
        *(report.Column(title=c.name, align="right", high_first=True) for c in table.columns),
    ]
    best = {
        column.name: max(
            [row.values[place] for row in table.rows]
            + [
                _number(table, found[column.name])
                for found in ours.values()
                if column.name in found
            ]
        )
        for place, column in enumerate(table.columns)
    }
    rows = [_our_row(table, row, found, best) for row, found in ours.items()]
    for line in table.rows:
        cells = [
            _cell(value, best[column.name])
            for column, value in zip(table.columns, line.values, strict=True)
        ]
        rows.append(report.Row(cells=[line.model, line.size, *cells]))
    shown = report.table(columns, rows, name=table.id, pinned=True)
    unit = "percent" if table.unit == "percent" else table.unit
    notes = report.text(*table.notes, *(f"Not in it: {why}." for why in why_not))
    count = f"{len(ours)} of ours in it" if ours else "none of ours in it"
    return report.fold(
        f"{table.id}: {table.title}",
        notes,
        shown,
        note=f"published, {unit}; {count}",
        opened=bool(ours),
    )


def _our_row(
    table: PublishedTable, row: BoardRow, found: dict[str, Score], best: dict[str, float]
) -> report.Row:
    cells: list[report.Content | report.Cell] = []
    for column in table.columns:
        score = found.get(column.name)
        if score is None:
            cells.append(report.Cell(content=None))
            continue
        number = _number(table, score)
        low, high = min(score.interval[0], score.value), max(score.interval[1], score.value)
        span = (0.0, 1.0) if score.unit == "share" else (min(0.0, low), max(high, 1.0))
        said = f"{score.words()}, 95% interval {score.words(low)} to {score.words(high)}"
        shown = report.measure(
            f"{number:.1f}",
            figure=report.spark(score.value, low, high, span=span, said=said),
            best=number >= best[column.name],
        )
        cells.append(report.Cell(content=shown, sort=number))
    return report.Row(cells=[f"{row.model} ({row.protocol})", "ours", *cells], ours=True)


def _cell(value: float, best: float) -> report.Cell:
    words = f"{value:.1f}" if value < 1000 else f"{value:g}"
    return report.Cell(content=report.measure(words, best=value >= best), sort=value)


def _ours(
    board: Board, table: PublishedTable
) -> tuple[dict[BoardRow, dict[str, Score]], list[str]]:
    """Return our scores by the published column they belong in, and why others are not there."""
    ours: dict[BoardRow, dict[str, Score]] = {}
    why_not: dict[str, None] = {}
    for (row, column), place in board.places.items():
        run = place.shown
        if run is None:
            continue
        for printed in _fitting(table, run.bench):
            why = printed.why_not(run)
            score = printed.of(run)
            if why or score is None:
                if not printed.part:
                    why_not.setdefault(f"{column.bench} in column {printed.name}: {why}")
            else:
                ours.setdefault(row, {}).setdefault(printed.name, score)
    return ours, list(why_not)


def _fitting(table: PublishedTable, bench: str) -> list[PublishedColumn]:
    both = (one for column in table.columns for one in (column, column.also))
    return [one for one in both if one and one.bench == bench]


def _number(table: PublishedTable, score: Score) -> float:
    return 100 * score.value if table.unit == "percent" and score.unit == "share" else score.value
