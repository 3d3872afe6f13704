"""What a run folder rests on: a lock that goes with its process, and files replaced whole."""

from __future__ import annotations

import fcntl
import json
import os
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from seedcoder.errors import RunBusy, UsageError

LOCK: Final = ".lock"
_UNDONE: Final = ".undone"


class Lock:
    """An flock on the folder's lock file. The kernel lets it go when the process ends, however.

    Children made by fork would keep it: they share the open file. They close it at once.
    """

    def __init__(self, fd: int) -> None:
        """Not for callers: `Lock.take`."""
        self._fd = fd
        _held.add(self)

    @classmethod
    def take(cls, folder: Path) -> Lock:
        """Return the lock of `folder`; RunBusy, with the holder where it can be told."""
        fd = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(fd)
            os.close(fd)
            raise RunBusy(
                f"{folder} is being written by {holder}; wait for it to end, or stop it"
            ) from None
        except OSError:
            os.close(fd)
            raise
        return cls(fd)

    def release(self) -> None:
        """Let go. May be called twice."""
        _held.discard(self)
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


_held: weakref.WeakSet[Lock] = weakref.WeakSet()


def _leave_in_child() -> None:
    for lock in list(_held):
        lock.release()


os.register_at_fork(after_in_child=_leave_in_child)


def _holder(fd: int) -> str:
    """Return who holds the lock of an open file, as the kernel lists it."""
    inode = os.fstat(fd).st_ino
    try:
        listed = Path("/proc/locks").read_text(encoding="ascii")
    except OSError:
        listed = ""
    for line in listed.splitlines():
        # 1: FLOCK ADVISORY WRITE <pid> <major>:<minor>:<inode> 0 EOF. The device is left out: file
        # systems with subvolumes show another number there than fstat.
        parts = line.split()
        if len(parts) > 5 and parts[1] == "FLOCK" and parts[5].endswith(f":{inode}"):
            pid = int(parts[4])
            # 0 or -1: a process of another PID namespace.
            return f"process {pid}" if pid > 0 else "a process in another container"
    return "another process"


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the object in a file, or None where there is no file. UsageError for anything else."""
    try:
        data = json.loads(path.read_bytes(), parse_constant=_constant)
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read: {error}; put the folder aside") from None
    if not isinstance(data, dict):
        raise UsageError(f"{path} holds no table; put the folder aside")
    return data


def _constant(name: str) -> float:
    if name == "NaN":
        raise ValueError("it holds NaN, which no run folder does")
    return float(name)


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Replace a file by `data` as indented JSON."""
    write_text(path, json.dumps(data, indent=2, ensure_ascii=True) + "\n")


def write_text(path: Path, text: str) -> None:
    """Replace a file whole: a reader sees the old one or the new one, after a power cut too.

    Lone surrogates are written as their escapes.
    """
    undone = path.with_name(f".{path.name}{_UNDONE}")
    data = text.encode("utf-8", "backslashreplace")
    try:
        with undone.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        undone.replace(path)
    except OSError:
        undone.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def sweep(folder: Path) -> None:
    """Remove what `write_text` left when it was killed. Call with the lock held."""
    for undone in folder.glob(f".*{_UNDONE}"):
        undone.unlink(missing_ok=True)
