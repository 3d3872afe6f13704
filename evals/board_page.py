"""The page of the board: our runs model by benchmark, the paper's figures beside them."""

from __future__ import annotations

from evals.board import Board, BoardColumn, BoardRow, Place, Reference, as_ours
from evals.board_tables import tables
from evals.problem import Score
from evals.published import PAPER, Family
from evals.stored import Stored
from seedcoder import report
from seedcoder.report import Html, Tone

OURS = "ours"
_STATES: dict[str, Tone] = {
    "complete": "good",
    "failed": "bad",
    "unfinished": "warn",
    "stale": "odd",
}


def render(board: Board) -> str:
    """Return the page as one HTML text."""
    shown = sum(shown for _, shown in board.runs)
    sections = [
        report.section(
            "Board",
            _board(board),
            note="The first score of the newest finished run, its 95% interval as a bar; "
            "published figures come without. ★ is the best of its column.",
        ),
        report.section(
            "Beside the paper's tables",
            *tables(board),
            note="Ours stand in a column only where benchmark, version and problems are the same.",
        ),
        report.section(
            "Runs",
            _runs(board),
            note="All that were found; only the newest finished one of each place is above.",
        ),
    ]
    return report.page(
        "Board",
        f"{len(board.rows)} models, {len(board.columns)} benchmarks, {shown} runs shown of "
        f"{len(board.runs)}; published: {PAPER}",
        sections,
        foot="Rows marked published are the paper's own words; nobody ran them here.",
    )


def _board(board: Board) -> Html:
    notes = _Notes()
    columns = [
        report.Column(title="Model", align="left"),
    ]
    for column in board.columns:
        marks = "".join(f" [{notes.of(_why(column, why))}]" for why in board.why_not[column])
        columns.append(
            report.Column(
                title=column.bench, unit=f"{column.words}{marks}", align="right", high_first=True
            )
        )
    columns.append(report.Column(title="Who", choose=True))
    best = {column: board.best(column) for column in board.columns}
    ours = [_our_row(board, row, best, notes) for row in board.rows]
    published = _published_rows(board, best)
    table = report.table(columns, [*ours, *published], name="board", pinned=True)
    return report.stack(table, report.footnotes(notes.texts))


def _why(column: BoardColumn, why: str) -> str:
    return f"{column.bench} ({column.words}): {why}"


class _Notes:
    """Footnotes, each once."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def of(self, text: str) -> int:
        """Return the number of a footnote."""
        if text not in self.texts:
            self.texts.append(text)
        return self.texts.index(text) + 1


def _our_row(
    board: Board, row: BoardRow, best: dict[BoardColumn, float | None], notes: _Notes
) -> report.Row:
    cells = [
        _our_cell(board.places.get((row, column)), best[column], notes) for column in board.columns
    ]
    return report.Row(
        cells=[
            report.Cell(content=report.named(row.model, f"{OURS}, {row.protocol}"), sort=row.model),
            *cells,
            report.Cell(content=report.badge(OURS, "good"), value=OURS),
        ],
        ours=True,
    )


def _our_cell(place: Place | None, best: float | None, notes: _Notes) -> report.Cell:
    if place is None:
        return report.Cell(content=None)
    newer = place.newer
    marks = []
    if newer is not None:
        marks.append(notes.of(f"{newer.folder.name} is {newer.state}: {newer.why}"))
    score, run = place.score, place.shown
    if score is None or run is None:
        state = place.runs[0].state
        badge = report.badge(state, _STATES[state])
        return report.Cell(content=report.stack(badge, report.measure("", marks=marks)), value="–")
    return report.Cell(
        content=report.measure(
            score.words(),
            note=_how(run),
            figure=score_spark(score),
            best=score.value == best,
            marks=marks,
        ),
        sort=score.value,
    )


def _how(run: Stored) -> str:
    """Return what is not usual in how the answers were drawn."""
    words = []
    samples = int(run.recipe.get("samples", 1))
    temperature = run.recipe.get("sampling", {}).get("temperature")  # None: the benchmark's own
    if samples > 1:
        words.append(f"{samples} samples")
    if temperature:
        words.append(f"T={temperature:g}")
    return ", ".join(words)


def score_spark(score: Score) -> Html:
    """Return a score's interval as a small bar."""
    low, high = min(score.interval[0], score.value), max(score.interval[1], score.value)
    span = (0.0, 1.0) if score.unit == "share" else (min(0.0, low), max(high, 1.0))
    said = f"{score.words()}, 95% interval {score.words(low)} to {score.words(high)}"
    return report.spark(score.value, low, high, span=span, said=said)


def _published_rows(board: Board, best: dict[BoardColumn, float | None]) -> list[report.Row]:
    found: dict[tuple[Family, str, str], dict[BoardColumn, Reference]] = {}
    for column, references in board.references.items():
        for one in references:
            key = (one.table.kind, one.model, one.size)
            found.setdefault(key, {}).setdefault(column, one)
    rows = []
    for (kind, model, size), figures in found.items():
        cells = [_published_cell(figures.get(column), best[column]) for column in board.columns]
        who = f"published, {kind}"
        name = model if not size or size in model else f"{model} ({size})"
        where = ", ".join(dict.fromkeys(one.table.id for one in figures.values())).replace(
            " ", "\u00a0"
        )
        rows.append(
            report.Row(
                cells=[
                    report.Cell(content=report.named(name, f"published, {where}"), sort=model),
                    *cells,
                    report.Cell(content=report.badge(who, "muted"), value=who),
                ]
            )
        )
    return rows


def _published_cell(one: Reference | None, best: float | None) -> report.Cell:
    if one is None:
        return report.Cell(content=None)
    words = f"{one.value:.1f}%" if one.table.unit == "percent" else f"{one.value:g}"
    shown = report.measure(words, best=as_ours(one) == best)
    return report.Cell(content=shown, sort=as_ours(one))


def _runs(board: Board) -> Html:
    columns = [
        report.Column(title="Run", align="left"),
        report.Column(title="Model"),
        report.Column(title="State", choose=True),
        report.Column(title="Score", align="right", high_first=True),
        report.Column(title="Last worked on"),
        report.Column(title="On the board", choose=True),
        report.Column(title="Why not"),
    ]
    rows = []
    for run, shown in board.runs:
        score = run.scores[0] if run.scores else None
        # Of a run that is not to be read as finished, its old figure is not shown either.
        words = score.words() if score and run.state == "complete" else None
        rows.append(
            report.Row(
                cells=[
                    report.Cell(
                        content=report.named(run.folder.name, f"{run.bench}, {run.version}"),
                        sort=run.folder.name,
                    ),
                    run.model,
                    report.Cell(
                        content=report.badge(run.state, _STATES[run.state]), value=run.state
                    ),
                    report.Cell(content=words, sort=score.value if score and words else None),
                    run.worked_on.replace("T", " ").replace("+00:00", " UTC"),
                    "yes" if shown else "no",
                    run.why or ("" if shown else "a newer run stands there"),
                ],
                anchor=str(run.folder),
            )
        )
    for folder, why in board.unread.items():
        unread = report.Cell(content=report.badge("unreadable", "bad"), value="unreadable")
        rows.append(
            report.Row(cells=[folder.name, None, unread, None, None, "no", why], anchor=str(folder))
        )
    return report.table(columns, rows, name="runs", pinned=True)
