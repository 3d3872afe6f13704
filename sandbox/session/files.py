"""Read the work folder of a session that lives, through a descriptor of the folder.

Its cells may change everything at any moment: no link is followed, nothing outside is opened, and
only regular files are read (openat2, beneath).
"""

from __future__ import annotations

import errno
import os
import stat

from sandbox.inside import kernel

_MOST = 1_000  # ours: entries listed
_LOOKS_MOST = 10_000  # entries looked at


def read(folder: int, name: str, most: int) -> bytes:
    """Return the first `most` bytes of a file. Raises FileNotFoundError where there is none."""
    try:
        fd = kernel.open_beneath(folder, name)
    except (OSError, ValueError):
        raise FileNotFoundError(errno.ENOENT, "no file of the work folder", name) from None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise FileNotFoundError(errno.ENOENT, "no regular file of the work folder", name)
        parts, left = [], most
        while left and (part := os.pread(fd, min(left, 1 << 20), most - left)):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)
    finally:
        os.close(fd)


def listed(folder: int) -> dict[str, int]:
    """Return the regular files' paths and sizes in bytes, sorted by path."""
    found: dict[str, int] = {}
    folders, looks = ["."], 0
    while folders and len(found) < _MOST:
        place = folders.pop()
        try:
            fd = kernel.open_beneath(folder, place)
        except OSError:  # it went meanwhile, or its path is too long
            continue
        try:
            with os.scandir(fd) as entries:
                for entry in entries:
                    looks += 1
                    if looks > _LOOKS_MOST or len(found) >= _MOST:
                        break
                    path = entry.name if place == "." else f"{place}/{entry.name}"
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(path)
                    elif entry.is_file(follow_symlinks=False):
                        found[path] = entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue
        finally:
            os.close(fd)
    return dict(sorted(found.items()))
