"""Where an engine's socket and log lie."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from seedcoder.errors import UsageError

_SOCKET_BYTES = 107  # sun_path of unix(7), less its closing zero
_READABLE = 40  # characters of a name that are kept


def file_stem(name: str) -> str:
    """Return a model's name as a file's: readable, and never that of another model."""
    kept = re.sub(r"[^A-Za-z0-9._-]", "-", name)[:_READABLE]
    return kept if kept == name else f"{kept}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def socket_path(runtime_dir: Path, name: str) -> Path:
    """Return where the engine of a model listens; the folder is made, for this user only.

    Raises UsageError for a folder whose path leaves no room: the kernel takes 107 bytes in all.
    """
    runtime_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = runtime_dir.absolute() / f"{file_stem(name)}.sock"
    if len(bytes(path)) > _SOCKET_BYTES:
        raise UsageError(
            f"the path of the engine's socket is too long for the kernel ({len(bytes(path))} of"
            f" {_SOCKET_BYTES} bytes): {path}; take a shorter folder for the runtime files"
        )
    return path
