"""Plain folders of files: each a repository, or each of their subfolders one.

Links are not followed, nor devices read: a tree cannot reach outside itself.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.document import Document
from curate.sources.reading import LEFT_OUT, MOST_BYTES, Found, Reading
from curate.sources.source import Refuse
from seedcoder.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """The source. See `folders`."""

    roots: tuple[Path, ...]
    each: bool
    reading: Reading

    def settings(self) -> Mapping[str, Any]:
        """Return how files are read."""
        return {"reader": 1, "each": self.each, **self.reading.settings()}

    def fingerprint(self) -> str:
        """Return a digest of all files' names, sizes and times."""
        digest = hashlib.sha256()
        for repo, folder in self._repositories():
            for path, file in _files(folder):
                facts = file.lstat()
                line = f"{repo}\0{path}\0{facts.st_size}\0{facts.st_mtime_ns}\n"
                digest.update(line.encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def documents(self, name: str, refuse: Refuse) -> Iterator[Document]:
        """Yield the documents, repositories and files in the order of their names."""
        for repo, folder in self._repositories():
            yield from self.reading.documents(name, repo, self._found(folder), refuse)

    def _found(self, folder: Path) -> Iterator[Found]:
        for path, file in _files(folder):
            named = path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            try:
                if file.lstat().st_size > 64 * self.reading.most_bytes:
                    yield Found(path=named, data=None, why="far too long")
                    continue
                yield Found(path=named, data=file.read_bytes())
            except OSError as error:
                yield Found(path=named, data=None, why=f"cannot be read: {error.strerror}")

    def _repositories(self) -> Iterator[tuple[str, Path]]:
        for root in self.roots:
            if not self.each:
                yield root.resolve().name, root
                continue
            for folder in sorted(root.iterdir()):
                if folder.is_dir() and not folder.is_symlink() and folder.name not in LEFT_OUT:
                    yield folder.name, folder


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield (path inside, file) of all plain files, in the order of their names."""
    for at, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in LEFT_OUT)
        for name in sorted(names):
            file = Path(at, name)
            if stat.S_ISREG(file.lstat().st_mode):
                yield file.relative_to(folder).as_posix(), file


def folders(
    *,
    roots: list[Path],
    each: bool = False,
    languages: tuple[str, ...] = (),
    unknown: bool = False,
    most_bytes: int = MOST_BYTES,
) -> Folders:
    """Read folders. each: every subfolder of a root is a repository; by default a root is one.

    languages: only these. unknown: files in no language that is known, too. most_bytes: of a file.
    UsageError: a root is no folder.
    """
    for root in roots:
        if not root.is_dir():
            raise UsageError(f"no folder {str(root)!r} (sources: options.roots)")
    reading = Reading(languages=languages, unknown=unknown, most_bytes=most_bytes)
    return Folders(roots=tuple(roots), each=each, reading=reading)
