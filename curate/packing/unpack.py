"""Documents back out of shards, and shards checked against their digests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curate.packing.middle import Marks
from curate.packing.reader import Packed
from curate.packing.shards import digests
from curate.packing.unit import text_of
from curate.packing.vocabulary import Vocabulary


def check(folder: Path) -> list[str]:
    """Return the names of shards whose files are not those that were written."""
    wrong = []
    for shard in Packed(folder).facts["shards"]:
        try:
            found = digests(folder, shard["name"])
        except OSError:
            found = {}
        if found != shard["sha256"]:
            wrong.append(shard["name"])
    return wrong


def documents(folder: Path, words: Vocabulary) -> Iterator[tuple[str, int, str]]:
    """Yield key, epoch and text of every document that is packed whole, in the order of keys.

    A document of which a last sequence is not there (the mixture needed no more) is left out.
    Holds the places of all documents in memory, and one document's tokens.
    """
    packed = Packed(folder)
    facts = packed.facts["fim"]
    marks = None
    if facts is not None:
        three = {name: facts[name] for name in ("prefix", "suffix", "middle")}
        marks = Marks(**three, is_spm=facts["order"] == "spm")
    tables, first = [], 0
    for shard in packed.facts["shards"]:
        table = pq.read_table(folder / f"{shard['name']}.files.parquet")
        numbers = pa.array(np.asarray(table.column("sequence"), dtype=np.int64) + first)
        tables.append(table.set_column(0, "sequence", numbers))
        first += shard["sequences"]
    if not tables:
        return
    rows = pa.concat_tables(tables).sort_by(
        [(name, "ascending") for name in ("key", "source", "epoch", "piece")]
    )
    held: list[dict[str, int]] = []
    name: tuple[object, ...] = ()
    for batch in rows.to_batches():
        for row in batch.to_pylist():
            own = (row["key"], row["source"], row["epoch"])
            if own != name:
                yield from _whole(packed, held, marks, words)
                held, name = [], own
            held.append(row)
    yield from _whole(packed, held, marks, words)


def _whole(
    packed: Packed, rows: list[dict[str, int]], marks: Marks | None, words: Vocabulary
) -> Iterator[tuple[str, int, str]]:
    tokens: list[int] = []
    for row in rows:
        if row["piece"] != len(tokens):
            return
        line = packed[row["sequence"]].tokens
        tokens += line[row["start"] : row["start"] + row["length"]].tolist()
    if not rows or len(tokens) != rows[0]["whole"]:
        return
    first = rows[0]
    own = tokens[first["head"] : len(tokens) - first["tail"]]
    yield str(first["key"]), first["epoch"], text_of(own, str(first["layout"]), marks, words)
