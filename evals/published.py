"""The figures that the paper prints, and which of ours stand beside them.

Source: Seed-Coder (arXiv 2506.03524), Tables 1 to 16 and its IOI'2024 and Codeforces figures, as
they lie in published.toml. Not covered: figures of later papers, and whether a published run could
be had again: its sampling is often not told.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any, Final, Literal, Protocol

from evals.problem import Score

PAPER: Final = "Seed-Coder, arXiv 2506.03524"

Family = Literal["base", "instruct", "reasoning"]


class Measured(Protocol):
    """What is asked of a run of ours before it stands in a published column."""

    @property
    def bench(self) -> str:
        """The benchmark's name."""
        ...

    @property
    def version(self) -> str:
        """Its version."""
        ...

    @property
    def options(self) -> Mapping[str, Any]:
        """The recipe's `[options]`."""
        ...

    @property
    def scores(self) -> list[Score]:
        """Its scores, the headline first."""
        ...

    @property
    def parts(self) -> Mapping[str, Score]:
        """The headline by tag."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedColumn:
    """A column as printed, and what a run must be to stand in it.

    bench: our name of the benchmark. score: a word of the metric's name, "" for the headline.
    part: a tag, "" for the whole. version: a word of the benchmark's version. problems: how many
    the whole has, 0 where that is not told. options: those of the recipe.
    """

    name: str
    bench: str
    score: str = ""
    part: str = ""
    version: str = ""
    problems: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)

    def why_not(self, run: Measured) -> str:
        """Return why a run of this benchmark does not stand in this column; "" when it does."""
        if self.version and self.version not in run.version:
            return f"published for {self.version}; this is {run.version}"
        for name, value in self.options.items():
            if run.options.get(name) != value:
                said = run.options.get(name, "the benchmark's own")
                return f"published with {name} = {_said(value)}; this has {_said(said)}"
        problems = run.scores[0].problems + run.scores[0].left_out if run.scores else 0
        if self.problems and problems != self.problems:
            return f"published over {self.problems} problems; this has {problems}"
        if self.part and self.part not in run.parts:
            return f"this has no part {self.part}"
        return "" if self.of(run) else f"this has no score {self.score!r}"

    def of(self, run: Measured) -> Score | None:
        """Return the run's score that belongs in this column."""
        if self.part:
            return run.parts.get(self.part)
        return next((s for s in run.scores if self.score.lower() in s.metric.lower()), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRow:
    """A model's line: its size as printed, and a number a column."""

    model: str
    size: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedTable:
    """One table. unit: "percent", or what else is counted. notes: traps, misprints among them."""

    id: str
    kind: Family
    title: str
    columns: tuple[PublishedColumn, ...]
    rows: tuple[PublishedRow, ...]
    unit: str = "percent"
    notes: tuple[str, ...] = ()

    def value(self, model: str, column: str) -> float:
        """Return one number. Raises KeyError for a model or column that is not there."""
        place = [one.name for one in self.columns].index(column) if column else 0
        return {row.model: row.values[place] for row in self.rows}[model]


@cache
def published() -> tuple[PublishedTable, ...]:
    """Return all tables, in the paper's order."""
    text = resources.files(__package__).joinpath("published.toml").read_text(encoding="utf-8")
    return tuple(_table(table) for table in tomllib.loads(text)["tables"])


def _table(data: Mapping[str, Any]) -> PublishedTable:
    columns = tuple(PublishedColumn(**column) for column in data["columns"])
    rows = []
    for model, size, *values in data["rows"]:
        if len(values) != len(columns):
            raise ValueError(f"{data['id']}: {model} has {len(values)} of {len(columns)} numbers")
        rows.append(PublishedRow(model=model, size=size, values=tuple(map(float, values))))
    return PublishedTable(
        id=data["id"],
        kind=data["kind"],
        title=data["title"],
        columns=columns,
        rows=tuple(rows),
        unit=data.get("unit", "percent"),
        notes=tuple(data.get("notes", ())),
    )


def _said(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
