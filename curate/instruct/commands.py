"""seedcoder curate instruct"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from curate.instruct.recipe import InstructRecipe
    from curate.instruct.stage import Made

Recipe = Annotated[Path, typer.Argument(help="A recipe of instruction data.")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a key: --set correct.revisions=5."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print plain data.")]

app = typer.Typer(
    help="Make instruction data: asked of a model, judged by the sandbox.",
    no_args_is_help=True,
)


@app.command()
def run(recipe: Recipe, changes: Changes = None, as_json: AsJson = False) -> None:
    """Do all stages that the recipe has, one after the other."""
    from curate.instruct.pipeline import run as run_all

    for made in run_all(_asked(recipe, changes)):
        _print(made, as_json)


@app.command()
def synthesize(recipe: Recipe, changes: Changes = None, as_json: AsJson = False) -> None:
    """Write instructions and responses, inspired by excerpts of a corpus."""
    _do("synthesize", recipe, changes, as_json)


@app.command(name="filter")
def filter_(recipe: Recipe, changes: Changes = None, as_json: AsJson = False) -> None:
    """Keep what parses, is right as a model says, and is not too easy."""
    _do("filter", recipe, changes, as_json)


@app.command()
def correct(recipe: Recipe, changes: Changes = None, as_json: AsJson = False) -> None:
    """Write solutions with unit tests, and revise them until they pass."""
    _do("correct", recipe, changes, as_json)


@app.command()
def problems(recipe: Recipe, changes: Changes = None, as_json: AsJson = False) -> None:
    """Make problems for reinforcement learning: checked tests, a pass rate."""
    _do("problems", recipe, changes, as_json)


@app.command()
def pairs(recipe: Recipe, changes: Changes = None, as_json: AsJson = False) -> None:
    """Make DPO pairs from many judged samples a prompt."""
    _do("pairs", recipe, changes, as_json)


@app.command()
def longcot(recipe: Recipe, changes: Changes = None, as_json: AsJson = False) -> None:
    """Keep long chains of thought whose answers pass."""
    _do("longcot", recipe, changes, as_json)


def _do(name: str, recipe: Path, changes: list[str] | None, as_json: bool) -> None:
    from curate.instruct.pipeline import made

    _print(made(_asked(recipe, changes), name), as_json)


def _asked(recipe: Path, changes: list[str] | None) -> InstructRecipe:
    from curate.instruct.recipe import InstructRecipe
    from seedcoder.recipe import load_recipe

    return load_recipe(recipe, InstructRecipe, changes or ())


def _print(made: Made, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(made.to_json(), indent=2))
        return
    typer.echo(f"{made.stage}: {made.rows} rows of {made.items} items in {made.file}")
    for reason, count in made.dropped.items():
        typer.echo(f"  {count} dropped: {reason}")
    for stage, count in made.unfinished.items():
        typer.echo(f"  {count} unfinished: lost to the {stage}")
