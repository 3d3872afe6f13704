"""What Rust files use of their own repository."""

from __future__ import annotations

import re
from collections.abc import Iterator
from posixpath import dirname, join
from typing import Final

from curate.longcontext.graph import Imports
from curate.longcontext.paths import Paths

_NAME: Final = re.compile(
    r"^[ \t]*\[(?:package|lib)\][^\[]*?^[ \t]*name[ \t]*=[ \t]*\"([^\"]+)\"", re.M
)
_COMMENT: Final = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
_MOD: Final = re.compile(r"^[ \t]*(?:pub(?:\([^)]*\))?[ \t]+)?mod[ \t]+(?:r#)?(\w+)[ \t]*;", re.M)
_MOD_AT: Final = re.compile(
    r"#\[path\s*=\s*\"([^\"]+)\"\]\s*(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*;"
)
_USE: Final = re.compile(r"^[ \t]*(?:pub(?:\([^)]*\))?[ \t]+)?use[ \t]+([^;]+);", re.M)
_PATH: Final = re.compile(r"(?<![\w:])((?:crate|super|self)(?:::\w+)+)")
_ROOTS: Final = ("lib.rs", "main.rs")


def uses(text: str) -> Iterator[tuple[str, ...]]:
    """Yield the paths that a file uses, braces spread out, names after `as` left out."""
    code = _COMMENT.sub(" ", text)
    for tree in _USE.findall(code):
        yield from _spread((), re.sub(r"\br#", "", tree))
    for path in _PATH.findall(_USE.sub(" ", code)):
        yield tuple(path.split("::"))


def _spread(before: tuple[str, ...], tree: str) -> Iterator[tuple[str, ...]]:
    tree = tree.strip()
    head, brace, rest = tree.partition("{")
    own = tuple(
        word for word in (part.split(" as ")[0].strip() for part in head.split("::")) if word
    )
    if not brace:
        yield before + tuple(word for word in own if word != "*")
        return
    inner = rest.rpartition("}")[0]
    depth, start = 0, 0
    for at, letter in enumerate(inner + ","):
        depth += (letter == "{") - (letter == "}")
        if letter == "," and depth == 0:
            if inner[start:at].strip():
                yield from _spread(before + own, inner[start:at])
            start = at + 1


class RustImports:
    """Resolves `use` and `mod` to the files of modules, across the repository's crates.

    `mod name;` counts as late: a parent names its children, and children use their parent. Does not
    see: what macros write.
    """

    def __init__(self, paths: Paths, texts: dict[int, str]) -> None:
        """texts: of Cargo.toml files too, by number."""
        self._paths = paths
        self._crates: dict[str, str] = {}  # a crate's name: the folder of its root module
        for number, path in enumerate(paths.all):
            if path.rpartition("/")[2] != "Cargo.toml":
                continue
            folder = join(dirname(path), "src") if dirname(path) else "src"
            match = _NAME.search(texts.get(number, ""))
            name = match[1] if match else dirname(path).rpartition("/")[2]
            self._crates.setdefault(name.replace("-", "_"), folder)
        for path in paths.all:
            if path.endswith("src/lib.rs"):
                name = dirname(dirname(path)).rpartition("/")[2].replace("-", "_")
                self._crates.setdefault(name, dirname(path))

    def imports(self, number: int, text: str) -> Imports:
        """Return what a file uses."""
        path = self._paths.all[number]
        inner = self._inner(path)
        late: set[int] = set()
        for name in _MOD.findall(_COMMENT.sub(" ", text)):
            late.update(self._child(inner, name))
        for place, _ in _MOD_AT.findall(text):
            found = self._paths.at(dirname(path), place)
            if found is not None:
                late.add(found)
        now = {one for used in uses(text) for one in self._used(path, inner, used)}
        now.discard(number)
        late.discard(number)
        return Imports(now=frozenset(now), late=frozenset(late - now))

    def _inner(self, path: str) -> str:
        """Return the folder in which a module's children lie."""
        folder, _, name = path.rpartition("/")
        is_root = name in (*_ROOTS, "mod.rs")
        return folder if is_root else join(folder, name.removesuffix(".rs"))

    def _child(self, inner: str, name: str) -> Iterator[int]:
        found = self._paths.first(inner, (f"{name}.rs", f"{name}/mod.rs"))
        if found is not None:
            yield found

    def _used(self, path: str, inner: str, used: tuple[str, ...]) -> Iterator[int]:
        if not used:
            return
        first, rest = used[0], list(used[1:])
        if first == "crate":
            place = self._root(path)
        elif first in ("self", "super"):
            place = inner
            if first == "super":
                place = dirname(place)
            while rest and rest[0] == "super":
                place, rest = dirname(place), rest[1:]
        elif any(True for _ in self._child(inner, first)):
            place, rest = inner, list(used)
        elif first in self._crates:
            place = self._crates[first]
        else:
            return
        yield from self._deepest(place, rest)

    def _deepest(self, place: str, names: list[str]) -> Iterator[int]:
        """Yield the file of the deepest module that the names lead to."""
        found = self._module(place)
        for name in names:
            own = next(self._child(place, name), None)
            if own is None:
                break
            found, place = own, join(place, name)
        if found is not None:
            yield found

    def _module(self, place: str) -> int | None:
        """Return the file of the module whose children lie in a folder."""
        roots = [f"{place}/{name}" if place else name for name in (*_ROOTS, "mod.rs")]
        return self._paths.first("", [*roots, f"{place}.rs"])

    def _root(self, path: str) -> str:
        folder = dirname(path)
        while folder:
            if any(f"{folder}/{name}" in self._paths.numbers for name in _ROOTS):
                return folder
            folder = dirname(folder)
        return dirname(path)
