"""Fixtures for whole runs: the command line as a user calls it, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from evals.humaneval import HumanEval

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "seedcoder"]


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def seedcoder() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `seedcoder WORDS...` and return what it printed and its exit code."""

    def run(*words: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
            cwd=cwd,
            timeout=300,
        )

    return run


@pytest.fixture(scope="session")
def start_seedcoder() -> Callable[..., subprocess.Popen[str]]:
    """Start `seedcoder WORDS...` in a process group of its own and return the process."""

    def start(*words: str | Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*COMMAND, *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )

    return start


@pytest.fixture(scope="session")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of scripted answers to all of HumanEval: "right" and "broken" ones."""
    bench = HumanEval()
    folder = tmp_path_factory.mktemp("answers")
    files = {}
    for name, source in (("right", bench.canonical), ("broken", bench.broken)):
        files[name] = folder / f"{name}.jsonl"
        with files[name].open("w", encoding="utf-8") as file:
            for problem in bench.problems():
                reply = f"Here it is:\n\n```python\n{source(problem).source}\n```\n"
                file.write(json.dumps({"key": problem.key, "text": reply, "tokens": 9}) + "\n")
    return files


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe over all of HumanEval; its model is to be said on the command line."""
    path = tmp_path_factory.mktemp("recipes") / "whole.toml"
    path.write_text(
        'bench = "humaneval"\nmodel = "scripted:unset"\nprotocol = "chat"\nprefill = false\n'
        "[limits]\ncpu_s = 5.0\n"
    )
    return path
