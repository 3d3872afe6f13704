"""The files of a repository by their paths, as resolvers look them up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from posixpath import dirname, join, normpath


class Paths:
    """Numbers of files by path, by folder and by the end of their path."""

    def __init__(self, paths: Sequence[str]) -> None:
        """Index them. Of two files with one path the first counts."""
        self.all = [normpath(path.replace("\\", "/").lstrip("/")) for path in paths]
        self.numbers: dict[str, int] = {}
        self.folders: dict[str, list[int]] = {"": []}
        self._ends: dict[str, list[int]] = {}
        for number, path in enumerate(self.all):
            self.numbers.setdefault(path, number)
            folder = dirname(path)
            self.folders.setdefault(folder, []).append(number)
            while folder:
                folder = dirname(folder)
                self.folders.setdefault(folder, [])
            self._ends.setdefault(path.rpartition("/")[2], []).append(number)

    def at(self, folder: str, path: str) -> int | None:
        """Return the file that `path` is, seen from a folder; None: there is none."""
        return self.numbers.get(normpath(join(folder, path)))

    def first(self, folder: str, paths: Iterable[str]) -> int | None:
        """Return the first of `paths` that is there."""
        for path in paths:
            found = self.at(folder, path)
            if found is not None:
                return found
        return None

    def nearest(self, folder: str, path: str) -> int | None:
        """Return the file whose path ends with `path` and that shares most folders with `folder`;
        of those as near the shortest path, of those the first."""
        tail = normpath(path)
        while tail.startswith("../"):
            tail = tail[3:]
        here = folder.split("/") if folder else []
        best: tuple[int, int, str] | None = None
        found = None
        for number in self._ends.get(tail.rpartition("/")[2], ()):
            other = self.all[number]
            if other != tail and not other.endswith("/" + tail):
                continue
            shared = 0
            for a, b in zip(here, other.split("/"), strict=False):
                if a != b:
                    break
                shared += 1
            rank = (-shared, other.count("/"), other)
            if best is None or rank < best:
                best, found = rank, number
        return found
