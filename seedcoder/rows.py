"""A file of rows, one JSON object a line, that survives being killed at any byte.

Each row has a `kind` and a `key`, both strings; of rows with the same two the last one counts.

Holds: rows whole on the disk's side of a kill -9; a line torn by it is cut before anything is
appended; a row that finds no room leaves no piece of itself behind. Does not hold: rows of the last
second when the machine itself loses power (they are synced at most once a second and at close);
two writers at once (`Run` locks the folder).
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self

from seedcoder.errors import UsageError
from seedcoder.recipe import as_plain

log = logging.getLogger(__name__)

SYNC_EVERY_S: Final = 1.0
_TAIL_BYTES: Final = 1 << 16


class RowFile:
    """Appends to a file of rows. Every method may be called from any thread.

    Opening cuts a torn last line. OSErrors come through as they are; after one from `append`, the
    file holds the rows before and nothing of that one, and a later `append` may succeed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._torn = False
        self._unsynced = False
        self._synced_at_s = time.monotonic()
        try:
            self._whole_bytes = whole_length(self._fd)
            torn = os.fstat(self._fd).st_size - self._whole_bytes
            if torn:
                os.ftruncate(self._fd, self._whole_bytes)
                os.fsync(self._fd)
                log.warning("cut a torn last line path=%s bytes=%d", path, torn)
        except OSError:
            os.close(self._fd)
            raise

    def append(self, row: Mapping[str, Any]) -> None:
        """Write one row and hand it to the kernel.

        ValueError or TypeError, with nothing written, for a row without kind and key or with a
        value that JSON cannot give back.
        """
        line = line_of(row)
        with self._lock:
            if self._fd < 0:
                raise ValueError(f"{self.path} is closed")
            if self._torn:
                self._cut()
            try:
                write_all(self._fd, line)
                self._whole_bytes += len(line)
            except BaseException:  # an interrupt in the middle leaves a piece behind, too
                self._torn = True
                self._cut()
                raise
            self._unsynced = True
            if time.monotonic() - self._synced_at_s >= SYNC_EVERY_S:
                self._sync()

    def read(self) -> list[dict[str, Any]]:
        """Return the rows of the file as it is now; see `read_rows`."""
        with self._lock:
            return read_rows(self.path)

    def close(self) -> None:
        """Sync what is not synced and let the file go. May be called twice."""
        with self._lock:
            if self._fd < 0:
                return
            try:
                self._sync()
            finally:
                os.close(self._fd)
                self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _cut(self) -> None:
        os.ftruncate(self._fd, self._whole_bytes)
        self._torn = False

    def _sync(self) -> None:
        if self._unsynced:
            os.fsync(self._fd)
            self._unsynced = False
        self._synced_at_s = time.monotonic()


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file, of each kind and key the last, where its first stood.

    Needs no lock: a last line that is not whole (torn, or being written) is passed over.
    A file that is not there has no rows. UsageError for a line that is no row: it was not this
    suite that wrote it, or the disk has lost a part.
    """
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for row in _lines(path):
        rows[row["kind"], row["key"]] = row
    return list(rows.values())


def line_of(row: Mapping[str, Any]) -> bytes:
    """Return a row as its line, newline included; errors as `RowFile.append` has them."""
    for name in ("kind", "key"):
        if not isinstance(row.get(name), str):
            raise ValueError(f"a row needs {name!r}, a string; got {row.get(name)!r}")
    plain = as_plain(row, name="row")
    try:
        return json.dumps(plain, ensure_ascii=False).encode("utf-8") + b"\n"
    except UnicodeEncodeError:
        # Lone surrogates, which models and programs do print, have no UTF-8 but have a JSON escape.
        return json.dumps(plain, ensure_ascii=True).encode("ascii") + b"\n"


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                row = json.loads(line)
            except ValueError as error:
                raise UsageError(
                    f"{path}: line {number} is no row ({error}); "
                    f"put the folder aside, or delete that line"
                ) from None
            if not (
                isinstance(row, dict)
                and isinstance(row.get("kind"), str)
                and isinstance(row.get("key"), str)
            ):
                raise UsageError(f"{path}: line {number} is no row: it has no kind and key")
            yield row


def whole_length(fd: int) -> int:
    """Return how many bytes there are up to the last newline."""
    end = os.fstat(fd).st_size
    while end > 0:
        start = max(0, end - _TAIL_BYTES)
        newline = os.pread(fd, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def write_all(fd: int, data: bytes) -> None:
    """Write every byte: a disk with less room than that takes a part and says so only then."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]
