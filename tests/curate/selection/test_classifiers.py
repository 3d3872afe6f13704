"""Classifiers learn the same from the same, are known by their digest, and work as a step."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fasttext")
pytest.importorskip("pyarrow")

import pyarrow as pa
from typer.testing import CliRunner

from curate.catalogue import STEPS, make
from curate.cli import app
from curate.scoring.recipe import FastTextTable
from curate.selection.classifier import (
    Example,
    card_of,
    kept_back,
    line_of,
    open_classifier,
    train,
)
from seedcoder.errors import RecipeError, UsageError

SMALL = FastTextTable(epochs=15, learning_rate=0.3, dim=8)
CODE = ["def", "return", "lambda", "self", "import", "yield", "class"]
PROSE = ["river", "mountain", "holiday", "bread", "painting", "garden", "music"]


def _examples(number: int = 120) -> list[Example]:
    rng = random.Random(7)
    found = []
    for at in range(number):
        good = at % 2 == 0
        words = " ".join(rng.choices(CODE if good else PROSE, k=12) + rng.choices(PROSE, k=4))
        line = line_of("prose", "", words)
        found.append(Example(key=f"k{at}", group=f"g{at % 30}", good=good, line=line))
    return found


def _train(folder: Path, examples: list[Example], seed: int = 0) -> dict[str, Any]:
    return train(
        examples,
        folder,
        settings=SMALL,
        view="prose",
        share=0.3,
        target_recall=0.95,
        seed=seed,
        facts={},
    )


def test_the_same_examples_and_seed_give_the_same_file_byte_for_byte(tmp_path: Path) -> None:
    examples = _examples()
    first = _train(tmp_path / "a", examples)
    shuffled = examples[:]
    random.Random(1).shuffle(shuffled)
    assert _train(tmp_path / "b", shuffled) == first
    assert _train(tmp_path / "c", examples, seed=1)["sha256"] != first["sha256"]
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["classifier.bin", "classifier.json"]


def test_the_threshold_reaches_the_recall_on_groups_that_were_not_learnt(tmp_path: Path) -> None:
    examples = _examples()
    card = _train(tmp_path / "a", examples)
    test = [one for one in examples if kept_back(one.group, 0.3, 0)]
    assert card["validated"]["positives"] + card["validated"]["negatives"] == len(test)
    assert card["learnt"]["positives"] + card["learnt"]["negatives"] == len(examples) - len(test)
    classifier, card = open_classifier(tmp_path / "a")
    values = classifier.values_of_lines([one.line for one in test])
    found = [
        one.good for one, value in zip(test, values, strict=True) if value >= card["threshold"]
    ]
    assert sum(found) >= 0.95 * sum(one.good for one in test)
    assert all(0 <= value <= 1 for value in values)


def test_examples_of_one_kind_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no negatives to learn from"):
        _train(tmp_path / "a", [one for one in _examples() if one.good])
    assert not (tmp_path / "a").exists()
    assert not list(tmp_path.glob(".a.*"))


def test_a_model_that_was_changed_is_refused(tmp_path: Path) -> None:
    _train(tmp_path / "a", _examples())
    assert card_of(tmp_path / "a")
    with (tmp_path / "a" / "classifier.bin").open("ab") as file:
        file.write(b"x")
    with pytest.raises(UsageError, match="is not the model"):
        make(STEPS, "fasttext", {"model": str(tmp_path / "a")}, "step")
    with pytest.raises(UsageError, match="is no classifier"):
        make(STEPS, "fasttext", {"model": str(tmp_path / "none")}, "step")


def test_marks_of_code_blocks_are_not_what_pages_are_told_apart_by() -> None:
    page = "# Title\n\n- use `open()` now\n\n```python\nx = 1\n```\n"
    assert line_of("prose", "markdown", page) == "<text> Title use open ( ) now x = <0>"
    assert "__label__" not in line_of("prose", "", "__label__1 x")


def test_the_step_keeps_tagged_pages_unasked_and_asks_for_the_rest(tmp_path: Path) -> None:
    card = _train(tmp_path / "a", _examples())
    options = {"model": str(tmp_path / "a"), "besides": "meta.tagged"}
    step = make(STEPS, "fasttext", options, "step")
    assert step.settings()["model"] == card["sha256"]
    table = pa.table(
        {
            "key": ["a", "b", "c", "d"],
            "text": [" ".join(PROSE), " ".join(CODE), " ".join(PROSE), ""],
            "language": ["markdown"] * 4,
            "meta": [json.dumps({"tagged": at == 0}) for at in range(4)],
        }
    )
    found = step.compute(table).select(step.schema().names).cast(step.schema()).to_pylist()
    assert [row["keep"] for row in found][:3] == [True, True, False]
    assert [row["route"] for row in found][:3] == ["besides", "recall", ""]
    assert [row["reason"] for row in found][:3] == ["", "", "below the threshold"]
    assert found[0]["value"] is None
    assert found[1]["value"] > found[2]["value"]
    alone = make(STEPS, "fasttext", {"model": str(tmp_path / "a"), "threshold": 1.0}, "step")
    assert alone.settings() != step.settings()
    assert not any(row["keep"] for row in alone.compute(table).to_pylist()[2:])
    with pytest.raises(RecipeError, match="threshold must be"):
        make(STEPS, "fasttext", {"model": str(tmp_path / "a"), "threshold": 2.0}, "step")


@pytest.mark.slow
def test_rounds_find_commented_code_with_hard_negatives_and_go_on_where_they_were(
    tmp_path: Path,
) -> None:
    """Good is told by words that only good files have, and by comments; some lack the comments."""
    rng = random.Random(3)
    rows = []
    for at in range(400):
        good, noted = at % 4 == 0, at % 4 in (0, 1) and at % 8 < 5
        names = rng.choices(CODE if good else ["foo", "tmp", "x1", "data", "stuff"], k=30)
        lines = [f"import {rng.choice(['os', 'sys', 'numpy'])}"]
        lines += [f"{name}_{rng.choice(PROSE)} = {at % 7}" for name in names]
        if noted:
            lines += ["# " + " ".join(rng.choices(PROSE, k=20))] * 4
        rows.append({"content": "\n".join(lines) + "\n", "path": f"f{at}.py", "repo": f"r{at % 40}",
                     "lang": "python"})  # fmt: skip
    file = tmp_path / "files.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    corpus = tmp_path / "corpus.toml"
    corpus.write_text(
        f'store = "{tmp_path}/store"\nworkers = 1\n[[sources]]\nuse = "jsonl"\n'
        f'options = {{files = ["{file}"]}}\n[[steps]]\nuse = "traits"\n',
        encoding="utf-8",
    )
    recipe = tmp_path / "rounds.toml"
    recipe.write_text(
        f'corpus = "{corpus}"\nout = "{tmp_path}/out"\nrounds = 3\nquality = "traits.comments"\n'
        "[fasttext]\ndim = 8\n"
        '[sources.python]\nwhere = ["language == python"]\nseeds = ["traits.comments >= 0.35"]\n'
        'hard = ["not traits.documented", "bytes >= 400"]\ngrow = ["traits.comments >= 0.2"]\n'
        'low = ["traits.comments < 0.1"]\nmost_seeds = 40\n',
        encoding="utf-8",
    )
    runner = CliRunner()

    def call(*words: str) -> str:
        result = runner.invoke(app, list(words), catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    call("run", str(corpus))
    report = json.loads(call("classify", "rounds", str(recipe), "--json"))
    source = report["sources"]["python"]
    assert source["documents"] == 400
    assert 0 < source["seeds"] <= 40
    assert source["strata"] > 2
    assert [one["round"] for one in source["rounds"]] == [1, 2, 3]
    first, second = source["rounds"][0]["reasons"], source["rounds"][1]["reasons"]
    assert first["seed"] == source["seeds"] and first["hard"] > 0 and first["random"] > 0
    assert "recalled in round 1" in second or "recalled in round 1, rated low" in second
    assert len({one["sha256"] for one in source["rounds"]}) == 3
    lines = (tmp_path / "out/python/round-1/examples.tsv").read_text().splitlines()
    assert sum(line.endswith("\tseed") for line in lines) == source["seeds"]
    assert card_of(tmp_path / "out/python/final")["sha256"] == source["rounds"][2]["sha256"]

    before = (tmp_path / "out/python/round-1/classifier.json").stat().st_mtime_ns
    (tmp_path / "out/python/round-3/classifier.json").unlink()  # killed in the third round
    assert json.loads(call("classify", "rounds", str(recipe), "--json")) == report
    assert (tmp_path / "out/python/round-1/classifier.json").stat().st_mtime_ns == before
    elsewhere = call("classify", "rounds", str(recipe), "--set", f'out="{tmp_path}/two"', "--json")
    assert json.loads(elsewhere)["sources"] == report["sources"]
    refused = runner.invoke(
        app, ["classify", "rounds", str(recipe), "--set", 'quality="nothing.value"']
    )
    assert isinstance(refused.exception, RecipeError)
    assert "no column 'nothing.value'" in str(refused.exception)
