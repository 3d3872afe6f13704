"""A part's documents with columns of steps beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curate.step import DOCUMENT_COLUMNS
from curate.store import Store


class Joined:
    """Reads columns of parts. digests: of each step that has been computed, by its title."""

    def __init__(self, store: Store, digests: Mapping[str, str]) -> None:
        """Look at a store through the steps of one recipe."""
        self._store = store
        self._digests = digests

    def documents(self, part: str, columns: Sequence[str]) -> pa.Table:
        """Return columns of the documents themselves."""
        return pq.read_table(self._store.document_file(part), columns=list(columns))

    def columns(self, part: str, names: Sequence[str]) -> pa.Table:
        """Return columns of the part's rows, all of them in its order, `key` first.

        names: "language", "exact.keep"... A row that a step has not computed has nulls.
        """
        own = [name for name in DOCUMENT_COLUMNS if name in names or name == "key"]
        table = self.documents(part, own)
        keys = table.column("key").combine_chunks()
        for name in names:
            if "." in name:
                table = table.append_column(name, self._column(part, name, keys))
        return table

    def wanted(self, part: str, after: Sequence[str]) -> pa.Array:
        """Return for each row of the part whether all of `after` are true there."""
        table = self.columns(part, after)
        if not after:
            return pa.repeat(True, table.num_rows)
        found = table.column(after[0])
        for name in after[1:]:
            found = pc.and_kleene(found, table.column(name))
        return pc.fill_null(found, False).combine_chunks()

    def _column(self, part: str, name: str, keys: pa.Array) -> pa.Array:
        step, _, column = name.partition(".")
        table = self._store.columns(step, self._digests[step], part, ("key", column))
        if table is None:
            return pa.nulls(len(keys))
        places = pc.index_in(keys, table.column("key").combine_chunks())
        return table.column(column).combine_chunks().take(places)
