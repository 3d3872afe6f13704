"""LiveCodeBench: rows in the official format, judged for real, and what each window holds."""

from __future__ import annotations

import base64
import json
import pickle
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from evals.bench import Bench, Style, open_bench
from evals.contests.livecodebench_tests import SameLines, SameValue
from evals.problem import Problem
from evals.tally import tally
from sandbox import Kind, Program, Verdict
from seedcoder.completion import Request
from seedcoder.errors import MachineLacks, UsageError

WriteRows = Callable[[str, Sequence[Mapping[str, Any]]], Path]
Judge = Callable[[Bench, Problem, Program], Verdict]

CHAT = Style(protocol="chat")
BASE = Style(protocol="completion")
SQUARE = "n = int(input())\nprint(n * n)"
HALVES = "class Solution:\n    def halves(self, xs: List[int], k: int) -> List[float]:\n"
RIGHT = HALVES + "        print('seen', xs)\n        return [x / 2 for x in xs if x > k]"


def _row(name: str, day: str, **more: Any) -> dict[str, Any]:
    return {
        "question_title": name.upper(),
        "question_content": f"Square the number of {name}.",
        "platform": "atcoder",
        "question_id": name,
        "contest_id": "abc000",
        "contest_date": f"{day}T00:00:00",
        "starter_code": "",
        "difficulty": "easy",
        "public_test_cases": _plain([("3\n", "9\n")], "stdin"),
        "private_test_cases": _sealed([("4\n", "16\n"), ("-5\n", "25\n")], "stdin"),
        "metadata": "{}",
        **more,
    }


def _plain(pairs: Sequence[tuple[str, str]], kind: str) -> str:
    return json.dumps([{"input": x, "output": y, "testtype": kind} for x, y in pairs])


def _sealed(pairs: Sequence[tuple[str, str]], kind: str) -> str:
    return base64.b64encode(zlib.compress(pickle.dumps(_plain(pairs, kind)))).decode()


def _functional(name: str, day: str) -> dict[str, Any]:
    return _row(
        name,
        day,
        platform="leetcode",
        difficulty="hard",
        starter_code=HALVES,
        public_test_cases=_plain([("[1, 2, 4]\n1", "[1.0, 2.0]")], "functional"),
        private_test_cases=_plain([("[]\n0", "[]"), ("[6]\n5", "[3]")], "functional"),
        metadata=json.dumps({"func_name": "halves"}),
    )


def _reply(code: str) -> str:
    return f"First a guess:\n```python\nprint(0)\n```\nNo, this:\n```python\n{code}\n```\nDone."


@pytest.fixture
def bench(write_rows: WriteRows) -> Bench:
    """Two problems, one of each kind."""
    rows = [_row("b_square", "2024-10-01"), _functional("a_halves", "2025-02-28")]
    return open_bench("livecodebench", {"path": str(write_rows("test.jsonl", rows))})


def test_rows_become_problems_in_the_order_of_their_ids(bench: Bench) -> None:
    halves, square = bench.problems()
    assert (halves.key, square.key) == ("a_halves", "b_square")
    assert square.tags == ("difficulty:easy", "platform:atcoder", "month:2024-10")
    assert (halves.date, halves.entry_point, square.entry_point) == ("2025-02-28", "halves", "")
    assert "release_v6" in bench.version
    assert set(bench.data_sha256) == {"test.jsonl"}
    assert bench.canonical(square) is None
    assert bench.broken(square) is None


@pytest.mark.parametrize(
    ("code", "kind", "passed"),
    [
        (SQUARE, Kind.PASSED, 3),
        ("import sys\nfor line in sys.stdin:\n    print(int(line) ** 2, ' ')", Kind.PASSED, 3),
        ("print(Decimal(int(input()) ** 2))", Kind.CRASHED, 0),  # `decimal` is not in the prelude
        ("print(f'{gcd(int(input()) ** 2, 0)}.00')", Kind.PASSED, 3),  # equal as decimals
        ("print(abs(int(input())) * 3)", Kind.WRONG, 1),
        ("from __future__ import annotations\nprint(int(input()) ** 2)", Kind.PASSED, 3),
        ("def f(: pass", Kind.COMPILE_ERROR, 0),
    ],
)
def test_a_program_is_judged_by_all_tests_through_stdin(
    bench: Bench, judge: Judge, code: str, kind: Kind, passed: int
) -> None:
    problem = bench.problems()[1]
    verdict = judge(bench, problem, bench.program(problem, _reply(code), CHAT))
    assert (verdict.kind, verdict.passed, verdict.total) == (kind, passed, 3)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (RIGHT, Kind.PASSED),
        (RIGHT.replace("[x / 2 for x in xs if x > k]", "(x / 2 for x in xs)"), Kind.CRASHED),
        (RIGHT.replace("[x / 2", "tuple(x / 2").replace("> k]", "> k)"), Kind.PASSED),
        (RIGHT.replace("[x / 2", "[(x / 2,)"), Kind.WRONG),
        (RIGHT.replace("> k", ">= k"), Kind.WRONG),
        (RIGHT.replace("return", "exit(").replace("> k]", "> k])"), Kind.CRASHED),
        ("def halves(xs, k):\n    return [x / 2 for x in xs if x > k]", Kind.PASSED),
        ("print('[1.0, 2.0]')\nimport os\nos._exit(0)", Kind.WRONG),
    ],
)
def test_a_method_is_called_and_its_value_compared(
    bench: Bench, judge: Judge, code: str, kind: Kind
) -> None:
    problem = bench.problems()[0]
    verdict = judge(bench, problem, bench.program(problem, _reply(code), CHAT))
    assert verdict.kind is kind, verdict.first_failure


def test_every_test_has_its_own_six_seconds(bench: Bench) -> None:
    assert {bench.limits(problem).cpu_s for problem in bench.problems()} == {6.0}


def test_the_program_is_between_the_last_two_fences(bench: Bench) -> None:
    problem = bench.problems()[1]
    assert bench.program(problem, _reply(SQUARE), CHAT).source.endswith(SQUARE)
    assert bench.program(problem, "print(1)", CHAT).source == ""
    assert bench.program(problem, "```python\nprint(1)", CHAT).source == ""
    base = bench.program(problem, f"{SQUARE}\n### Question\nnext", BASE).source
    assert base.endswith(SQUARE)


def test_a_question_is_asked_in_upstreams_words(
    bench: Bench, user_text: Callable[[Request], str]
) -> None:
    halves, square = bench.problems()
    asked = user_text(bench.request(square, CHAT))
    assert asked.startswith("### Question:\nSquare the number of b_square.\n\n### Format: Read the")
    assert asked.endswith(
        "```python\n# YOUR CODE HERE\n```\n\n"
        "### Answer: (use the provided format with backticks)\n\n"
    )
    assert f"```python\n{HALVES}\n```" in user_text(bench.request(halves, CHAT))
    assert bench.request(square, CHAT).prefill == ""
    for problem in (halves, square):  # no answer of any test is in a prompt
        assert "[3]" not in str(bench.request(problem, CHAT))
        assert "25\\n" not in str(bench.request(problem, CHAT))


@pytest.mark.parametrize(
    ("wording", "system"),
    [
        ("r1", "The reasoning process and answer are enclosed within <think>"),
        ("qwq", "You are Qwen developed by Alibaba"),
        ("codeqwen", "You are a helpful assistant."),
    ],
)
def test_reasoning_models_are_asked_as_their_authors_ask(
    write_rows: WriteRows, wording: str, system: str, user_text: Callable[[Request], str]
) -> None:
    path = write_rows("test.jsonl", [_row("a", "2024-10-01")])
    bench = open_bench("livecodebench", {"path": str(path), "prompt": wording})
    request = bench.request(bench.problems()[0], CHAT)
    assert not isinstance(request.prompt, str)
    assert system in request.prompt[0].content
    assert "\n\nQuestion: Square the number of a.\n\nRead the inputs" in user_text(request)


def test_base_models_see_one_solved_example_where_it_is_given(bench: Bench, tmp_path: Path) -> None:
    problem = bench.problems()[1]
    plain = bench.request(problem, BASE).prompt
    assert plain == "### Question\nSquare the number of b_square.\n\n### Answer"
    for name in ("func.json", "stdin.json"):
        (tmp_path / name).write_text(json.dumps([{"question": "Q", "answer": f"# {name}"}]))
    options = {"path": str(tmp_path / "test.jsonl"), "shots": str(tmp_path)}
    shown = open_bench("livecodebench", options)
    prompt = shown.request(shown.problems()[1], BASE).prompt
    assert prompt == f"### Question\nQ\n\n### Answer\n\n# stdin.json\n\n{plain}"
    assert set(shown.data_sha256) == {"test.jsonl", "func.json", "stdin.json"}
    (tmp_path / "stdin.json").write_text("[]")
    with pytest.raises(UsageError, match=r"options\.shots"):
        shown.request(shown.problems()[1], BASE)


@pytest.mark.parametrize(
    ("options", "keys"),
    [
        ({}, "abcde"),
        ({"start_date": "2024-10-01"}, "bcde"),
        ({"end_date": "2025-02-28"}, "abc"),  # d is of that day, but later than its midnight
        ({"start_date": "2024-10-01", "end_date": "2025-02-28"}, "bc"),
        ({"window": "2410-2502"}, "bc"),
        ({"window": "2411-2502"}, "c"),
        ({"window": "2503-2504"}, "e"),
        ({"release": "release_v1"}, "ab"),
        ({"release": "release_v2", "errata": "drop"}, "abcd"),
    ],
)
def test_a_window_holds_both_of_its_days(
    write_rows: WriteRows, tmp_path: Path, options: dict[str, Any], keys: str
) -> None:
    write_rows("test.jsonl", [_row("b", "2024-10-01"), _row("a", "2024-09-30")])
    faulty = _row("e", "2025-03-01", question_title="find-the-peaks")
    rows = [_row("c", "2025-02-28"), _row("d", "2025-02-28"), faulty]
    rows[1]["contest_date"] = "2025-02-28T10:30:00"
    write_rows("test2.jsonl", rows)
    bench = open_bench("livecodebench", {"path": str(tmp_path), "release": "release_v2", **options})
    assert "".join(problem.key for problem in bench.problems()) == keys
    for problem in bench.problems():
        assert ("errata:several-outputs" in problem.tags) is (problem.key == "e")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"contest_date": "yesterday"}, "row 1.*yesterday"),
        ({"metadata": "{"}, "row 1"),
        ({"metadata": '{"func_name": "__import__(1)"}'}, "func_name"),
    ],
)
def test_a_bad_row_is_a_line_with_its_place(
    write_rows: WriteRows, change: dict[str, Any], said: str
) -> None:
    path = write_rows("test.jsonl", [_row("a", "2024-10-01") | change])
    with pytest.raises(UsageError, match=said):
        open_bench("livecodebench", {"path": str(path)}).problems()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"private_test_cases": "garbage"}, "private_test_cases is neither JSON nor"),
        ({"public_test_cases": "garbage"}, "public_test_cases is not JSON"),
        ({"public_test_cases": '[{"input": 3}]'}, "without input and output"),
        ({"metadata": '{"func_name": "f"}', "private_test_cases": "[]"}, "^.*: a: .*"),
    ],
)
def test_tests_that_are_none_are_a_line_too(
    write_rows: WriteRows, change: dict[str, Any], said: str
) -> None:
    row = _row("a", "2024-10-01", public_test_cases=_plain([("x y", "z")], "stdin")) | change
    bench = open_bench("livecodebench", {"path": str(write_rows("test.jsonl", [row]))})
    with pytest.raises(UsageError, match=said) as caught:
        bench.tests(bench.problems()[0])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"window": "24-10"}, "YYMM-YYMM"),
        ({"window": "2410-2502", "start_date": "2024-10-01"}, "not both"),
        ({"window": "2502-2410"}, "before it begins"),
        ({"release": "release_v9"}, "release_v6"),
        ({"start_date": "soon"}, "start_date"),
        ({"windows": "x"}, "no such option"),
    ],
)
def test_a_bad_option_is_told(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        open_bench("livecodebench", options)


def test_absent_data_is_told_with_what_to_fetch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SEEDCODER_DATA", str(tmp_path))
    monkeypatch.setenv("SEEDCODER_CACHE", str(tmp_path))
    with pytest.raises(MachineLacks, match=r"download test\.jsonl from the data set"):
        open_bench("livecodebench", {"release": "release_v1"}).problems()


@pytest.mark.parametrize(
    ("expected", "got", "same"),
    [
        ("1\n2\n", " 1 \n2", True),
        ("1 2", "1  2", True),  # as decimals
        ("a b", "a  b", False),
        ("0.50", "0.5", True),
        ("1e3", "1000", True),
        ("50000000000000000", "50000000000000001", False),
        ("1\n", "1\n\n2", False),
        ("yes", "Yes", False),
        ("nan", "nan ", True),
        ("0.1", "0.1000001", False),
        ("", "", True),
    ],
)
def test_lines_are_the_same_as_upstream_says(expected: str, got: str, same: bool) -> None:
    assert SameLines()(expected, got) is same


@pytest.mark.parametrize(
    ("expected", "got", "same"),
    [
        ("[1]", "[1.0]", True),
        ("true", "1", True),
        ("[1, 2]", "[2, 1]", False),
        ('"a"', '"a"', True),
        ("1", "", False),
        ("1", "1 2", False),
        ("[]", "[" * 100_000, False),
    ],
)
def test_values_are_the_same_as_python_says(expected: str, got: str, same: bool) -> None:
    assert SameValue()(expected, got) is same


def test_scores_are_told_by_difficulty(bench: Bench, make_answer: Callable[..., Any]) -> None:
    answers = [make_answer("a_halves", passed=False), make_answer("b_square", passed=True)]
    told = tally(answers, bench.problems(), lambda some: bench.scores(some, (1,)))
    assert told.scores[0].value == 0.5
    by_tag = {tag: score.value for tag, score in told.parts.items()}
    assert (by_tag["difficulty:easy"], by_tag["difficulty:hard"]) == (1.0, 0.0)
    assert (by_tag["month:2024-10"], by_tag["month:2025-02"]) == (1.0, 0.0)
