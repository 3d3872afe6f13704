"""Shards: fixed sequences in files, whole or not there, each with its digest.

    000000.tokens.npy   (sequences, length) of uint16 or uint32, little-endian: memory maps
    000000.bounds.npy   rows of sequence, start, length: texts that attend to themselves only
    000000.files.parquet  which document lies where (`curate.packing.unit.FILES`)

Does not guard: files that someone changes by hand; `check` finds them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curate.packing.unit import Packed

KINDS: Final = ("tokens.npy", "bounds.npy", "files.parquet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """A shard that lies on disk. sha256: of each of its files. accounts: of each source."""

    name: str
    sequences: int
    bytes: int
    sha256: Mapping[str, str]
    accounts: Mapping[str, Mapping[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`."""
        return {
            "name": self.name,
            "sequences": self.sequences,
            "bytes": self.bytes,
            "sha256": dict(self.sha256),
            "accounts": {name: dict(one) for name, one in self.accounts.items()},
        }


class Filling:
    """A shard that is being filled."""

    def __init__(self) -> None:
        """Begin with none."""
        self.sequences = 0
        self._tokens: list[Any] = []
        self._bounds: list[Any] = []
        self._files: list[pa.Table] = []

    def add(self, packed: Packed, first: int, last: int) -> None:
        """Take sequences first..last of a packed unit."""
        shift = self.sequences - first
        self._tokens.append(packed.tokens[first:last])
        bounds = packed.bounds
        bounds = bounds[(bounds[:, 0] >= first) & (bounds[:, 0] < last)].copy()
        bounds[:, 0] += shift
        self._bounds.append(bounds)
        numbers = packed.files.column("sequence")
        held = pc.and_(pc.greater_equal(numbers, first), pc.less(numbers, last))
        files = packed.files.filter(held)
        moved = pc.add(files.column("sequence"), pa.scalar(shift, pa.int32()))
        self._files.append(files.set_column(0, files.schema.field(0), moved))
        self.sequences += last - first

    def write(self, folder: Path, name: str) -> Shard:
        """Write it."""
        tokens, bounds = np.concatenate(self._tokens), np.concatenate(self._bounds)
        # Nothing of how the rows came together (chunks) may reach the file's bytes.
        files = pa.concat_tables(self._files).combine_chunks()
        _whole(folder / f"{name}.tokens.npy", lambda file: np.save(file, tokens))
        _whole(folder / f"{name}.bounds.npy", lambda file: np.save(file, bounds))
        _whole(
            folder / f"{name}.files.parquet",
            lambda file: pq.write_table(files, file, compression="zstd", row_group_size=1 << 20),
        )
        return Shard(
            name=name,
            sequences=self.sequences,
            bytes=sum((folder / f"{name}.{kind}").stat().st_size for kind in KINDS),
            sha256=digests(folder, name),
            accounts=accounts(files, tokens.shape[1]),
        )


def accounts(files: pa.Table, length: int) -> dict[str, dict[str, Any]]:
    """Return what a shard holds of each source.

    tokens: all but padding; sequences; documents: begun here; by layout and language; altered:
    documents that did not come back when they were verified.
    """
    found: dict[str, dict[str, Any]] = {}
    begun = pc.equal(files.column("piece"), 0)
    for source in sorted(pc.unique(files.column("source")).to_pylist()):
        mine = pc.equal(files.column("source"), source)
        own, first = files.filter(mine), files.filter(pc.and_(mine, begun))
        tokens = pc.sum(own.column("length")).as_py()
        sequences = len(pc.unique(own.column("sequence")))
        found[source] = {
            "tokens": tokens,
            "sequences": sequences,
            "padding": sequences * length - tokens,
            "documents": first.num_rows,
            "rearranged": pc.sum(pc.not_equal(first.column("layout"), "plain")).as_py() or 0,
            "altered": pc.sum(first.column("altered")).as_py() or 0,
            "languages": _sums(own, "language"),
            "epochs": _sums(own, "epoch"),
        }
    return found


def added(all_accounts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the sum of accounts of one source, or of several."""
    total: dict[str, Any] = {}
    for one in all_accounts:
        for name, value in one.items():
            if isinstance(value, Mapping):
                mine = total.setdefault(name, {})
                for key, number in value.items():
                    mine[key] = mine.get(key, 0) + number
            else:
                total[name] = total.get(name, 0) + value
    return total


def digests(folder: Path, name: str) -> dict[str, str]:
    """Return the SHA-256 of each file of a shard. OSError: one is not there."""
    found = {}
    for kind in KINDS:
        with (folder / f"{name}.{kind}").open("rb") as file:
            found[kind] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _sums(files: pa.Table, column: str) -> dict[str, int]:
    sums = files.group_by(column).aggregate([("length", "sum")])
    rows = sums.to_pylist()
    return {str(row[column]): row["length_sum"] for row in sorted(rows, key=lambda r: r[column])}


def _whole(path: Path, write: Any) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        beside.rename(path)
    finally:
        beside.unlink(missing_ok=True)
