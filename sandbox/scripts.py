"""Judging scripts: a stdin goes in, and a comparer or a checker looks at what was printed.

What was printed is all that counts beside a clean end; it is looked at outside the program's box,
and the expected output never enters that.
"""

from __future__ import annotations

from sandbox import reasons, subtasks
from sandbox.cases import StdioCase, StdioTests
from sandbox.checker import Checker
from sandbox.compiled import text_of
from sandbox.inside.assertions import short
from sandbox.outcome import Kind, Outcome
from sandbox.program import Limits, Program
from sandbox.ready import Slots, ready
from sandbox.subtasks import Mark
from sandbox.verdict import Failure, Verdict


def mode_of(tests: StdioTests) -> str:
    """Return the verdict's mode."""
    return "checker" if tests.checker else "stdio"


def judge_stdio(program: Program, tests: StdioTests, limits: Limits, slots: Slots) -> Verdict:
    """Judge a program by stdin and stdout. Raises SandboxBroken, TestsBroken."""
    mode = mode_of(tests)
    checker: Checker | None = None
    if tests.checker is not None:
        checker = Checker(tests.checker, tuple(tests.cases), tests.full_mark, limits, slots)
    started = ready(program, limits, slots)
    if isinstance(started, Outcome):
        return subtasks.refused(tests, mode, started.kind, started)

    def mark(index: int) -> Mark:
        case = tests.cases[index]
        outcome = started.run(stdin=text_of(case.stdin))
        if outcome.kind is not Kind.PASSED:
            return _failed(index, case, outcome, outcome.kind, reasons.why(outcome))
        score, why = _look(index, case, outcome.stdout)
        if score == 1:
            return Mark(score=score, outcome=outcome)
        return _failed(index, case, outcome, Kind.WRONG, why, score)

    def _look(index: int, case: StdioCase, output: str) -> tuple[float, str]:
        if checker is None:
            right = any(tests.comparer(x, output) for x in (case.stdout, *case.accepted))
            return float(right), "the output differs"
        word = checker.judge(index, case, output)
        return word.score, word.reason("checker")

    return subtasks.verdict(tests, mode, mark)


def _failed(
    index: int, case: StdioCase, outcome: Outcome, kind: Kind, why: str, score: float = 0.0
) -> Mark:
    others = f" or {len(case.accepted)} other(s)" if case.accepted else ""
    failure = Failure(
        index=index,
        test=f"stdin {short(case.stdin)}",
        expected=short(case.stdout) + others,
        got=short(outcome.stdout),
        reason=why,
    )
    return Mark(score=score, outcome=outcome, kind=kind, failure=failure)
