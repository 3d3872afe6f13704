"""The recipes that come with the suite are recipes."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pyarrow")

from curate.catalogue import SOURCES, STEPS
from curate.decontaminate.problems import Problem, read_allowed
from curate.packing.recipe import PackRecipe
from curate.recipe import CurateRecipe
from curate.scoring.recipe import ScorerRecipe
from curate.selection.recipe import RecallRecipe, SelectionRecipe
from seedcoder.recipe import load_recipe

FOLDER = Path(__file__).resolve().parents[2] / "recipes" / "curate"
SCHEMAS = {
    "scorer": ScorerRecipe,
    "pack": PackRecipe,
    "recall": RecallRecipe,
    "select": SelectionRecipe,
}


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.toml")))
def test_a_recipe_is_read_and_names_what_there_is(name: str) -> None:
    schema = SCHEMAS.get(name.partition("-")[0], CurateRecipe)
    recipe = load_recipe(FOLDER / name, schema)
    if isinstance(recipe, CurateRecipe):
        assert {source.use for source in recipe.sources} <= set(SOURCES)
        assert {step.use for step in recipe.steps} <= set(STEPS)
        titles = [step.title for step in recipe.steps]
        for step in recipe.steps:
            before = titles[: titles.index(step.title)]
            assert {column.partition(".")[0] for column in step.after} <= set(before), step.title


def test_the_shared_words_are_an_allow_list() -> None:
    problems = [Problem(bench="b", key="k", text="t")]
    assert len(read_allowed(FOLDER / "shared-words.txt", problems, 10).texts) > 5
