"""What a step is: columns beside documents, computed from columns.

A step never changes a document and never drops one: it writes columns, one row a document, and
`select` joins them at the end. So steps know nothing of each other but the columns they read, each
can be run again alone, and another threshold computes nothing.

`MapStep` looks at documents one by one: any part of them, on any machine, in any order gives the
same. `GatherStep` must see all of them (duplicates): in one process, whose memory it bounds itself.

Columns that every step may write, as `select` and the funnel know them: `keep` (bool), `reason`
(string, "" where kept, the same words for the same cause), `value` (float64).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

# The columns of a document that a step may read; of another step: "STEP.COLUMN".
DOCUMENT_COLUMNS = (
    "key", "text", "language", "path", "repo", "licence", "source", "bytes", "sha256", "meta",
)  # fmt: skip


class Step(Protocol):
    """What all steps have.

    name: of the recipe's table and of its columns. version: raised whenever the same settings give
    other columns. reads: "text", "language", "exact.keep"...
    """

    name: str
    version: int
    reads: tuple[str, ...]

    def schema(self) -> pa.Schema:
        """Return the columns that it writes, `key` left out."""
        ...

    def settings(self) -> Mapping[str, Any]:
        """Return everything that its columns depend on beside what it reads, as plain data."""
        ...


class MapStep(Step, Protocol):
    """A step that looks at one document at a time. It is sent to other processes: keep it small,
    and load models and grammars in `compute` (once a process)."""

    def compute(self, table: pa.Table) -> pa.Table:
        """Return its columns for the rows of `table` (`key` and what it reads), in their order.

        An exception makes the engine ask again row by row; a row that raises alone, or ends its
        process, or takes too long goes to the quarantine with the reason, its columns null.
        """
        ...


class Tables(Protocol):
    """The documents that a step gathers: (part, table) of all parts, in an order that is always
    the same. It can be walked as often as needed; parts are read anew each time."""

    def __iter__(self) -> Iterator[tuple[str, pa.Table]]:
        """Walk with `key` and all that the step reads."""
        ...

    def only(self, *columns: str) -> Iterator[tuple[str, pa.Table]]:
        """Walk with `key` and some of what it reads."""
        ...


class GatherStep(Step, Protocol):
    """A step that must see all documents."""

    def gather(self, tables: Tables, scratch: Path) -> Iterator[tuple[str, pa.Table]]:
        """Yield its columns for every part; a row that is left out counts as not computed.
        `scratch` is an empty folder for what does not fit in memory."""
        ...
