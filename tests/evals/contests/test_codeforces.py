"""Codeforces: rows as open-r1 has them, checkers, attempts, and the rating out of a contest."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from evals.bench import Bench, Style, open_bench
from evals.problem import Problem
from evals.tally import Answer, tally
from sandbox import Kind, Pool, Program, Tests, TestsBroken, Verdict
from seedcoder.completion import Request
from seedcoder.errors import UsageError

WriteRows = Callable[[str, Sequence[Mapping[str, Any]]], Path]
Judge = Callable[[Bench, Problem, Program], Verdict]

CHAT = Style(protocol="chat")
# Any two numbers with the sum: the input, the right output, the one to look at.
CHECKER = """
import sys
def main():
    total = int(open(sys.argv[1]).read())
    assert len(open(sys.argv[2]).read().split()) == 2
    a, b = map(int, open(sys.argv[3]).read().split())
    print(1 if a + b == total else 0)
main()
"""


def _row(name: str, **more: Any) -> dict[str, Any]:
    contest, index = name.split("/")
    return {
        "id": name,
        "aliases": None,
        "contest_id": contest,
        "contest_start": 1_717_200_000,  # 2024-06-01
        "index": index,
        "time_limit": 1.0,
        "memory_limit": 256.0,
        "title": f"{index}. Sums",
        "description": "Split a number.",
        "input_format": "One number.",
        "output_format": "Its double.",
        "interaction_format": None,
        "note": None,
        "examples": [{"input": "1", "output": "2"}],
        "rating": 900,
        "tags": ["math"],
        "official_tests": [{"input": "2\n", "output": "4\n"}, {"input": "7\n", "output": "14\n"}],
        "official_tests_complete": True,
        "input_mode": "stdio",
        "generated_checker": None,
        **more,
    }


@pytest.fixture
def bench(write_rows: WriteRows) -> Bench:
    """A problem with one right output, and one with many."""
    many = _row(
        "1984/B",
        rating=1400,
        generated_checker=CHECKER,
        official_tests=[{"input": "5\n", "output": "2 3\n"}, {"input": "9\n", "output": "4 5\n"}],
    )
    return open_bench(
        "codeforces", {"path": str(write_rows("codeforces.jsonl", [_row("1984/A"), many]))}
    )


def test_rows_become_problems(bench: Bench) -> None:
    first, second = bench.problems()
    assert first.tags == ("contest:1984", "year:2024", "difficulty:easy", "tag:math")
    assert "difficulty:hard" in second.tags
    assert first.date == "2024-06-01"
    limits = bench.limits(first)
    assert (limits.cpu_s, limits.memory_mb) == (1.0, 256)
    assert bench.canonical(first) is None
    assert dict(bench.left_out()) == {}


@pytest.mark.parametrize(
    ("number", "code", "kind"),
    [
        (0, "print(int(input()) * 2)", Kind.PASSED),
        (0, "print(int(input()) * 2, '')", Kind.PASSED),
        (0, "print(int(input()) + 2)", Kind.WRONG),
        (0, "while True: pass", Kind.TIMEOUT),
        (1, "n = int(input())\nprint(n - 1, 1)", Kind.PASSED),  # not the output of the tests
        (1, "n = int(input())\nprint(n - 1, 2)", Kind.WRONG),
        (1, "print('nothing of the kind')", Kind.WRONG),  # the checker breaks on it
    ],
)
def test_programs_are_judged_by_output_or_by_the_checker(
    bench: Bench, judge: Judge, number: int, code: str, kind: Kind
) -> None:
    problem = bench.problems()[number]
    program = bench.program(problem, f"So:\n```python\n{code}\n```\n", CHAT)
    verdict = judge(bench, problem, program)
    assert verdict.kind is kind, verdict.first_failure
    assert verdict.mode == ("checker" if number else "stdio")


def test_a_checker_that_breaks_on_the_right_output_is_our_failure(
    write_rows: WriteRows, pool: Pool
) -> None:
    row = _row("1/A", generated_checker="raise SystemError('no')")
    bench = open_bench("codeforces", {"path": str(write_rows("one.jsonl", [row]))})
    problem = bench.problems()[0]
    with pytest.raises(TestsBroken):
        tests = cast(Tests, bench.tests(problem))
        pool.judge(Program.python("print(4)"), tests, bench.limits(problem))


@pytest.mark.parametrize(
    ("text", "language", "source"),
    [
        ("```cpp\nint main() {}\n```", "cpp", "int main() {}"),
        ("```\nint main() {}\n```", "cpp", "int main() {}"),
        ("```python\na = 1\n```\nor\n```cpp\nb\n```", "python", "a = 1"),
        ("```brainfuck\n+\n```", "cpp", ""),
        ("int main() {}", "cpp", ""),
    ],
)
def test_the_first_block_counts_and_its_tag_says_the_language(
    bench: Bench, text: str, language: str, source: str
) -> None:
    program = bench.program(bench.problems()[0], text, CHAT)
    assert (program.language, program.source) == (language, source)


def test_a_question_is_codeelos_and_holds_no_test(
    bench: Bench, user_text: Callable[[Request], str]
) -> None:
    asked = user_text(bench.request(bench.problems()[1], CHAT))
    assert asked.startswith(
        "You are a coding expert. Given a competition-level coding problem, you"
    )
    assert "<h1>B. Sums</h1><div>Split a number.</div><h2>Input</h2>" in asked
    assert "assert len" not in asked
    assert "4 5" not in asked
    with pytest.raises(UsageError, match="chat"):
        bench.request(bench.problems()[0], Style(protocol="completion"))


def test_what_cannot_be_judged_here_is_left_out_aloud(write_rows: WriteRows) -> None:
    rows = [
        _row("1/A"),
        _row("1/B", interaction_format="Ask."),
        _row("1/C", input_mode="file"),
        _row("1/D", official_tests=[]),
        _row("1/E", official_tests_complete=False),
        _row("1/F", official_tests_complete=False),
    ]
    bench = open_bench("codeforces", {"path": str(write_rows("some.jsonl", rows))})
    assert [problem.key for problem in bench.problems()] == ["1/A"]
    assert {part: why.split()[-1] for part, why in bench.left_out().items()} == {
        "1 problems (1/B)": "hold",
        "1 problems (1/C)": "name",
        "1 problems (1/D)": "tests",
        "2 problems (1/E, ...)": "there",
    }


@pytest.fixture
def rated(bench: Bench, tmp_path: Path) -> Bench:
    """The same problems, with standings: 100 people with 1500 points, 101 with none, all 1500."""
    people = [f"h{n}" for n in range(201)]
    standings = {
        "problems": [
            {"contestId": 1984, "index": "A", "points": 500.0},
            {"contestId": 1984, "index": "B", "points": 1000.0},
        ],
        "rows": [
            {
                "party": {"members": [{"handle": name}]},
                "points": 1500.0 if n < 100 else 0.0,
                "penalty": 0,
            }
            for n, name in enumerate(people)
        ],
    }
    changes = [{"handle": name, "oldRating": 1500} for name in people]
    path = tmp_path / "standings.json"
    path.write_text(json.dumps({"1984": {"standings": standings, "rating_changes": changes}}))
    return open_bench(
        "codeforces",
        {"path": str(tmp_path / "codeforces.jsonl"), "standings": str(path)},
    )


def _answers(make: Callable[..., Answer], **passes: Sequence[bool]) -> list[Answer]:
    return [
        make(f"1984/{index}", n, passed=passed)
        for index, tries in passes.items()
        for n, passed in enumerate(tries)
    ]


def test_the_rating_is_the_one_worked_out_by_hand(
    rated: Bench, make_answer: Callable[..., Answer]
) -> None:
    solved = rated.scores(_answers(make_answer, A=[True], B=[False, True]), (1,))
    assert (solved[0].unit, solved[0].value) == ("Elo", 1505.0)  # see test_elo
    assert solved[0].words() == "1505.0 Elo"
    assert (solved[1].metric, solved[1].value) == ("pass@1", 0.75)
    none = rated.scores(_answers(make_answer, A=[False] * 8, B=[False] * 8), (1,))
    assert none[0].value == 579.0


def test_a_ninth_attempt_is_none(rated: Bench, make_answer: Callable[..., Answer]) -> None:
    late = rated.scores(_answers(make_answer, A=[False] * 8 + [True], B=[False]), (1,))
    assert late[0].value == 579.0
    in_time = rated.scores(_answers(make_answer, A=[False] * 7 + [True], B=[False]), (1,))
    assert in_time[0].value > 579.0


def test_a_contest_counts_only_when_all_its_problems_were_asked(
    rated: Bench, make_answer: Callable[..., Answer]
) -> None:
    assert [one.metric for one in rated.scores(_answers(make_answer, A=[True]), (1,))] == ["pass@1"]
    answers = _answers(make_answer, A=[True], B=[False])
    told = tally(answers, rated.problems(), lambda some: rated.scores(some, (1,)))
    assert told.scores[0].unit == "Elo"
    assert told.parts["difficulty:easy"].metric == "pass@1"


def test_without_standings_there_is_no_rating(
    bench: Bench, rated: Bench, make_answer: Callable[..., Answer]
) -> None:
    answers = _answers(make_answer, A=[True], B=[True])
    assert [one.metric for one in bench.scores(answers, (1,))] == ["pass@1"]
    assert set(bench.data_sha256) == {"codeforces.jsonl"}
    assert set(rated.data_sha256) == {"codeforces.jsonl", "standings"}
