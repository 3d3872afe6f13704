"""Read a repository's objects through two git processes that stay, and compare its trees.

Trees are read as git stores them and compared here, not by git: only folders that differ are
opened, and a tree of a billion files (a "git bomb") ends the comparison at its limit, not the
machine.
"""

from __future__ import annotations

import subprocess
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, NamedTuple, Self

from curate.commits.gitdir import GitDir, NotReadable

_TREE_BYTES: Final = 32 << 20  # ours: of one folder's list
_ENDLESS_BYTES: Final = 1 << 30  # ours: an object of which not even the end is waited for
_HELD: Final = 50_000  # ours: folders in memory
_BLOBS_BYTES: Final = 64 << 20  # ours: files in memory
_FOLDERS: Final = 100_000  # ours: opened in one comparison, also where no file differs
_DEPTH: Final = 100  # ours: folders in folders
_ASKED: Final = 200  # ids written before the answers are read: both fit in a pipe

LINK: Final = 0o120000
SUBMODULE: Final = 0o160000
_FOLDER: Final = 0o040000


class TooMany(Exception):
    """More files than were asked for."""


class Entry(NamedTuple):
    """What a folder says of a name. sha: in hex."""

    mode: int
    sha: str


@dataclass(frozen=True, slots=True)
class Step:
    """How a path differs between two trees; None: it is not there."""

    path: bytes
    before: Entry | None
    after: Entry | None


class Objects:
    """The objects of a repository. A context: its processes end with it."""

    def __init__(self, gitdir: GitDir) -> None:
        """Start git twice: one tells sizes, one gives contents."""
        self._check = gitdir.start("cat-file", "--batch-check", stdin=subprocess.PIPE)
        self._batch = gitdir.start("cat-file", "--batch", stdin=subprocess.PIPE)
        self._id_bytes = 32 if gitdir.is_sha256 else 20
        self._trees: OrderedDict[str, dict[bytes, Entry]] = OrderedDict()
        self._counts: OrderedDict[str, int] = OrderedDict()
        self._blobs: OrderedDict[str, bytes] = OrderedDict()
        self._held_bytes = 0
        self._left = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in (self._check, self._batch):
            process.kill()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    try:
                        pipe.close()
                    except BrokenPipeError:
                        continue
            process.wait()

    def facts(self, names: Sequence[str]) -> Iterator[tuple[str, str, int]]:
        """Yield id, kind and size in bytes of each; kind "" for one that is not there."""
        for at in range(0, len(names), _ASKED):
            some = names[at : at + _ASKED]
            _ask(self._check, some)
            for name in some:
                words = _line(self._check).decode("utf-8", "replace").split()
                if len(words) == 3 and words[2].isdigit():
                    yield words[0], words[1], int(words[2])
                else:
                    yield name, "", 0

    def read(self, name: str, kind: str, most_bytes: int) -> bytes | None:
        """Return an object's content; None where it is longer. NotReadable: it is not there."""
        (data,) = self.contents([name], kind, most_bytes)
        return data

    def contents(self, names: Sequence[str], kind: str, most_bytes: int) -> list[bytes | None]:
        """Return the contents of many, as `read` does of one."""
        found: dict[str, bytes | None] = {}
        for name in names:
            if name in self._blobs:
                self._blobs.move_to_end(name)
                found[name] = self._blobs[name]
        wanted = [name for name in dict.fromkeys(names) if name not in found]
        if kind == "blob":
            for sha, what, size in self.facts(wanted):
                if what != kind:
                    raise NotReadable("a blob is missing or broken")
                if size > most_bytes:
                    found[sha] = None
            wanted = [name for name in wanted if name not in found]
        for at in range(0, len(wanted), _ASKED):
            some = wanted[at : at + _ASKED]
            _ask(self._batch, some)
            got = [self._content(kind, most_bytes) for _ in some]  # all, or the next is misread
            for name, data in zip(some, got, strict=True):
                if isinstance(data, NotReadable):
                    raise data
                found[name] = data
                if kind == "blob" and data is not None:
                    self._keep(name, data)
        answers = (found[name] for name in names)
        return [None if one is None or len(one) > most_bytes else one for one in answers]

    def _keep(self, name: str, data: bytes) -> None:
        self._blobs[name] = data
        self._held_bytes += len(data)
        while self._held_bytes > _BLOBS_BYTES:
            _, old = self._blobs.popitem(last=False)
            self._held_bytes -= len(old)

    def commit(self, name: str) -> str:
        """Return the id of the commit that an id names, through tags. NotReadable: none."""
        ((sha, kind, _),) = self.facts([f"{name}^{{commit}}"])
        if kind != "commit":
            raise NotReadable("its revision is no commit")
        return sha

    def tree(self, commit: str) -> str:
        """Return the tree of a commit."""
        ((sha, kind, _),) = self.facts([f"{commit}^{{tree}}"])
        if kind != "tree":
            raise NotReadable("a tree is missing or broken")
        return sha

    def has_ended(self) -> bool:
        """Whether git gave up, so that nothing more can be read."""
        return self._check.poll() is not None or self._batch.poll() is not None

    def folder(self, tree: str) -> dict[bytes, Entry]:
        """Return the names in a folder."""
        found = self._trees.get(tree)
        if found is not None:
            self._trees.move_to_end(tree)
            return found
        data = self.read(tree, "tree", _TREE_BYTES)
        if data is None:
            raise TooMany
        found = dict(self._entries(data))
        self._trees[tree] = found
        if len(self._trees) > _HELD:
            self._trees.popitem(last=False)
        return found

    def count(self, tree: str, depth: int = 0) -> int:
        """Return how many files there are below a folder."""
        known = self._counts.get(tree)
        if known is not None:
            return known
        if depth > _DEPTH:
            raise TooMany
        found = 0
        for entry in self.folder(tree).values():
            found += self.count(entry.sha, depth + 1) if entry.mode == _FOLDER else 1
        self._counts[tree] = found
        if len(self._counts) > _HELD:
            self._counts.popitem(last=False)
        return found

    def files(self, tree: str, most: int) -> Iterator[tuple[bytes, Entry]]:
        """Yield path and entry of all that is no folder, in git's order. TooMany: more."""
        if self.count(tree) > most:
            raise TooMany
        for step in self.compare("", tree, most):
            if step.after is not None:
                yield step.path, step.after

    def compare(self, before: str, after: str, most: int) -> list[Step]:
        """Return how two trees differ, by path. "" is an empty tree. TooMany: in more places."""
        found: list[Step] = []
        self._left = max(_FOLDERS, most)
        if before != after:
            self._compare(before, after, b"", most, found, 0)
        found.sort(key=lambda step: step.path)
        return found

    def _compare(
        self, before: str, after: str, prefix: bytes, most: int, found: list[Step], depth: int
    ) -> None:
        self._left -= 1
        if depth > _DEPTH or self._left < 0:
            raise TooMany
        old = self.folder(before) if before else {}
        new = self.folder(after) if after else {}
        for name in [*old, *(name for name in new if name not in old)]:
            one, two = old.get(name), new.get(name)
            if one == two:
                continue
            path = prefix + name
            left = one.sha if one is not None and one.mode == _FOLDER else ""
            right = two.sha if two is not None and two.mode == _FOLDER else ""
            if left or right:
                self._compare(left, right, path + b"/", most, found, depth + 1)
            plain = (
                one if one is not None and not left else None,
                two if two is not None and not right else None,
            )
            if plain != (None, None):
                found.append(Step(path, *plain))
            if len(found) > most:
                raise TooMany

    def _entries(self, data: bytes) -> Iterator[tuple[bytes, Entry]]:
        at = 0
        while at < len(data):
            try:
                space, nul = data.index(b" ", at), data.index(b"\0", at)
                mode, name = int(data[at:space], 8), data[space + 1 : nul]
            except ValueError:
                raise NotReadable("a tree is missing or broken") from None
            at = nul + 1 + self._id_bytes
            yield name, Entry(mode, data[nul + 1 : at].hex())

    def _content(self, kind: str, most_bytes: int) -> bytes | NotReadable | None:
        """Read one answer; None: longer than `most_bytes`."""
        words = _line(self._batch).split()
        if len(words) != 3 or not words[2].isdigit():
            return NotReadable(f"a {kind} is missing or broken")
        assert self._batch.stdout is not None
        left = int(words[2]) + 1
        if left > _ENDLESS_BYTES:
            self._batch.kill()
            raise NotReadable("an object is endless")
        kept = left <= most_bytes + 1
        data = bytearray()
        while left:
            some = self._batch.stdout.read(min(left, 1 << 20))
            if not some:
                raise NotReadable("git gave up on its objects")
            left -= len(some)
            if kept:
                data += some
        if words[1] != kind.encode():
            return NotReadable(f"a {kind} is missing or broken")
        return bytes(data[:-1]) if kept else None


def _ask(process: subprocess.Popen[bytes], names: Sequence[str]) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write("".join(f"{name}\n" for name in names).encode())
        process.stdin.flush()
    except BrokenPipeError:
        raise NotReadable("git gave up on its objects") from None


def _line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise NotReadable("git gave up on its objects")
    return line
