"""Packages that a benchmark's programs may import, beside the standard library.

Programs see numpy and nothing else of this machine. A benchmark whose tasks import more takes a
folder made by `pip install --target` (its Python must be the one that this runs under), or, for a
docker box, the names of packages that its image has. What a task needs and nobody offers is left
out aloud: a program that fails for want of pandas says nothing about a model.

Does not cover: the `restricted` box, which puts no folder on Python's path; packages whose import
fails for other reasons than their absence.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.box import DEFAULT_PACKAGES
from seedcoder.errors import UsageError

_NO_MODULES = (".dist-info", ".egg-info", ".pth")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """What may be imported. folder: of packages; names: of packages that the box has by itself."""

    folder: Path | None = None
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.folder is not None and not self.folder.is_dir():
            raise UsageError(f"options.packages_dir: no folder {self.folder}")

    @property
    def _places(self) -> tuple[Path, ...]:
        if self.folder is None:
            return ()
        found = sorted(self.folder.iterdir())
        return tuple(p for p in found if p.name != "__pycache__" and p.suffix not in _NO_MODULES)

    def packages(self) -> tuple[str, ...]:
        """Return them as `sandbox.Pool` takes them: names, and paths of what lies in the folder."""
        own = {place.name for place in self._places}
        names = (*DEFAULT_PACKAGES, *self.names)
        kept = tuple(dict.fromkeys(name for name in names if name not in own))
        return (*kept, *(str(place.resolve()) for place in self._places))

    def modules(self) -> frozenset[str]:
        """Return the top-level names that can be imported, without the standard library's."""
        own = (place.name.partition(".")[0] for place in self._places)
        return frozenset((*DEFAULT_PACKAGES, *self.names, *own))

    def lacking(self, modules: Iterable[str]) -> tuple[str, ...]:
        """Return which of the modules (dotted names too) cannot be imported, sorted."""
        there = self.modules() | sys.stdlib_module_names
        return tuple(sorted({name.partition(".")[0] for name in modules} - there))


def imported(source: str) -> frozenset[str]:
    """Return the top-level names of the modules that Python source imports; none if it is broken.

    Only what is imported whenever it runs, not what a `try` may do without.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    found: set[str] = set()
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
        elif not isinstance(node, ast.Try):
            waiting.extend(ast.iter_child_nodes(node))
    return frozenset(found)


def in_words(lacking: Mapping[str, Sequence[str]], what: str = "problems") -> Mapping[str, str]:
    """Return what `Bench.left_out` says of problems by key and what each lacks."""
    causes = Counter(", ".join(names) for names in lacking.values())
    return {
        f"{count} {what} ({names})": f"{names} cannot be imported in the box: give "
        "options.packages_dir a folder that `pip install --target` made"
        for names, count in sorted(causes.items())
    }
