"""What JavaScript and TypeScript files import of their own repository."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from posixpath import dirname, join
from typing import Final

from curate.longcontext.brace_text import without_comments
from curate.longcontext.graph import Imports
from curate.longcontext.paths import Paths

_FROM: Final = re.compile(
    r"(?:^|[;}\n])\s*(?:import|export)\b[^;'\"`()=]*?\bfrom\s*['\"]([^'\"\n]+)['\"]"
    r"|(?:^|[;}\n])\s*import\s*['\"]([^'\"\n]+)['\"]"
)
_CALL: Final = re.compile(r"(?<![\w$.])(?:require|import)\s*\(\s*['\"]([^'\"\n]+)['\"]\s*[,)]")
_ENDINGS: Final = (".ts", ".tsx", ".d.ts", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs", ".vue",
                   ".svelte")  # fmt: skip
# TypeScript names the file that it will become.
_WRITTEN: Final = {".js": (".ts", ".tsx", ".d.ts"), ".jsx": (".tsx",), ".mjs": (".mts", ".d.mts"),
                   ".cjs": (".cts", ".d.cts")}  # fmt: skip


def named(text: str) -> Iterator[tuple[bool, str]]:
    """Yield for each import whether it is late (a call), and what it names."""
    code = without_comments(text)
    for match in _FROM.finditer(code):
        yield False, match[1] or match[2]
    for match in _CALL.finditer(code):
        indented = code[code.rfind("\n", 0, match.start()) + 1 : match.start()][:1].isspace()
        yield indented, match[1]


class JsImports:
    """Resolves relative paths with their usual endings and index files, packages of the repository
    by the names in its package.json files, and "@/" or "~/" as src/.

    Does not see: paths made at run time, and aliases of bundlers.
    """

    def __init__(self, paths: Paths, texts: dict[int, str]) -> None:
        """texts: of package.json files too, by number."""
        self._paths = paths
        self._packages: dict[str, tuple[str, list[str]]] = {}
        for number, path in enumerate(paths.all):
            if path.rpartition("/")[2] == "package.json" and number in texts:
                try:
                    facts = json.loads(texts[number])
                except ValueError:
                    continue
                if isinstance(facts, dict) and isinstance(facts.get("name"), str):
                    mains = [facts.get(key) for key in ("types", "module", "main")]
                    words = [main for main in mains if isinstance(main, str)]
                    self._packages.setdefault(facts["name"], (dirname(path), words))

    def imports(self, number: int, text: str) -> Imports:
        """Return what a file imports."""
        folder = dirname(self._paths.all[number])
        now: set[int] = set()
        late: set[int] = set()
        for is_late, name in named(text):
            found = self._file(folder, name)
            if found is not None and found != number:
                (late if is_late else now).add(found)
        return Imports(now=frozenset(now), late=frozenset(late - now))

    def _file(self, folder: str, name: str) -> int | None:
        name = name.partition("?")[0]
        if name.startswith("."):
            return self._paths.first(folder, _forms(name))
        if name.startswith(("@/", "~/")):
            return self._paths.first("src", _forms(name[2:]))
        parts = name.split("/")
        for size in (2, 1):
            package = "/".join(parts[:size])
            if package in self._packages:
                root, mains = self._packages[package]
                rest = "/".join(parts[size:])
                if rest:
                    found = self._paths.first(root, _forms(rest))
                    return (
                        found
                        if found is not None
                        else self._paths.first(join(root, "src"), _forms(rest))
                    )
                forms = [form for main in mains for form in _forms(main)]
                return self._paths.first(root, [*forms, *_forms("src/index"), *_forms("index")])
        return None


def _forms(name: str) -> list[str]:
    """Return the paths that a name may mean, the likeliest first."""
    for ending, instead in _WRITTEN.items():
        if name.endswith(ending):
            stem = name.removesuffix(ending)
            return [name, *(stem + other for other in instead)]
    plain = [name + ending for ending in _ENDINGS]
    index = [f"{name.rstrip('/')}/index{ending}" for ending in _ENDINGS]
    return [*index, *plain] if name.endswith(("/", ".")) else [name, *plain, *index]
