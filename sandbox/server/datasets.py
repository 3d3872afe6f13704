"""Data sets that the server was given: a folder of JSON-lines files, one data set each.

A file `NAME.jsonl` is the data set NAME. A line is one problem:

    {"id": 1, "prompt": "Print the sum.", "language": "python",
     "tests": {"kind": "stdio", "cases": [{"stdin": "1 2", "stdout": "3"}]}}

id: a number or a text, once in a file. prompt: what a model is shown. tests: as
`sandbox.tests_json.tests_to_json` writes them. language: of the program; default python.
entry_point: put into tests of calls or asserts that name none. labels: an object, handed out with
the prompt. limits: as `Limits.to_json` writes them. Anything else is refused.

Tests hold answers: they are used here, and never handed out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from sandbox.cases import Tests
from sandbox.languages import canonical
from sandbox.program import Limits
from sandbox.tests_json import tests_from_json

_NAMING = ("calls", "asserts")  # kinds of tests that name an entry point


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    id: int | str
    prompt: str
    tests: dict[str, Any]
    language: str = "python"
    entry_point: str = ""
    labels: dict[str, Any] = {}
    limits: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One problem."""

    key: int | str
    prompt: str
    tests: Tests
    language: str = "python"
    labels: Mapping[str, Any] = field(default_factory=dict)
    limits: Limits | None = None


def problem_of(data: Any) -> Problem:
    """Return the problem that a line says. Raises ValueError, of one line."""
    try:
        row = _Row.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part)[:60] for part in first["loc"])
        raise ValueError(f"{place or 'the line'}: {first['msg']}") from None
    tests = dict(row.tests)
    if row.entry_point and tests.get("kind") in _NAMING:
        tests.setdefault("entry_point", row.entry_point)
    try:
        limits = Limits.from_json(row.limits) if row.limits is not None else None
    except TypeError as error:
        raise ValueError(f"limits: {error}") from None
    return Problem(
        key=row.id,
        prompt=row.prompt,
        tests=tests_from_json(tests),
        language=canonical(row.language),
        labels=row.labels,
        limits=limits,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Datasets:
    """Problems by data set and id, in the order of their files."""

    found: Mapping[str, Mapping[str, Problem]] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path | None) -> Datasets:
        """Read a folder. Raises ValueError that names file and line."""
        if folder is None:
            return cls()
        if not folder.is_dir():
            raise ValueError(f"datasets: {folder} is no folder")
        return cls(found={path.stem: _read(path) for path in sorted(folder.glob("*.jsonl"))})


def _read(path: Path) -> dict[str, Problem]:
    found: dict[str, Problem] = {}
    try:
        lines: Iterable[str] = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no UTF-8"
        raise ValueError(f"datasets: cannot read {path}: {why}") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            problem = problem_of(json.loads(line))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path}:{number}: {error}"[:500]) from None
        if str(problem.key) in found:
            raise ValueError(f"{path}:{number}: the id {problem.key!r} came before")
        found[str(problem.key)] = problem
    return found
