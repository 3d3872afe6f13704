"""Keep programs in the pool while answers come in, and hand the verdicts back as they are ready.

A box that breaks says nothing of the program in it: the program is judged once more, and only a
second break is handed on, as the error it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from typing import cast

from evals.bench import TextTests
from sandbox import (
    Limits,
    Outcome,
    Pool,
    Program,
    SandboxBroken,
    SandboxError,
    Tests,
    Verdict,
)

_KEPT_CHARS = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One program to judge. key: names it in the answer."""

    key: str
    program: Program
    tests: Tests | TextTests
    limits: Limits


@dataclass(slots=True)
class _Waiting:
    job: Task
    tries: int


class Judging:
    """Programs on their way through a pool. For one thread; the pool has its own."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiting: dict[Future[Verdict | Outcome], _Waiting] = {}
        self._read: list[tuple[Task, Verdict]] = []

    def submit(self, job: Task) -> None:
        """Queue a task; waits while the pool's queue is full. Text is judged here and now."""
        if isinstance(job.tests, Tests):
            self._queue(job, 1)
        else:
            self._read.append((job, job.tests.judge(job.program.source)))

    def ready(self, *, to_the_end: bool = False) -> Iterator[tuple[Task, Verdict | SandboxError]]:
        """Yield what has been judged since the last call; `to_the_end`: wait for all of it."""
        while self._read:
            yield self._read.pop(0)
        while self._waiting:
            done = [future for future in self._waiting if future.done()]
            if not done:
                if not to_the_end:
                    return
                wait(self._waiting, return_when=FIRST_COMPLETED)
            for future in done:
                waiting = self._waiting.pop(future)
                try:
                    yield waiting.job, cast(Verdict, future.result())
                except SandboxBroken as error:
                    if waiting.tries > 1:
                        yield waiting.job, error
                    else:
                        self._queue(waiting.job, waiting.tries + 1)
                except SandboxError as error:
                    yield waiting.job, error

    def _queue(self, job: Task, tries: int) -> None:
        assert isinstance(job.tests, Tests)
        future = self._pool.submit(job.program, job.tests, job.limits)
        self._waiting[future] = _Waiting(job, tries)


def judge_all(pool: Pool, jobs: Iterable[Task]) -> Iterator[tuple[Task, Verdict | SandboxError]]:
    """Yield each task with its verdict, or our failure, as they are ready."""
    judging = Judging(pool)
    for job in jobs:
        judging.submit(job)
        yield from judging.ready()
    yield from judging.ready(to_the_end=True)


def shortened(verdict: Verdict) -> Verdict:
    """Return the verdict with the middle of long outputs left out: what a row keeps of it."""
    outcomes = tuple(
        replace(outcome, stdout=_cut(outcome.stdout), stderr=_cut(outcome.stderr), files={})
        for outcome in verdict.outcomes
    )
    return replace(verdict, outcomes=outcomes)


def _cut(text: str) -> str:
    half = _KEPT_CHARS // 2
    if len(text) <= 2 * half:
        return text
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"
