"""A whole run of a benchmark whose answers are only compared: rows, figures, parts, report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from evals.recipe import EvalRecipe
from evals.runner import evaluate, regrade


def _row(number: int, language: str, gold: str) -> dict[str, object]:
    return {
        "prompt": f"x{number} = ",
        "groundtruth": gold,
        "right_context": "\n",
        "crossfile_context": {"text": "# other files\n", "list": []},
        "metadata": {"task_id": f"t/{number}"},
    }


@pytest.mark.slow
def test_a_run_of_crosscodeeval_keeps_its_figures_and_can_be_graded_again(
    write_rows: Callable[..., Path], tmp_path: Path
) -> None:
    name = "line_completion_oracle_bm25.jsonl"
    write_rows(f"java/{name}", [_row(n, "java", "call(a);") for n in range(3)])
    write_rows(f"csharp/{name}", [_row(0, "csharp", "Call(b);")])
    replies = {
        "java/t/0": "call(a);\nmore",
        "java/t/1": "call(b);",
        "java/t/2": "",
        "csharp/t/0": "Call(b);",
    }
    answers = tmp_path / "answers.jsonl"
    answers.write_text(
        "".join(json.dumps({"key": k, "text": v}) + "\n" for k, v in replies.items())
    )
    recipe = EvalRecipe.model_validate(
        {
            "bench": "crosscodeeval",
            "model": f"scripted:{answers}",
            "protocol": "completion",
            "fim": {"format": "seed-coder"},
            "options": {"path": str(tmp_path), "languages": ["java", "csharp"]},
        }
    )
    result = evaluate(recipe, name="mine", root=tmp_path / "runs")
    em, es, _ = result.tally.scores
    assert (em.metric, em.value) == ("EM", pytest.approx((1 / 3 + 1) / 2))
    # call(b); for call(a);: 7 of 8 characters, 0.88.
    assert es.value == pytest.approx(((1 + 0.88 + 0) / 3 + 1) / 2)
    assert result.tally.parts["language:java"].value == pytest.approx(1 / 3)
    assert "crosscodeeval" in result.report.read_text(encoding="utf-8")
    again = regrade(result.folder)
    assert not again.changed and again.tally.scores[0].value == em.value
