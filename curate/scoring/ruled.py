"""Ratings without a model, for Python files: from the syntax tree and a linter's complaints.

For where no model can be asked: to measure scorers, and to have one at all. The four criteria and
the policy of zero are the rubric's; what each costs is ours and agrees with no model but in
tendency. It sees no logic errors and no meaning: a function whose conditions are impossible rates
as high as one that works.

The linter is ruff, a command of its own.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from curate.scoring.rubric import MOST
from seedcoder.errors import MachineLacks
from seedcoder.run_folder import write_text

VERSION: Final = 1
_RULES: Final = "F,E7,E9,W605,B,C901,D1,N8,PLR,PLW,S1,T20,ERA,SIM,RET"
_LETTERS: Final = re.compile(r"[A-Z]+")
_GENERATED: Final = re.compile(
    r"^.*(?:@generated|auto-?generated|generated (?:by|from|file|code)"
    r"|do not (?:edit|modify)).*$\n?",
    re.IGNORECASE | re.MULTILINE,
)
_HEAD_CHARS: Final = 1_500
_POOR, _GOOD = 0.4, 0.95  # what the mean of the four parts is for the ratings 1 and 10


def without_marker(text: str) -> tuple[str, bool]:
    """Return a text without the lines of its head that say that a tool made it, and whether any
    did: what a scorer must find out by itself."""
    head, found = _GENERATED.subn("", text[:_HEAD_CHARS])
    return (head + text[_HEAD_CHARS:], True) if found else (text, False)


def ratings(texts: Sequence[str]) -> list[int]:
    """Return a rating for each Python text, 0 to 10. MachineLacks: no ruff."""
    return [_rating(text, counts) for text, counts in zip(texts, complaints(texts), strict=True)]


def write_labels(documents: Sequence[Mapping[str, Any]], out: Path) -> int:
    """Rate documents (key, language, repo, text) into rows as `curate score ask` writes them, the
    lines that say "generated" taken out; return how many. MachineLacks: no ruff."""
    rated = ratings([one["text"] for one in documents])
    rows = [
        {
            "kind": "label", "key": one["key"], "model": "ruled", "rubric": VERSION,
            "language": one["language"], "repo": one["repo"],
            "text": without_marker(one["text"])[0], "score": score,
        }
        for one, score in zip(documents, rated, strict=True)
    ]  # fmt: skip
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, "".join(json.dumps(row) + "\n" for row in rows))
    return len(rows)


def complaints(texts: Sequence[str]) -> list[Counter[str]]:
    """Return ruff's complaints of each text, by the letters of their rules."""
    program = shutil.which("ruff", path=str(Path(sys.executable).parent)) or shutil.which("ruff")
    if program is None:
        raise MachineLacks("ratings without a model need ruff: pip install ruff")
    found: list[Counter[str]] = [Counter() for _ in texts]
    with tempfile.TemporaryDirectory(prefix="ruff-") as folder:
        for at, text in enumerate(texts):
            content = text.encode("utf-8", "replace")
            (Path(folder) / f"{at}.py").write_bytes(content)
        command = [program, "check", "--isolated", "--no-cache", "--quiet"]
        command += ["--ignore-noqa", "--select", _RULES, "--output-format", "json-lines", "."]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1):
            raise MachineLacks(f"ruff failed: {done.stderr.strip()[:200]}")
    for line in done.stdout.splitlines():
        row = json.loads(line)
        if match := _LETTERS.match(row["code"] or ""):
            found[int(Path(row["filename"]).stem)][match[0]] += 1
    return found


def _rating(text: str, counts: Counter[str]) -> int:
    if without_marker(text)[1]:
        return 0
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return 1
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines or _is_data(tree, len(lines)):
        return 0
    parts = (
        _readable(tree, lines, counts),
        _modular(tree, lines, counts),
        _clear(lines, counts),
        _reusable(tree, lines, counts),
    )
    stretched = (sum(parts) / len(parts) - _POOR) / (_GOOD - _POOR)
    return max(1, min(MOST, round(1 + (MOST - 1) * stretched)))


def _is_data(tree: ast.Module, lines: int) -> bool:
    """Whether literals take most of the lines, or there is next to no logic."""
    literal = sum(
        (node.end_lineno or node.lineno) - node.lineno + 1
        for node in _displays(tree)
        if sum(isinstance(one, ast.Constant) for one in ast.walk(node)) > 8
    )
    kinds = Counter(type(node) for node in ast.walk(tree))
    logic = sum(
        kinds[kind] for kind in (ast.If, ast.For, ast.While, ast.Return, ast.Raise, ast.With)
    )
    return literal > 0.6 * lines or logic < 2


def _displays(node: ast.AST) -> Iterator[ast.expr]:
    """Yield the outermost literals that hold others."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Dict | ast.List | ast.Tuple | ast.Set):
            yield child
        else:
            yield from _displays(child)


def _functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    found = ast.walk(tree)
    return [one for one in found if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]


def _readable(tree: ast.AST, lines: Sequence[str], counts: Counter[str]) -> float:
    named = [
        node for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module)
    ]  # fmt: skip
    documented = sum(ast.get_docstring(node, clean=False) is not None for node in named)
    comments = sum(line.lstrip().startswith("#") for line in lines) / len(lines)
    long = sum(len(line) > 100 for line in lines) / len(lines)
    named_badly = counts["N"] / len(named)
    return (
        0.55 * documented / len(named)
        + 0.25 * min(1.0, comments / 0.08)
        + 0.2 * max(0.0, 1 - 5 * long - named_badly)
    )


def _modular(tree: ast.AST, lines: Sequence[str], counts: Counter[str]) -> float:
    functions = _functions(tree)
    if not functions:
        return 0.3 if len(lines) < 40 else 0.0
    lengths = sorted((one.end_lineno or one.lineno) - one.lineno + 1 for one in functions)
    long = lengths[int(0.9 * (len(lengths) - 1))]
    inside = min(1.0, sum(lengths) / len(lines))
    complex_ones = (counts["C"] + counts["PLR"]) / len(functions)
    return (
        0.4 * max(0.0, 1 - max(0, long - 20) / 80)
        + 0.3 * min(1.0, inside / 0.6)
        + 0.3 * max(0.0, 1 - 2 * complex_ones)
    )


def _clear(lines: Sequence[str], counts: Counter[str]) -> float:
    long = [line.strip() for line in lines if len(line.strip()) > 12]
    repeated = 1 - len(set(long)) / len(long) if long else 0.0
    dead, shown = counts["ERA"] / len(lines), counts["T"] / len(lines)
    return max(0.0, 1 - 2.5 * repeated - 20 * dead - 10 * shown)


def _reusable(tree: ast.AST, lines: Sequence[str], counts: Counter[str]) -> float:
    wrong = (counts["F"] + counts["E"] + counts["B"] + counts["PLW"] + counts["S"]) / len(lines)
    tidy = (counts["SIM"] + counts["RET"] + counts["W"]) / len(lines)
    constants = sum(
        isinstance(node, ast.Constant) and isinstance(node.value, int | float)
        for node in ast.walk(tree)
    )
    small = min(1.0, len(lines) / 30)
    return small * max(0.0, 1 - 8 * wrong - 4 * tidy - 0.5 * min(1.0, constants / len(lines)))
