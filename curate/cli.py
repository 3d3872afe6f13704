"""seedcoder curate"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from curate.engine import Engine
    from curate.recipe import CurateRecipe

app = typer.Typer(
    help="Turn raw code and web pages into training data.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _curate() -> None:
    """Turn raw code and web pages into training data."""


@app.command()
def run(
    recipe: Annotated[Path, typer.Argument(help="A recipe of recipes/curate/.")],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a key: --set store=/data/store."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print plain data.")] = False,
) -> None:
    """Run a recipe; what is in its store already is not computed again."""
    from curate.printed import print_result, stages
    from curate.recipe import CurateRecipe
    from curate.running import run as run_recipe
    from seedcoder.recipe import load_recipe

    asked = load_recipe(recipe, CurateRecipe, changes or ())
    with _engine(asked) as engine, stages() as tell:
        result = run_recipe(asked, engine, tell)
    if as_json:
        typer.echo(json.dumps(asdict(result), indent=2))
    else:
        print_result(result)


def _engine(asked: CurateRecipe) -> AbstractContextManager[Engine]:
    if asked.engine == "ray":
        from curate.ray_engine import RayEngine

        return RayEngine(asked.address, asked.workers)
    from curate.engine import LocalEngine

    return LocalEngine(asked.workers)
