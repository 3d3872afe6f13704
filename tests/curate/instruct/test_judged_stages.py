"""Correction, problems, pairs and long thoughts: scripted models, and the sandbox for real."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from curate.instruct.pipeline import made
from curate.instruct.recipe import InstructRecipe
from sandbox import AssertTests, Program, StdioTests, judge
from sandbox.tests_json import tests_from_json, tests_to_json

RecipeOf = Callable[..., InstructRecipe]
ReadRows = Callable[[Path], list[dict[str, Any]]]
WriteRows = Callable[..., Path]

GOOD = "def add(a, b):\n    return a + b"
WRONG = "def add(a, b):\n    return a - b"
TESTS = "assert add(1, 2) == 3\nassert add(-1, 1) == 0\nassert add([1], [2]) == [1, 2]"
CHEATS = {
    "exits": "import sys\ndef add(a, b):\n    sys.exit(0)",
    "exits at once": "import os\ndef add(a, b):\n    return 0\nos._exit(0)",
    "prints": "import os\ndef add(a, b):\n    print('passed', flush=True)\n    os._exit(0)",
    "equals everything": "class E:\n    def __eq__(self, other):\n        return True\n"
    "def add(a, b):\n    return E()",
    "an int that equals everything": "class E(int):\n    def __eq__(self, other):\n"
    "        return True\n    __hash__ = int.__hash__\ndef add(a, b):\n    return E(0)",
    "unmakes asserts": "import builtins\nbuiltins.AssertionError = SystemExit\n"
    "def add(a, b):\n    raise SystemExit(0)",
    "replaces the test": "import inspect\ndef add(a, b):\n    for one in inspect.stack():\n"
    "        one.frame.f_globals['add'] = lambda *x: 3\n    return None",
    "exits at the end": "import atexit, os\natexit.register(lambda: os._exit(0))\n"
    "def add(a, b):\n    raise AssertionError",
}


def fenced(*sources: str) -> str:
    return "\n\n".join(f"```python\n{source}\n```" for source in sources)


def problem(key: str, **said: Any) -> dict[str, Any]:
    tests = tests_to_json(AssertTests(test=TESTS, entry_point="add", mode="proxy"))
    return {"key": key, "prompt": f"Write add for {key}.", "tests": tests, **said}


def test_the_plain_solution_passes_and_is_the_control_of_all_cheats() -> None:
    tests = AssertTests(test=TESTS, entry_point="add", mode="proxy")
    assert judge(Program.python(GOOD), tests).ok
    assert not judge(Program.python(WRONG), tests).ok


@pytest.mark.slow
def test_solutions_are_revised_until_they_pass_or_there_are_no_tries(
    recipe_of: RecipeOf, write_rows: WriteRows, read_rows: ReadRows
) -> None:
    keys = ("once", "revised", "never", "gives-up")
    tasks = write_rows(
        "in.jsonl", [{"key": key, "prompt": "Add.", "topics": ["a"]} for key in keys]
    )
    recipe = recipe_of(
        {
            "once/solve": fenced(GOOD, TESTS),
            "revised/solve": fenced(WRONG, TESTS),
            "revised/revise0": fenced(CHEATS["exits"]),
            "revised/revise1": fenced(GOOD),
            "never/solve": fenced(WRONG, TESTS),
            "never/revise0": fenced(WRONG),
            "never/revise1": fenced(CHEATS["prints"]),
            "gives-up/solve": fenced(WRONG, TESTS),
            "gives-up/revise0": "The tests are wrong.",
        },
        correct={"input": tasks, "revisions": 2},
    )
    result = made(recipe, "correct")
    rows = {row["key"]: row for row in read_rows(result.file)}
    assert {key: row["revisions"] for key, row in rows.items()} == {"once": 0, "revised": 2}
    assert result.dropped == {
        "revision: no whole solution": 1,
        "still failing after all revisions": 1,
    }
    assert result.unfinished == {}
    for row in rows.values():
        assert row["topics"] == ["a"]
        assert row["messages"][1]["content"] == fenced(GOOD)
        assert judge(Program.python(row["solution"]), tests_from_json(row["tests"])).ok


@pytest.mark.slow
def test_cheating_solutions_are_never_kept(
    recipe_of: RecipeOf, write_rows: WriteRows, read_rows: ReadRows
) -> None:
    """As corrected solutions, as references, as chosen answers; an honest one beside them is."""
    sources = {"honest": GOOD} | {key.replace(" ", "-"): text for key, text in CHEATS.items()}
    tasks = write_rows("in.jsonl", [{"key": key, "prompt": "Add."} for key in sources])
    given = write_rows(
        "given.jsonl",
        [problem(f"ref-{key}", solution=text) for key, text in sources.items()]
        + [problem(f"pair-{key}") for key in sources],
    )
    answers: dict[Any, str] = {}
    for key, text in sources.items():
        answers[f"{key}/solve"] = fenced(text, TESTS)
        answers |= {f"ref-{key}/sample": fenced(text)}
        answers |= {
            (f"pair-{key}/sample", 0): fenced(text),
            (f"pair-{key}/sample", 1): fenced(GOOD),
        }
        answers[f"pair-{key}/sample", 2] = fenced(WRONG)
    recipe = recipe_of(
        answers,
        correct={"input": tasks, "revisions": 0},
        problems={"input": given, "samples": 3},
        pairs={"input": given, "samples": 3, "per_prompt": 3},
    )
    correct = made(recipe, "correct")
    assert [row["key"] for row in read_rows(correct.file)] == ["honest"]
    assert correct.dropped == {"still failing after all revisions": len(CHEATS)}
    problems = made(recipe, "problems")
    rates = {row["key"]: row["pass_rate"] for row in read_rows(problems.file)}
    assert rates == {f"pair-{key}": (2 if key == "honest" else 1) / 3 for key in sources}
    assert problems.dropped == {
        "solved too often": 1,
        "tests that the reference solution fails": len(CHEATS),
    }
    pairs = read_rows(made(recipe, "pairs").file)
    assert len(pairs) == len(sources)
    assert {row["chosen"][0]["content"] for row in pairs} == {fenced(GOOD)}


def test_tests_that_test_nothing_are_dropped(
    recipe_of: RecipeOf, write_rows: WriteRows, read_rows: ReadRows
) -> None:
    tests = {
        "honest": TESTS,
        "or-true": "\n".join(f"assert add(1, {n}) or True" for n in range(3)),
        "exit": "import sys\nsys.exit(0)\n" + TESTS.partition("\n")[0],
        "print": "print('passed')\nassert True\nassert True\nassert True",
        "check": "def check(f):\n    assert f(1, 2) == 3\ncheck(add)",
    }
    tasks = write_rows("in.jsonl", [{"key": key, "prompt": "Add."} for key in tests])
    answers = {f"{key}/solve": fenced(GOOD, text) for key, text in tests.items()}
    result = made(recipe_of(answers, correct={"input": tasks}), "correct")
    assert [row["key"] for row in read_rows(result.file)] == ["honest"]
    assert result.dropped == {
        "tests: passed by a program that does nothing": 1,
        "tests: too few that stand alone and call the solution": 3,
    }


@pytest.mark.slow
def test_problems_are_kept_by_their_pass_rate(
    recipe_of: RecipeOf, write_rows: WriteRows, read_rows: ReadRows
) -> None:
    passes = {"p0": 0, "p1": 1, "p14": 14, "p15": 15, "p16": 16}
    answers = {
        (f"{key}/sample", n): fenced(GOOD if n < count else WRONG)
        for key, count in passes.items()
        for n in range(16)
    }
    given = write_rows("in.jsonl", [problem(key, solution=GOOD) for key in passes])
    recipe = recipe_of(answers, problems={"input": given, "samples": 16})
    result = made(recipe, "problems")
    rows = read_rows(result.file)
    # 14 of 16 is 87.5%, which is not above it.
    assert {row["key"]: row["pass_rate"] for row in rows} == {"p1": 1 / 16, "p14": 14 / 16}
    assert result.dropped == {"never solved": 1, "solved too often": 2}
    assert result.facts == {"samples": 80, "passes": 46}
    assert rows[0]["prompt"] == [{"role": "user", "content": "Write add for p1."}]
    assert rows[0]["verified"] == "reference"


@pytest.mark.slow
def test_a_problem_from_corrected_solutions_says_the_signature_that_its_tests_call(
    recipe_of: RecipeOf, write_rows: WriteRows, read_rows: ReadRows
) -> None:
    tasks = write_rows("in.jsonl", [{"key": "a", "prompt": "Join two things."}])
    answers = {"a/solve": fenced(GOOD, TESTS), ("a/sample", 0): fenced(GOOD)}
    recipe = recipe_of(
        {**answers, ("a/sample", 1): "I cannot."},
        correct={"input": tasks},
        problems={"samples": 2},
    )
    made(recipe, "correct")
    (row,) = read_rows(made(recipe, "problems").file)
    assert "Join two things." in row["prompt"][0]["content"]
    assert "`def add(a, b)`" in row["prompt"][0]["content"]
    assert (row["pass_rate"], row["passes"], row["samples"]) == (0.5, 1, 2)


def test_problems_whose_tests_do_not_hold_are_dropped_with_the_reason(
    recipe_of: RecipeOf, write_rows: WriteRows
) -> None:
    def tests(**said: Any) -> dict[str, Any]:
        return tests_to_json(AssertTests(**{"entry_point": "add", "mode": "proxy", **said}))

    rows = [
        {"key": "none", "prompt": "Add."},
        {"key": "unread", "prompt": "Add.", "tests": {"kind": "asserts"}},
        {"key": "vacuous", "prompt": "Add.", "tests": tests(test="add(1, 2)")},
        {"key": "silent", "prompt": "Add.", "tests": tests(test="assert True")},
        {"key": "beside", "prompt": "Add.", "tests": tests(test=TESTS, mode="auto")},
        {"key": "wrong", **problem("wrong", solution=WRONG)},
    ]
    recipe = recipe_of({}, problems={"input": write_rows("in.jsonl", rows), "samples": 1})
    result = made(recipe, "problems")
    assert result.dropped == {
        "no tests": 1,
        "tests that cannot be read": 1,
        "tests that a program passes which does nothing": 1,
        "tests that cannot run": 1,
        "asserts that would run beside the program: say mode 'proxy'": 1,
        "tests that the reference solution fails": 1,
    }
    assert result.unfinished == {}


@pytest.mark.slow
def test_pairs_leave_out_copies_and_replies_without_code(
    recipe_of: RecipeOf, write_rows: WriteRows, read_rows: ReadRows
) -> None:
    samples = [
        fenced(GOOD),
        fenced(GOOD + "  # the same"),
        fenced("def add(x, y):\n    return x + y"),
        fenced(WRONG),
        fenced(WRONG + "\n\n\n"),
        "no code",
        fenced("def add(a, b):\n    while True: pass"),
    ]
    given = write_rows("in.jsonl", [problem("a"), problem("all"), problem("none")])
    answers: dict[Any, str] = {("a/sample", n): text for n, text in enumerate(samples)}
    answers |= {"all/sample": fenced(GOOD), "none/sample": fenced(WRONG)}
    recipe = recipe_of(
        answers, pairs={"input": given, "samples": 7, "per_prompt": 9}, limits={"cpu_s": 0.3}
    )
    result = made(recipe, "pairs")
    rows = read_rows(result.file)
    assert len(rows) == 2
    assert {row["key"] for row in rows} == {"a.0", "a.1"}
    assert sorted(row["rejected_for"] for row in rows) == ["timeout", "wrong"]
    assert all(set(row["chosen"][0]) == {"role", "content"} for row in rows)
    assert result.dropped == {"no sample fails": 1, "no sample passes": 1}
    assert result.facts["neither"] == 1


def test_long_thoughts_are_kept_where_the_answer_behind_them_passes(
    recipe_of: RecipeOf, write_rows: WriteRows, read_rows: ReadRows
) -> None:
    thought = "Let me see. ```python\ndef add(a, b):\n    return 0\n```\nNo: plus."
    samples = [
        f"<think>{thought * 3}</think>\n{fenced(GOOD)}",
        f"<think>{thought}</think>\n{fenced(GOOD)}",
        f"<think>{thought}</think>\n{fenced(WRONG)}",
        f"<think>{fenced(GOOD)}</think>\nDone.",
        fenced(GOOD),
        f"<think>{thought}\n{fenced(GOOD)}",
    ]
    doubles = tests_to_json(StdioTests.of(("2\n", "4\n"), ("5\n", "10\n")))
    given = write_rows(
        "in.jsonl",
        [problem("a"), problem("b"), {"key": "io", "prompt": "Double it.", "tests": doubles}],
    )
    answers: dict[Any, str] = {("a/sample", n): text for n, text in enumerate(samples)}
    answers |= {"b/sample": samples[2]}
    answers |= {"io/sample": "<think>Twice.</think>" + fenced("print(2 * int(input()))")}
    recipe = recipe_of(answers, longcot={"input": given, "samples": 6, "thought_chars": 5})
    result = made(recipe, "longcot")
    rows = {row["problem"]: row for row in read_rows(result.file)}
    assert set(rows) == {"a", "io"}
    assert rows["a"]["messages"] == [
        {"role": "user", "content": "Write add for a."},
        {"role": "assistant", "content": samples[1]},
    ]
    assert result.dropped == {"no sample passes": 1}
    assert result.facts["without a thought"] == 2
    assert result.facts["without code"] == 1
