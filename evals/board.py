"""Many runs as one board: model by benchmark, the newest finished run in each place.

A column is one benchmark at one version, with the same options, data and choice of problems: only
what compares stands under one another. A row is one model under one protocol. Runs that are not
finished, failed or went stale are listed with the reason, and never stand in a place as its figure.

Does not see: two models that go by one name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evals.bench import open_bench
from evals.data import only_here
from evals.problem import Score
from evals.published import PublishedColumn, PublishedTable, published
from evals.stored import Stored
from seedcoder.errors import MachineLacks, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardColumn:
    """What is measured. chosen: "" for all problems, or which of them, in words."""

    bench: str
    version: str
    options: str
    data: str
    chosen: str

    @property
    def words(self) -> str:
        """What stands above the column, beside the benchmark's name."""
        return ", ".join(part for part in (self.version, self.options, self.chosen) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardRow:
    """Whose figures stand in a line, and how it was asked."""

    model: str
    protocol: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One place of the board. runs: all that belong here, newest first."""

    runs: tuple[Stored, ...]

    @property
    def shown(self) -> Stored | None:
        """The newest finished run that has a score."""
        return next((run for run in self.runs if run.state == "complete" and run.scores), None)

    @property
    def score(self) -> Score | None:
        """Its headline."""
        return self.shown.scores[0] if self.shown else None

    @property
    def newer(self) -> Stored | None:
        """A run newer than the one shown, which did not finish well."""
        first = self.runs[0]
        return None if first is self.shown else first


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A published figure that stands in one of our columns."""

    table: PublishedTable
    column: PublishedColumn
    model: str
    size: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """All of it. unread: folders that look like runs and cannot be read, with why.

    references: by our column. why_not: by our column, why published figures of that benchmark do
    not stand in it.
    """

    columns: tuple[BoardColumn, ...]
    rows: tuple[BoardRow, ...]
    places: Mapping[tuple[BoardRow, BoardColumn], Place]
    references: Mapping[BoardColumn, tuple[Reference, ...]]
    why_not: Mapping[BoardColumn, tuple[str, ...]]
    unread: Mapping[Path, str]

    @property
    def runs(self) -> list[tuple[Stored, bool]]:
        """Every run, and whether it is the one shown in its place."""
        return [(run, run is place.shown) for place in self.places.values() for run in place.runs]

    def best(self, column: BoardColumn) -> float | None:
        """Return the highest figure of a column, published too; None where there is but one."""
        ours = [
            place.score.value
            for (_, here), place in self.places.items()
            if here == column and place.score
        ]
        theirs = [as_ours(one) for one in self.references.get(column, ())]
        found = [*ours, *theirs]
        return max(found) if len(found) > 1 else None

    def to_json(self) -> dict[str, Any]:
        """Return plain data for scripts."""
        return {
            "columns": [{**_plain(c), "why_not": list(self.why_not[c])} for c in self.columns],
            "rows": [
                {
                    **_plain(row),
                    "cells": [_cell(self.places.get((row, column))) for column in self.columns],
                }
                for row in self.rows
            ],
            "runs": [
                {
                    "folder": str(run.folder),
                    "bench": run.bench,
                    "version": run.version,
                    "model": run.model,
                    "state": run.state,
                    "why": run.why,
                    "worked_on": run.worked_on,
                    "shown": shown,
                }
                for run, shown in self.runs
            ],
            "published": [
                {
                    "table": one.table.id,
                    "kind": one.table.kind,
                    "model": one.model,
                    "column": self.columns.index(column),
                    "value": one.value,
                    "unit": one.table.unit,
                }
                for column, found in self.references.items()
                for one in found
            ],
            "unread": {str(folder): why for folder, why in self.unread.items()},
        }


def make_board(runs: Sequence[Stored], unread: Mapping[Path, str] | None = None) -> Board:
    """Put the runs in their places. Raises UsageError when there is none."""
    if not runs and not unread:
        raise UsageError("no run of `seedcoder eval` lies there")
    fresh = sorted(map(_checked, runs), key=lambda run: run.worked_on, reverse=True)
    places: dict[tuple[BoardRow, BoardColumn], list[Stored]] = {}
    for run in fresh:
        places.setdefault((_row(run), _column(run)), []).append(run)
    columns = sorted({column for _, column in places}, key=lambda c: (c.bench, c.words, c.data))
    rows = sorted({row for row, _ in places}, key=lambda row: (row.model.lower(), row.protocol))
    put = {
        (row, column): Place(runs=tuple(places[row, column]))
        for row in rows
        for column in columns
        if (row, column) in places
    }
    beside = {
        column: _beside([p for (_, c), p in put.items() if c == column]) for column in columns
    }
    return Board(
        columns=tuple(columns),
        rows=tuple(rows),
        places=put,
        references={column: found for column, (found, _) in beside.items()},
        why_not={column: why for column, (_, why) in beside.items()},
        unread=unread or {},
    )


def as_ours(reference: Reference) -> float:
    """Return a published figure in the unit of our scores."""
    return reference.value / 100 if reference.table.unit == "percent" else reference.value


def _checked(run: Stored) -> Stored:
    """Return the run, as stale where the benchmark has another version by now."""
    if run.state != "complete":
        return run
    try:
        with only_here():
            now = open_bench(run.bench, run.recipe.get("options")).version
    except MachineLacks:
        return run  # its version is in its data, which is not here: nothing to hold it against
    except UsageError as error:
        return replace(run, state="stale", why=f"it cannot be run any more: {error}")
    if now == run.version:
        return run
    return replace(run, state="stale", why=f"made with {run.version}; the benchmark is at {now}")


def _row(run: Stored) -> BoardRow:
    return BoardRow(model=run.model, protocol=str(run.recipe.get("protocol", "")))


def _column(run: Stored) -> BoardColumn:
    options = ", ".join(f"{name}={value}" for name, value in sorted(run.options.items()))
    return BoardColumn(
        bench=run.bench,
        version=run.version,
        options=options,
        data=json.dumps(run.data_sha256, sort_keys=True),
        chosen=_chosen(run),
    )


def _chosen(run: Stored) -> str:
    keys, limit = run.recipe.get("keys") or (), run.recipe.get("limit")
    problems = run.planned // max(1, int(run.recipe.get("samples", 1)))
    # A limit beyond the benchmark's end leaves nothing out.
    cut = limit is not None and not (run.planned and problems < limit)
    words = [f"{len(keys)} chosen problems ({', '.join(keys[:3])}...)"] if keys else []
    return ", ".join([*words, *([f"first {limit} problems"] if cut else [])])


def _beside(places: Sequence[Place]) -> tuple[tuple[Reference, ...], tuple[str, ...]]:
    """Return the published figures beside the runs of a column, and why others are not there."""
    run = next((place.shown for place in places if place.shown), None)
    if run is None:
        return (), ()
    found: list[Reference] = []
    why_not: dict[str, list[str]] = {}
    known = False
    for table in published():
        for column in table.columns:
            if column.bench != run.bench:
                continue
            known = True
            headline = not column.part and column.of(run) is run.scores[0]
            why = column.why_not(run)
            if why:
                if not column.part and not column.score:
                    why_not.setdefault(why, []).append(f"{column.name} of {table.id}")
            elif headline:
                found.extend(
                    Reference(
                        table=table,
                        column=column,
                        model=row.model,
                        size=row.size,
                        value=table.value(row.model, column.name),
                    )
                    for row in table.rows
                )
    if not known:
        return (), ("the paper has no figures of this benchmark",)
    return tuple(found), tuple(f"{' and '.join(them)}: {why}" for why, them in why_not.items())


def _plain(value: BoardColumn | BoardRow) -> dict[str, str]:
    return {name: getattr(value, name) for name in type(value).__slots__}


def _cell(place: Place | None) -> dict[str, Any] | None:
    if place is None:
        return None
    newer = place.newer
    return {
        "run": str(place.shown.folder) if place.shown else None,
        "score": place.score.to_json() if place.score else None,
        "newer": {"run": str(newer.folder), "state": newer.state, "why": newer.why}
        if newer
        else None,
    }
