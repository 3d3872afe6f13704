"""MHPP over rows of our own: judged by examples or by local tests, and written for its server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evals.bench import Style, open_bench
from evals.gold import check_gold
from evals.mhpp import submission
from evals.problem import Sample
from sandbox import Kind, Pool, Verdict
from seedcoder.errors import UsageError

CHAT = Style(protocol="chat")
QUESTION = '''\
from typing import List

FACTOR = 2

def doubled(nums: List[int]) -> List[int]:
    """Double each.
    >>> doubled([1, 2])
    [2, 4]
    Explanation: each is taken twice.
    >>> doubled([])
    []
    """'''
ROW = {
    "id": 1,
    "difficulty_types": 1,
    "question": QUESTION,
    "prompt": f"Write a Python function according to the docstring. \n\n{QUESTION}",
    "function_name": "doubled",
    "parameters": ["nums"],
}
RIGHT = (
    "```python\ndef doubled(nums: List[int]) -> List[int]:\n"
    "    return [FACTOR * n for n in nums]\n```"
)
WRONG = "```python\ndef doubled(nums):\n    return [3 * n for n in nums]\n```"


def bench_of(folder: Path, *rows: dict[str, Any]) -> Any:
    path = folder / "MHPP.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows or (ROW,)))
    return open_bench("mhpp", {"path": str(path)})


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(1, confirm_timeouts=False) as made:
        yield made


def verdict(pool: Pool, bench: Any, text: str, style: Style = CHAT) -> Verdict:
    (problem,) = bench.problems()
    program = bench.program(problem, text, style)
    found = pool.submit(program, bench.tests(problem), bench.limits(problem)).result()
    assert isinstance(found, Verdict)
    return found


def test_examples_judge_where_there_are_no_tests(pool: Pool, tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    passed = verdict(pool, bench, RIGHT)
    assert passed.ok and passed.mode == "proxy"
    assert verdict(pool, bench, WRONG).kind is Kind.WRONG
    assert verdict(pool, bench, "No.").kind is Kind.NO_CODE
    assert check_gold(bench, bench.problems(), pool).ok


def test_tests_in_the_file_judge_before_examples(pool: Pool, tmp_path: Path) -> None:
    bench = bench_of(tmp_path, {**ROW, "test": "assert doubled([7]) == [21]\n"})
    assert not verdict(pool, bench, RIGHT).ok
    assert verdict(pool, bench, WRONG).ok


def test_floats_may_differ_as_the_questions_allow(pool: Pool, tmp_path: Path) -> None:
    question = 'def half(n: int) -> float:\n    """Half.\n    >>> half(1)\n    0.50000\n    """'
    bench = bench_of(tmp_path, {**ROW, "question": question, "function_name": "half"})
    for factor, ok in ((0.5000001, True), (0.51, False)):
        code = f"```python\ndef half(n):\n    return n * {factor}\n```"
        assert verdict(pool, bench, code).ok is ok


def test_a_base_model_continues_the_question(pool: Pool, tmp_path: Path) -> None:
    style = Style(protocol="completion")
    bench = bench_of(tmp_path)
    assert bench.request(bench.problems()[0], style).prompt == QUESTION
    assert verdict(pool, bench, "\n    return [2 * n for n in nums]\n\nprint(1", style).ok


def test_scores_by_examples_bear_another_name(tmp_path: Path) -> None:
    from evals.tally import Answer
    from sandbox import Outcome

    outcome = Outcome(
        kind=Kind.PASSED, exit_code=0, signal=None, stdout="", stderr="", truncated=False,
        cpu_s=0.0, wall_s=0.0, peak_mb=0.0,
    )  # fmt: skip
    passed = Verdict(
        kind=Kind.PASSED, passed=1, total=1, first_failure=None, outcomes=(outcome,), mode="proxy"
    )
    answers = [Answer(key="MHPP/1#0", problem="MHPP/1", n=0, verdict=passed)]
    assert bench_of(tmp_path).scores(answers, (1,))[0].metric == "pass@1 on examples"
    full = bench_of(tmp_path, {**ROW, "test": "assert doubled([]) == []"})
    assert full.scores(answers, (1,))[0].metric == "pass@1"


def test_a_submission_has_what_the_server_takes(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    samples = [
        Sample(key=f"MHPP/1#{n}", problem="MHPP/1", n=n, text=f"reply {n}", finish="stop")
        for n in range(2)
    ]
    (row,) = submission(bench, samples)
    assert row == {
        "id": 1,
        "function_name": "doubled",
        "prompt": ROW["prompt"],
        "difficulty_types": 1,
        "response": "reply 0",
    }


def test_problems_with_nothing_to_judge_by_are_left_out(tmp_path: Path) -> None:
    other = {**ROW, "id": 2, "question": 'def f():\n    """No example."""', "function_name": "f"}
    bench = bench_of(tmp_path, ROW, other)
    assert [problem.key for problem in bench.problems()] == ["MHPP/1"]
    assert list(bench.left_out()) == ["1 problems"]
    assert bench.problems()[0].tags == ("challenge:distraction",)


@pytest.mark.parametrize(
    ("column", "value"), [("question", 3), ("prompt", ""), ("function_name", "a b")]
)
def test_a_bad_row_is_told_with_its_place(tmp_path: Path, column: str, value: Any) -> None:
    with pytest.raises(UsageError, match=rf"MHPP.jsonl: 1: {column}"):
        bench_of(tmp_path, {**ROW, column: value}).problems()
