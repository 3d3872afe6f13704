"""The stages in their order, and what each reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from curate.instruct.item import Item, Stage, read_items
from curate.instruct.recipe import InstructRecipe
from curate.instruct.stage import Lend, Made, work
from seedcoder.errors import UsageError

STAGES: Final = ("synthesize", "filter", "correct", "problems", "pairs", "longcot")
# Whose output a stage reads when its table names no input.
_BEFORE: Final = {
    "filter": "synthesize",
    "correct": "filter",
    "problems": "correct",
    "pairs": "problems",
    "longcot": "problems",
}


def made(recipe: InstructRecipe, name: str, *, lend: Lend | None = None) -> Made:
    """Do one stage; see `curate.instruct.stage.work`. UsageError where there is nothing to read."""
    table = getattr(recipe, name)
    if table is None:
        raise UsageError(f"the recipe has no table [{name}]")
    items, stage = _stage(recipe, name)
    return work(recipe, name, items, stage, lend=lend)


def run(recipe: InstructRecipe, *, lend: Lend | None = None) -> Iterator[Made]:
    """Do all stages that the recipe has, yielding each as it is done."""
    names = [name for name in STAGES if getattr(recipe, name) is not None]
    if not names:
        raise UsageError(f"the recipe has no stage: it may have {', '.join(STAGES)}")
    for name in names:
        yield made(recipe, name, lend=lend)


def _stage(recipe: InstructRecipe, name: str) -> tuple[list[Item], Stage]:
    if name == "synthesize" and recipe.synthesize is not None:
        from curate.instruct.snippets import items_of
        from curate.instruct.synthesis import Synthesis

        items = items_of(recipe.synthesize, seed=recipe.seed)
        return items, Synthesis(recipe, recipe.synthesize)
    items = _items(recipe, name)
    if recipe.filter is not None and name == "filter":
        from curate.instruct.filtering import Filtering

        return items, Filtering(recipe, recipe.filter)
    if recipe.correct is not None and name == "correct":
        from curate.instruct.correction import Correction

        return items, Correction(recipe, recipe.correct)
    if recipe.problems is not None and name == "problems":
        from curate.instruct.problems import Problems

        return items, Problems(recipe, recipe.problems)
    if recipe.pairs is not None and name == "pairs":
        from curate.instruct.pairs import Pairs

        return items, Pairs(recipe, recipe.pairs)
    if recipe.longcot is not None and name == "longcot":
        from curate.instruct.longcot import LongCot

        return items, LongCot(recipe, recipe.longcot)
    raise ValueError(f"no stage {name!r}")


def _items(recipe: InstructRecipe, name: str) -> list[Item]:
    said: Path | None = getattr(recipe, name).input
    if said is not None:
        return read_items(said)
    before = _BEFORE[name]
    path = recipe.out / f"{before}.jsonl"
    if not path.is_file():
        raise UsageError(
            f"{name}: nothing to read: {path} is not there; do {before!r} first, or say"
            f" {name}.input"
        )
    return read_items(path)
