"""What Go files import of their own repository: packages, which are folders."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from posixpath import dirname, join
from typing import Final

from curate.longcontext.brace_text import without_comments
from curate.longcontext.graph import Imports
from curate.longcontext.paths import Paths

_BLOCK: Final = re.compile(r"^[ \t]*import\b[ \t]*(\([^)]*\)|[^\n]*)", re.MULTILINE)
_PATH: Final = re.compile(r"\"([^\"\n]+)\"|`([^`\n]+)`")
_DECLARATION: Final = re.compile(r"^(?:func|type|var|const)\b", re.MULTILINE)
_PACKAGE: Final = re.compile(r"^package[ \t]+(\w+)", re.MULTILINE)
_IGNORED: Final = re.compile(r"^//go:build ignore\b|^// \+build ignore\b", re.MULTILINE)
_MODULE: Final = re.compile(r"^[ \t]*module[ \t]+\"?([^\s\"]+)", re.MULTILINE)


def named(text: str) -> list[str]:
    """Return the import paths of a file."""
    code = without_comments(text)
    end = _DECLARATION.search(code)
    head = code[: end.start()] if end else code
    return [a or b for block in _BLOCK.findall(head) for a, b in _PATH.findall(block)]


class GoImports:
    """Resolves import paths to the files of a folder, tests left out.

    By go.mod files where the repository keeps them; else by the longest end of the path that is a
    folder of it. A path without a dot in its first part is the standard library's, which only Go's
    own repository holds (under src/). Does not see: build tags but "ignore"; all other files of a
    folder's commonest package count.
    """

    def __init__(self, paths: Paths, texts: dict[int, str]) -> None:
        """texts: of Go files and go.mod files, by number."""
        self._paths = paths
        self._modules: list[tuple[str, str]] = []
        for number, path in enumerate(paths.all):
            if path.rpartition("/")[2] == "go.mod" and number in texts:
                match = _MODULE.search(texts[number])
                if match:
                    self._modules.append((match[1], dirname(path)))
        self._modules.sort(key=lambda one: (-len(one[0]), one[1]))
        self._folders: dict[str, list[int]] = {}
        for folder, numbers in paths.folders.items():
            own = _members({one: texts.get(one, "") for one in numbers}, paths)
            if own:
                self._folders[folder] = own
        self._is_go = "src/runtime" in self._folders

    def imports(self, number: int, text: str) -> Imports:
        """Return what a file imports."""
        found: set[int] = set()
        own = dirname(self._paths.all[number])
        for path in named(text):
            folder = next(self._places(own, path), None)
            if folder is not None and folder != own:
                found.update(self._folders[folder])
        if self._paths.all[number].endswith("_test.go"):
            found.update(self._folders.get(own, ()))
        found.discard(number)
        return Imports(now=frozenset(found))

    def _places(self, own: str, path: str) -> Iterator[str]:
        for place in self._candidates(own, path):
            if place in self._folders:
                yield place

    def _candidates(self, own: str, path: str) -> Iterator[str]:
        if path.startswith("."):
            yield from (join(own, path).rstrip("/"),)
            return
        for module, folder in self._modules:
            if path == module or path.startswith(module + "/"):
                yield join(folder, path[len(module) + 1 :]).rstrip("/")
        above = own
        while True:
            yield join(above, "vendor", path)
            if not above:
                break
            above = dirname(above)
        if self._is_go:
            yield join("src", path)
            yield join("src/vendor", path)
            yield join("src/cmd/vendor", path)
        if "." not in path.partition("/")[0] or self._modules:
            return
        parts = path.split("/")
        for at in range(1, len(parts)):
            yield "/".join(parts[at:])


def _members(texts: dict[int, str], paths: Paths) -> list[int]:
    """Return the files of a folder that an import of it means: not tests, nor programs beside."""
    names: dict[int, str] = {}
    for number, text in texts.items():
        path = paths.all[number]
        if path.endswith(".go") and not path.endswith("_test.go"):
            match = _PACKAGE.search(text)
            if match and not _IGNORED.search(text, 0, match.start()):
                names[number] = match[1]
    counts = Counter(names.values())
    common = min(counts, key=lambda name: (-counts[name], name), default="")
    return [number for number, name in names.items() if name == common]
