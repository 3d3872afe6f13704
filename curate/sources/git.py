"""Files of git repositories at a revision: working copies, bare ones, bundles. Nothing is checked
out, and nothing of the repository runs (see `curate.commits.gitdir`).

Links and submodules are passed over, as `folders` does. Histories: see `curate.commits.source`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from curate.commits.gitdir import NotReadable, opened, repositories
from curate.commits.objects import LINK, SUBMODULE, Objects, TooMany
from curate.commits.source import checked_roots, fingerprint_of_heads
from curate.document import Document
from curate.sources.reading import LEFT_OUT, MOST_BYTES, Found, Reading
from curate.sources.source import Refuse

_MOST_FILES: Final = 1_000_000  # ours: of a tree; one that has more is no project


@dataclass(frozen=True, slots=True, kw_only=True)
class Git:
    """The source. See `git`."""

    roots: tuple[Path, ...]
    each: bool
    revision: str
    reading: Reading

    def settings(self) -> Mapping[str, Any]:
        """Return how files are read."""
        return {
            "reader": 1,
            "each": self.each,
            "revision": self.revision,
            **self.reading.settings(),
        }

    def fingerprint(self) -> str:
        """Return a digest of which commit each repository is at."""
        return fingerprint_of_heads(self.roots, self.each, self.revision)

    def documents(self, name: str, refuse: Refuse) -> Iterator[Document]:
        """Yield the documents, repositories and files in the order of their names."""
        for repo, path in repositories(self.roots, self.each):
            try:
                with opened(path) as gitdir, Objects(gitdir) as objects:
                    commit = objects.commit(gitdir.resolve(self.revision))
                    found = self._found(objects, objects.tree(commit))
                    yield from self.reading.documents(name, repo, found, refuse)
            except NotReadable as error:
                refuse(repo, str(error))
            except (TooMany, RecursionError):
                refuse(repo, "its trees are endless")

    def _found(self, objects: Objects, tree: str) -> Iterator[Found]:
        entries = [
            (path, entry)
            for path, entry in objects.files(tree, _MOST_FILES)
            if entry.mode not in (LINK, SUBMODULE)
        ]
        for raw, entry in entries:
            path = raw.decode("utf-8", "replace")
            parts = path.split("/")
            if LEFT_OUT & set(parts):
                continue
            if any(part in ("", ".", "..") for part in parts) or "\0" in path:
                yield Found(path=path, data=None, why="its name leads out of the tree")
                continue
            why = "far too long"
            try:
                data = objects.read(entry.sha, "blob", 64 * self.reading.most_bytes)
            except NotReadable as error:
                if objects.has_ended():
                    raise
                data, why = None, str(error)
            yield Found(path=path, data=data, why=why if data is None else "")


def git(
    *,
    roots: list[Path],
    each: bool = False,
    revision: str = "HEAD",
    languages: tuple[str, ...] = (),
    unknown: bool = False,
    most_bytes: int = MOST_BYTES,
) -> Git:
    """Read the trees of repositories.

    each: the repositories inside the roots, called NAME or, two folders down, OWNER/NAME. revision:
    HEAD, a branch, a tag or an id. languages: only these. unknown: files in no language that is
    known, too. most_bytes: of a file. UsageError: no root, or no repository in it.
    """
    reading = Reading(languages=languages, unknown=unknown, most_bytes=most_bytes)
    return Git(roots=checked_roots(roots, each), each=each, revision=revision, reading=reading)
