"""Points by subtask: the least share of a group, what needs what, what is not run in vain."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import (
    Failure,
    InteractiveCase,
    InteractiveTests,
    Kind,
    Limits,
    Outcome,
    Program,
    StdioCase,
    StdioTests,
    Subtask,
    Verdict,
    subtasks,
)
from sandbox.box import LocalBox
from sandbox.subtasks import Mark

LIMITS = Limits(cpu_s=1, wall_s=10, memory_mb=256, output_kb=256)
CASES = tuple(StdioCase(stdin=f"{n}\n", stdout=f"{n}\n") for n in range(6))
SAMPLES = Subtask(name="samples", points=0, cases=(0,))
EASY = Subtask(name="easy", points=30, cases=(0, 1, 2))
HARD = Subtask(name="hard", points=70, cases=(2, 3, 4, 5))
HARD_AFTER_EASY = Subtask(name="hard", points=70, cases=(2, 3, 4, 5), needs=("easy",))
# Its n-th case is worth what the program prints; a right program prints 1.
SHARES = Program.python(
    "import sys\nsys.stderr.write('points ' + open('output').read())\nsys.exit(7)"
)


def judge(
    box: LocalBox, source: str, *groups: Subtask, checker: Program | None = None
) -> tuple[Verdict, list[str]]:
    """Return the verdict, and which cases were run, in order."""
    told = f"import sys\nn = int(input())\nsys.stderr.write(f'{{n}}')\n{source}"
    tests = StdioTests(cases=CASES, subtasks=groups, checker=checker)
    verdict = box.judge(Program.python(told), tests, LIMITS)
    return verdict, [outcome.stderr[:1] for outcome in verdict.outcomes]


def points(verdict: Verdict) -> dict[str, float]:
    return {one.name: one.points for one in verdict.subtasks}


def test_all_points_are_for_all_cases_each_run_once(box: LocalBox) -> None:
    verdict, run = judge(box, "print(n)", SAMPLES, EASY, HARD_AFTER_EASY)
    assert (verdict.kind, verdict.points, verdict.points_most) == (Kind.PASSED, 100, 100)
    assert (verdict.passed, verdict.total, run) == (6, 6, list("012345"))
    assert points(verdict) == {"samples": 0, "easy": 30, "hard": 70}
    assert all(one.failed is None and not one.why for one in verdict.subtasks)


def test_judging_goes_on_past_a_failure_where_points_are_left(box: LocalBox) -> None:
    verdict, run = judge(box, "print(n if n != 1 else 9)", SAMPLES, EASY, HARD)
    assert (verdict.kind, verdict.points, verdict.passed) == (Kind.WRONG, 70, 5)
    assert run == list("012345")
    assert verdict.first_failure is not None and verdict.first_failure.index == 1
    _, easy, hard = verdict.subtasks
    assert (easy.points, easy.failed, easy.why) == (0, 1, "the output differs")
    assert (hard.points, hard.failed, hard.why) == (70, None, "")


def test_a_subtask_ends_at_its_first_failure(box: LocalBox) -> None:
    verdict, run = judge(box, "print(n if n != 3 else 9)", EASY, HARD)
    assert (points(verdict), run) == ({"easy": 30, "hard": 0}, list("0123"))
    assert (verdict.passed, verdict.total) == (3, 6)


def test_a_case_that_failed_for_one_subtask_is_known_to_the_next(box: LocalBox) -> None:
    verdict, run = judge(box, "print(n if n != 2 else 9)", EASY, HARD)
    assert (points(verdict), run) == ({"easy": 0, "hard": 0}, list("012"))
    assert [one.failed for one in verdict.subtasks] == [2, 2]
    shared_last = Subtask(name="hard", points=70, cases=(3, 4, 5, 2))
    verdict, run = judge(box, "print(n if n != 2 else 9)", EASY, shared_last)
    assert (verdict.points, run) == (0, list("012"))


def test_a_subtask_is_not_begun_where_one_that_it_needs_failed(box: LocalBox) -> None:
    verdict, run = judge(box, "print(n if n != 1 else 9)", EASY, HARD_AFTER_EASY)
    assert (points(verdict), run) == ({"easy": 0, "hard": 0}, list("01"))
    assert (verdict.subtasks[1].failed, verdict.subtasks[1].why) == (None, "it needs 'easy'")
    verdict, _ = judge(box, "print(n if n != 4 else 9)", EASY, HARD_AFTER_EASY)
    assert points(verdict) == {"easy": 30, "hard": 0}


def test_a_checkers_points_make_a_share_and_the_least_counts(box: LocalBox) -> None:
    verdict, run = judge(box, "print([1, 0.5, 0.75, 1, 0.25, 1][n])", EASY, HARD, checker=SHARES)
    assert points(verdict) == {"easy": 15, "hard": 17.5}
    assert (verdict.kind, verdict.points, run) == (Kind.WRONG, 32.5, list("012345"))
    assert [one.failed for one in verdict.subtasks] == [1, 4]
    assert verdict.subtasks[0].why == "the checker says: points 0.5"
    verdict, _ = judge(
        box, "print([1, 0.5, 0.75, 1, 1, 1][n])", EASY, HARD_AFTER_EASY, checker=SHARES
    )
    assert points(verdict) == {"easy": 15, "hard": 35}, "no more than the share of what it needs"
    verdict, _ = judge(box, "print(1)", EASY, HARD_AFTER_EASY, checker=SHARES)
    assert (verdict.kind, verdict.points) == (Kind.PASSED, 100)


@pytest.mark.parametrize(
    ("source", "kind", "runs"),
    [
        ("1 / 0", Kind.CRASHED, 2),
        ("x = [bytearray(1 << 20) for _ in range(1000)]", Kind.MEMORY, 2),
        ("print(", Kind.COMPILE_ERROR, 1),
    ],
)
def test_each_way_to_fail_earns_nothing_and_has_its_kind(
    source: str, kind: Kind, runs: int, box: LocalBox
) -> None:
    tests = StdioTests(cases=CASES, subtasks=(SAMPLES, EASY, HARD))
    verdict = box.judge(Program.python(source), tests, LIMITS)
    assert (verdict.kind, verdict.points, verdict.points_most) == (kind, 0, 100)
    assert len(verdict.outcomes) == runs
    assert [one.points_most for one in verdict.subtasks] == [0, 30, 70]
    for program in (Program.python(""), Program(language="cpp", source="int main( {")):
        verdict = box.judge(program, tests, LIMITS)
        assert verdict.kind in (Kind.NO_CODE, Kind.COMPILE_ERROR)
        assert (verdict.points, verdict.points_most, len(verdict.subtasks)) == (0, 100, 3)
        assert all(one.why for one in verdict.subtasks)


def test_conversations_earn_points_too(box: LocalBox) -> None:
    interactor = Program.python(
        "import sys\nn = open('input').read()\nprint(n, flush=True)\nsys.exit(input() != n)"
    )
    tests = InteractiveTests(
        interactor=interactor,
        cases=tuple(InteractiveCase(input=f"{n}") for n in range(6)),
        subtasks=(EASY, HARD),
    )
    verdict = box.judge(Program.python("n = input()\nprint(n if n != '1' else 9)"), tests, LIMITS)
    assert (points(verdict), verdict.kind) == ({"easy": 0, "hard": 70}, Kind.WRONG)
    assert verdict.mode == "interactive"
    verdict = box.judge(Program.python("print(input())"), tests, LIMITS)
    assert (verdict.points, verdict.kind, len(verdict.outcomes)) == (100, Kind.PASSED, 6)


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ((EASY,), "case 3 is in no subtask"),
        ((EASY, EASY), "two subtasks are called 'easy'"),
        ((HARD_AFTER_EASY, EASY), "needs 'easy', which is not before it"),
        ((Subtask(name="x", points=1, cases=(6,)),), "there is no case 6 of 6"),
    ],
)
def test_subtasks_that_do_not_fit_are_refused(groups: tuple[Subtask, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        StdioTests(cases=CASES, subtasks=groups)
    assert StdioTests(cases=CASES, subtasks=(EASY, HARD_AFTER_EASY)).subtasks


@pytest.mark.parametrize("worth", [-1, math.nan, math.inf])
def test_points_are_finite_and_not_negative(worth: float) -> None:
    with pytest.raises(ValueError, match="points must be 0 or more"):
        Subtask(name="x", points=worth, cases=(0,))
    with pytest.raises(ValueError, match="has no cases"):
        Subtask(name="x", points=1, cases=())


OUTCOME = Outcome(
    kind=Kind.PASSED, exit_code=0, signal=None, stdout="", stderr="", truncated=False,
    cpu_s=0, wall_s=0, peak_mb=0,
)  # fmt: skip


@st.composite
def contests(draw: Any) -> tuple[list[float], StdioTests]:
    scores = draw(st.lists(st.sampled_from([0, 0.25, 0.5, 1, 1, 1]), min_size=1, max_size=6))
    made: list[Subtask] = []
    for name in range(draw(st.integers(1, 4))):
        indices = draw(st.lists(st.integers(0, len(scores) - 1), min_size=1, unique=True))
        needs = tuple(one.name for one in made if draw(st.booleans()))
        made.append(Subtask(name=f"{name}", points=8, cases=tuple(indices), needs=needs))
    covered = {index for one in made for index in one.cases}
    lost = tuple(index for index in range(len(scores)) if index not in covered)
    if lost:
        made.append(Subtask(name="rest", points=8, cases=lost))
    cases = tuple(StdioCase(stdin="", stdout="") for _ in scores)
    return scores, StdioTests(cases=cases, subtasks=tuple(made))


@given(contests())
def test_what_is_not_run_would_have_changed_no_points(contest: Any) -> None:
    scores, tests = contest
    run: list[int] = []

    def mark(index: int) -> Mark:
        run.append(index)
        if scores[index] == 1:
            return Mark(score=1, outcome=OUTCOME)
        failure = Failure(index=index, test="", expected="", got="", reason="it differs")
        return Mark(score=scores[index], outcome=OUTCOME, kind=Kind.WRONG, failure=failure)

    verdict = subtasks.verdict(tests, "stdio", mark)
    shares: dict[str, float] = {}
    for one in tests.subtasks:
        needed = [shares[name] for name in one.needs]
        shares[one.name] = min([*needed, *(scores[index] for index in one.cases)])
    assert points(verdict) == {name: 8 * share for name, share in shares.items()}
    assert verdict.points == sum(8 * share for share in shares.values())
    assert verdict.points_most == 8 * len(tests.subtasks)
    assert len(run) == len(set(run)) == len(verdict.outcomes)
    assert verdict.ok is (min(scores) == 1)
    assert verdict.ok is (verdict.points == verdict.points_most)
    assert verdict.passed == sum(scores[index] == 1 for index in run)
    assert (verdict.first_failure is None) is verdict.ok
