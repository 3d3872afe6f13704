"""The answers of a batch on their way into a file, one line of JSON each.

Holds across a kill -9: rows that were appended; a line torn by the kill is cut when the file is
opened again. Does not hold: the last rows when the machine itself loses power (`sync` is called at
the end, and once a second by the worker).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from seedcoder.rows import whole_length, write_all


class BatchRows:
    """One file of rows. Raises OSError; after one, the file holds the rows before and no piece."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._size_bytes = whole_length(self._fd)
        os.ftruncate(self._fd, self._size_bytes)

    @property
    def is_empty(self) -> bool:
        """Whether there is no row."""
        return not self._size_bytes

    def read(self) -> Iterator[dict[str, Any]]:
        """Yield every row."""
        with self.path.open("rb") as file:
            yield from map(orjson.loads, file)

    def append(self, row: dict[str, Any]) -> None:
        """Add a row."""
        line = orjson.dumps(row) + b"\n"
        try:
            write_all(self._fd, line)
        except OSError:
            os.ftruncate(self._fd, self._size_bytes)
            raise
        self._size_bytes += len(line)

    def sync(self) -> None:
        """Hand all to the disk."""
        os.fsync(self._fd)

    def close(self) -> None:
        """Let the file go. May be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
