"""What Java files use of their own repository: imports, and classes of their own package."""

from __future__ import annotations

import re
from typing import Final

from curate.longcontext.brace_text import bare
from curate.longcontext.graph import Imports
from curate.longcontext.paths import Paths

_PACKAGE: Final = re.compile(r"^\s*package\s+([\w.]+)\s*;", re.MULTILINE)
_IMPORT: Final = re.compile(r"^\s*import\s+(static\s+)?([\w.]+)(\s*\.\s*\*)?\s*;", re.MULTILINE)
_WORD: Final = re.compile(r"\b[A-Z]\w*")


class JavaImports:
    """Resolves classes to the files that are named for them.

    A class of the same package, or of a package imported whole, counts where its name stands in the
    code. Does not see: classes that are not named for their file, and reflection.
    """

    def __init__(self, paths: Paths, texts: dict[int, str]) -> None:
        """texts: of all Java files, by number."""
        self._package: dict[int, str] = {}
        self._classes: dict[str, dict[str, int]] = {}
        for number, text in texts.items():
            match = _PACKAGE.search(text)
            package = match[1] if match else ""
            self._package[number] = package
            stem = paths.all[number].rpartition("/")[2].rpartition(".")[0]
            self._classes.setdefault(package, {}).setdefault(stem, number)

    def imports(self, number: int, text: str) -> Imports:
        """Return what a file uses."""
        code = bare(text)
        words = set(_WORD.findall(code))
        found: set[int] = set()
        packages = [self._package.get(number, "")]
        for _, name, star in _IMPORT.findall(code):
            own = self._class(name)
            if own is not None:
                found.add(own)
            elif star:
                packages.append(name)
        for package in packages:
            classes = self._classes.get(package, {})
            found.update(classes[word] for word in words & classes.keys())
        found.discard(number)
        return Imports(now=frozenset(found))

    def _class(self, name: str) -> int | None:
        """Return the file of a class, or of the class that it (or a member) is inside."""
        while "." in name:
            package, _, stem = name.rpartition(".")
            own = self._classes.get(package, {}).get(stem)
            if own is not None:
                return own
            name = package
        return None
