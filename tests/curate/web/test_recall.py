"""The recall route on real pages: learnt from pages told apart by their tags, tags left out."""

import json
from pathlib import Path

import pytest

pytest.importorskip("fasttext")
pytest.importorskip("selectolax")
pytest.importorskip("warcio")

from typer.testing import CliRunner

from curate.cli import app


@pytest.mark.slow
def test_pages_about_code_are_recalled_without_their_tags(
    tmp_path: Path, curate_data: Path
) -> None:
    pages = curate_data / "docs_pages.warc.gz"
    corpus = tmp_path / "corpus.toml"
    corpus.write_text(
        f'store = "{tmp_path}/store"\nworkers = 1\n[[sources]]\nuse = "warc"\nname = "crawl"\n'
        f'options = {{files = ["{pages}"]}}\n[[steps]]\nuse = "webpage"\n',
        encoding="utf-8",
    )
    recipe = tmp_path / "recall.toml"
    recipe.write_text(
        f'corpus = "{corpus}"\nout = "{tmp_path}/recall"\ntext = "webpage.text"\napart = "key"\n'
        'positive = ["webpage.tagged", "webpage.keep"]\n'
        'negative = ["webpage.untagged", "webpage.keep"]\ntarget_recall = 0.99\n',
        encoding="utf-8",
    )
    runner = CliRunner()

    def call(*words: str) -> str:
        result = runner.invoke(app, list(words), catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    call("run", str(corpus))
    card = json.loads(call("classify", "recall", str(recipe), "--json"))
    assert card["validated"]["recall"] >= 0.99
    share = card["validated"]["positives"] / (
        card["validated"]["positives"] + card["validated"]["negatives"]
    )
    assert card["validated"]["precision"] > share  # better than to keep all
    assert card["checked"]["recall"] > 0.9
    again = json.loads(call("classify", "recall", str(recipe), "--json"))
    assert again == card

    whole = tmp_path / "whole.toml"
    whole.write_text(
        f'base = "corpus.toml"\n[select]\nkeep = ["webpage.keep", "route.keep"]\n'
        '[[steps]]\nuse = "webpage"\n[[steps]]\nuse = "fasttext"\nname = "route"\n'
        f'after = ["webpage.keep"]\n[steps.options]\nmodel = "{tmp_path}/recall"\n'
        'text = "webpage.text"\nbesides = "webpage.tagged"\n',
        encoding="utf-8",
    )
    result = json.loads(call("run", str(whole), "--json"))
    route = next(one for one in result["steps"] if one["title"] == "route")
    # Of 216 tagged pages, ten are tables of contents: what is not a link is under 90 words.
    assert result["kept"] == route["kept"] >= 206
    assert route["dropped"]["below the threshold"] > 30
