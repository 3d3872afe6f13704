"""Many benchmarks with one model: each a run of its own, the missing ones said aloud."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from evals.humaneval import HumanEval
from evals.result import COMPLETE
from evals.suite import Part, failed, is_suite, load_suite, run_suite
from seedcoder.errors import RecipeError

SUITE = """
model = "scripted:{answers}"
[common]
protocol = "chat"
prefill = false
limit = 3
[common.limits]
cpu_s = 3.0
[[runs]]
bench = "humaneval"
[[runs]]
bench = "humaneval"
options = {{ path = "{absent}" }}
limits = {{ memory_mb = 300 }}
"""


def _suite(tmp_path: Path, humaneval: HumanEval, text: str = SUITE) -> Path:
    answers = tmp_path / "answers.jsonl"
    rows = [
        {"key": p.key, "text": f"```python\n{humaneval.canonical(p).source}```"}
        for p in humaneval.problems()[:3]
    ]
    answers.write_text("".join(json.dumps(row) + "\n" for row in rows))
    other = tmp_path / "other.jsonl.gz"
    other.write_bytes(b"\x1f\x8b")
    path = tmp_path / "suite-small.toml"
    path.write_text(text.format(answers=answers, absent=other))
    return path


@pytest.mark.slow
def test_each_run_is_a_folder_of_its_own_and_missing_data_is_skipped_aloud(
    tmp_path: Path, humaneval: HumanEval, caplog: pytest.LogCaptureFixture
) -> None:
    path = _suite(tmp_path, humaneval)
    assert is_suite(path)
    with caplog.at_level(logging.WARNING):
        parts = list(run_suite(load_suite(path), root=tmp_path / "runs"))
    assert [part.status for part in parts] == [COMPLETE, "skipped"]
    assert parts[0].result is not None and parts[0].result.tally.scores[0].value == 1.0
    assert "not the file that was published" in parts[1].why
    assert "skipped bench=humaneval" in caplog.text
    assert not failed(parts)
    again = list(run_suite(load_suite(path), root=tmp_path / "runs"))
    assert again[0].result is not None and not again[0].result.worked
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("eval-suite-small-humaneval-")
    assert failed([*parts, Part(name="x", bench="y", status="failed")])


def test_tables_of_a_run_lie_over_the_common_ones(tmp_path: Path, humaneval: HumanEval) -> None:
    recipes = dict(load_suite(_suite(tmp_path, humaneval), ["common.limit=2"]))
    first, second = recipes.values()
    assert (first.limit, second.limit) == (2, 2)
    assert (first.limits.cpu_s, first.limits.memory_mb) == (3.0, None)
    assert (second.limits.cpu_s, second.limits.memory_mb) == (3.0, 300)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("prefill = false", "prefil = false", r"run 1 \(humaneval\): prefil: Extra inputs"),
        ('bench = "humaneval"\noptions', 'bench = "humanevil"\noptions', "did you mean"),
        ("path =", "paht =", "options.paht: this benchmark has no such option"),
        ("memory_mb = 300", 'memory_mb = "x"', r"run 2 \(humaneval\): limits.memory_mb"),
        ("[[runs]]", "[[rums]]", "no key 'rums'"),
    ],
)
def test_what_is_wrong_in_a_suite_is_one_line_with_its_place(
    tmp_path: Path, humaneval: HumanEval, old: str, new: str, said: str
) -> None:
    assert old in SUITE
    with pytest.raises(RecipeError, match=said) as raised:
        load_suite(_suite(tmp_path, humaneval, SUITE.replace(old, new)))
    assert "\n" not in str(raised.value)


def test_a_recipe_of_one_benchmark_is_no_suite(tmp_path: Path) -> None:
    path = tmp_path / "one.toml"
    path.write_text('bench = "humaneval"\n')
    assert not is_suite(path)
    assert not is_suite(tmp_path / "none.toml")
