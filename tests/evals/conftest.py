"""Fixtures for the tests of evals: scripted answers and small recipes over them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from evals.humaneval import HumanEval
from evals.recipe import EvalRecipe

WriteAnswers = Callable[[str, Mapping[str, str]], Path]
MakeRecipe = Callable[..., EvalRecipe]


@pytest.fixture(scope="session")
def humaneval() -> HumanEval:
    """The benchmark, its data read once."""
    return HumanEval()


@pytest.fixture
def write_answers(tmp_path: Path) -> Callable[..., Path]:
    """Write a file of scripted answers: key -> reply, or (key, n) -> reply."""

    def write(name: str, replies: Mapping[Any, str]) -> Path:
        path = tmp_path / f"{name}.jsonl"
        with path.open("w", encoding="utf-8") as file:
            for key, text in replies.items():
                where = {"key": key} if isinstance(key, str) else {"key": key[0], "n": key[1]}
                file.write(json.dumps({**where, "text": text, "tokens": 7}) + "\n")
        return path

    return write


@pytest.fixture
def make_recipe() -> Callable[..., EvalRecipe]:
    """Make a recipe over a file of scripted answers; chat without prefill."""

    def make(answers: Path, **keys: Any) -> EvalRecipe:
        said = {
            "bench": "humaneval",
            "model": f"scripted:{answers}",
            "protocol": "chat",
            "prefill": False,
            "limit": 6,
            "limits": {"cpu_s": 2.0},
            **keys,
        }
        return EvalRecipe.model_validate(said)

    return make
