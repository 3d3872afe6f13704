"""Where documents and columns lie: a folder of parquet files, named by what they were made from.

    documents/PART.parquet           documents as they came, up to 64 MB of text each
    sources/DIGEST.json              which parts a source gave; written when it was read to its end
    columns/STEP/DIGEST/PART.parquet  a step's columns for a part's rows, in the part's order
    columns/STEP/DIGEST/PART+N.parquet  pieces of it, while they are being computed
    quarantine/STEP/DIGEST.jsonl     rows that a step could not compute, and why

Names are digests of content and settings, so nothing stale is ever read as fresh, and what is
there need not be made again. Files are written beside and renamed.

Does not guard: two processes that write the same store at once (`Lock` does), and someone who
changes files by hand.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curate.document import Document
from seedcoder.errors import UsageError
from seedcoder.run_folder import read_json, write_json

PART_BYTES: Final = 64 << 20  # ours: of text; a part is what a gather step holds at once
GROUP_BYTES: Final = 4 << 20  # ours: of text in a row group, which is what a task reads

DOCUMENTS: Final = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("text", pa.large_string(), nullable=False),
        pa.field("language", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("repo", pa.string(), nullable=False),
        pa.field("licence", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("sha256", pa.binary(32), nullable=False),
        pa.field("meta", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some documents of one source. digest: of its rows, 16 hex digits. bytes: of text."""

    digest: str
    rows: int
    bytes: int
    source: str

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`."""
        return {name: getattr(self, name) for name in self.__slots__}


class Store:
    """A folder of documents and columns."""

    def __init__(self, folder: Path) -> None:
        """Name it; nothing is made until something is written."""
        self.folder = folder

    def parts_of(self, digest: str) -> tuple[Part, ...] | None:
        """Return the parts of a source that was read to its end, None where it was not."""
        data = read_json(self.folder / "sources" / f"{digest}.json")
        if data is None:
            return None
        parts = tuple(Part(**part) for part in data["parts"])
        there = all(self.document_file(part.digest).is_file() for part in parts)
        return parts if there else None

    def take_in(
        self, digest: str, name: str, documents: Iterable[Document], facts: Mapping[str, Any]
    ) -> tuple[Part, ...]:
        """Read a source to its end; return its parts. facts: what else to note of it."""
        parts: list[Part] = []
        waiting: list[Document] = []
        held = 0
        seen: set[str] = set()
        for document in documents:
            if document.key in seen:
                raise UsageError(f"source {name!r} gives the key {document.key!r} twice")
            seen.add(document.key)
            waiting.append(document)
            held += len(document.text)
            if held >= PART_BYTES:
                parts.append(self._write_part(waiting, name))
                waiting, held = [], 0
        if waiting:
            parts.append(self._write_part(waiting, name))
        noted = {**facts, "name": name, "parts": [part.to_json() for part in parts]}
        write_json(_folder(self.folder / "sources") / f"{digest}.json", noted)
        return tuple(parts)

    def document_file(self, part: str) -> Path:
        """Return the file of a part's documents."""
        return self.folder / "documents" / f"{part}.parquet"

    def column_folder(self, step: str, digest: str) -> Path:
        """Return the folder of a step's columns."""
        return self.folder / "columns" / step / digest

    def keys(self, part: str) -> pa.Array:
        """Return the keys of a part's documents, in their order."""
        table = pq.read_table(self.document_file(part), columns=["key"])
        return table.column("key").combine_chunks()

    def columns(
        self, step: str, digest: str, part: str, names: Sequence[str] | None = None
    ) -> pa.Table | None:
        """Return what a step has computed of a part so far, in no promised order; None: nothing.

        names: only these columns, of those that there are; None is all.
        """
        folder = self.column_folder(step, digest)
        files = [path for path in (folder / f"{part}.parquet",) if path.is_file()]
        files += _pieces(folder, part)
        wanted = None if names is None else list(names)
        tables = [pq.read_table(path, columns=wanted) for path in files]
        return pa.concat_tables(tables) if tables else None

    def add_columns(self, step: str, digest: str, part: str, table: pa.Table) -> None:
        """Keep some more rows of a step's columns."""
        folder = _folder(self.column_folder(step, digest))
        last = max((_number(path) for path in _pieces(folder, part)), default=-1)
        write_table(table, folder / f"{part}+{last + 1}.parquet")

    def settle(self, step: str, digest: str, part: str) -> None:
        """Make one file of the pieces, its rows in the part's order."""
        folder = self.column_folder(step, digest)
        pieces = _pieces(folder, part)
        table = self.columns(step, digest, part) if pieces else None
        if table is None:
            return
        places = pc.index_in(self.keys(part), table.column("key").combine_chunks())
        write_table(table.take(places.drop_null()), folder / f"{part}.parquet")
        for piece in pieces:
            piece.unlink()

    def quarantine(self, step: str, digest: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Note rows that a step could not compute."""
        folder = _folder(self.folder / "quarantine" / step)
        with (folder / f"{digest}.jsonl").open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)

    def quarantined(self, step: str, digest: str) -> list[dict[str, Any]]:
        """Return the rows noted so far, each once; a torn last line is left out."""
        path = self.folder / "quarantine" / step / f"{digest}.jsonl"
        found: dict[str, dict[str, Any]] = {}
        with suppress(FileNotFoundError):
            for line in path.read_text(encoding="utf-8").splitlines():
                with suppress(json.JSONDecodeError):
                    row = json.loads(line)
                    found[row["key"]] = row
        return list(found.values())

    def _write_part(self, documents: Sequence[Document], source: str) -> Part:
        digest = hashlib.sha256(source.encode())
        for one in documents:
            fields = (one.key, one.text, one.language, one.path, one.repo, one.licence)
            for text in (*fields, json.dumps(dict(one.meta), sort_keys=True)):
                data = text.encode("utf-8", "surrogatepass")
                digest.update(len(data).to_bytes(8, "little"))
                digest.update(data)
        name = digest.hexdigest()[:16]
        texts = [one.text.encode("utf-8", "replace").decode() for one in documents]
        contents = [text.encode() for text in texts]
        sizes = [len(content) for content in contents]
        table = pa.table(
            {
                "key": [one.key for one in documents],
                "text": texts,
                "language": [one.language for one in documents],
                "path": [one.path for one in documents],
                "repo": [one.repo for one in documents],
                "licence": [one.licence for one in documents],
                "source": [source] * len(documents),
                "bytes": sizes,
                "sha256": [hashlib.sha256(content).digest() for content in contents],
                "meta": [json.dumps(dict(one.meta), sort_keys=True) for one in documents],
            },
            schema=DOCUMENTS,
        )
        path = _folder(self.folder / "documents") / f"{name}.parquet"
        if not path.is_file():
            write_table(table, path, groups=_groups(sizes))
        return Part(digest=name, rows=len(documents), bytes=sum(sizes), source=source)


def write_table(table: pa.Table, path: Path, *, groups: Sequence[int] = ()) -> None:
    """Write a parquet file whole or not at all. groups: rows of each row group; none: one group."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with pq.ParquetWriter(beside, table.schema, compression="zstd") as writer:
            at = 0
            for rows in groups or (table.num_rows,):
                writer.write_table(table.slice(at, rows), row_group_size=max(1, rows))
                at += rows
        beside.rename(path)
    finally:
        beside.unlink(missing_ok=True)


def _groups(sizes: Sequence[int]) -> list[int]:
    """Return how many rows each row group gets, so that each holds about GROUP_BYTES of text."""
    found, rows, held = [], 0, 0
    for size in sizes:
        rows, held = rows + 1, held + size
        if held >= GROUP_BYTES:
            found.append(rows)
            rows = held = 0
    return [*found, rows] if rows else found


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _pieces(folder: Path, part: str) -> list[Path]:
    return sorted(folder.glob(f"{part}+*.parquet"), key=_number)


def _number(path: Path) -> int:
    return int(path.stem.rpartition("+")[2])


def groups_of(path: Path) -> Iterator[int]:
    """Yield the number of rows in each row group of a file."""
    facts = pq.read_metadata(path)
    for at in range(facts.num_row_groups):
        yield facts.row_group(at).num_rows
