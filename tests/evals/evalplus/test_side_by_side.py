"""evalplus 0.3.1 itself, in a venv of its own, over the same samples: verdict by verdict."""

from __future__ import annotations

import ast
import json
import os
import subprocess
from pathlib import Path

import pytest

from evals.evalplus.plus import humaneval_plus, mbpp_plus
from evals.judging import Task, judge_all
from sandbox import Pool, Verdict
from seedcoder.cache import cache_folder

ROOT = Path(__file__).parents[3]
_FILES = {
    "humaneval": "humanevalplus/HumanEvalPlus.jsonl.gz",
    "mbpp": "mbppplus/MbppPlus.jsonl.gz",
}


@pytest.fixture(scope="module")
def evalplus_python() -> str:
    python = os.environ.get("SEEDCODER_EVALPLUS_PYTHON", "")
    if not python:
        pytest.skip(
            "SEEDCODER_EVALPLUS_PYTHON names no interpreter of a venv with evalplus==0.3.1 "
            "(python -m venv V; V/bin/pip install evalplus==0.3.1)"
        )
    return python


class _Mutant(ast.NodeTransformer):
    """Change the nth comparison or number; `left` is how many there were too few."""

    def __init__(self, nth: int) -> None:
        self.left = nth

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        self.left -= 1
        if self.left == 0:
            swap = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
            node.ops = [swap.get(type(op), ast.NotEq if isinstance(op, ast.Eq) else ast.Eq)()
                        for op in node.ops]  # fmt: skip
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if type(node.value) is int:
            self.left -= 1
            if self.left == 0:
                return ast.Constant(value=node.value + 1)
        return node


def _samples(problem_source: str) -> list[str]:
    """Return the solution, and two mutants of it where there is something to change."""
    found = [problem_source]
    for nth in (1, 2):
        mutant = _Mutant(nth)
        tree = ast.fix_missing_locations(mutant.visit(ast.parse(problem_source)))
        if mutant.left <= 0:
            found.append(ast.unparse(tree))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["humaneval", "mbpp"])
def test_verdicts_are_evalplus_own(
    shared_data: Path, evalplus_python: str, evalplus_pool: Pool, tmp_path: Path, dataset: str
) -> None:
    make = humaneval_plus if dataset == "humaneval" else mbpp_plus
    bench = make(evalplus_compatible=True)
    chosen = bench.problems()[1::12]
    rows = [(p, source) for p in chosen for source in _samples(p.prompt + p.canonical)]
    samples = tmp_path / "samples.jsonl"
    lines = [json.dumps({"task_id": p.key, "solution": source}) + "\n" for p, source in rows]
    samples.write_text("".join(lines))
    peer = ROOT / "bench" / "evalplus_peer.py"
    done = subprocess.run(
        [evalplus_python, str(peer), dataset, str(shared_data / _FILES[dataset]), str(samples)],
        input="go\n",
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "XDG_CACHE_HOME": str(cache_folder() / "evalplus-peer")},
    )
    theirs = json.loads(done.stdout.splitlines()[-1])["verdicts"]
    tasks = [
        Task(
            key=str(place),
            program=bench.solution(p, source),
            tests=bench.tests(p),
            limits=bench.limits(p),
        )
        for place, (p, source) in enumerate(rows)
    ]
    differ = []
    for task, verdict in judge_all(evalplus_pool, tasks):
        assert isinstance(verdict, Verdict), verdict
        problem, source = rows[int(task.key)]
        base, plus = (status == "pass" for status in theirs[int(task.key)])
        ours = bench.values(problem, task.program, verdict)["base"] == 1.0, verdict.ok
        if ours != (base, base and plus):
            differ.append((problem.key, source, ours, theirs[int(task.key)]))
    assert not differ
    # The control: both kinds of verdict came up.
    assert len({status for pair in theirs for status in pair} - {"timeout"}) == 2
