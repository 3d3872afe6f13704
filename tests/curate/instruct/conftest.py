"""Recipes whose model is a file of answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from curate.instruct.recipe import InstructRecipe

Rows = Iterable[Mapping[str, Any]]


@pytest.fixture
def write_rows(tmp_path: Path) -> Callable[[str, Rows], Path]:
    """Write JSON lines under tmp_path."""

    def write(name: str, rows: Rows) -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    return write


@pytest.fixture
def recipe_of(
    tmp_path: Path, write_rows: Callable[[str, Rows], Path]
) -> Callable[..., InstructRecipe]:
    """A recipe with these answers, a mapping of key, or (key, n), to text."""

    def make(answers: Mapping[Any, str], **said: Any) -> InstructRecipe:
        rows = [
            {"key": key, "text": text}
            if isinstance(key, str)
            else {"key": key[0], "n": key[1], "text": text}
            for key, text in answers.items()
        ]
        path = write_rows("answers.jsonl", rows)
        data = {
            "out": tmp_path / "out",
            "model": f"scripted:{path}",
            "pool": {"workers": 1},
            "limits": {"cpu_s": 2.0},
            "max_error_rate": 1.0,
        }
        return InstructRecipe.model_validate({**data, **said})

    return make


@pytest.fixture
def read_rows() -> Callable[[Path], list[dict[str, Any]]]:
    """Read JSON lines."""

    def read(path: Path) -> list[dict[str, Any]]:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

    return read
