"""The figures that the paper prints, and which of ours stand beside them.

Source: Seed-Coder (arXiv 2506.03524), Tables 1 to 16 and its IOI'2024 and Codeforces figures, as
they lie in published.toml. Not covered: figures of later papers, and whether a published run could
be had again: its sampling is often not told.
"""

from __future__ import annotations

import importlib
import inspect
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any, Final, Literal, Protocol

from evals.catalogue import BENCHES
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

    bench: our name of the benchmark. score: the metric's name, "" for the headline. part: a tag,
    "" for the whole. version: a word of the benchmark's version. problems: how many there are, 0
    where that is not told. options: those of the recipe. unit: of our score. also: another
    benchmark of ours that measures the same.
    """

    name: str
    bench: str
    score: str = ""
    part: str = ""
    version: str = ""
    problems: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    unit: str = "share"
    also: PublishedColumn | None = None

    def why_not(self, run: Measured) -> str:
        """Return why a run of this benchmark does not stand in this column; "" when it does."""
        if self.version and self.version not in run.version:
            return f"published for {self.version}; this is {run.version}"
        for name, value in self.options.items():
            said = run.options.get(name, _default(self.bench, name))
            if said != value:
                return f"published with {name} = {_said(value)}; this has {_said(said)}"
        if self.part and self.part not in run.parts:
            return f"this has no part {self.part}"
        score = self.of(run)
        if score is None:
            return f"this has no score {self.score!r}"
        if score.unit != self.unit:
            return f"published in {self.unit}; this is in {score.unit}"
        problems = score.problems + score.left_out
        if self.problems and problems != self.problems:
            return f"published over {self.problems} problems; this has {problems}"
        return ""

    def of(self, run: Measured) -> Score | None:
        """Return the run's score that belongs in this column."""
        found = list(run.scores)
        if self.part:
            found = [run.parts[self.part]] if self.part in run.parts else []
        named = self.score.lower()
        return next((one for one in found if named in ("", one.metric.lower())), None)


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
    unit = data.get("unit", "percent")
    columns = tuple(_column(column, unit) for column in data["columns"])
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
        unit=unit,
        notes=tuple(data.get("notes", ())),
    )


def _column(data: Mapping[str, Any], unit: str) -> PublishedColumn:
    ours = "share" if unit == "percent" else unit
    if "also" in data:
        also = _column({"name": data["name"], **data["also"]}, unit)
        return PublishedColumn(**{**data, "also": also}, unit=ours)
    return PublishedColumn(**data, unit=ours)


def _default(bench: str, name: str) -> object:
    """Return what an option is when a recipe leaves it out."""
    entry = BENCHES.get(bench)
    if entry is None:
        return "not known"
    module, _, attribute = entry.place.partition(":")
    made = inspect.signature(getattr(importlib.import_module(module), attribute)).parameters
    return made[name].default if name in made else "not an option"


def _said(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
