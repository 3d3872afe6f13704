"""Aider's protocol over exercises of our own, judged for real, with scripted replies."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from evals.aider.edits import whole_files
from evals.bench import Style, open_bench
from evals.gold import check_gold
from evals.recipe import EvalRecipe
from evals.runner import evaluate
from sandbox import Kind, Pool
from seedcoder.errors import MachineLacks, UsageError
from seedcoder.models import open_model

CHAT = Style(protocol="chat")
FENCE = ("```", "```")
SHOUT = (
    'def shout(text):\n    if not text:\n        raise ValueError("nothing to shout")\n'
    '    return text.upper() + "!"\n'
)


def listing(name: str, code: str) -> str:
    return f"Here is the file.\n\n{name}\n```\n{code}```\n"


@pytest.fixture
def bench(exercises: Path, packages_folder: Path) -> Any:
    return open_bench("aider-edit", {"path": str(exercises), "packages_dir": str(packages_folder)})


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(1, confirm_timeouts=False) as made:
        yield made


def run(
    root: Path, bench: Any, replies: Mapping[str, str], write: Any, lend: Any = None, **keys: Any
) -> tuple[Any, list[dict[str, Any]]]:
    recipe = EvalRecipe.model_validate(
        {
            "bench": "aider-edit",
            "options": {"path": str(bench._path), "packages_dir": str(bench._packages_dir)},
            "model": f"scripted:{write('answers', replies)}",
            "protocol": "chat",
            "pool": {"workers": 1},
            **keys,
        }
    )
    result = evaluate(recipe, name="tries", root=root, lend=lend)
    rows = (result.folder / "rows.jsonl").read_text().splitlines()
    return result, [json.loads(row) for row in rows]


@pytest.mark.slow
def test_examples_pass_and_the_files_as_they_come_do_not(bench: Any, pool: Pool) -> None:
    gold = check_gold(bench, bench.problems(), pool)
    assert gold.ok and (gold.total, gold.broken_total) == (2, 2), gold


@pytest.mark.slow
def test_a_failed_try_is_shown_what_the_tests_said_and_may_answer_again(
    tmp_path: Path, bench: Any, write_answers: Any
) -> None:
    replies = {
        "add-up#0/0": listing("add_up.py", "def add(a, b):\n    return a + b\n"),
        "shout#0/0": listing("shout.py", "def shout(text):\n    return text.upper() + '!'\n"),
        "shout#0/1": listing("path/to/shout.py", SHOUT),
    }
    result, rows = run(tmp_path / "runs", bench, replies, write_answers)
    scores = {score.metric: score.value for score in result.tally.scores}
    assert scores == {"pass_rate_2": 1.0, "pass_rate_1": 0.5, "percent_well_formed": 1.0}
    turns = {row["key"]: row for row in rows if row["kind"] == "turn"}
    assert turns["add-up#0/0"]["passed"] is True
    assert turns["shout#0/0"]["passed"] is False
    said = turns["shout#0/0"]["errors"]
    assert said.splitlines()[0] == ".F" or said.splitlines()[0] == "F."
    assert "FAIL: test_empty (shout_test.ShoutTest.test_empty)" in said
    assert 'File "shout/shout_test.py", line 11, in test_empty' in said
    assert "\n====\n" in said and "Ran 2 tests" not in said and "FAILED (failures=1)" in said

    # The same recipe again asks nothing: its answers could not be had any more.
    again, _ = run(tmp_path / "runs", bench, replies, write_answers)
    assert not again.worked and again.tally.scores[0].value == 1.0


@pytest.mark.slow
def test_a_run_that_was_cut_off_goes_on_from_the_turns_it_kept(
    tmp_path: Path, bench: Any, write_answers: Any
) -> None:
    replies = {
        "shout#0/0": listing("shout.py", "def shout(text):\n    return 1\n"),
        "shout#0/1": "I give up.",
    }
    result, rows = run(tmp_path / "runs", bench, replies, write_answers, keys=["shout"])
    assert [score.value for score in result.tally.scores] == [0.0, 0.0, 0.0]
    verdict = next(row for row in rows if row["kind"] == "verdict")["verdict"]
    assert verdict["kind"] == "wrong"
    path = result.folder / "rows.jsonl"
    kept = [row for row in rows if row["kind"] == "turn"]
    assert len(kept) == 1
    path.write_text("".join(json.dumps(row) + "\n" for row in kept))
    # A model that can only answer the second time: asked for the first try, it would have none.
    other = write_answers("second", {"shout#0/1": listing("shout.py", SHOUT)})
    again, rows = run(
        tmp_path / "runs",
        bench,
        replies,
        write_answers,
        keys=["shout"],
        lend=lambda _: open_model(f"scripted:{other}"),
    )
    assert again.worked and [score.value for score in again.tally.scores] == [1.0, 0.0, 1.0]
    assert sum(row["kind"] == "turn" for row in rows) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "code",
    [
        "import sys\nsys.exit(0)\n",
        "import os\nos._exit(0)\n",
        "import unittest\nunittest.TestCase.assertEqual = lambda *args: None\n"
        "unittest.TestCase.assertRaises = lambda *args: __import__('contextlib').nullcontext()\n"
        "def shout(text):\n    return text\n",
    ],
)
def test_what_ends_the_tests_or_rewires_them_does_not_pass(
    bench: Any, pool: Pool, code: str
) -> None:
    problem = next(problem for problem in bench.problems() if problem.key == "shout")
    text = json.dumps({"tries": [{"files": {"shout.py": code, "shout_test.py": ""}}]})
    program = bench.program(problem, text, CHAT)
    assert "shout_test.py" not in program.source
    verdict = pool.submit(program, bench.tests(problem), bench.limits(problem)).result()
    assert verdict.kind in (Kind.WRONG, Kind.CRASHED)


def test_the_first_request_is_upstreams(bench: Any) -> None:
    problem = next(problem for problem in bench.problems() if problem.key == "shout")
    messages = bench.request(problem, CHAT).prompt
    assert [message.role for message in messages] == [
        "system", "user", "assistant", "user", "assistant", "user", "assistant", "user",
    ]  # fmt: skip
    assert messages[5].content.endswith(
        "the files' contents.\n\nshout.py\n```\ndef shout(text):\n    pass\n```\n"
    )
    asked = messages[7].content
    assert asked.startswith("# Instructions\n\nSay it loudly.\n\nRaise ValueError for nothing.\n")
    assert "\n####\n\nUse the above instructions to modify the supplied files: shout.py\n" in asked
    assert "path/to/filename.js\n```\n" in asked
    whole = "".join(message.content for message in messages)
    assert "nothing to shout" not in whole and "ShoutTest" not in whole


def test_files_with_fences_of_their_own_get_another(exercises: Path, packages_folder: Path) -> None:
    (exercises / "shout" / "shout.py").write_text('"""\n```\nshout("hi")\n```\n"""\n')
    bench = open_bench("aider-edit", {"path": str(exercises), "packages_dir": str(packages_folder)})
    problem = next(problem for problem in bench.problems() if problem.key == "shout")
    assert "\nshout.py\n````\n" in bench.request(problem, CHAT).prompt[5].content


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        (listing("shout.py", "x\n"), {"shout.py": "x\n"}),
        (listing("**shout.py**", "x\n"), {"shout.py": "x\n"}),
        (listing("`shout.py`:", "x\n"), {"shout.py": "x\n"}),
        (listing("### shout.py", "x\n"), {"shout.py": "x\n"}),
        (listing("src/shout.py", "x\n"), {"shout.py": "x\n"}),
        ("```python\nx\n```", {"shout.py": "x\n"}),
        ("In `shout.py` I did:\n\n```\nx\n```", {"shout.py": "x\n"}),
        ("shout.py\n```\nx\nand the end is miss", {"shout.py": "x\nand the end is miss"}),
        (listing("shout.py", "1\n") + listing("shout.py", "2\n"), {"shout.py": "2\n"}),
        (listing("other.py", "x\n"), {}),
        ("Nothing to do.", {}),
        ("", {}),
    ],
)
def test_files_are_read_out_of_replies_as_aider_does(reply: str, found: dict[str, str]) -> None:
    assert whole_files(reply, {"shout.py"}, FENCE) == found


def test_a_listing_counts_before_a_guess() -> None:
    reply = "```\nguess\n```\n" + listing("shout.py", "said\n")
    assert whole_files(reply, {"shout.py"}, FENCE) == {"shout.py": "said\n"}


def test_skipped_tests_need_not_pass(bench: Any) -> None:
    problem = next(problem for problem in bench.problems() if problem.key == "add-up")
    assert problem.tests["ids"] == ["add_up_test.py::AddTest::test_add"]


@pytest.mark.slow
def test_other_languages_of_polyglot_are_left_out_aloud(
    exercises: Path, packages_folder: Path, tmp_path: Path
) -> None:
    base = tmp_path / "polyglot"
    (base / "python" / "exercises").mkdir(parents=True)
    exercises.rename(base / "python" / "exercises" / "practice")
    place = base / "go" / "exercises" / "practice" / "zip"
    (place / ".docs").mkdir(parents=True)
    (place / ".meta").mkdir()
    (place / ".docs" / "instructions.md").write_text("Zip it.\n")
    (place / ".meta" / "config.json").write_text(
        json.dumps({"files": {"solution": ["zip.go"], "test": ["zip_test.go"], "example": []}})
    )
    (place / "zip.go").write_text("package zip\n")
    (place / "zip_test.go").write_text("package zip\n")
    bench = open_bench("aider-polyglot", {"path": str(base), "packages_dir": str(packages_folder)})
    assert [problem.key for problem in bench.problems()] == ["python/add-up", "python/shout"]
    assert list(bench.left_out()) == ["1 exercises (go)"]
    problem = bench.problems()[1]
    with Pool(1, confirm_timeouts=False) as made:
        assert check_gold(bench, [problem], made).ok
        program, tests = bench.errors_job(problem, {"shout.py": "def shout(text):\n    return 1\n"})
        shown = bench.errors(problem, made.submit(program, tests, bench.limits(problem)).result())
    assert "AssertionError: 1 != 'HI!'" in shown and "2 failed" in shown
    assert " in 0." not in shown


def test_bad_folders_are_told_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder"):
        open_bench("aider-edit", {"path": str(tmp_path / "none")}).problems()
    with pytest.raises(UsageError, match="holds no exercises"):
        open_bench("aider-edit", {"path": str(tmp_path)}).problems()
    with pytest.raises(UsageError, match="tries must be from 1 to 4"):
        open_bench("aider-edit", {"path": str(tmp_path), "tries": 9})


def test_absent_exercises_say_what_to_fetch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEEDCODER_DATA", str(tmp_path))
    monkeypatch.setenv("SEEDCODER_CACHE", str(tmp_path / "cache"))
    with pytest.raises(MachineLacks, match="git clone"):
        open_bench("aider-polyglot").problems()
