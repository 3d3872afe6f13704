"""CodeEditorBench: its four tasks in the official rows, judged for real, and OptScore."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from evals.bench import Bench, Style, open_bench
from evals.contests.codeeditorbench import SameOutput
from evals.gold import check_gold
from evals.problem import Problem
from evals.tally import Answer, tally
from sandbox import Kind, Pool, Program, Verdict
from seedcoder.completion import Request
from seedcoder.errors import MachineLacks, UsageError

WriteRows = Callable[[str, Sequence[Mapping[str, Any]]], Path]
Judge = Callable[[Bench, Problem, Program], Verdict]

CHAT = Style(protocol="chat")
TESTS = {
    "public_tests_input": "n = 2",
    "public_tests_output": "4",
    "private_tests_input": ["3", "10\n"],
    "private_tests_output": ["6\n", "20\n"],
}
SLOW = (
    "def twice(n):\n    total = 0\n    for _ in range(200000 * n):\n"
    "        total += 1\n    return n + n"
)
TWICE = "class Solution:\n    def twice(self, n: int) -> int:\n        return "

DEBUG = [
    {
        "idx": 7,
        "title": "",
        "code_language": "python3",
        "incorrect_solutions": TWICE + "n * n",
        "solutions": TWICE + "n * 2",
        "type": "logic error:operation error",
        "difficulty": "medium",
        **TESTS,
    },
    {
        "idx": 8,
        "code_language": "python",
        "incorrect_solutions": "n = int(input()\nprint(n + n)",
        "solutions": "n = int(input())\nprint(n + n)",
        "type": "syntax error:missing bracket",
        "difficulty": "easy",
        **TESTS,
    },
]
TRANSLATE = [
    {
        "idx": 0,
        "difficulty": "Easy",
        "source_code": "```java\npublic int twice(int n) { return n * 2; }\n```",
        "source_lang": "java",
        "target_lang": "python",
        **TESTS,
    }
]
SWITCH = [
    {
        "language": "python",
        "similar_source_code": "```python\ndef thrice(n):\n    return n * 3\n```",
        "pair_id": ["1", "2"],
        "public_similar_tests_input": "1",
        "public_similar_tests_output": "3",
        "public_target_tests_input": "1",
        "public_target_tests_output": "2",
        "private_target_tests_input": TESTS["private_tests_input"],
        "private_target_tests_output": TESTS["private_tests_output"],
    }
]
POLISH = [
    {
        "idx": 0,
        "difficulty": "Easy",
        "source_code": f"```python\n{SLOW}\n```",
        "source_lang": "python",
        "average_running_time": 0,
        "average_memory": 0,
        **TESTS,
    }
]


@pytest.fixture
def bench(write_rows: WriteRows, tmp_path: Path) -> Bench:
    """All four tasks."""
    write_rows("code_debug_plus.jsonl", DEBUG)
    write_rows("code_translate_plus.jsonl", TRANSLATE)
    write_rows("code_switch_plus.jsonl", SWITCH)
    write_rows("code_polishment_plus.jsonl", POLISH)
    return open_bench("codeeditorbench", {"path": str(tmp_path)})


def test_rows_of_all_four_tasks_become_problems(bench: Bench) -> None:
    assert [problem.key for problem in bench.problems()] == [
        "debug/7",
        "debug/8",
        "translate/0",
        "switch/0",
        "polish/0",
    ]
    assert bench.problems()[0].tags == (
        "task:debug",
        "language:python",
        "difficulty:medium",
        "error:logic error",
    )
    assert bench.version == "CodeEditorBench plus: debug, translate, switch, polish"
    assert len(bench.data_sha256) == 4


def test_the_judge_is_checked_on_solutions_and_on_the_code_to_debug(
    bench: Bench, pool: Pool
) -> None:
    gold = check_gold(bench, bench.problems(), pool)
    assert gold.ok, gold.words()
    assert (gold.total, gold.broken_total, gold.without) == (3, 2, 2)


@pytest.mark.parametrize(
    ("key", "reply", "kind"),
    [
        ("debug/7", "class Solution:\n    def twice(self, n):\n        return n + n", Kind.PASSED),
        ("debug/7", "def twice(n):\n    return n + n\n\nprint(twice(4))", Kind.PASSED),
        ("debug/7", "class Solution:\n    def twice(self, n):\n        return n + 3", Kind.WRONG),
        ("debug/8", "print(int(input()) * 2)", Kind.PASSED),
        ("debug/8", "print(int(input()) * 2", Kind.COMPILE_ERROR),
        ("translate/0", "def twice(n):\n    return n * 2", Kind.PASSED),
        ("translate/0", "public int twice(int n) { return n * 2; }", Kind.COMPILE_ERROR),
        ("switch/0", "def twice(n):\n    return n * 2", Kind.PASSED),
        ("switch/0", "def thrice(n):\n    return n * 3", Kind.WRONG),
        ("polish/0", "def twice(n):\n    return n * 2", Kind.PASSED),
    ],
)
def test_replies_are_judged_by_the_private_tests(
    bench: Bench, judge: Judge, key: str, reply: str, kind: Kind
) -> None:
    problem = next(one for one in bench.problems() if one.key == key)
    fenced = bench.program(problem, f"Here:\n```python\n{reply}\n```\nSo.", CHAT)
    assert judge(bench, problem, fenced).kind is kind
    bare = bench.program(problem, f"Corrected code\n{reply}", CHAT)
    assert judge(bench, problem, bare).kind is kind


def test_polished_code_earns_what_it_saves(bench: Bench, judge: Judge) -> None:
    problem = bench.problems()[-1]
    fast = bench.program(problem, "```python\ndef twice(n):\n    return n * 2\n```", CHAT)
    values = bench.values(problem, fast, judge(bench, problem, fast))
    assert values["cpu_s"] < values["source_cpu_s"] / 2
    assert 0.2 < values["opt_score"] <= 1
    assert values["improved"] == 1
    wrong = bench.program(problem, "```python\ndef twice(n):\n    return n\n```", CHAT)
    assert bench.values(problem, wrong, judge(bench, problem, wrong)) == {
        "opt_score": 0.0,
        "improved": 0.0,
    }
    assert bench.values(bench.problems()[0], fast, judge(bench, problem, fast)) == {}


def test_scores_are_told_by_task(bench: Bench, make_answer: Callable[..., Answer]) -> None:
    answers = [
        make_answer("debug/7", passed=True),
        make_answer("debug/8", passed=False),
        make_answer("translate/0", passed=True),
        make_answer("polish/0", passed=True, values={"opt_score": 0.25, "improved": 1.0}),
    ]
    told = tally(answers, bench.problems(), lambda some: bench.scores(some, (1,)))
    assert [(score.metric, score.value) for score in told.scores] == [
        ("pass@1", 2 / 3),
        ("OptScore (polish)", 0.25),
        ("improved (polish)", 1.0),
    ]
    assert told.parts["task:debug"].value == 0.5
    assert told.parts["task:polish"].metric == "OptScore (polish)"
    assert told.parts["task:polish"].value == 0.25


def test_a_question_is_upstreams_instruction(
    bench: Bench, user_text: Callable[[Request], str]
) -> None:
    asked = {one.key: user_text(bench.request(one, CHAT)) for one in bench.problems()}
    assert "correcting the python3 buggy code" in asked["debug/7"]
    assert "Translate this code to python." in asked["translate/0"]
    assert "It currently performs the operation:\nInput: 1\nOutput: 3" in asked["switch/0"]
    assert "enhance its execution efficiency" in asked["polish/0"]
    for text in asked.values():
        assert text.startswith("Write a solution to the following coding problem:\n")
        assert "2. You must wrap your code using ```." in text
        assert "20" not in text.replace("200000", "")  # a private test's output
    base = bench.request(bench.problems()[0], Style(protocol="completion")).prompt
    assert isinstance(base, str)
    assert base.endswith("\n\nAnswer:")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"code_language": "cobol"}, "'cobol' is none of"),
        ({"private_tests_output": ["6"]}, "row 1: ValueError"),
        ({"private_tests_input": None}, "row 1: TypeError"),
    ],
)
def test_a_bad_row_is_a_line(write_rows: WriteRows, change: dict[str, Any], said: str) -> None:
    path = write_rows("code_debug_plus.jsonl", [DEBUG[0] | change])
    bench = open_bench("codeeditorbench", {"path": str(path.parent), "task": "debug"})
    with pytest.raises(UsageError, match=said):
        bench.problems()


def test_rows_without_tests_and_files_that_are_not_there_are_told(
    write_rows: WriteRows, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    empty = DEBUG[0] | {"private_tests_input": [], "private_tests_output": []}
    path = write_rows("code_debug_primary.jsonl", [*DEBUG, empty | {"idx": 9}])
    options = {"path": str(path.parent), "task": "debug", "subset": "primary"}
    bench = open_bench("codeeditorbench", options)
    assert len(bench.problems()) == 2
    assert dict(bench.left_out()) == {"debug/9": "its row has no private tests"}
    monkeypatch.setenv("SEEDCODER_DATA", str(tmp_path / "none"))
    monkeypatch.setenv("SEEDCODER_CACHE", str(tmp_path / "none"))
    with pytest.raises(MachineLacks, match=r"download code_switch_plus\.jsonl"):
        open_bench("codeeditorbench", {"task": "switch"}).problems()


@pytest.mark.parametrize(
    ("expected", "got", "same"),
    [
        ("[2, 4]\n", "[2,4]", True),
        ("True", "true", True),
        ("null\n", "None\n", True),
        ("abc", '"abc"', True),
        ("12", '"12"', True),
        ("2.00000", "2.0", True),
        ("3.33333", "3.3333333333", True),
        ("3.33333", "3.3343", False),
        ("1000000007", "1000000008", False),
        ("1", "true", False),
        ("[1, 2]", "[2, 1]", False),
        ("[1]", "[" * 50_000, False),
        ("a\nb", "a", False),
        ("NaN", "nan", False),
    ],
)
def test_outputs_are_the_same_lines_or_the_same_values(expected: str, got: str, same: bool) -> None:
    assert SameOutput()(expected, got) is same
