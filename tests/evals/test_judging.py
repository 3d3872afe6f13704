"""Programs in the pool, and the check that the judge can be trusted."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from evals.gold import Gold, check_gold
from evals.humaneval import HumanEval
from evals.judging import Judging, Task, judge_all, shortened
from evals.problem import Problem
from sandbox import AssertTests, Kind, Limits, Outcome, Pool, Program, SandboxBroken, Verdict

TESTS = AssertTests(test="def check(c):\n    assert c(2) == 4\n", entry_point="f", call="check(f)")


def _job(key: str, source: str) -> Task:
    return Task(program=Program.python(source), tests=TESTS, limits=Limits(cpu_s=2.0), key=key)


def _descendants() -> set[int]:
    """Return the processes that came from this one."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents[int(entry.name)] = int(words[1])
    found, fresh = set[int](), {os.getpid()}
    while fresh:
        fresh = {pid for pid, parent in parents.items() if parent in fresh} - found
        found |= fresh
    return found


@pytest.mark.slow
def test_every_job_comes_back_once_with_its_own_verdict() -> None:
    jobs = [_job(str(i), f"def f(x):\n    return x + {i}\n") for i in range(20)]
    with Pool(2) as pool:
        results = {job.key: result for job, result in judge_all(pool, jobs)}
    kinds = {key: result.kind for key, result in results.items() if isinstance(result, Verdict)}
    assert kinds == {str(i): Kind.PASSED if i == 2 else Kind.WRONG for i in range(20)}


@pytest.mark.slow
@pytest.mark.parametrize("breaks_again", [False, True])
def test_a_broken_box_costs_one_more_try_and_a_second_break_is_no_verdict(
    breaks_again: bool,
) -> None:
    slow = "import time\ntime.sleep(1.5)\ndef f(x):\n    return x * x\n"
    found: list[tuple[Task, object]] = []
    with Pool(1) as pool:
        pool.judge(Program.python("def f(x):\n    return 4\n"), TESTS)  # the box is up
        judging = Judging(pool)
        judging.submit(_job("slow", slow))
        time.sleep(0.5)  # the program sleeps in its box now
        _kill(_descendants())
        deadline = time.monotonic() + 60
        while breaks_again and not found:
            time.sleep(0.5)
            _kill(_descendants())
            found += judging.ready()
            assert time.monotonic() < deadline
        found += judging.ready(to_the_end=True)
    (job, result), *rest = found
    assert (job.key, rest) == ("slow", [])
    if breaks_again:
        assert isinstance(result, SandboxBroken)
    else:
        assert isinstance(result, Verdict)
        assert result.ok


def _kill(processes: set[int]) -> None:
    for how in (signal.SIGSTOP, signal.SIGKILL):  # so that none tells of another's end
        for pid in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, how)


@pytest.mark.slow
def test_gold_passes_and_broken_programs_do_not(humaneval: HumanEval) -> None:
    with Pool(2) as pool:
        gold = check_gold(humaneval, humaneval.problems()[30:40], pool)
    assert gold.ok
    assert gold.words() == "10 of 10 canonical solutions pass, 0 of 10 broken ones"
    assert Gold.from_json(gold.to_json()) == gold


class _Swapped(HumanEval):
    """A benchmark whose data is wrong: one canonical solution fails, one broken one passes."""

    def canonical(self, problem: Problem) -> Program:
        swap = problem.key == "HumanEval/1"
        body = "    return None\n" if swap else problem.canonical
        return Program.python(problem.prompt + body)

    def broken(self, problem: Problem) -> Program:
        swap = problem.key == "HumanEval/2"
        body = problem.canonical if swap else "    return None\n"
        return Program.python(problem.prompt + body)


@pytest.mark.slow
def test_a_judge_that_is_wrong_either_way_is_found_out() -> None:
    bench = _Swapped()
    with Pool(2) as pool:
        gold = check_gold(bench, bench.problems()[:4], pool)
    assert not gold.ok
    assert (gold.canonical_passed, gold.broken_passed, gold.total) == (3, 1, 4)
    assert [fault.partition(":")[0] for fault in gold.faults] == [
        "HumanEval/1 canonical",
        "HumanEval/2 broken",
    ]
    assert "HumanEval/1 canonical: wrong" in gold.words()


def test_a_row_keeps_both_ends_of_a_long_output() -> None:
    outcome = Outcome(
        kind=Kind.PASSED,
        exit_code=0,
        signal=None,
        stdout="a" * 3000 + "b" * 10_000 + "c" * 3000,
        stderr="short",
        truncated=False,
        cpu_s=0.1,
        wall_s=0.1,
        peak_mb=1.0,
        files={"x": b"y"},
    )
    verdict = Verdict(
        kind=Kind.WRONG, passed=0, total=1, first_failure=None, outcomes=(outcome,), mode="proxy"
    )
    kept = shortened(verdict).outcomes[0]
    assert kept.stdout.startswith("a" * 2000 + "\n... 12000 characters left out")
    assert kept.stdout.endswith("c" * 2000)
    assert (kept.stderr, kept.files) == ("short", {})
