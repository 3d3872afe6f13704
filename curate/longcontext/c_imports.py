"""What C and C++ files include of their own repository."""

from __future__ import annotations

import re
from posixpath import dirname
from typing import Final

from curate.longcontext.graph import Imports
from curate.longcontext.paths import Paths

_INCLUDE: Final = re.compile(
    r"^[ \t]*#[ \t]*(?:include|include_next|import)[ \t]*(?:\"([^\"\n]+)\"|<([^>\n]+)>)",
    re.MULTILINE,
)
_COMMENT: Final = re.compile(r"/\*.*?\*/", re.DOTALL)
# Where compilers are commonly told to look.
_ROOTS: Final = ("", "include", "src", "inc", "lib")


class CImports:
    """Resolves includes: beside the file, under usual roots, else the nearest path with that end.

    An include in angle brackets without a folder is taken for the system's unless a usual root has
    it. Does not see: includes by macro, and conditions: all branches count.
    """

    def __init__(self, paths: Paths) -> None:
        """Take the paths."""
        self._paths = paths

    def imports(self, number: int, text: str) -> Imports:
        """Return what a file includes."""
        folder = dirname(self._paths.all[number])
        found: set[int | None] = set()
        for quoted, angled in _INCLUDE.findall(_COMMENT.sub(" ", text)):
            if quoted:
                found.add(self._quoted(folder, quoted))
            else:
                found.add(self._angled(folder, angled))
        return Imports(now=frozenset(one for one in found if one is not None and one != number))

    def _quoted(self, folder: str, name: str) -> int | None:
        own = self._paths.at(folder, name)
        return own if own is not None else self._paths.nearest(folder, name)

    def _angled(self, folder: str, name: str) -> int | None:
        own = self._paths.first("", (f"{root}/{name}" if root else name for root in _ROOTS))
        if own is not None or "/" not in name:
            return own
        return self._paths.nearest(folder, name)
