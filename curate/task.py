"""A piece of a step's work, as it goes to a process or to a node: one row group, some of its rows.

The store must lie where every worker sees it: a task names files and carries no text.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from curate.step import DOCUMENT_COLUMNS, MapStep
from seedcoder.errors import MachineLacks

_SPLIT: Final = 16  # ours: into how many a task falls that was lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Compute `step` for the rows `at` of one row group.

    extra: what the step reads of other steps, for the same rows; None where it reads none.
    """

    step: MapStep
    part: str
    file: Path
    group: int
    at: tuple[int, ...]
    extra: pa.Table | None = None

    def split(self) -> list[Task]:
        """Return tasks of fewer rows each that come to the same."""
        size = max(1, len(self.at) // _SPLIT)
        return [
            replace(
                self,
                at=self.at[begin : begin + size],
                extra=self.extra.slice(begin, size) if self.extra is not None else None,
            )
            for begin in range(0, len(self.at), size)
        ]

    def limit_s(self) -> float:
        """Return the seconds after which the task counts as lost. Ours."""
        row_s = getattr(self.step, "row_s", 10.0)
        return float(20.0 + 2 * row_s + len(self.at) * row_s / 100)

    def rows(self) -> pa.Table:
        """Read the rows: `key` and what the step reads."""
        columns = [name for name in DOCUMENT_COLUMNS if name in ("key", *self.step.reads)]
        file = pq.ParquetFile(self.file)
        table = file.read_row_group(self.group, columns=columns)
        if len(self.at) < table.num_rows:
            table = table.take(pa.array(self.at, pa.int64()))
        if self.extra is not None:
            for name in self.extra.column_names:
                table = table.append_column(name, self.extra.column(name))
        return table


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed:
    """A task's columns, `key` first; rows that could not be computed have nulls.

    bad: their keys and why.
    """

    table: pa.Table
    bad: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A task whose process ended or that took too long. why: in a few words."""

    why: str


def compute(task: Task) -> Computed:
    """Do a task. What the step raises for one row alone puts that row in quarantine.

    MachineLacks goes through: a package or a server that is not there is no document's fault.
    """
    rows = task.rows()
    try:
        return Computed(table=_checked(task.step, rows, task.step.compute(rows)))
    except MachineLacks:
        raise
    except Exception as error:  # noqa: BLE001  a step's failure over a document is that document's
        if rows.num_rows == 1:
            why = f"{type(error).__name__}: {error}"[:500]
            return Computed(
                table=nothing(task.step, rows.column("key")),
                bad=((rows.column("key")[0].as_py(), why),),
            )
    tables: list[pa.Table] = []
    bad: list[tuple[str, str]] = []
    for number in range(rows.num_rows):
        alone = replace(
            task,
            at=task.at[number : number + 1],
            extra=task.extra.slice(number, 1) if task.extra is not None else None,
        )
        done = compute(alone)
        tables.append(done.table)
        bad += done.bad
    return Computed(table=pa.concat_tables(tables), bad=tuple(bad))


def nothing(step: MapStep, keys: pa.ChunkedArray | pa.Array) -> pa.Table:
    """Return null columns for some rows."""
    columns = {"key": keys}
    columns |= {field.name: pa.nulls(len(keys), field.type) for field in step.schema()}
    return pa.table(columns)


def _checked(step: MapStep, rows: pa.Table, table: pa.Table) -> pa.Table:
    schema = step.schema()
    if table.num_rows != rows.num_rows:
        raise ValueError(f"{step.name} gave {table.num_rows} rows for {rows.num_rows}")
    found = table.select(schema.names).cast(schema).combine_chunks()
    return found.add_column(0, "key", rows.column("key").combine_chunks())
