"""A recipe run for real: resumed, added to, with documents that bring a process down."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")

import pyarrow as pa
import pyarrow.parquet as pq

from curate import catalogue
from curate.engine import LocalEngine
from curate.kept import Corpus, kept
from curate.recipe import CurateRecipe
from curate.running import Result, run
from seedcoder.errors import RecipeError, RunBusy, UsageError

pytestmark = pytest.mark.slow

STEPS_FILE = """
import os
import time
import pyarrow as pa


class Sizes:
    name, version = "sizes", 1
    row_s = 1.0

    def __init__(self, factor, slow_s, looks):
        self.factor, self.slow_s = factor, slow_s
        self.reads = ("text", "exact.keep") if looks else ("text",)

    def schema(self):
        return pa.schema([("keep", pa.bool_()), ("reason", pa.string()), ("value", pa.float64())])

    def settings(self):
        return {"factor": self.factor}

    def compute(self, table):
        texts = table.column("text").to_pylist()
        time.sleep(self.slow_s * len(texts))
        for text in texts:
            if "raise" in text:
                raise ValueError("cannot be measured")
            if "die" in text:
                os._exit(3)
        if "exact.keep" in self.reads:
            assert all(table.column("exact.keep").to_pylist())
        values = [float(len(text) * self.factor) for text in texts]
        return pa.table({
            "keep": [value < 100 for value in values],
            "reason": ["" if value < 100 else "long" for value in values],
            "value": values,
        })


def sizes(*, factor: int = 1, slow_s: float = 0.0, looks: bool = False) -> Sizes:
    return Sizes(factor, slow_s, looks)
"""


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a step that measures texts, in the catalogue as "sizes"."""
    (tmp_path / "curate_test_steps.py").write_text(STEPS_FILE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(catalogue, "STEPS", {**catalogue.STEPS, "sizes": "curate_test_steps:sizes"})
    monkeypatch.setattr("curate.running.STEPS", catalogue.STEPS)
    return tmp_path


def _write(path: Path, texts: list[str]) -> Path:
    path.write_text("".join(json.dumps({"content": t, "lang": "python"}) + "\n" for t in texts))
    return path


def _recipe(folder: Path, files: list[Path], **changes: Any) -> CurateRecipe:
    data: dict[str, Any] = {
        "store": str(folder / "store"),
        "sources": [
            {"use": "jsonl", "name": file.stem, "options": {"files": [str(file)]}} for file in files
        ],
        "steps": [{"use": "exact"}, {"use": "sizes", "after": ["exact.keep"]}],
        "select": {"keep": ["exact.keep", "sizes.value < 20"]},
        "workers": 2,
    }
    return CurateRecipe.model_validate_json(json.dumps({**data, **changes}), strict=True)


def _run(recipe: CurateRecipe) -> Result:
    with LocalEngine(recipe.workers) as engine:
        return run(recipe, engine)


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.parquet"))
    }


def test_what_is_there_is_not_computed_again(measured: Path) -> None:
    first = _write(measured / "a.jsonl", ["x = 1", "x = 1", "y" * 50, "z" * 150])
    result = _run(_recipe(measured, [first]))
    assert [(step.fresh, step.kept) for step in result.steps] == [(4, 3), (3, 2)]
    assert result.steps[0].dropped == {"same text": 1}
    assert result.steps[1].dropped == {"long": 1}
    assert result.dropped_by == {"exact.keep": 1, "sizes.value < 20": 2}
    assert (result.documents, result.kept) == (4, 1)

    again = _run(_recipe(measured, [first], select={"keep": ["sizes.value < 60"]}))
    assert [step.fresh for step in again.steps] == [0, 0]  # another threshold computes nothing
    assert again.kept == 2

    more = _write(measured / "b.jsonl", ["x = 1", "x = 22"])
    result = _run(_recipe(measured, [first, more]))
    assert [step.fresh for step in result.steps] == [6, 1]  # a gather step sees all; a map step not
    assert result.kept == 2

    def with_options(**options: Any) -> CurateRecipe:
        sizes = {"use": "sizes", "options": options, "after": ["exact.keep"]}
        return _recipe(measured, [first], steps=[{"use": "exact"}, sizes])

    assert [step.fresh for step in _run(with_options(factor=2)).steps] == [0, 3]
    looks = _run(with_options(looks=True))
    assert ([step.fresh for step in looks.steps], looks.steps[1].quarantined) == ([0, 3], 0)


@pytest.mark.slow
def test_steps_after_one_that_drops_all_have_seen_nothing_and_the_funnel_says_so(
    measured: Path,
) -> None:
    long = _write(measured / "long.jsonl", ["x" * 200 + str(n) for n in range(5)])
    short = _write(measured / "short.jsonl", ["x = 1"])
    steps = [
        {"use": "sizes"},
        {"use": "sizes", "name": "again", "after": ["sizes.keep"]},
        {"use": "exact", "after": ["again.keep"]},
        {"use": "minhash", "after": ["exact.keep"]},
        {"use": "neardup", "after": ["exact.keep"]},
        {"use": "sizes", "name": "last", "after": ["neardup.keep"]},
    ]
    select = {"keep": ["sizes.keep", "again.keep", "neardup.keep", "last.value < 20"]}
    for files, kept_rows in (([long], 0), ([long, short], 1)):
        recipe = _recipe(measured, files, steps=steps, select=select)
        result = _run(recipe)
        assert [(one.title, one.kept) for one in result.steps] == [
            (name, None if name == "minhash" else kept_rows)
            for name in ("sizes", "again", "exact", "minhash", "neardup", "last")
        ]
        assert result.kept == kept_rows and result.dropped_by["sizes.keep"] == 5
        assert sum(table.num_rows for table in Corpus(recipe).tables(["last.value"])) == kept_rows
        assert sum(one.fresh for one in _run(recipe).steps) == 0


def test_a_document_that_fails_or_ends_its_process_is_put_aside_alone(measured: Path) -> None:
    texts = [f"x = {n}" for n in range(40)]
    texts[7], texts[21] = "raise this", "die here"
    file = _write(measured / "a.jsonl", texts)
    result = _run(_recipe(measured, [file]))
    assert (result.steps[1].rows, result.steps[1].quarantined, result.kept) == (40, 2, 38)
    (noted,) = (measured / "store" / "quarantine" / "sizes").glob("*.jsonl")
    reasons = sorted(json.loads(line)["reason"] for line in noted.read_text().splitlines())
    assert reasons == ["ValueError: cannot be measured", "its process ended with code 3"]
    assert _run(_recipe(measured, [file])).steps[1].fresh == 0


def test_the_number_of_workers_changes_no_byte(measured: Path) -> None:
    files = [_write(measured / f"{n}.jsonl", [f"{n}{m}" * 5 for m in range(30)]) for n in range(3)]
    _run(_recipe(measured, files, workers=1))
    _run(_recipe(measured, files, workers=3, store=str(measured / "other")))
    first, second = _digests(measured / "store"), _digests(measured / "other")
    assert first == second and len(first) == 9


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_and_ends_the_same(
    measured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [_write(measured / f"{n}.jsonl", [f"{n}-{m}" for m in range(20)]) for n in range(6)]
    slow = [
        {"use": "exact"},
        {"use": "sizes", "options": {"slow_s": 0.03}, "after": ["exact.keep"]},
    ]
    recipe = _recipe(measured, files, steps=slow, workers=1)
    script = (
        "import sys, json; from curate import catalogue, running\n"
        "catalogue.STEPS = {**catalogue.STEPS, 'sizes': 'curate_test_steps:sizes'}\n"
        "running.STEPS = catalogue.STEPS\n"
        "from curate.recipe import CurateRecipe; from curate.engine import LocalEngine\n"
        "if __name__ == '__main__':\n"
        "    recipe = CurateRecipe.model_validate_json(open(sys.argv[1]).read(), strict=True)\n"
        "    with LocalEngine(1) as engine: running.run(recipe, engine)\n"
    )
    (measured / "script.py").write_text(script)
    (measured / "recipe.json").write_text(recipe.model_dump_json())
    path = f"{measured}:{Path(__file__).parents[2]}"
    child = subprocess.Popen(
        [sys.executable, measured / "script.py", measured / "recipe.json"],
        env={**os.environ, "PYTHONPATH": path}, start_new_session=True,
    )  # fmt: skip
    columns = measured / "store" / "columns" / "sizes"
    deadline = time.monotonic() + 60
    while len(list(columns.rglob("*.parquet"))) < 2:
        assert child.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    there = sum(pq.read_metadata(path).num_rows for path in columns.rglob("*.parquet"))
    result = _run(recipe)
    assert result.steps[1].fresh == 120 - there < 120
    _run(_recipe(measured, files, steps=slow, store=str(measured / "whole")))
    assert _digests(measured / "store") == _digests(measured / "whole")


def test_two_runs_do_not_share_a_store_at_once(measured: Path) -> None:
    file = _write(measured / "a.jsonl", ["x"])
    recipe = _recipe(measured, [file])

    class Looks(LocalEngine):
        def run(self, tasks: Any) -> Any:
            with pytest.raises(RunBusy):
                _run(recipe)
            return super().run(tasks)

    with Looks(1) as engine:
        assert run(recipe, engine).documents == 1


def test_bad_records_are_refused_with_their_place_and_the_rest_goes_on(measured: Path) -> None:
    file = measured / "a.jsonl"
    file.write_text('{"content": "x"}\n{"content": 3}\n[1]\nno json\n\n{"content": "y"}\n')
    result = _run(_recipe(measured, [file]))
    assert (result.documents, result.refused) == (2, {"a": 3})
    (noted,) = (measured / "store" / "quarantine" / "source a").glob("*.jsonl")
    assert [json.loads(line)["key"] for line in noted.read_text().splitlines()] == [
        "a.jsonl:2", "a.jsonl:3", "a.jsonl:4",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"steps": [{"use": "exakt"}]}, "no such step: 'exakt'"),
        ({"steps": [{"use": "exact"}, {"use": "exact"}]}, "two are named 'exact'"),
        ({"steps": [{"use": "sizes"}]}, "no step 'exact' before it"),
        ({"steps": [{"use": "exact", "options": {"n": 1}}]}, "step 'exact': options.n"),
        ({"select": {"keep": ["exact.kep"]}}, "'exact' has keep, reason, of"),
        ({"select": {"keep": ["exact keep"]}}, "is no condition"),
        ({"sources": [{"use": "tape"}]}, "no such source: 'tape'"),
    ],
)
def test_a_wrong_recipe_is_refused_before_anything_is_read(
    measured: Path, changes: dict[str, Any], complaint: str
) -> None:
    file = _write(measured / "a.jsonl", ["x"])
    with pytest.raises(RecipeError, match=complaint):
        _run(_recipe(measured, [file], **changes))
    assert not (measured / "store" / "documents").exists()


def test_the_store_holds_what_the_source_gave(measured: Path) -> None:
    odd = ["", "\ud800 alone", "é" * 3, "a\r\nb"]
    file = _write(measured / "a.jsonl", odd)
    _run(_recipe(measured, [file]))
    (path,) = (measured / "store" / "documents").glob("*.parquet")
    table: pa.Table = pq.read_table(path)
    assert table.column("text").to_pylist() == ["", "? alone", "ééé", "a\r\nb"]
    assert table.column("bytes").to_pylist() == [0, 7, 6, 4]


def test_what_is_kept_is_read_again_with_its_columns(measured: Path) -> None:
    recipe = _recipe(measured, [_write(measured / "one.jsonl", ["a", "a" * 30, "bb", "a"])])
    with pytest.raises(UsageError, match="not in"):
        Corpus(recipe)
    _run(recipe)
    tables = list(kept(recipe, ("text", "sizes.value")))
    assert pa.concat_tables(tables).select(["text", "sizes.value"]).to_pylist() == [
        {"text": "a", "sizes.value": 1.0},
        {"text": "bb", "sizes.value": 2.0},
    ]
    whole = pa.concat_tables(Corpus(recipe).tables(("text",), whole=True))
    assert whole.column("dropped").to_pylist() == [None, "sizes.value < 20", None, "exact.keep"]
    other = _recipe(measured, [measured / "one.jsonl"], steps=[{"use": "sizes", "name": "new"}])
    with pytest.raises(RecipeError, match=r"exact\.keep"):
        Corpus(other)
    changed = other.model_copy(update={"select": recipe.select.model_copy(update={"keep": ()})})
    with pytest.raises(UsageError, match="'new' is not computed"):
        Corpus(changed)
