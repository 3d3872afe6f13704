"""Fixtures for the contest benchmarks: files in the official formats, and a pool that judges."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from evals.bench import Bench
from evals.problem import Problem, Sample
from evals.tally import Answer
from sandbox import Kind, Pool, Program, Tests, Verdict
from seedcoder.completion import Message, Request

WriteRows = Callable[[str, Sequence[Mapping[str, Any]]], Path]
Judge = Callable[[Bench, Problem, Program], Verdict]
MakeAnswer = Callable[..., Answer]
UserText = Callable[[Request], str]


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    """One worker, kept for all tests of the session."""
    with Pool(1) as pool:
        yield pool


@pytest.fixture
def write_rows(tmp_path: Path) -> WriteRows:
    """Write a file of JSON lines."""

    def write(name: str, rows: Sequence[Mapping[str, Any]]) -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    return write


@pytest.fixture
def judge(pool: Pool) -> Judge:
    """Judge a program by a benchmark's own tests and limits, in the sandbox."""

    def judged(bench: Bench, problem: Problem, program: Program) -> Verdict:
        tests = cast(Tests, bench.tests(problem))
        verdict = pool.judge(program, tests, bench.limits(problem))
        assert isinstance(verdict, Verdict)
        return verdict

    return judged


@pytest.fixture
def make_answer() -> MakeAnswer:
    """Make a judged answer: passed or not, or with a verdict of its own."""

    def make(problem: str, n: int = 0, *, passed: bool = False, **more: Any) -> Answer:
        verdict = more.pop("verdict", None) or Verdict(
            kind=Kind.PASSED if passed else Kind.WRONG,
            passed=int(passed),
            total=1,
            first_failure=None,
            outcomes=(),
            mode="stdio",
        )
        sample = Sample(
            key=f"{problem}#{n}",
            problem=problem,
            n=n,
            text=more.pop("text", ""),
            finish="stop",
            tokens=more.pop("tokens", 0),
        )
        return Answer(key=sample.key, problem=problem, n=n, sample=sample, verdict=verdict, **more)

    return make


@pytest.fixture
def user_text() -> UserText:
    """Return what the user's turn of a request says."""

    def text(request: Request) -> str:
        assert not isinstance(request.prompt, str)
        last = request.prompt[-1]
        assert isinstance(last, Message)
        return last.content

    return text
