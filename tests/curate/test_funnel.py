"""The funnel, explain and sample over a corpus that was really run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("numpy")

from typer.testing import CliRunner

from curate.cli import app
from curate.engine import LocalEngine
from curate.explain import explain
from curate.funnel.amount import whole
from curate.funnel.facts import facts_of
from curate.funnel.page import funnel_page
from curate.kept import Corpus
from curate.recipe import CurateRecipe
from curate.running import run
from curate.sample import sample
from seedcoder.errors import UsageError

LANGUAGES = ("python", "go", "c")


def _texts() -> list[dict[str, Any]]:
    rows = []
    for n in range(300):
        text = "x = 1\n" if n % 10 == 0 else f"def name_{n}():\n    return {n}\n" * (n % 5 + 1)
        path = f"src/file_{n}.txt"
        rows.append({"content": text, "lang": LANGUAGES[n % 3], "path": path, "repo": "owner/one"})
    rows[7]["content"] = "</script><script>alert(1)</script>\x1b[31m" + "word " * 40
    return rows


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe that was run."""
    folder = tmp_path_factory.mktemp("funnel")
    lines = [json.dumps(row) for row in _texts()] + ["no json"]
    (folder / "rows.jsonl").write_text("\n".join(lines) + "\n")
    path = folder / "recipe.toml"
    path.write_text(f"""
store = "{folder}/store"
workers = 1
[[sources]]
use = "jsonl"
options = {{ files = ["{folder}/rows.jsonl"] }}
[[steps]]
use = "exact"
[[steps]]
use = "tokens"
after = ["exact.keep"]
[select]
keep = ["exact.keep", "language in [python, go]", "tokens.value >= 20"]
""")
    with LocalEngine(1) as engine:
        run(_loaded(path), engine)
    return path


def _loaded(path: Path) -> CurateRecipe:
    from seedcoder.recipe import load_recipe

    return load_recipe(path, CurateRecipe, ())


@pytest.mark.slow
def test_what_came_is_what_was_dropped_and_what_was_kept(recipe: Path) -> None:
    facts = facts_of(Corpus(_loaded(recipe)), tokens="tokens")
    came, kept = whole(iter(facts.came.values())), whole(iter(facts.kept.values()))
    assert came.documents == 300
    assert came.bytes == sum(len(row["content"].encode()) for row in _texts())
    lost = [whole(iter(stage.dropped.values())) for stage in facts.stages]
    for name in ("documents", "bytes", "tokens"):
        gone = sum(getattr(one, name) for one in lost)
        assert getattr(came, name) == getattr(kept, name) + gone, name
    assert lost[0].documents == 29  # thirty of one text
    assert facts.stages[0].reasons == {"same text": 29}
    assert set(facts.kept) == {"python", "go"} and set(facts.stages[1].dropped) == {"c"}
    assert facts.stages[2].reasons == {"not tokens.value >= 20": lost[2].documents}
    assert facts.sources["jsonl"][0].documents == 300


def test_steps_are_told_with_what_they_did_not_compute(recipe: Path) -> None:
    exact, tokens = facts_of(Corpus(_loaded(recipe)), tokens="tokens").steps
    assert (exact.kept, exact.dropped, exact.unknown) == (271, 29, 0)
    assert tokens.unknown == 29
    assert tokens.kept + tokens.dropped == 271 == sum(tokens.counts)
    assert tokens.low <= 20 <= tokens.high
    assert [len(exact.examples[kind]) for kind in ("kept", "dropped")] == [3, 3]
    assert all(one.told["keep"] is False for one in exact.examples["dropped"])


def test_examples_are_the_same_for_a_seed_and_others_for_another(recipe: Path) -> None:
    corpus = Corpus(_loaded(recipe))

    def keys(seed: int) -> list[str]:
        return [row["key"] for row in sample(corpus, 20, "all", seed=seed)]

    assert keys(1) == keys(1)
    assert keys(1) != keys(2)
    assert len(set(keys(1))) == 20
    assert len(sample(corpus, 1000, "all")) == 300


def test_a_step_that_drops_nothing_has_no_examples_of_it(recipe: Path) -> None:
    asked = _loaded(recipe)
    select = asked.select.model_copy(update={"keep": ("tokens.value >= 0",)})
    facts = facts_of(Corpus(asked.model_copy(update={"select": select})), tokens="tokens")
    assert facts.steps[1].dropped == 0 and facts.steps[1].examples["dropped"] == []
    assert len(facts.steps[1].examples["kept"]) == 3


def test_the_page_escapes_documents_and_adds_up(recipe: Path, tmp_path: Path) -> None:
    corpus = Corpus(_loaded(recipe))
    facts = facts_of(corpus, tokens="tokens", examples=300)
    page = funnel_page(corpus, facts, _loaded(recipe).model_dump(mode="json"))
    assert "<script>alert" not in page and "&lt;script&gt;alert(1)" in page
    assert "\x1b" not in page
    kept = whole(iter(facts.kept.values())).documents
    assert f'<p class="value">{kept}</p>' in page
    assert re.search(r"records refused</h3><p class=\"value\">1<", page)


def test_a_document_is_explained_by_key_path_and_path_s_end(recipe: Path) -> None:
    corpus = Corpus(_loaded(recipe))
    told = explain(corpus, "src/file_20.txt")
    assert len(told) == 1 and told[0]["dropped_by"] == "exact.keep"
    first = explain(corpus, "owner/one/src/file_0.txt")[0]
    assert told[0]["steps"]["exact"]["of"] == first["key"]
    assert explain(corpus, first["key"]) == [first] == explain(corpus, "file_0.txt")
    with pytest.raises(UsageError, match="no document 'nothing'"):
        explain(corpus, "nothing")


@pytest.mark.slow
def test_the_commands_tell_the_same(recipe: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    out = tmp_path / "page.html"
    done = runner.invoke(app, ["funnel", str(recipe), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "Curation funnel" in out.read_text()
    done = runner.invoke(app, ["explain", str(recipe), "file_20.txt"])
    assert "dropped by exact.keep" in done.output
    where = ["--where", "language in [c]", "--which", "dropped", "-n", "3"]
    done = runner.invoke(app, ["sample", str(recipe), *where, "--json"])
    rows = [json.loads(line) for line in done.output.splitlines()]
    assert len(rows) == 3 and {row["language"] for row in rows} == {"c"}
    assert all(row["dropped"] for row in rows)
    done = runner.invoke(app, ["sample", str(recipe), "-n", "300", "--which", "all"])
    assert "\x1b[31m</" not in done.output and "alert(1)" in done.output
    done = runner.invoke(app, ["sample", str(recipe), "--where", "nothing.value < 1"])
    assert isinstance(done.exception, UsageError)
    assert "no column 'nothing.value'" in str(done.exception)
    done = runner.invoke(app, ["sample", str(recipe), "--which", "some"])
    assert "must be one of" in str(done.exception)


def test_tokens_are_counted_as_words_and_marks() -> None:
    import pyarrow as pa

    from curate.tokens import tokens

    found = tokens().compute(pa.table({"text": ["", "a_b = 12;", "Füße\n\n"]}))
    assert found.column("value").to_pylist() == [0.0, 5.0, 1.0]
    with pytest.raises(UsageError, match="no file"):
        tokens(tokenizer=Path("absent.json"))
