"""Fixtures for the infilling benchmarks: files in the official formats, and answers to score."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from evals.bench import Bench
from evals.problem import Sample
from evals.tally import Answer
from sandbox import Pool, Program, Verdict

WriteRows = Callable[[str, Sequence[Mapping[str, Any]]], Path]
Judge = Callable[..., Verdict]
Answered = Callable[..., Answer]


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    """Two workers for all tests of the session."""
    with Pool(2) as pool:
        yield pool


@pytest.fixture
def write_rows(tmp_path: Path) -> WriteRows:
    """Write a file of JSON lines below the test's folder; return its path."""

    def write(name: str, rows: Sequence[Mapping[str, Any]]) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def infilling_data() -> Path:
    """The folder of the published HumanEval-Infilling files; skips where there is none."""
    folder = Path(os.environ.get("SEEDCODER_DATA", "")) / "humaneval-infilling"
    if "SEEDCODER_DATA" not in os.environ or not folder.is_dir():
        pytest.skip("needs openai/human-eval-infilling's data below SEEDCODER_DATA")
    return folder


@pytest.fixture
def judge(pool: Pool) -> Judge:
    """Judge a program as the runner does: text here, programs in a box."""

    def judged(bench: Bench, problem: Any, program: Program) -> Verdict:
        tests = bench.tests(problem)
        if hasattr(tests, "judge"):
            return tests.judge(program.source)
        return pool.judge(program, tests, bench.limits(problem))

    return judged


@pytest.fixture
def answered(judge: Judge) -> Answered:
    """Take a reply all the way that the runner takes it: to a judged answer with its values."""

    def answer(bench: Bench, problem: Any, reply: str, style: Any, n: int = 0) -> Answer:
        program = bench.program(problem, reply, style)
        verdict = judge(bench, problem, program)
        return Answer(
            key=f"{problem.key}#{n}",
            problem=problem.key,
            n=n,
            sample=Sample(key="", problem=problem.key, n=n, text=reply, finish="stop"),
            program=program.source,
            verdict=verdict,
            values=bench.values(problem, program, verdict),
        )

    return answer
