"""SWE-bench: rows become problems, and patches are judged by the project's own tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evals.bench import Style, open_bench
from evals.gold import check_gold
from evals.recipe import EvalRecipe
from evals.runner import evaluate
from evals.swe.benchmark import patch_in
from sandbox import Pool, Program
from seedcoder.errors import UsageError

CHAT = Style(protocol="chat")


@pytest.fixture
def pool() -> Any:
    with Pool(1) as made:
        yield made


@pytest.mark.slow
def test_gold_patches_resolve_and_empty_ones_do_not(tiny: Any, pool: Pool) -> None:
    bench = open_bench("swe-mini", {"path": tiny.path})
    gold = check_gold(bench, bench.problems(), pool)
    assert gold.ok and (gold.total, gold.broken_total) == (2, 2), gold.words()


@pytest.mark.slow
def test_a_judge_that_resolves_the_empty_patch_is_found_out(tiny: Any, pool: Pool) -> None:
    row = {**tiny.rows["tiny__tiny-1"], "FAIL_TO_PASS": "[]"}
    tiny.path.write_text(json.dumps(row))
    bench = open_bench("swe-mini", {"path": tiny.path})
    assert check_gold(bench, bench.problems(), pool).broken_passed == 1


@pytest.mark.slow
def test_shares_and_what_became_of_the_patch_are_measured(tiny: Any, pool: Pool) -> None:
    bench = open_bench("swe-mini", {"path": tiny.path})
    problem = bench.problems()[0]
    sums = "tiny/sums.py"
    base = tiny.patch({})
    assert base == ""
    breaks = tiny.patch(
        {sums: "def add(a, b):\n    return a + b\n\n\ndef double(a):\n    return 3\n"}
    )
    for patch, ok, shares in (
        (tiny.gold(problem.key), True, (1.0, 1.0, 1.0, 0.0)),
        (breaks, False, (1.0, 0.5, 1.0, 0.0)),
        (tiny.gold("tiny__tiny-2"), False, (0.0, 1.0, 1.0, 0.0)),
        (tiny.gold(problem.key).replace("a - b", "a * b"), False, (0.0, 0.0, 0.0, 0.0)),
        ("", False, (0.0, 1.0, 0.0, 1.0)),
        # Makes the test pass in place of the code: put back.
        (tiny.patch({"tests/test_sums.py": "def test_add_secretly():\n    pass\n"}), False,
         (0.0, 1.0, 1.0, 0.0)),
    ):  # fmt: skip
        program = Program(language="diff", source=patch)
        verdict = pool.judge(program, bench.tests(problem), bench.limits(problem))
        assert verdict.ok is ok, patch
        assert tuple(bench.values(problem, program, verdict).values()) == shares, patch


@pytest.mark.slow
def test_a_reply_is_taken_as_the_patch_or_for_its_last_diff_block(tiny: Any) -> None:
    patch = tiny.gold("tiny__tiny-1")
    assert patch_in(patch) == patch
    assert patch_in(f"So:\n```diff\nold\n```\nno:\n```diff\n{patch}```\n") == patch
    assert patch_in("I cannot.") == ""


@pytest.mark.slow
def test_without_a_scaffold_the_reply_itself_is_judged(
    tiny: Any, swe_recipe: Callable[..., EvalRecipe], tmp_path: Path
) -> None:
    replies = {key: f"```diff\n{tiny.gold('tiny__tiny-1')}```" for key in tiny.rows}
    result = evaluate(swe_recipe("none", replies), name="x", root=tmp_path / "runs")
    first = result.tally.scores[0]
    assert (first.metric, first.value) == ("resolved", 0.5)
    assert {score.metric: score.value for score in result.tally.scores}["patch applied"] == 1.0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"source": None}, "no 'image'"),
        ({"pip": None}, "no 'pip'"),
        ({"FAIL_TO_PASS": "tests"}, "FAIL_TO_PASS is no JSON list"),
        ({"PASS_TO_PASS": "[1]"}, "PASS_TO_PASS must be a list of ids"),
        ({"FAIL_TO_PASS": "[]", "PASS_TO_PASS": "[]"}, "there is no test"),
    ],
)
def test_a_row_that_cannot_be_judged_is_named(
    tiny: Any, change: dict[str, Any], words: str
) -> None:
    tiny.path.write_text(json.dumps({**tiny.rows["tiny__tiny-1"], **change}))
    with pytest.raises(UsageError, match=f"tiny__tiny-1.*{words}"):
        open_bench("swe-mini", {"path": tiny.path}).problems()


def test_instances_whose_logs_cannot_be_read_are_left_out_aloud(tiny: Any) -> None:
    image = {"source": None, "image": "x", "eval_script": "true", "eval_type": "pass_and_fail"}
    rows = [
        {**tiny.rows["tiny__tiny-1"], **image, "log_parser": "parse_log_django"},
        {**tiny.rows["tiny__tiny-2"], **image, "log_parser": "parse_log_karma"},
    ]
    tiny.path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    bench = open_bench("swe-bench-verified", {"path": tiny.path})
    assert [problem.key for problem in bench.problems()] == ["tiny__tiny-1"]
    assert "parse_log_karma" in str(bench.left_out())


def test_what_is_asked_holds_no_answer_and_is_chat(tiny: Any) -> None:
    bench = open_bench("swe-mini", {"path": tiny.path})
    problem = bench.problems()[0]
    request = bench.request(problem, CHAT)
    assert "subtracts" in str(request.prompt)
    assert "secretly" not in str(request.prompt) and "a + b" not in str(request.prompt)
    with pytest.raises(UsageError, match="chat"):
        bench.request(problem, Style(protocol="completion"))


@pytest.mark.slow
@pytest.mark.net
def test_every_gold_patch_of_swe_mini_resolves_and_no_empty_one(data_dir: Path, pool: Pool) -> None:
    path = data_dir / "swe-mini" / "instances.jsonl"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    bench = open_bench("swe-mini", {"path": path})
    gold = check_gold(bench, bench.problems(), pool)
    assert (gold.canonical_passed, gold.total) == (9, 9), gold.words()
    assert (gold.broken_passed, gold.broken_total) == (0, 9), gold.words()
