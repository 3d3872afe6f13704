"""What Python files import of their own repository."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from posixpath import dirname, join
from typing import Final

from curate.longcontext.graph import Imports
from curate.longcontext.paths import Paths

_NAME: Final = r"[^\W\d]\w*"
_DOTTED: Final = rf"{_NAME}(?:[ \t]*\.[ \t]*{_NAME})*"
_FROM: Final = re.compile(
    rf"^([ \t]*)from[ \t]+(\.*[ \t]*(?:{_DOTTED})?)[ \t\\\n]*\bimport\b[ \t]*"
    r"(\((?:[^()]*)\)|(?:[^\n\\;#]|\\\n)*)",
    re.MULTILINE,
)
_IMPORT: Final = re.compile(r"^([ \t]*)import[ \t]+((?:[^\n\\;#]|\\\n)+)", re.MULTILINE)
_STRINGS: Final = re.compile(
    r"#[^\n]*|[rRbBuUfF]{0,2}(\"\"\"(?:[^\\]|\\.)*?\"\"\"|'''(?:[^\\]|\\.)*?'''"
    r"|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*')",
    re.DOTALL,
)
_STANDARD: Final = frozenset(sys.stdlib_module_names)


def named(text: str) -> Iterator[tuple[bool, str, tuple[str, ...]]]:
    """Yield for each import whether it is late (indented), the module with its leading dots, and
    the names taken from it; none: `import module`, "*": all."""
    bare = _STRINGS.sub(lambda match: "" if match[0].startswith("#") else "''", text)
    for match in _FROM.finditer(bare):
        names = match[3].strip("() \t\n").replace("\\\n", " ").split(",")
        taken = tuple(name.split()[0] for name in names if name.split())
        yield bool(match[1]), re.sub(r"\s", "", match[2]), taken
    for match in _IMPORT.finditer(bare):
        for module in match[2].replace("\\\n", " ").split(","):
            word = re.sub(r"[ \t]*\.[ \t]*", ".", module.strip()).split()
            if word and re.fullmatch(_DOTTED, word[0]):
                yield bool(match[1]), word[0], ()


class PythonImports:
    """Resolves imports to files: modules, packages, folders without __init__.py.

    Does not see: modules put together by name at run time, `sys.path` changed by hand, and a second
    `import` on a line.
    """

    def __init__(self, paths: Paths) -> None:
        """Find out the folders in which packages begin."""
        self._paths = paths
        roots = {self._root(dirname(path)) for path in paths.all if path.endswith((".py", ".pyi"))}
        self._roots = sorted(roots | {"", "src", "lib"}, key=lambda root: (root.count("/"), root))

    def imports(self, number: int, text: str) -> Imports:
        """Return what a file imports."""
        path = self._paths.all[number]
        now: set[int] = set()
        late: set[int] = set()
        for is_late, module, names in named(text):
            (late if is_late else now).update(self._targets(path, module, names))
        now.discard(number)
        late.discard(number)
        return Imports(now=frozenset(now), late=frozenset(late - now))

    def _targets(self, path: str, module: str, names: tuple[str, ...]) -> Iterator[int]:
        folder = dirname(path)
        tail = module.lstrip(".")
        dots = len(module) - len(tail)
        if dots:
            for _ in range(dots - 1):
                if not folder:
                    return
                folder = dirname(folder)
            yield from self._module(join(folder, tail.replace(".", "/")).rstrip("/"), names)
            return
        place = tail.replace(".", "/")
        for root in self._search(folder, tail.partition(".")[0]):
            found = list(self._module(join(root, place), names))
            if found:
                yield from found
                return

    def _search(self, folder: str, top: str) -> Iterator[str]:
        """Yield folders in which a module called `top` may begin, the likeliest first."""
        own = self._root(folder)
        yield own
        if top in _STANDARD:  # of that name there may be many modules deep in a repository
            yield from (root for root in ("", "src", "lib") if root != own)
            return
        above = own
        while above:
            above = dirname(above)
            yield above
        yield from (root for root in self._roots if root != own)

    def _module(self, place: str, names: tuple[str, ...]) -> Iterator[int]:
        """Yield the file of a module, and those of its names that are modules themselves."""
        package = self._file(f"{place}/__init__") if place else self._file("__init__")
        own = package if package is not None or not place else self._file(place)
        is_folder = place in self._paths.folders
        if own is None and not is_folder:
            return
        taken = [self._submodule(join(place, name)) for name in names] if is_folder else []
        inner = [one for one in taken if one is not None]
        yield from inner
        if own is not None and (len(inner) < len(names) or not names):
            yield own

    def _submodule(self, place: str) -> int | None:
        inner = self._file(f"{place}/__init__")
        return inner if inner is not None else self._file(place)

    def _file(self, place: str) -> int | None:
        return self._paths.first("", (f"{place}.py", f"{place}.pyi"))

    def _root(self, folder: str) -> str:
        """Return the folder above the outermost package that a folder is in."""
        while folder and self._file(f"{folder}/__init__") is not None:
            folder = dirname(folder)
        return folder
