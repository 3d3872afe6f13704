"""The IOI: a batch task with partial points and a task that talks, in open-r1's rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from evals.bench import Bench, Style, open_bench
from evals.contests.ioi_submissions import Submission, handed_in, points
from evals.problem import Problem
from evals.tally import Answer, tally
from sandbox import Kind, Program, SubtaskResult, Verdict
from seedcoder.completion import Request
from seedcoder.errors import UsageError

WriteRows = Callable[[str, Sequence[Mapping[str, Any]]], Path]
Judge = Callable[[Bench, Problem, Program], Verdict]

CHAT = Style(protocol="chat")
GRADER = """#include "twice.h"
#include <cstdio>
static const char *secret = "s3cret";
int main() {
    long long n;
    if (scanf("%lld", &n) != 1) return 1;
    printf("%s\\n%lld\\n", secret, twice(n));
}
"""
# All of the points for the double, half of them for anything even; without the grader's word, none.
CHECKER = """#include "marks.h"
int main(int argc, char **argv) {
    ifstream right(argv[2]), output(argv[3]);
    string word;
    long long want = 0, got = 0;
    if (!(output >> word >> got) || word != "s3cret") return say(0, "no such word");
    right >> want;
    if (want == got) return say(1, "translate:success");
    return got % 2 ? say(0, "odd") : say(0.5, "even at least");
}
"""
MARKS = """#include <bits/stdc++.h>
using namespace std;
int say(double share, const char *why) {
    cout << share << endl;
    cerr << why << endl;
    return 0;
}
"""
# Asks for twice of each number in its input; ends main without a return, as many do.
MANAGER = """#include <cstdio>
#include <cstdlib>
int main(int argc, char **argv) {
    if (argc != 3) abort();
    FILE *in = fopen(argv[1], "r"), *out = fopen(argv[2], "w");
    long long n, got;
    while (scanf("%lld", &n) == 1) {
        fprintf(out, "%lld\\n", n);
        fflush(out);
        if (fscanf(in, "%lld", &got) != 1 || got != 2 * n) {
            printf("0\\n");
            fprintf(stderr, "not twice of %lld\\n", n);
            return 0;
        }
    }
    printf("1\\n");
}
"""
STUB = """#include "talk.h"
#include <cstdio>
int main(int argc, char **argv) {
    FILE *in = @IN@, *out = @OUT@;
    long long n;
    while (fscanf(in, "%lld", &n) == 1) {
        fprintf(out, "%lld\\n", talk(n));
        fflush(out);
    }
}
"""
STDIO = STUB.replace("@IN@", "stdin").replace("@OUT@", "stdout")
FIFO = STUB.replace("@IN@", 'fopen(argv[1], "r")').replace("@OUT@", 'fopen(argv[2], "w")')


def _config(**more: Any) -> list[str]:
    return ["graders/grader_config.json", json.dumps({"task_type": "Batch", **more})]


def _communication(**more: Any) -> list[str]:
    named = {f"task_type_parameters_Communication_{name}": value for name, value in more.items()}
    return _config(task_type="Communication", **named)


def _row(id: str, subtask: str, score: float, names: Sequence[str], files: Any) -> dict[str, Any]:
    return {
        "year": 2024,
        "day": "day1",
        "id": id,
        "name": id.title(),
        "subtask": subtask,
        "score": score,
        "score_precision": 2,
        "time_limit": 1.0,
        "memory_limit": 268_435_456,
        "test_names": list(names),
        "problem": f"Write `{id}` for {subtask}.",
        "grader_files": files,
    }


TWICE = [
    _config(),
    ["graders/grader.cpp", GRADER],
    ["graders/twice.h", "#pragma once\nlong long twice(long long n);\n"],
    ["checker/checker.cpp", CHECKER],
    ["checker/marks.h", MARKS],
    ["checker/notes.txt", None],
]


def _talk(stub: str, config: list[str]) -> list[list[str]]:
    return [
        config,
        ["graders/manager.cpp", MANAGER],
        ["graders/stub.cpp", stub],
        ["graders/talk.h", "long long talk(long long n);\n"],
    ]


def _cases(id: str, outputs: Mapping[str, tuple[str, str]]) -> list[dict[str, Any]]:
    return [
        {"year": 2024, "problem_id": id, "test_name": name, "test_input": x, "test_output": y}
        for name, (x, y) in outputs.items()
    ]


TWICE_ROWS = [
    _row("twice", "00-samples", 0, ["0-01"], TWICE),
    _row("twice", "01-small", 30, ["0-01", "1-01"], TWICE),
    _row("twice", "02-large", 70, ["0-01", "1-01", "2-01"], TWICE),
]
TWICE_CASES = _cases(
    "twice",
    {"0-01": ("3", "6"), "1-01": ("5", "10"), "2-01": ("4000000000", "8000000000")},
)


@pytest.fixture
def bench(write_rows: WriteRows) -> Bench:
    """One batch task of two subtasks and examples."""
    return open_bench(
        "ioi",
        {
            "path": str(write_rows("ioi.jsonl", TWICE_ROWS)),
            "tests": str(write_rows("tests.jsonl", TWICE_CASES)),
        },
    )


def _reply(code: str) -> str:
    return f"A first idea:\n```cpp\nint x;\n```\nThe solution:\n```cpp\n{code}\n```\n"


def test_each_subtask_that_is_worth_something_is_asked(
    bench: Bench, user_text: Callable[[Request], str]
) -> None:
    small, large = bench.problems()
    assert (small.key, large.key) == ("twice/01-small", "twice/02-large")
    assert small.tags == ("problem:twice", "day:day1")
    assert user_text(bench.request(large, CHAT)) == "Write `twice` for 02-large."
    limits = bench.limits(small)
    assert (limits.cpu_s, limits.memory_mb) == (1.0, 256)
    assert bench.tests(small) is bench.tests(large)
    assert set(bench.data_sha256) == {"ioi-test.jsonl", "ioi-test-cases-2024.jsonl"}
    assert dict(bench.left_out()) == {}
    with pytest.raises(UsageError, match="chat"):
        bench.request(small, Style(protocol="completion"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "kind", "earned"),
    [
        ("long long twice(long long n) { return 2 * n; }", Kind.PASSED, (0, 30, 70)),
        # Too narrow for the largest: an even number, half of the points.
        ('#include "twice.h"\nlong long twice(long long n) { return (int)(2 * n); }', Kind.WRONG,
         (0, 30, 35)),
        ("long long twice(long long n) { return n; }", Kind.WRONG, (0, 0, 0)),
        # Its own output, without the grader's word, and gone.
        ("#include <cstdio>\nlong long twice(long long n) { printf(\"%lld\\n\", 2 * n);"
         " fflush(stdout); _exit(0); }", Kind.WRONG, (0, 0, 0)),
        ("#define int long long\n#define printf puts\nint twice(int n) { return vector<int>{n}[0]"
         " * 2; }", Kind.PASSED, (0, 30, 70)),
        ("long long twice(long long n) { return 2 * n }", Kind.COMPILE_ERROR, (0, 0, 0)),
        ("", Kind.NO_CODE, (0, 0, 0)),
    ],
)  # fmt: skip
def test_a_submission_earns_what_its_worst_test_earns(
    bench: Bench, judge: Judge, code: str, kind: Kind, earned: tuple[float, ...]
) -> None:
    problem = bench.problems()[0]
    verdict = judge(bench, problem, bench.program(problem, _reply(code), CHAT))
    assert verdict.kind is kind, verdict.first_failure
    assert tuple(one.points for one in verdict.subtasks) == earned
    assert bench.values(problem, Program.python(""), verdict) == {"points": sum(earned)}


def test_no_test_and_no_output_is_in_what_is_compiled(bench: Bench) -> None:
    program = bench.program(bench.problems()[0], _reply("long long twice(long long n);"), CHAT)
    assert "s3cret" in program.source  # the grader is there, as upstream links it
    assert "8000000000" not in program.source
    assert "even at least" not in program.source  # the checker is not
    assert not program.files


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stub", "config", "tried"),
    [
        (STDIO, _communication(num_processes=1, user_io="std_io"), ("right", "narrow", "gone")),
        (FIFO, _communication(user_io="fifo_io"), ("right", "crashed")),
    ],
    ids=["stdin and stdout", "named pipes"],
)
def test_a_manager_talks_to_the_program(
    write_rows: WriteRows, judge: Judge, stub: str, config: list[str], tried: Sequence[str]
) -> None:
    files = _talk(stub, config)
    rows = [
        _row("talk", "00-samples", 0, ["0"], files),
        _row("talk", "01-one", 40, ["0", "1"], files),
        _row("talk", "02-many", 60, ["2"], files),
    ]
    cases = _cases("talk", {"0": ("1", ""), "1": ("7", ""), "2": ("1 2 3 60000", "")})
    bench = open_bench(
        "ioi",
        {
            "path": str(write_rows("ioi.jsonl", rows)),
            "tests": str(write_rows("tests.jsonl", cases)),
        },
    )
    problem = bench.problems()[0]
    bodies = {
        "right": ("return 2 * n;", Kind.PASSED, 100),
        "narrow": ("return short(2 * n);", Kind.WRONG, 40),
        "gone": ("exit(0);", Kind.WRONG, 0),
        "crashed": ("abort();", Kind.CRASHED, 0),
    }
    for name in tried:
        body, kind, earned = bodies[name]
        code = f"long long talk(long long n) {{ {body} }}"
        verdict = judge(bench, problem, bench.program(problem, _reply(code), CHAT))
        assert (verdict.kind, verdict.points) == (kind, earned), (name, verdict.first_failure)
        assert verdict.mode == "interactive"


@pytest.mark.parametrize(
    ("files", "why"),
    [
        (_talk(STDIO, _communication(num_processes=2)), "2 processes"),
        (_talk(STDIO, _communication(manager_args="a")), "arguments of its own"),
        ([*_talk(STDIO, _communication()), ["checker/checker.cpp", CHECKER]], "to a checker"),
        ([_communication()], "no manager"),
        ([_config(task_type="OutputOnly")], "'OutputOnly'"),
    ],
)
def test_what_cannot_be_judged_here_is_left_out_aloud(
    write_rows: WriteRows, files: Any, why: str
) -> None:
    rows = [*TWICE_ROWS, _row("message", "01", 100, ["1"], files)]
    bench = open_bench("ioi", {"path": str(write_rows("ioi.jsonl", rows))})
    assert {problem.tests["task"] for problem in bench.problems()} == {"twice"}
    assert why in bench.left_out()["message"]


@pytest.mark.parametrize(
    ("rows", "cases", "said"),
    [
        ([], TWICE_CASES, "no problem of 2024"),
        ([{**TWICE_ROWS[1], "grader_files": ["x"]}], TWICE_CASES, "pairs of a name and a text"),
        ([{**TWICE_ROWS[1], "test_names": ["9"]}], TWICE_CASES, "no test '9'"),
        ([TWICE_ROWS[1]], [{"problem_id": "twice"}], "row 1: no 'test_name'"),
    ],
)
def test_bad_files_are_a_line(write_rows: WriteRows, rows: Any, cases: Any, said: str) -> None:
    bench = open_bench(
        "ioi",
        {
            "path": str(write_rows("ioi.jsonl", rows)),
            "tests": str(write_rows("tests.jsonl", cases)),
        },
    )
    with pytest.raises(UsageError, match=said):
        bench.tests(bench.problems()[0])


def _submission(target: str, thought: int, *shares: float, compiles: bool = True) -> Submission:
    worth = (0.0, 30.0, 70.0)
    earned = tuple(share * most for share, most in zip(shares, worth, strict=True))
    return Submission(
        target=target, thought=thought, compiles=compiles, shares=shares, points=earned
    )


NAMES = ("s", "a", "b")


def test_subtasks_take_turns_from_the_last_and_the_longest_thought_goes_first() -> None:
    b_long = _submission("b", 900, 0, 0, 0)
    b_example = _submission("b", 100, 1, 0, 0)  # it does the examples: before all longer ones
    b_short = _submission("b", 50, 0, 0, 0)
    a_long = _submission("a", 800, 0, 1, 0)
    a_short = _submission("a", 700, 0, 0, 0)
    broken = _submission("b", 9_999, 0, 0, 0, compiles=False)
    some = [broken, b_short, b_long, b_example, a_short, a_long]
    assert handed_in(some, NAMES, most=4) == [b_example, a_long, b_long, a_short]
    assert broken not in handed_in(some, NAMES)
    assert len(handed_in(some, NAMES)) == 5
    assert handed_in(some, NAMES, most=1) == [b_example]


def test_points_are_the_best_of_each_subtask() -> None:
    one, other = _submission("a", 1, 1, 1, 0), _submission("b", 1, 0, 0, 0.5)
    assert points([one, other]) == 30 + 35
    assert points([other]) == 35


def test_the_turns_end_when_solved_places_and_emptied_subtasks_are_as_many_as_subtasks() -> None:
    """Upstream's quirk: place 2 counts as solved beside the name "s", and "b" goes on."""
    solves_b = _submission("b", 900, 1, 0, 1)  # places 0 and 2 and the name "s" are three
    rest = [_submission("b", 10 * n, 0, 0, 0) for n in range(1, 4)]
    weak_a = _submission("a", 5, 0, 0, 0)
    chosen = handed_in([solves_b, weak_a, *rest], NAMES, most=3)
    assert chosen == [solves_b, rest[2], rest[1]]  # by length, no turn for "a"


def test_the_score_is_in_points_with_the_limit_of_fifty(
    bench: Bench, make_answer: Callable[..., Answer]
) -> None:
    def verdict(small: float, large: float) -> Verdict:
        return Verdict(
            kind=Kind.WRONG, passed=0, total=3, first_failure=None, outcomes=(), mode="checker",
            points=small + large, points_most=100,
            subtasks=(
                SubtaskResult(name="00-samples", points=0, points_most=0),
                SubtaskResult(name="01-small", points=small, points_most=30),
                SubtaskResult(name="02-large", points=large, points_most=70),
            ),
        )  # fmt: skip

    # 60 programs of the large subtask; the shortest, which comes too late, is the best there.
    answers = [
        make_answer("twice/02-large", n, verdict=verdict(0, 35), tokens=1000 - n) for n in range(59)
    ]
    answers.append(make_answer("twice/02-large", 59, verdict=verdict(0, 70), tokens=1))
    answers.append(make_answer("twice/01-small", 0, verdict=verdict(30, 0), tokens=5000))
    limited, everything, best = bench.scores(answers, (1,))
    assert (limited.metric, limited.value) == ("points of 100, 50 submissions", 65)
    assert (everything.metric, everything.value) == ("points of 100, all submissions", 100)
    assert (best.metric, best.value) == ("points of 100, best submission", 70)
    assert limited.words() == "65.0 points"
    assert limited.wilson is None
    told = tally(answers, bench.problems(), lambda some: bench.scores(some, (1,)))
    assert told.scores[0].value == 65
    assert bench.scores([], (1,)) == []
