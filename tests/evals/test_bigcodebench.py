"""BigCodeBench's protocol over a few rows of our own, in upstream's form."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evals.bench import Style, open_bench
from evals.gold import check_gold
from evals.problem import Problem
from sandbox import Kind, Pool, Program, Verdict
from seedcoder.errors import UsageError

CHAT = Style(protocol="chat", prefill=False)
BASE = Style(protocol="completion")
HEAD = "import random\nimport string\n\ndef task_func(length=4):\n"
TEST = """\
import unittest
from unittest.mock import patch


class TestCases(unittest.TestCase):
    def setUp(self):
        random.seed(7)  # a name that only the program imports

    def test_length(self):
        self.assertEqual(len(task_func(9)), 9)

    @patch("random.choice", return_value="x")
    def test_it_draws_by_choice(self, choice):
        self.assertEqual(task_func(3), "xxx")
        self.assertEqual(choice.call_count, 3)

    @patch("__test__.string")
    def test_a_name_of_its_module_can_be_patched(self, letters):
        letters.ascii_lowercase = "q"
        self.assertEqual(task_func(2), "qq")

    def test_negative(self):
        with self.assertRaises(ValueError):
            task_func(-1)
"""
SOLUTION = """\
    if length < 0:
        raise ValueError(length)
    return "".join(random.choice(string.ascii_lowercase) for _ in range(length))
"""
ROW = {
    "task_id": "BigCodeBench/9001",
    "complete_prompt": f'{HEAD}    """Draw letters."""\n',
    "instruct_prompt": f"Draw letters.\nYou should write self-contained code starting with:\n"
    f"```\n{HEAD}```",
    "canonical_solution": SOLUTION,
    "code_prompt": HEAD,
    "test": TEST,
    "entry_point": "task_func",
    "libs": "['random', 'string']",
    "doc_struct": "{}",
}


def bench_of(folder: Path, *rows: dict[str, Any], **options: Any) -> Any:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows or (ROW,)))
    return open_bench("bigcodebench", {"path": str(path), **options})


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


def fenced(code: str) -> str:
    return f"Here it is:\n```python\n{code}\n```\nDone."


def test_the_canonical_solution_passes_and_the_broken_one_does_not(
    pool: Pool, tmp_path: Path
) -> None:
    bench = bench_of(tmp_path)
    gold = check_gold(bench, bench.problems(), pool)
    assert gold.ok and (gold.total, gold.broken_total) == (1, 1), gold


def test_a_reply_without_imports_is_calibrated_and_fails_where_that_is_off(
    pool: Pool, tmp_path: Path
) -> None:
    text = fenced(f"def task_func(length=4):\n{SOLUTION}")
    assert verdict(pool, bench_of(tmp_path), text).ok
    refused = verdict(pool, bench_of(tmp_path, calibrate=False), text)
    assert refused.kind is Kind.WRONG
    assert refused.mode == "shared"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("def task_func(length=4):\n    return 'a' * length", Kind.WRONG),
        ("def task_func(length=4):\n    import os\n    os._exit(0)", Kind.CRASHED),
        ("def task_func(length=4):\n    raise SystemExit(0)", Kind.WRONG),
        ("import os\nX = os._exit(0)\ndef task_func(length=4):\n    return X", Kind.CRASHED),
        ("def task_func(length=4):\n    return (", Kind.COMPILE_ERROR),
        ("def other():\n    return 1", Kind.WRONG),
        ("def task_func(length=4):\n    return ''", Kind.WRONG),
    ],
)
def test_wrong_programs_fail(pool: Pool, tmp_path: Path, code: str, kind: Kind) -> None:
    assert verdict(pool, bench_of(tmp_path), fenced(code)).kind is kind


def test_a_reply_without_code_has_none(pool: Pool, tmp_path: Path) -> None:
    assert verdict(pool, bench_of(tmp_path), "I cannot do that.").kind is Kind.NO_CODE


def test_the_stub_that_calibration_brings_is_no_answer(pool: Pool, tmp_path: Path) -> None:
    assert verdict(pool, bench_of(tmp_path), fenced("import random")).kind is Kind.WRONG


def test_a_base_model_continues_the_prompt_until_a_stop(pool: Pool, tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    (problem,) = bench.problems()
    assert bench.request(problem, BASE).prompt == ROW["complete_prompt"].rstrip()
    assert verdict(pool, bench, f"\n{SOLUTION}\ndef other(:\n", BASE).ok


def test_the_prompts_are_upstreams(tmp_path: Path) -> None:
    for split, middle in (
        ("complete", f"```\n{ROW['complete_prompt'].strip()}\n```"),
        ("instruct", ROW["instruct_prompt"].strip()),
    ):
        bench = bench_of(tmp_path, split=split)
        (problem,) = bench.problems()
        request = bench.request(problem, Style(protocol="chat"))
        assert request.prompt[0].content == (
            "Please provide a self-contained Python script that solves the following problem in a "
            f"markdown code block:\n{middle}\n"
        )
        assert request.prefill.endswith("passes corresponding tests:\n```python\n")
        assert "assertEqual" not in request.prompt[0].content


def test_instructions_are_not_for_base_models(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, split="instruct")
    with pytest.raises(UsageError, match="base models have no instructions"):
        bench.request(bench.problems()[0], BASE)


def test_tasks_whose_libraries_are_not_there_are_left_out_aloud(tmp_path: Path) -> None:
    rows = [ROW, {**ROW, "task_id": "BigCodeBench/9002", "libs": "['pandas', 'random']"}]
    bench = bench_of(tmp_path, *rows)
    assert [problem.key for problem in bench.problems()] == ["BigCodeBench/9001"]
    assert list(bench.left_out()) == ["1 tasks (pandas)"]
    assert len(bench_of(tmp_path, *rows, check_libs=False).problems()) == 2


def test_a_folder_of_packages_is_shown_to_programs(tmp_path: Path) -> None:
    folder = tmp_path / "packages"
    (folder / "letters").mkdir(parents=True)
    (folder / "letters" / "__init__.py").write_text("from six_like import LETTERS\n")
    (folder / "six_like.py").write_text("LETTERS = 'abc'\n")
    for place in (tmp_path, *tmp_path.parents):
        if place.stat().st_uid == tmp_path.stat().st_uid and not place.stat().st_mode & 0o001:
            place.chmod(0o755)
    row = {
        **ROW,
        "libs": "['letters']",
        "complete_prompt": "import letters\ndef task_func():\n",
        "code_prompt": "import letters\ndef task_func():\n",
        "canonical_solution": "    return letters.LETTERS\n",
        "test": "import unittest\nclass TestCases(unittest.TestCase):\n    def test_it(self):\n"
        "        self.assertEqual(task_func(), 'abc')\n",
    }
    assert not bench_of(tmp_path, row).problems()
    bench = bench_of(tmp_path, row, packages_dir=str(folder))
    with Pool(1, confirm_timeouts=False, packages=bench.packages()) as made:
        assert check_gold(bench, bench.problems(), made).ok


@pytest.mark.parametrize(
    ("column", "value", "complaint"),
    [
        ("libs", "pandas", "libs: "),
        ("libs", 3, "a list of names was expected"),
        ("test", "def (", "test: "),
        ("test", "class TestCases:\n    x = 1\n", "no class TestCases with test methods"),
        ("code_prompt", None, "code_prompt: a string was expected"),
    ],
)
def test_a_bad_row_is_told_with_its_place(
    tmp_path: Path, column: str, value: Any, complaint: str
) -> None:
    bench = bench_of(tmp_path, {**ROW, column: value})
    with pytest.raises(UsageError, match="BigCodeBench/9001") as told:
        bench.problems()
    assert complaint in str(told.value)


def test_tags_name_the_libraries(tmp_path: Path) -> None:
    (problem,) = bench_of(tmp_path).problems()
    assert isinstance(problem, Problem)
    assert problem.tags == ("library:random", "library:string")
    assert isinstance(bench_of(tmp_path).canonical(problem), Program)
