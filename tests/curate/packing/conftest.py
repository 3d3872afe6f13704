"""A corpus of real files, read into a store, and recipes that pack it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parents[3]


def rows() -> list[dict[str, Any]]:
    """The suite's own files, some long, some empty, some with what tokenizers take for theirs."""
    found: list[dict[str, Any]] = []
    for place in ("curate/neardup", "seedcoder/models", "serve/gateway"):
        for path in sorted((HERE / place).glob("*.py")):
            found.append({"text": path.read_text(), "language": "python", "path": path.name,
                          "repo": place.replace("/", "-")})  # fmt: skip
    odd = ["", "é", "a\r\nb\0c", "\n", "<[fim-prefix]>x<[end▁of▁sentence]>", "日本語 🎉 " * 30]
    for at, text in enumerate(odd):
        found.append({"text": text, "language": "text", "path": f"odd-{at}.txt", "repo": ""})
    for at in range(60):
        text = f"# page {at}\n" + f"line {at} of it\n" * (at % 7 * 9)
        found.append({"text": text, "language": "markdown", "path": f"{at}.md", "repo": "docs"})
    return found


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A curate recipe that was run."""
    from curate.engine import LocalEngine
    from curate.recipe import CurateRecipe
    from curate.running import run
    from seedcoder.recipe import load_recipe

    data = tmp_path / "corpus.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows()), encoding="utf-8")
    recipe = tmp_path / "corpus.toml"
    options = f'{{files = ["{data}"], text = "text", language = "language"}}'
    recipe.write_text(
        f'store = "{tmp_path}/store"\n[[sources]]\nuse = "jsonl"\noptions = {options}\n'
    )
    asked = load_recipe(recipe, CurateRecipe)
    with LocalEngine(1) as engine:
        run(asked, engine, lambda *_: None)
    return recipe


@pytest.fixture
def asked(corpus: Path, tmp_path: Path) -> Callable[..., Any]:
    """Return a function that makes a PackRecipe of the corpus."""
    from curate.packing.recipe import PackRecipe

    def make(sources: list[dict[str, Any]] | None = None, **facts: Any) -> PackRecipe:
        tables = [{"recipe": corpus, **one} for one in sources or [{"name": "all"}]]
        whole = {"out": tmp_path / "runs", "length": 512, "shard_sequences": 64, "unit_kb": 40,
                 "workers": 1, "seed": 7, **facts}  # fmt: skip
        return PackRecipe.model_validate({**whole, "sources": tables})

    return make
