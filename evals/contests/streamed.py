"""Files of rows that are too large to be held whole: read a line at a time, digested in pieces."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from seedcoder.errors import UsageError


def rows(bench: str, path: Path, needs: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each row of a file of JSON lines, and its place for messages.

    needs: names that each must have. Raises UsageError, with the place, for another form.
    """
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            where = f"{bench}: {path}, row {number}"
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise UsageError(f"{where} is not JSON: {error}") from error
            if not isinstance(row, dict):
                raise UsageError(f"{where}: an object was expected")
            for name in needs:
                if name not in row:
                    raise UsageError(f"{where}: no {name!r}")
            yield where, row


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
