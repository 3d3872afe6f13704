"""Exercises as they lie in Exercism's repositories and in Aider-AI/polyglot-benchmark.

    <language>/exercises/practice/<exercise>/.docs/instructions.md
                                             .meta/config.json, .meta/example.py
                                             <solution files>, <test files>

The given folder may be any of the levels above an exercise. Text files only. What is below `.meta`
and `.docs` (solutions among it) never enters a box.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from seedcoder.errors import UsageError

# benchmark/benchmark.py of aider: never edited by the model, whatever the exercise says.
_NEVER_EDITED: Final = frozenset(("CMakeLists.txt", "Cargo.toml"))
_LEFT: Final = (".meta", ".docs", "__pycache__", ".git")
_MOST_BYTES: Final = 4 << 20  # ours: of all files of one exercise
LANGUAGES: Final = {
    ".py": "python", ".rs": "rust", ".go": "go", ".js": "javascript", ".cpp": "cpp",
    ".java": "java",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Exercise:
    """One exercise. files: text by path; solution, tests: which of them are what.

    instructions: introduction, instructions and what is appended to them, as upstream joins them.
    example: a solution, by the path that it is one of; empty where there is none.
    """

    name: str
    language: str
    instructions: str
    files: Mapping[str, str]
    solution: tuple[str, ...]
    tests: tuple[str, ...]
    example: Mapping[str, str]


def read_exercises(folder: Path, *, by_config: bool) -> tuple[tuple[Exercise, ...], str]:
    """Return the exercises below `folder`, sorted by name, and a digest of all that was read.

    by_config: files are what `.meta/config.json` says (polyglot); else the Python files without
    "test" in their name are the solution (the older benchmark). Raises UsageError, with the place.
    """
    found, seen = [], hashlib.sha256()
    for place in _places(folder):
        exercise = _read(place, by_config=by_config)
        found.append(exercise)
        seen.update(json.dumps([exercise.name, exercise.instructions, exercise.files,
                                exercise.example], sort_keys=True).encode())  # fmt: skip
    if not found:
        raise UsageError(f"{folder} holds no exercises: no */.docs/instructions.md below it")
    names = [exercise.name for exercise in found]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"{folder} holds the exercise {twice!r} twice")
    return tuple(sorted(found, key=lambda exercise: exercise.name)), seen.hexdigest()


def test_ids(exercise: Exercise) -> tuple[str, ...]:
    """Return the ids, as pytest has them, of the tests of a Python exercise.

    Methods of classes and functions called test*, as they stand in the source; those marked to be
    skipped are left out. Raises UsageError for a test file that does not parse.
    """
    ids = []
    for name in exercise.tests:
        try:
            body = ast.parse(exercise.files[name]).body
        except (SyntaxError, ValueError) as error:
            raise UsageError(f"{exercise.name}: {name}: {error}") from error
        for node in body:
            if isinstance(node, ast.ClassDef) and not _skipped(node):
                ids += [f"{name}::{node.name}::{test}" for test in _tests(node.body)]
        ids += [f"{name}::{test}" for test in _tests(body)]
    return tuple(dict.fromkeys(ids))


def _tests(body: Sequence[ast.stmt]) -> Iterator[str]:
    for node in body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if node.name.startswith("test") and not _skipped(node):
            yield node.name


def _skipped(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any("skip" in ast.unparse(decorator) for decorator in node.decorator_list)


def _places(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        raise UsageError(f"options.path: no folder {folder}")
    for pattern in ("*", "exercises/practice/*", "*/exercises/practice/*"):
        for place in sorted(folder.glob(pattern)):
            if (place / ".docs" / "instructions.md").is_file():
                yield place


def _read(place: Path, *, by_config: bool) -> Exercise:
    config = _config(place)
    said: Mapping[str, Any] = config.get("files", {})
    files = _files(place)
    tests = tuple(name for name in _named(place, said, "test") if name in files)
    example = _named(place, said, "example")
    if by_config:
        never = {*_NEVER_EDITED, *tests, *example}
        solution = [name for name in _named(place, said, "solution") if name not in never]
    else:
        tests = tests or tuple(name for name in sorted(files) if name.endswith("_test.py"))
        solution = [n for n in sorted(files) if _is_solution(n)]
    solution = sorted(name for name in set(solution) if name in files)
    suffixes = [Path(name).suffix for name in tests]
    language = next((LANGUAGES[suffix] for suffix in suffixes if suffix in LANGUAGES), "")
    if not (solution and tests and language):
        raise UsageError(f"{place}: no solution file to edit, or no test file")
    folders = place.parts
    under = folders[-4] if by_config and folders[-3:-1] == ("exercises", "practice") else ""
    return Exercise(
        name=f"{under}/{place.name}" if under else place.name,
        language=language,
        instructions=_instructions(place),
        files=files,
        solution=tuple(solution),
        tests=tests,
        example=_example(place, example, solution),
    )


def _is_solution(name: str) -> bool:
    return "/" not in name and name.endswith(".py") and "test" not in name and name[0] != "."


def _config(place: Path) -> Mapping[str, Any]:
    path = place / ".meta" / "config.json"
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error
    if not isinstance(found, dict) or not isinstance(found.get("files", {}), dict):
        raise UsageError(f"{path}: an object with 'files' was expected")
    return found


def _named(place: Path, said: Mapping[str, Any], kind: str) -> list[str]:
    names = said.get(kind, [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UsageError(f"{place}/.meta/config.json: files.{kind}: a list of paths was expected")
    return names


def _files(place: Path) -> dict[str, str]:
    found, total = {}, 0
    for path in sorted(place.rglob("*")):
        inside = path.relative_to(place)
        if inside.parts[0] in _LEFT or "__pycache__" in inside.parts or not path.is_file():
            continue
        total += path.stat().st_size
        if total > _MOST_BYTES:
            raise UsageError(f"{place}: more than {_MOST_BYTES >> 20} MiB of files")
        try:
            found[str(inside)] = path.read_bytes().decode()
        except UnicodeDecodeError:  # jars of a build tool; no test of ours needs one
            continue
    return found


def _instructions(place: Path) -> str:
    """Return what upstream shows: three files one behind the other, where they are there."""
    names = ("introduction.md", "instructions.md", "instructions.append.md")
    paths = (place / ".docs" / name for name in names)
    return "".join(path.read_text(encoding="utf-8") for path in paths if path.is_file())


def _example(place: Path, names: Sequence[str], solution: Sequence[str]) -> dict[str, str]:
    """Return the example as the solution file that it stands for: one of each, or equal names."""
    there = [place / name for name in names if (place / name).is_file()]
    if len(there) == 1 and len(solution) == 1:
        return {solution[0]: there[0].read_text(encoding="utf-8")}
    by_name = {Path(name).name: name for name in solution}
    return {
        by_name[path.name]: path.read_text(encoding="utf-8")
        for path in there
        if path.name in by_name
    }
