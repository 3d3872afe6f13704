"""A project's files in a box, and which of them a candidate's patch cannot change.

Sent into boxes and images as text: Python 3.6 and the standard library will do for it.
"""

from __future__ import annotations

import fnmatch
import os
import shutil
import stat
import tarfile
from collections.abc import Iterable
from typing import Any

_VCS = (".git", ".hg", ".svn", ".bzr")


class Stop(Exception):
    """The judgement ends here: at which stage, and why."""

    def __init__(self, stage: str, why: str) -> None:
        super().__init__(why)
        self.stage = stage
        self.why = why


class Tree:
    """The project's files below `root`, and which of them a candidate's patch cannot change."""

    def __init__(self, root: str, rules: dict[str, list[str]]) -> None:
        self.root = root
        self.rules = rules

    def path(self, name: str) -> str:
        return os.path.join(self.root, name)

    def facts(self) -> dict[str, tuple[int, ...]]:
        """Return all names below the root, with what changes when their content does."""
        found: dict[str, tuple[int, ...]] = {}
        whole: tuple[int, ...]
        for folder, folders, files in os.walk(self.root):
            for name in folders + files:
                path = os.path.join(folder, name)
                facts = os.lstat(path)
                whole = (stat.S_IFMT(facts.st_mode), facts.st_mode & 0o111)
                if not stat.S_ISDIR(facts.st_mode):
                    whole += (facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
                found[os.path.relpath(path, self.root)] = whole
        return found

    def protects(self, name: str) -> bool:
        """Return whether the instance's version of this file stands, whatever the patch says."""
        if self.frees(name):
            return False
        if name in self.rules["files"]:
            return True
        if any(name == top or name.startswith(top + "/") for top in self.rules["folders"]):
            return True
        parts = name.split("/")
        return parts[-1] in self.rules["names"] or any(
            fnmatch.fnmatchcase(part, pattern)
            for part in parts
            for pattern in self.rules["patterns"]
        )

    def frees(self, name: str) -> bool:
        """Return whether the instance lets candidates change this file after all."""
        return any(fnmatch.fnmatchcase(name, free) for free in self.rules["free"])

    def keep(self, names: Iterable[str]) -> dict[str, tuple[int, bytes]]:
        """Return mode and content of regular files, and of links what they say."""
        kept = {}
        for name in names:
            path = self.path(name)
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                kept[name] = (mode, os.fsencode(os.readlink(path)))
            elif stat.S_ISREG(mode):
                with open(path, "rb") as file:
                    kept[name] = (mode, file.read())
        return kept

    def put(self, name: str, mode: int, content: bytes) -> None:
        """Write a file or link, whatever stands in its place or on the way to it."""
        parts = name.split("/")
        for depth in range(1, len(parts)):
            above = self.path("/".join(parts[:depth]))
            if os.path.islink(above) or (os.path.lexists(above) and not os.path.isdir(above)):
                os.unlink(above)
            if not os.path.isdir(above):
                os.mkdir(above, 0o755)
        self.remove(name)
        if stat.S_ISLNK(mode):
            os.symlink(os.fsdecode(content), self.path(name))
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        fd = os.open(self.path(name), flags, 0o755 if mode & 0o100 else 0o644)
        with open(fd, "wb") as file:
            file.write(content)

    def remove(self, name: str) -> None:
        """Remove a file, a link or a folder, if there is one."""
        path = self.path(name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.unlink(path)


def unpack(stream: Any, tree: Tree) -> None:
    """Lay out the tar that our own side packed: it was looked through there."""
    os.mkdir(tree.root, 0o755)
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        for member in tar:
            parts = member.name.split("/")
            if member.name.startswith("/") or ".." in parts:
                raise Stop("unpack", f"{member.name!r} does not stay in the tree")
            if member.isdir():
                os.makedirs(tree.path(member.name), exist_ok=True)
            elif member.issym():
                tree.put(member.name, stat.S_IFLNK, os.fsencode(member.linkname))
            elif member.isreg():
                content = tar.extractfile(member)
                assert content is not None
                tree.put(member.name, member.mode, content.read())
            else:
                raise Stop("unpack", f"{member.name!r} is no file, folder or link")


def strip_history(tree: Tree) -> None:
    """Remove every version control folder and file: the fix may be in the history."""
    for folder, folders, files in os.walk(tree.root):
        for name in [name for name in folders + files if name in _VCS]:
            tree.remove(os.path.relpath(os.path.join(folder, name), tree.root))
        folders[:] = [name for name in folders if name not in _VCS]
