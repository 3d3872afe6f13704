"""Pages are rated by a model with their category; thresholds and rates go by category."""

import json
from pathlib import Path

import pytest

pytest.importorskip("fasttext")
pytest.importorskip("pyarrow")

import pyarrow as pa
from typer.testing import CliRunner

from curate.catalogue import STEPS, make
from curate.cli import app
from curate.kept import Corpus
from curate.recipe import CurateRecipe
from curate.web.categories import read_page_labels
from curate.web.rubric import CATEGORIES, question, read
from seedcoder.errors import RecipeError, UsageError
from seedcoder.recipe import load_recipe


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ("Fine.\nCategory: [[forum]]\nRating: [[7]]", {"score": 7, "category": "forum"}),
        ("category:[[ Blog ]]\nrating: [[0]]", {"score": 0, "category": "blog"}),
        ("Category: [[NAME]]\nRating: [[3]]\nCategory: [[news]]", {"score": 3, "category": "news"}),
        ("Category: [[castle]]\nRating: [[7]]", None),
        ("Rating: [[7]]", None),
        ("Category: [[forum]]", None),
        ("Category: [[forum]]\nRating: [[12]]", None),
    ],
)
def test_an_answer_counts_only_with_category_and_rating(
    reply: str, said: dict[str, object] | None
) -> None:
    assert read(reply) == said


def test_the_question_names_all_categories_and_fences_the_page() -> None:
    words = question("markdown", "a ``` b" + "x" * 100_000)[1].content
    assert all(f"- {name}: " in words for name in CATEGORIES)
    assert "````\na ``` b" in words
    assert len(words) < 30_000


def test_thresholds_and_rates_go_by_category_and_draws_are_a_keys_own() -> None:
    options = {"threshold": 5.0, "thresholds": {"forum": 3.0, "shop": 9.0}, "rates": {"blog": 0.5}}
    step = make(STEPS, "webdraw", options, "step")
    keys = [f"{at:032x}" for at in range(400)]
    names = ["forum", "shop", "documentation", "blog"] * 100
    table = pa.table({"key": keys, "score.value": [4.0, 8.0, 5.0, 6.0] * 100,
                      "category.category": names})  # fmt: skip
    rows = step.compute(table).to_pylist()
    reasons = {name: {row["reason"] for row, one in zip(rows, names, strict=True) if one == name}
               for name in names}  # fmt: skip
    assert reasons["forum"] == {""} and reasons["documentation"] == {""}
    assert reasons["shop"] == {"below its category's threshold"}
    assert reasons["blog"] == {"", "not drawn at its category's rate"}
    drawn = sum(row["keep"] for row in rows[3::4])
    assert 35 <= drawn <= 65
    assert rows[1]["value"] == -1.0
    assert step.compute(table.slice(200)).to_pylist() == rows[200:]
    other = make(STEPS, "webdraw", {**options, "seed": 1}, "step")
    assert other.compute(table).to_pylist() != rows
    empty = table.slice(0, 1).set_column(1, "score.value", pa.nulls(1, pa.float64()))
    assert step.compute(empty).to_pylist() == [{"keep": None, "reason": None, "value": None}]
    with pytest.raises(RecipeError, match="rate of blog must be from 0 to 1"):
        make(STEPS, "webdraw", {"threshold": 5.0, "rates": {"blog": 2.0}}, "step")


@pytest.mark.slow
def test_real_pages_go_from_a_crawl_to_what_is_kept(tmp_path: Path, curate_data: Path) -> None:
    """Source, ratings of a scripted model, categories, a quick scorer, thresholds by category."""
    pages = curate_data / "docs_pages.warc.gz"
    pytest.importorskip("selectolax")
    pytest.importorskip("warcio")
    runner = CliRunner()

    def call(*words: object) -> str:
        result = runner.invoke(app, [str(word) for word in words], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    corpus = tmp_path / "corpus.toml"
    corpus.write_text(
        f'store = "{tmp_path}/store"\nworkers = 1\n[[sources]]\nuse = "web"\nname = "crawl"\n'
        f'options = {{files = ["{pages}"]}}\n',
        encoding="utf-8",
    )
    call("run", corpus)
    asked = Corpus(load_recipe(corpus, CurateRecipe))
    documents = [row for table in asked.tables(("text", "path")) for row in table.to_pylist()]
    assert len(documents) == 280
    answers = tmp_path / "answers.jsonl"
    with answers.open("w", encoding="utf-8") as file:
        for one in documents:
            kind = "documentation" if "python.org" in one["path"] else "tutorial"
            score = min(10, 2 + one["text"].count("```") // 4)
            text = f"So.\nCategory: [[{kind}]]\nRating: [[{score}]]"
            file.write(json.dumps({"key": one["key"], "text": text}) + "\n")
    labels = tmp_path / "labels.jsonl"
    ask = ("score", "ask", corpus, "--out", labels, "--model", f"scripted:{answers}", "-n", 300)
    told = call(*ask, "--pages")
    assert "280 rated, 0 without a rating, 0 lost" in told
    assert len(read_page_labels(labels)) == 280

    # Four sites are too few to keep whole sites back: labels without a site go page by page.
    rows = [json.loads(line) for line in labels.read_text(encoding="utf-8").splitlines()]
    labels.write_text(
        "".join(json.dumps({**row, "repo": row["key"]}) + "\n" for row in rows), encoding="utf-8"
    )
    kinds = tmp_path / "kinds"
    card = json.loads(call("classify", "categories", labels, "--out", kinds, "--json"))
    assert card["right"] > card["right_by_the_most_common"]
    assert card["scores"]["documentation"]["pages"] == 90
    other = json.loads(call("classify", "categories", labels, "--out", tmp_path / "two", "--json"))
    assert other == card

    scorer = tmp_path / "scorer.toml"
    scorer.write_text(
        f'labels = "{labels}"\nout = "{tmp_path}/scorer"\nkind = "linear"\n', encoding="utf-8"
    )
    call("score", "train", scorer)
    whole = tmp_path / "whole.toml"
    whole.write_text(
        f"""base = "corpus.toml"
[[steps]]
use = "exact"
[[steps]]
use = "score"
options = {{scorer = "{tmp_path}/scorer"}}
[[steps]]
use = "category"
options = {{model = "{kinds}"}}
[[steps]]
use = "webdraw"
options = {{threshold = 2.5, thresholds = {{documentation = 4.0}}, rates = {{tutorial = 0.5}}}}
[select]
keep = ["exact.keep", "webdraw.keep"]
""",
        encoding="utf-8",
    )
    result = json.loads(call("run", whole, "--json"))
    draw = next(one for one in result["steps"] if one["title"] == "webdraw")
    assert set(draw["dropped"]) == {
        "below its category's threshold",
        "not drawn at its category's rate",
    }
    assert 0 < result["kept"] < 280


def test_labels_without_categories_are_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    row = {"kind": "label", "key": "a", "score": 3, "text": "x"}
    file.write_text(json.dumps(row) + "\n", encoding="utf-8")
    with pytest.raises(UsageError, match="no label of a page"):
        read_page_labels(file)
    with pytest.raises(UsageError, match="knows no categories"):
        make(STEPS, "category", {"model": str(tmp_path)}, "step")
