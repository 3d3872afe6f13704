"""Cases marked one by one, and the verdict that their marks come to; with subtasks, its points.

No case is run twice, and none that can change nothing any more: a subtask ends at its first case
worth nothing, and is not begun where one that it needs was worth nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sandbox import reasons
from sandbox.cases import InteractiveTests, StdioTests, Subtask
from sandbox.outcome import Kind, Outcome
from sandbox.verdict import Failure, SubtaskResult, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What one case was worth. score: 0 to 1. kind, failure: PASSED and None only with 1."""

    score: float
    outcome: Outcome
    kind: Kind = Kind.PASSED
    failure: Failure | None = None


class _Marks:
    """The cases marked so far, in the order in which they were run."""

    def __init__(self, mark: Callable[[int], Mark]) -> None:
        self._mark = mark
        self.made: dict[int, Mark] = {}
        self._dead: Mark | None = None

    def of(self, index: int) -> Mark:
        """Return a case's mark, judging it if need be."""
        if index in self.made:
            return self.made[index]
        if self._dead is not None:
            return self._dead
        made = self.made[index] = self._mark(index)
        if made.kind is Kind.COMPILE_ERROR:  # no run of it would do better
            self._dead = made
        return made

    def first_failure(self) -> Mark | None:
        return next((mark for mark in self.made.values() if mark.failure), None)


def verdict(
    tests: StdioTests | InteractiveTests, mode: str, mark: Callable[[int], Mark]
) -> Verdict:
    """Return the verdict on a program whose cases `mark` judges."""
    marks = _Marks(mark)
    results: tuple[SubtaskResult, ...] = ()
    if tests.subtasks:
        results = _subtasks(tests.subtasks, marks)
    else:
        for index in range(len(tests.cases)):
            made = marks.of(index)
            if made.failure and (tests.stop_early or made.kind is Kind.COMPILE_ERROR):
                break
    first = marks.first_failure()
    return Verdict(
        kind=first.kind if first else Kind.PASSED,
        passed=sum(one.failure is None for one in marks.made.values()),
        total=len(tests.cases),
        first_failure=first.failure if first else None,
        outcomes=tuple(one.outcome for one in marks.made.values()),
        mode=mode,
        points=sum(one.points for one in results),
        points_most=sum(one.points_most for one in results),
        subtasks=results,
    )


def _subtasks(subtasks: tuple[Subtask, ...], marks: _Marks) -> tuple[SubtaskResult, ...]:
    shares: dict[str, float] = {}
    results = []
    for one in subtasks:
        share, failed, why = 1.0, None, ""
        for name in one.needs:
            if shares[name] < share:
                share, why = shares[name], f"it needs {name!r}"
        known = [index for index in one.cases if index in marks.made]
        for index in (*known, *one.cases):
            if not share:
                break
            mark = marks.of(index)
            if mark.score < share:
                share, failed = mark.score, index
                why = mark.failure.reason if mark.failure else ""
        shares[one.name] = share
        results.append(
            SubtaskResult(
                name=one.name,
                points=one.points * share,
                points_most=one.points,
                failed=failed,
                why=why,
            )
        )
    return tuple(results)


def refused(
    tests: StdioTests | InteractiveTests, mode: str, kind: Kind, outcome: Outcome | None = None
) -> Verdict:
    """Return the verdict on a program that no case was tried with: no code, or not compiled."""
    failure = reasons.ended(0, outcome) if outcome else None
    why = failure.reason if failure else "there is no code"
    results = tuple(
        SubtaskResult(name=one.name, points=0.0, points_most=one.points, why=why)
        for one in tests.subtasks
    )
    return Verdict(
        kind=kind,
        passed=0,
        total=len(tests.cases),
        first_failure=failure,
        outcomes=(outcome,) if outcome else (),
        mode=mode,
        points_most=sum(one.points_most for one in results),
        subtasks=results,
    )
