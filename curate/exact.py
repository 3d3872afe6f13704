"""Exact duplicates: of texts with the same SHA-256, the first is kept (paper, section 2.2.1).

First is in the order of sources, then as they came. Repositories that are copies of each other as
a whole are found by `repositories`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from curate.step import Tables


class Exact:
    """The step. Columns: keep, reason, of (the key of the one kept; "" where it is this one)."""

    name = "exact"
    version = 1
    reads = ("sha256",)

    def schema(self) -> pa.Schema:
        """Return keep, reason, of."""
        return pa.schema([("keep", pa.bool_()), ("reason", pa.string()), ("of", pa.string())])

    def settings(self) -> Mapping[str, Any]:
        """There are none."""
        return {}

    def gather(self, tables: Tables, scratch: Path) -> Iterator[tuple[str, pa.Table]]:
        """Yield the columns. Memory: about 150 bytes a text that is not a duplicate."""
        first: dict[bytes, str] = {}
        for part, table in tables:
            keys = table.column("key").to_pylist()
            digests = table.column("sha256").to_pylist()
            kept = [
                first.setdefault(digest, key) for digest, key in zip(digests, keys, strict=True)
            ]
            keep = [one == key for one, key in zip(kept, keys, strict=True)]
            yield (
                part,
                pa.table(
                    {
                        "key": keys,
                        "keep": keep,
                        "reason": ["" if one else "same text" for one in keep],
                        "of": ["" if one else key for one, key in zip(keep, kept, strict=True)],
                    }
                ),
            )


def exact() -> Exact:
    """Return the step."""
    return Exact()
