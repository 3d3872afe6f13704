"""Predictions in the official form: read, judged without a model, written again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from evals.bench import open_bench
from evals.cli import app
from evals.recipe import EvalRecipe
from evals.runner import evaluate
from evals.swe.instance import files_of
from evals.swe.predictions import Prediction, predictions_of, read_predictions, write_predictions
from seedcoder.errors import UsageError

ONE, TWO = "tiny__tiny-1", "tiny__tiny-2"


def test_the_harness_s_own_file_is_read_whole(data_dir: Path, tmp_path: Path) -> None:
    path = data_dir / "swebench-format" / "predictions_gold_check-harness.jsonl"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    found, digest = read_predictions(path)
    assert len(found) == 126
    assert digest == "b13b78131c71d75351eec68be7ebc7d7865dd156d5c84e73d547b8f8893e7078"
    assert {made.model for made in found.values()} == {"gold"}
    assert all(files_of(made.text) for made in found.values())
    write_predictions(tmp_path / "out.jsonl", found.values())
    ours = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert ours == [json.loads(line) for line in path.read_text().split("\n") if line]


@pytest.mark.parametrize("name", ["made.jsonl", "made.json"])
def test_what_is_written_is_read_back(name: str, tmp_path: Path) -> None:
    made = [
        Prediction(instance="a", model="m", text="diff --git a/x b/x\n\u2028\r\n"),
        Prediction(instance="b", model="n", text=""),
    ]
    assert write_predictions(tmp_path / name, made) == 2
    assert list(read_predictions(tmp_path / name)[0].values()) == made


def test_an_object_by_instance_and_a_null_patch_are_read(tmp_path: Path) -> None:
    path = tmp_path / "preds.json"
    path.write_text(json.dumps({"a": {"instance_id": "a", "model_patch": None}}))
    assert read_predictions(path)[0]["a"].text == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"instance_id": "a"}\n', ":1: no 'model_patch'"),
        ('{"instance_id": "a", "model_patch": ""}\nx\n', ":2: no JSON"),
        ('[{"instance_id": "a", "model_patch": 3}]', "prediction 1: model_patch must be text"),
        ("[3]", "prediction 1: an object was expected"),
        ('{"instance_id": "a", "model_patch": ""}\n' * 2, ":2: a second patch for 'a'"),
    ],
)
def test_a_bad_file_is_told_with_its_place(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "preds.jsonl"
    path.write_text(text)
    with pytest.raises(UsageError, match=words):
        read_predictions(path)
    with pytest.raises(UsageError, match="No such file"):
        read_predictions(tmp_path / "none.jsonl")


@pytest.mark.slow
def test_predictions_are_judged_without_a_model_and_come_out_as_they_went_in(
    tiny: Any, swe_recipe: Callable[..., EvalRecipe], tmp_path: Path
) -> None:
    path = tmp_path / "preds.jsonl"
    made = [Prediction(instance=ONE, model="someone", text=tiny.gold(ONE))]
    write_predictions(path, made)
    recipe = swe_recipe("predictions", {}, options={"predictions": str(path)}, check_gold=False)
    result = evaluate(recipe, name="x", root=tmp_path / "runs")
    one, two = result.tally.answers
    assert one.verdict and one.verdict.ok
    assert two.verdict and not two.verdict.ok and two.values["empty patch"] == 1.0
    assert result.manifest["model"] == "someone"
    out = tmp_path / "out.jsonl"
    done = CliRunner().invoke(app, ["predictions", str(result.folder), "--out", str(out)])
    assert done.exit_code == 0 and "2 patches" in done.output
    assert list(read_predictions(out)[0].values())[:1] == made
    write_predictions(path, [Prediction(instance=ONE, model="someone", text="")])
    assert evaluate(recipe, name="x", root=tmp_path / "runs").folder != result.folder


def test_a_patch_for_an_instance_that_is_not_there_is_refused(
    tiny: Any, swe_recipe: Callable[..., EvalRecipe], tmp_path: Path
) -> None:
    path = tmp_path / "preds.jsonl"
    write_predictions(path, [Prediction(instance="other", model="m", text="")])
    recipe = swe_recipe("predictions", {}, options={"predictions": str(path)}, check_gold=False)
    with pytest.raises(UsageError, match="'other' is no instance"):
        evaluate(recipe, name="x", root=tmp_path / "runs")
    with pytest.raises(UsageError, match="goes with"):
        open_bench("swe-mini", {"path": tiny.path, "predictions": path})


def test_a_run_of_another_benchmark_has_no_patches(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run"):
        predictions_of(tmp_path)
