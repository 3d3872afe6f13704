"""Near duplicates among files: dropped only where similar to one that is kept, each pair checked.

Three walks: over the signatures (buckets of the LSH), over the texts of those that share a bucket
(their runs of words), and over the keys (the answer). Signatures and runs lie in files; in memory
are about 300 bytes a document, so 10 million of them take 3 GB.

With 32 bands of 8 rows, of pairs with a Jaccard similarity of 0.8 one in 400 thousand shares no
bucket, at 0.7 one in 7 (Leskovec, Rajaraman, Ullman: Mining of Massive Datasets, section 3.4).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.neardup.shingles import sets
from curate.neardup.signatures import PERMUTATIONS, unpacked
from curate.neardup.star import buckets, star
from seedcoder.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from curate.step import Tables

# Three standard errors of an estimate by 256 numbers at 0.7: a pair below is not looked at closer.
_MARGIN: Final = 0.09


class NearDup:
    """The step. Columns: keep, reason, of (the key of the one kept), value (their similarity)."""

    name = "neardup"
    version = 1

    def __init__(
        self, *, signatures: str, best: str, threshold: float, bands: int, strip: bool
    ) -> None:
        """See `neardup`."""
        self._signatures, self._best = f"{signatures}.signature", best
        self._threshold, self._bands, self._strip = threshold, bands, strip
        self.reads = ("text", self._signatures, *((best,) if best else ()))

    def schema(self) -> pa.Schema:
        """Return keep, reason, of, value."""
        return pa.schema(
            [
                ("keep", pa.bool_()), ("reason", pa.string()), ("of", pa.string()),
                ("value", pa.float64()),
            ]
        )  # fmt: skip

    def settings(self) -> Mapping[str, Any]:
        """Return threshold, bands, and what is the best."""
        return {
            "threshold": self._threshold,
            "bands": self._bands,
            "best": self._best,
            "strip": self._strip,
        }

    def gather(self, tables: Tables, scratch: Path) -> Iterator[tuple[str, pa.Table]]:
        """Yield the columns."""
        keys, scores, file = self._signed(tables, scratch)
        if not len(keys):
            return
        signed = np.memmap(file, np.uint32, "r").reshape(-1, PERMUTATIONS)
        found, count = buckets(signed, self._bands, PERMUTATIONS // self._bands)
        runs, bounds, place_of = self._runs(tables, scratch, (found >= 0).any(axis=1))
        order = np.argsort(-scores, kind="stable") if self._best else np.arange(len(keys))
        kept_for, similar = star(
            order, signed, found, count, runs, bounds, place_of, self._threshold, _MARGIN
        )
        at = 0
        for part, table in tables.only(self._signatures):
            mine = table.column("key").filter(table.column(self._signatures).is_valid())
            span = slice(at, at + len(mine))
            at += len(mine)
            dropped = kept_for[span] >= 0
            of = np.where(dropped, keys[kept_for[span]], b"").astype("U32")
            yield (
                part,
                pa.table(
                    {
                        "key": mine,
                        "keep": ~dropped,
                        "reason": np.where(dropped, "similar to one that is kept", ""),
                        "of": of,
                        "value": similar[span],
                    }
                ),
            )

    def _signed(self, tables: Tables, scratch: Path) -> tuple[Any, Any, Path]:
        """Put all signatures in a file; return the keys (bytes) and scores of its rows."""
        file = scratch / "signatures"
        keys: list[Any] = [np.zeros(0, "S32")]
        scores: list[Any] = [np.zeros(0)]
        asked = self.reads[1:]
        with file.open("wb") as out:
            for _, table in tables.only(*asked):
                known = table.filter(table.column(self._signatures).is_valid())
                if not known.num_rows:
                    continue
                np.ascontiguousarray(unpacked(known.column(self._signatures))).tofile(out)
                keys.append(np.array(known.column("key").to_pylist(), "S32"))
                if self._best:
                    column = pc.fill_null(known.column(self._best).cast(pa.float64()), -np.inf)
                    scores.append(column.to_numpy())
        return np.concatenate(keys), np.concatenate(scores), file

    def _runs(self, tables: Tables, scratch: Path, shared: Any) -> tuple[Any, Any, Any]:
        """Put the sets of runs of the texts that share a bucket in a file.

        Returns the sets, where each ends, and which set is a text's.
        """
        place_of = np.where(shared, np.cumsum(shared) - 1, -1).astype(np.int64)
        file, at, total = scratch / "runs", 0, 0
        bounds: list[Any] = [np.zeros(1, np.int64)]
        with file.open("wb") as out:
            for _, table in tables.only("text", self._signatures):
                known = table.filter(table.column(self._signatures).is_valid())
                mine = shared[at : at + known.num_rows]
                at += known.num_rows
                if not mine.any():
                    continue
                numbers, ends = sets(known.column("text").filter(pa.array(mine)), strip=self._strip)
                numbers.tofile(out)
                bounds.append(ends[1:] + total)
                total += len(numbers)
        runs = np.memmap(file, np.uint32, "r") if total else np.zeros(0, np.uint32)
        return runs, np.concatenate(bounds), place_of


def neardup(
    *,
    signatures: str = "minhash",
    best: str = "",
    threshold: float = 0.7,
    bands: int = 32,
    strip_licences: bool = True,
) -> NearDup:
    """Drop files that are similar to one that is kept.

    signatures: the step that made them. best: a column of numbers, such as "quality.value": of
    similar files the one with the highest is kept; by default the first. threshold: Jaccard
    similarity of runs of five words (0.7 is ours: the paper names none). bands: of the LSH; more
    find more pairs below the threshold. RecipeError where a value makes no sense.
    """
    if not 0 < threshold <= 1:
        raise RecipeError(f"neardup: threshold must be above 0 and at most 1, got {threshold}")
    if bands < 1 or PERMUTATIONS % bands:
        raise RecipeError(f"neardup: bands must divide {PERMUTATIONS}, got {bands}")
    return NearDup(
        signatures=signatures, best=best, threshold=threshold, bands=bands, strip=strip_licences
    )
