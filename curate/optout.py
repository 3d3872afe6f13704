"""What its owners do not want to be trained on: dropped by repository, owner, path or content.

The list is a text file, one a line, comments after #:

    owner/name              a repository, and all that is below it
    owner/*                 all of an owner's
    owner/name/docs/*       files of a repository
    sha256:HEX              a text, wherever it lies
"""

from __future__ import annotations

import fnmatch
import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from seedcoder.errors import UsageError


class OptOut:
    """The step. Columns: keep, reason."""

    name = "optout"
    version = 1
    reads = ("repo", "path", "sha256")

    def __init__(self, file: Path) -> None:
        """Name the list; it is read once a process."""
        self._file = file
        self._digest = hashlib.sha256(file.read_bytes()).hexdigest()

    def schema(self) -> pa.Schema:
        """Return keep, reason."""
        return pa.schema([("keep", pa.bool_()), ("reason", pa.string())])

    def settings(self) -> Mapping[str, Any]:
        """Return the digest of the list."""
        return {"list": self._digest}

    def compute(self, table: pa.Table) -> pa.Table:
        """Hold each document against the list."""
        digests, names, patterns = _read(self._file, self._digest)
        reasons = []
        for row in table.select(["repo", "path", "sha256"]).to_pylist():
            repo, whole = row["repo"].lower(), f"{row['repo']}/{row['path']}".lower()
            out = row["sha256"].hex() in digests or repo in names
            out = out or any(fnmatch.fnmatchcase(one, pattern) for pattern in patterns
                             for one in (repo, whole))  # fmt: skip
            reasons.append("opted out" if out else "")
        return pa.table({"keep": [not why for why in reasons], "reason": reasons})


def optout(*, file: Path) -> OptOut:
    """Drop what `file` lists. UsageError: it cannot be read, or a line is none."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UsageError(f"cannot read opt-out list {str(file)!r}: {error.strerror}") from None
    for number, line in enumerate(lines, 1):
        said = line.partition("#")[0].strip()
        if said and "/" not in said and not re.fullmatch(r"sha256:[0-9a-fA-F]{64}", said):
            raise UsageError(f"{file}:{number}: {said!r} is no OWNER/NAME and no sha256:HEX")
    return OptOut(file)


@lru_cache(maxsize=2)
def _read(file: Path, _digest: str) -> tuple[frozenset[str], frozenset[str], tuple[str, ...]]:
    said = [line.partition("#")[0].strip().lower() for line in file.read_text("utf-8").splitlines()]
    digests = frozenset(one[7:] for one in said if one.startswith("sha256:"))
    names = frozenset(one for one in said if one and not set("*?[") & set(one))
    return digests, names - digests, tuple(one for one in said if set("*?[") & set(one))
