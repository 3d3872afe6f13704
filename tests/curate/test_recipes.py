"""The recipes that come with the suite are recipes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")

from curate.catalogue import SOURCES, STEPS
from curate.decontaminate.problems import Problem, read_allowed
from curate.instruct.recipe import InstructRecipe
from curate.packing.recipe import PackRecipe
from curate.recipe import CurateRecipe
from curate.scoring.recipe import ScorerRecipe
from curate.selection.recipe import RecallRecipe, SelectionRecipe
from seedcoder.recipe import load_recipe

FOLDER = Path(__file__).resolve().parents[2] / "recipes" / "curate"
SCHEMAS = {
    "scorer": ScorerRecipe,
    "instruct": InstructRecipe,
    "pack": PackRecipe,
    "recall": RecallRecipe,
    "select": SelectionRecipe,
}


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.toml")))
def test_a_recipe_is_read_and_names_what_there_is(name: str) -> None:
    schema = SCHEMAS.get(re.split("[-.]", name)[0], CurateRecipe)
    recipe = load_recipe(FOLDER / name, schema)
    if isinstance(recipe, CurateRecipe):
        assert {source.use for source in recipe.sources} <= set(SOURCES)
        assert {step.use for step in recipe.steps} <= set(STEPS)
        titles = [step.title for step in recipe.steps]
        assert "minhash" in titles or not {"decontaminate", "neardup"} & set(titles)
        for step in recipe.steps:
            before = titles[: titles.index(step.title)]
            assert {column.partition(".")[0] for column in step.after} <= set(before), step.title


@pytest.mark.parametrize("name", ["pack-regular.toml", "pack-continued.toml"])
def test_what_is_packed_is_what_its_recipes_compute(name: str) -> None:
    for source in load_recipe(FOLDER / name, PackRecipe).sources:
        path = FOLDER.parents[1] / source.recipe
        titles = {step.title for step in load_recipe(path, CurateRecipe).steps}
        named = [source.text, *source.where, *([source.score] if source.score else [])]
        assert {column.partition(".")[0] for column in named} <= titles, source.name


def test_what_is_selected_from_is_what_its_recipe_computes() -> None:
    recipe = load_recipe(FOLDER / "select-code.toml", SelectionRecipe)
    corpus = load_recipe(FOLDER.parents[1] / recipe.corpus, CurateRecipe)
    titles = {step.title for step in corpus.steps}
    assert {recipe.quality.partition(".")[0], "traits"} <= titles


def test_the_shared_words_are_an_allow_list() -> None:
    problems = [Problem(bench="b", key="k", text="t")]
    assert len(read_allowed(FOLDER / "shared-words.txt", problems, 10).texts) > 5
