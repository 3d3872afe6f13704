"""Finding the part of a project that an issue speaks of, without a model: BM25, and outlines.

BM25 is that of Robertson and Zaragoza (2009), k1 = 1.2, b = 0.75. Names are split where their words
meet (`snake_case`, `camelCase`), and count whole too.
"""

from __future__ import annotations

import ast
import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|\d+")
_INNER: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_K1, _B = 1.2, 0.75
SOURCES: Final = frozenset(
    (".py", ".pyx", ".c", ".h", ".cc", ".cpp", ".hpp", ".cs", ".go", ".java", ".js", ".jsx", ".kt",
     ".php", ".rb", ".rs", ".scala", ".swift", ".ts", ".tsx", ".vue")
)  # fmt: skip
_TEST_FOLDERS: Final = frozenset(("test", "tests", "testing", "__tests__", "spec"))
_DEFINES: Final = re.compile(
    r"\s*(?:export |public |private |protected |static |async |pub |abstract |final )*"
    r"(?:class|def|func|fn|function|interface|struct|enum|trait|impl|type|module|namespace)\b"
)


def words_of(text: str) -> list[str]:
    """Return a text's words in lower case."""
    found = []
    for name in _WORD.findall(text):
        found.append(name.lower())
        inner = [part.lower() for part in _INNER.findall(name)]
        found += inner if len(inner) > 1 else []
    return found


def ranked(query: str, documents: Mapping[str, str]) -> list[str]:
    """Return the documents' names, those that fit a query best first; equal ones by name."""
    counts = {name: Counter(words_of(f"{name}\n{text}")) for name, text in documents.items()}
    lengths = {name: sum(count.values()) for name, count in counts.items()}
    mean = sum(lengths.values()) / len(lengths) if lengths else 1.0
    holding = Counter(word for count in counts.values() for word in count)
    wanted = Counter(words_of(query))

    def score(name: str) -> float:
        total = 0.0
        for word in wanted:
            if times := counts[name][word]:
                rare = math.log(1 + (len(counts) - holding[word] + 0.5) / (holding[word] + 0.5))
                norm = _K1 * (1 - _B + _B * lengths[name] / (mean or 1.0))
                total += rare * times * (_K1 + 1) / (times + norm)
        return total

    return sorted(documents, key=lambda name: (-score(name), name))


def is_test(name: str) -> bool:
    """Return whether a file is a test by its name or its folder."""
    path = PurePosixPath(name)
    return (
        bool(_TEST_FOLDERS.intersection(path.parts[:-1]))
        or path.name.startswith("test_")
        or path.stem.endswith(("_test", ".test", ".spec"))
        or path.name == "conftest.py"
    )


def is_source(name: str) -> bool:
    """Return whether a file is source code of the project, and no test."""
    return PurePosixPath(name).suffix in SOURCES and not is_test(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A function or class of a file: its name with those of its classes, its lines from 1."""

    name: str
    first: int
    last: int
    head: str


def parts_of(name: str, text: str) -> list[Part]:
    """Return the functions and classes of a file; of one that is not Python, lines that define."""
    lines = text.split("\n")
    if name.endswith(".py"):
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError):
            return []
        return _within(tree, "", lines)
    starts = [n for n, line in enumerate(lines, start=1) if _DEFINES.match(line)]
    ends = [*(start - 1 for start in starts[1:]), len(lines)]
    return [
        Part(name=lines[first - 1].strip()[:80], first=first, last=last, head=lines[first - 1])
        for first, last in zip(starts, ends, strict=False)
    ]


def _within(node: ast.AST, outer: str, lines: list[str]) -> list[Part]:
    found = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            name = f"{outer}{child.name}"
            first = min([child.lineno, *(one.lineno for one in child.decorator_list)])
            last = child.end_lineno or child.lineno
            head = lines[child.lineno - 1]
            found.append(Part(name=name, first=first, last=last, head=head))
            if isinstance(child, ast.ClassDef):
                found += _within(child, f"{name}.", lines)
        elif isinstance(child, ast.If | ast.Try):
            found += _within(child, outer, lines)
    return found


def outline(name: str, text: str, most: int) -> str:
    """Return the first lines of a file's functions and classes, up to `most` characters."""
    heads = [part.head.rstrip() for part in parts_of(name, text)]
    return "\n".join(heads)[:most] or text[: min(most, 400)]
