"""A repository as one text, or as several where it is huge.

Paper, sec. 2.2.5: files of languages with imports come after what they import; HTML, SQL and Shell
come by lot; a very large repository is split into independent sub-graphs. Ours, as the paper is
silent: files without imports of a kind we read stand first; a sub-graph that is too long by itself
is split by folders, its imports between the pieces lost and counted; small sub-graphs share a text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from curate.longcontext.c_imports import CImports
from curate.longcontext.go_imports import GoImports
from curate.longcontext.graph import Imports, components, ordered, pieces
from curate.longcontext.java_imports import JavaImports
from curate.longcontext.js_imports import JsImports
from curate.longcontext.paths import Paths
from curate.longcontext.python_imports import PythonImports
from curate.longcontext.rust_imports import RustImports

_FAMILIES: Final[Mapping[str, str]] = {
    ".py": "python", ".pyi": "python", ".java": "java", ".go": "go", ".rs": "rust",
    ".c": "c", ".h": "c", ".cc": "c", ".cpp": "c", ".cxx": "c", ".hh": "c", ".hpp": "c",
    ".hxx": "c", ".inl": "c", ".inc": "c", ".cu": "c", ".cuh": "c", ".m": "c", ".mm": "c",
    ".js": "js", ".jsx": "js", ".mjs": "js", ".cjs": "js", ".ts": "js", ".tsx": "js",
    ".mts": "js", ".cts": "js", ".vue": "js", ".svelte": "js",
}  # fmt: skip
# An ending may be shared: what the document says decides.
_SHARED: Final = {".m": ("matlab", "mathematica"), ".inc": ("php", "assembly", "sql")}


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file of a repository."""

    key: str
    text: str
    language: str
    path: str
    repo: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """Texts, each as its files. edges: imports inside the repository; cut_edges: of them, between
    files of different texts; cyclic: files that stand before something that they import."""

    texts: tuple[tuple[File, ...], ...]
    edges: int
    cut_edges: int
    cyclic: int


def graph_of(files: Sequence[File]) -> list[Imports]:
    """Return what each file imports of the others, by their numbers."""
    paths = Paths([file.path for file in files])
    families = [_family(file) for file in files]
    used = {family for family in families if family}
    texts = {
        number: file.text
        for number, file in enumerate(files)
        if families[number] or file.path.endswith(("go.mod", "package.json", "Cargo.toml"))
    }
    makers: Mapping[str, Callable[[], Any]] = {
        "python": lambda: PythonImports(paths),
        "java": lambda: JavaImports(
            paths, {one: text for one, text in texts.items() if families[one] == "java"}
        ),
        "go": lambda: GoImports(paths, texts),
        "c": lambda: CImports(paths),
        "js": lambda: JsImports(paths, texts),
        "rust": lambda: RustImports(paths, texts),
    }
    readers = {family: makers[family]() for family in sorted(used)}
    return [
        readers[family].imports(number, files[number].text) if family else Imports()
        for number, family in enumerate(families)
    ]


def texts_of(files: Sequence[File], limit_bytes: int, lot: Callable[[File], int]) -> Ordered:
    """Return a repository's texts, none longer than `limit_bytes` of text unless a file is.

    lot: a number of a file, for the order of those that have no imports.
    """
    files = sorted(files, key=lambda file: (file.path, file.key))
    graph = graph_of(files)
    loose = [number for number, file in enumerate(files) if not _family(file)]
    loose.sort(key=lambda number: (lot(files[number]), number))
    bound = [number for number, file in enumerate(files) if _family(file)]
    sizes = [len(file.text.encode()) for file in files]
    if sum(sizes) <= limit_bytes:
        groups = [[*loose, *ordered(graph, bound)]]
    else:
        groups = _filled([[one] for one in loose], sizes, limit_bytes)
        parts = [
            part
            for piece in pieces({one: graph[one].all & set(bound) for one in bound})
            for part in _split(piece, files, sizes, limit_bytes, 0)
        ]
        groups += [ordered(graph, group) for group in _filled(parts, sizes, limit_bytes)]
    text_of = {number: at for at, group in enumerate(groups) for number in group}
    place = {number: at for group in groups for at, number in enumerate(group)}
    pairs = [(one, to) for one, found in enumerate(graph) for to in found.all]
    late = {one for one, to in pairs if text_of[one] == text_of[to] and place[to] > place[one]}
    return Ordered(
        texts=tuple(tuple(files[number] for number in group) for group in groups if group),
        edges=len(pairs),
        cut_edges=sum(text_of[one] != text_of[to] for one, to in pairs),
        cyclic=len(late),
    )


def in_circles(graph: Sequence[Imports]) -> list[list[int]]:
    """Return the circles of files that import each other."""
    found = components({one: set(imports.all) for one, imports in enumerate(graph)})
    return [circle for circle in found if len(circle) > 1]


def _family(file: File) -> str:
    name = file.path.rpartition("/")[2]
    ending = "." + name.rpartition(".")[2].lower() if "." in name else ""
    if file.language.lower() in _SHARED.get(ending, ()):
        return ""
    return _FAMILIES.get(ending, "")


def _filled(parts: Sequence[list[int]], sizes: Sequence[int], limit: int) -> list[list[int]]:
    """Put neighbours together as long as they fit."""
    found: list[list[int]] = []
    held = limit + 1
    for part in parts:
        size = sum(sizes[one] for one in part)
        if held + size > limit:
            found.append([])
            held = 0
        found[-1] += part
        held += size
    return found


def _split(
    part: list[int], files: Sequence[File], sizes: Sequence[int], limit: int, depth: int
) -> list[list[int]]:
    """Split files by folders until each piece fits; files of one folder by their order."""
    if sum(sizes[one] for one in part) <= limit or len(part) == 1:
        return [part]
    folders: dict[str, list[int]] = {}
    for one in part:
        steps = files[one].path.split("/")
        folders.setdefault(steps[depth] if len(steps) > depth + 1 else "", []).append(one)
    if list(folders) == [""]:
        return _filled([[one] for one in part], sizes, limit)
    return _filled(
        [
            piece
            for folder in sorted(folders)
            for piece in (
                _filled([[one] for one in folders[folder]], sizes, limit)
                if folder == ""
                else _split(folders[folder], files, sizes, limit, depth + 1)
            )
        ],
        sizes,
        limit,
    )
