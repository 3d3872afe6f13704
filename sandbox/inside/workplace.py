"""The restricted box's work folder on the host: made for a slot, emptied after each run.

A run may leave a tree made to hurt whoever removes it: thousands of levels, folders closed to
everybody, links to elsewhere. Nothing here recurses, follows a link or builds a long path.
"""

from __future__ import annotations

import itertools
import os
import stat


def empty(folder: str) -> None:
    """Remove all that is in `folder`. Raises OSError where something cannot be removed.

    What lies in a sub-folder is moved up before the sub-folder goes, so no path is ever deeper
    than two levels.
    """
    fresh = (f".going-{number}" for number in itertools.count())
    while names := os.listdir(folder):
        for name in names:
            path = f"{folder}/{name}"
            if not stat.S_ISDIR(os.lstat(path).st_mode):
                os.unlink(path)
                continue
            os.chmod(path, 0o700)
            for child in os.listdir(path):
                inner = f"{path}/{child}"
                if stat.S_ISDIR(os.lstat(inner).st_mode):
                    os.chmod(inner, 0o700)
                    os.rename(inner, f"{folder}/{next(fresh)}-{os.urandom(4).hex()}")
                else:
                    os.unlink(inner)
            os.rmdir(path)
