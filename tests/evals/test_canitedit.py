"""CanItEdit's protocol over rows of our own, judged for real."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evals.bench import Style, open_bench
from evals.gold import check_gold
from evals.recipe import EvalRecipe
from evals.runner import evaluate
from sandbox import Kind, Pool, Verdict
from seedcoder.errors import UsageError

CHAT = Style(protocol="chat")
AFTER = '''\
class Box:
    """A box."""

    def __init__(self, data):
        self.data = data

    def peek(self):
        if self.data is None:
            raise ValueError(
                "nothing in it"
            )
        return self.data
'''
ROW = {
    "id": 6,
    "name": "box",
    "full_name": "6_box",
    "before": "class Box:\n    def __init__(self, data):\n        self.data = data\n",
    "after": AFTER,
    "tests": "### START TESTS ###\nif True:  # pragma: no cover\n    assert Box(3).peek() == 3\n"
    "    try:\n        Box(None).peek()\n        assert False\n"
    "    except ValueError:\n        pass\n",
    "instruction_descriptive": "Add a method `peek` that returns the data.",
    "instruction_lazy": "let me look inside",
    "taxonomy": {"change_kind": "adaptive", "libraries": [], "topic": "DSA"},
}


def bench_of(folder: Path, *rows: dict[str, Any], **options: Any) -> Any:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows or (ROW,)))
    return open_bench("canitedit", {"path": str(path), **options})


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(1, confirm_timeouts=False) as made:
        yield made


def judged(pool: Pool, bench: Any, text: str, style: Style = CHAT) -> tuple[Verdict, Any]:
    problem = bench.problems()[0]
    program = bench.program(problem, text, style)
    verdict = pool.submit(program, bench.tests(problem), bench.limits(problem)).result()
    assert isinstance(verdict, Verdict)
    return verdict, bench.values(problem, program, verdict)


def fenced(code: str) -> str:
    return f"```py\n{code}```\n"


def test_upstreams_edit_passes_and_an_empty_program_does_not(pool: Pool, tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    gold = check_gold(bench, bench.problems(), pool)
    assert gold.ok and gold.total == 2, gold


def test_the_program_as_it_came_fails(pool: Pool, tmp_path: Path) -> None:
    verdict, values = judged(pool, bench_of(tmp_path), fenced(ROW["before"]))
    assert verdict.kind is Kind.WRONG and values == {}
    assert "no attribute 'peek'" in str(verdict.first_failure)


def test_exits_pass_nothing(pool: Pool, tmp_path: Path) -> None:
    for way in ("import os; os._exit(0)", "raise SystemExit(0)"):
        code = AFTER.replace("        self.data = data\n", f"        {way}\n")
        assert not judged(pool, bench_of(tmp_path), fenced(code))[0].ok


def test_code_that_no_test_executes_is_excess(pool: Pool, tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    verdict, values = judged(pool, bench, fenced(AFTER))
    assert verdict.ok and values == {"covered_percent": 100.0}
    more = (
        AFTER + "\n    def one(self):\n        return 1\n\n    def two(self):\n        return 2\n"
    )
    verdict, values = judged(pool, bench, fenced(more))
    assert verdict.ok
    assert values == {"covered_percent": 82.0}  # 9 of 11


def test_decorators_and_handlers_count_as_coverage_py_counts_them(
    pool: Pool, tmp_path: Path
) -> None:
    more = (
        "\n    def many(self):\n        @staticmethod\n        def inner():\n            return 1\n"
        "        try:\n            return inner()\n        except KeyError:\n            return 0\n"
    )
    verdict, values = judged(pool, bench_of(tmp_path), fenced(AFTER + more))
    assert verdict.ok
    assert values == {"covered_percent": 53.0}  # coverage 7: 15 statements, 7 missed


def test_a_program_that_takes_long_is_judged_without_a_measure(pool: Pool, tmp_path: Path) -> None:
    slow = AFTER + "\n\nimport sys\nif sys.gettrace():\n    raise RuntimeError\n"
    verdict, values = judged(pool, bench_of(tmp_path), fenced(slow))
    assert verdict.ok and values == {}


def test_the_prompts_are_upstreams(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    descriptive, lazy = bench.problems()
    assert (descriptive.key, lazy.key) == ("6_box/descriptive", "6_box/lazy")
    messages = bench.request(lazy, CHAT).prompt
    assert messages[0].role == "system" and messages[0].content.startswith("You are PythonEditGPT.")
    assert messages[1].content == (
        f"## Code Before\n```py\n{ROW['before']}\n```\n\n## Instruction\nlet me look inside\n\n"
        "## Code After"
    )
    base = bench.request(lazy, Style(protocol="completion")).prompt
    assert base == (
        f"## Code Before:\n{ROW['before']}\n## Instruction:\nlet me look inside\n## Code After:"
    )
    assert lazy.tags == ("instruction:lazy", "change_kind:adaptive", "topic:DSA")


def test_a_base_models_continuation_is_the_program(pool: Pool, tmp_path: Path) -> None:
    verdict, _ = judged(
        pool, bench_of(tmp_path), f"\n{AFTER}\n## Test Case:\n(((", Style(protocol="completion")
    )
    assert verdict.ok


def test_a_reply_without_a_block_has_no_program(pool: Pool, tmp_path: Path) -> None:
    assert judged(pool, bench_of(tmp_path), AFTER)[0].kind is Kind.NO_CODE


def test_programs_whose_libraries_are_lacking_are_left_out(tmp_path: Path) -> None:
    other = {**ROW, "full_name": "7_frame", "after": f"import pandas\n{AFTER}"}
    bench = bench_of(tmp_path, ROW, other, instruction="lazy")
    assert [problem.key for problem in bench.problems()] == ["6_box/lazy"]
    assert list(bench.left_out()) == ["1 programs (pandas)"]


def test_a_run_scores_passes_and_excess(tmp_path: Path, write_answers: Any) -> None:
    bench_of(tmp_path)
    answers = write_answers(
        "answers", {"6_box/descriptive": fenced(AFTER), "6_box/lazy": fenced(ROW["before"])}
    )
    recipe = EvalRecipe.model_validate(
        {
            "bench": "canitedit",
            "options": {"path": str(tmp_path / "rows.jsonl")},
            "model": f"scripted:{answers}",
            "protocol": "chat",
            "pool": {"workers": 1},
        }
    )
    scores = evaluate(recipe, name="edits", root=tmp_path / "runs").tally.scores
    assert [(score.metric, score.value) for score in scores] == [
        ("pass@1", 0.5),
        ("ExcessCode", 0.0),
    ]
    assert scores[1].words() == "0.0 percent" and scores[1].left_out == 1


def test_a_bad_row_is_told_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="6_box: before: a string was expected"):
        bench_of(tmp_path, {**ROW, "before": None}).problems()
