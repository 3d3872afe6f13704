"""Documents, their bytes and their tokens, added up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa


@dataclass(slots=True, kw_only=True)
class Amount:
    """So much of a corpus."""

    documents: int = 0
    bytes: int = 0
    tokens: int = 0

    def add(self, other: Amount) -> None:
        """Add another to this one."""
        self.documents += other.documents
        self.bytes += other.bytes
        self.tokens += other.tokens

    def less(self, other: Amount) -> Amount:
        """Return what is left without another."""
        return Amount(
            documents=self.documents - other.documents,
            bytes=self.bytes - other.bytes,
            tokens=self.tokens - other.tokens,
        )


def whole(amounts: Iterator[Amount]) -> Amount:
    """Return all together."""
    found = Amount()
    for one in amounts:
        found.add(one)
    return found


def grouped(table: pa.Table, by: Sequence[str]) -> Iterator[tuple[tuple[Any, ...], Amount]]:
    """Yield for each value of the columns `by` how much there is. table: with bytes and tokens."""
    sums = table.group_by(list(by)).aggregate(
        [("bytes", "sum"), ("tokens", "sum"), ("key", "count")]
    )
    for row in sums.to_pylist():
        amount = Amount(
            documents=row["key_count"],
            bytes=row["bytes_sum"] or 0,
            tokens=int(row["tokens_sum"] or 0),
        )
        yield tuple(row[name] for name in by), amount
