"""seedcoder curate"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curate.instruct.commands import app as instruct
from curate.packing.command import pack
from curate.scoring.cli import app as score
from curate.selection.cli import app as classify
from seedcoder.errors import UsageError

if TYPE_CHECKING:
    from curate.engine import Engine
    from curate.recipe import CurateRecipe

Recipe = Annotated[Path, typer.Argument(help="A recipe of recipes/curate/.")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a key: --set store=/data/store."),
]

app = typer.Typer(
    help="Turn raw code and web pages into training data.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


app.add_typer(classify, name="classify")
app.add_typer(score, name="score")
app.add_typer(instruct, name="instruct")


@app.callback()
def _curate() -> None:
    """Turn raw code and web pages into training data."""


@app.command()
def run(
    recipe: Recipe,
    changes: Changes = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print plain data.")] = False,
) -> None:
    """Run a recipe; what is in its store already is not computed again."""
    from curate.printed import print_result, stages
    from curate.running import run as run_recipe

    asked = _asked(recipe, changes)
    with _engine(asked) as engine, stages() as tell:
        result = run_recipe(asked, engine, tell)
    if as_json:
        typer.echo(json.dumps(asdict(result), indent=2))
    else:
        print_result(result)


@app.command()
def funnel(
    recipe: Recipe,
    changes: Changes = None,
    out: Annotated[
        Path | None, typer.Option(help="The file to write; by default in the store.")
    ] = None,
    examples: Annotated[int, typer.Option(min=0, help="Documents drawn a step and kind.")] = 3,
) -> None:
    """Write the page that shows where every document went, and why."""
    from curate.funnel.facts import facts_of
    from curate.funnel.page import funnel_page
    from curate.kept import Corpus

    asked = _asked(recipe, changes)
    corpus = Corpus(asked)
    counts = next((step.title for step in asked.steps if step.use == "tokens"), "")
    facts = facts_of(corpus, tokens=counts, examples=examples, seed=asked.seed)
    page = funnel_page(corpus, facts, asked.model_dump(mode="json"))
    place = out or asked.store / "funnel.html"
    place.write_text(page, encoding="utf-8")
    typer.echo(str(place))


@app.command()
def explain(
    recipe: Recipe,
    name: Annotated[str, typer.Argument(help="A key, a path, REPO/PATH, or a path's end.")],
    changes: Changes = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print plain data.")] = False,
) -> None:
    """Tell everything of one document: what each step said of it, and its end."""
    from curate.explain import explain as told_of
    from curate.kept import Corpus
    from curate.printed import print_told

    told = told_of(Corpus(_asked(recipe, changes)), name)
    if as_json:
        typer.echo(json.dumps(told, indent=2))
    else:
        print_told(told)


@app.command()
def sample(
    recipe: Recipe,
    changes: Changes = None,
    number: Annotated[int, typer.Option("-n", "--number", help="How many.")] = 10,
    which: Annotated[str, typer.Option(help="kept, dropped or all.")] = "kept",
    where: Annotated[
        list[str] | None, typer.Option(help="A condition: 'language in [go]', 'score.value < 2'.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Another draws others.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines, texts whole.")] = False,
) -> None:
    """Draw documents by lot."""
    from curate.kept import Corpus
    from curate.printed import print_sample
    from curate.sample import WHICH
    from curate.sample import sample as draw

    if which not in WHICH:
        raise UsageError(f"--which must be one of {', '.join(WHICH)}, got {which!r}")
    drawn = draw(Corpus(_asked(recipe, changes)), number, which, where or (), seed)
    if as_json:
        for row in drawn:
            typer.echo(json.dumps(row, ensure_ascii=False, default=str))
    else:
        print_sample(drawn)


app.command()(pack)


@app.command()
def contamination(
    recipe: Recipe,
    changes: Changes = None,
    step: Annotated[str, typer.Option(help="The step that looked for them.")] = "decontaminate",
    as_json: Annotated[bool, typer.Option("--json", help="Print plain data.")] = False,
) -> None:
    """Tell what was found of each benchmark."""
    from curate.decontaminate.report import hits_of, print_hits
    from curate.kept import Corpus

    hits = hits_of(Corpus(_asked(recipe, changes)), step)
    if as_json:
        typer.echo(json.dumps([one.to_json() for one in hits], indent=2))
    else:
        print_hits(hits)


def _asked(recipe: Path, changes: Sequence[str] | None) -> CurateRecipe:
    from curate.recipe import CurateRecipe
    from seedcoder.recipe import load_recipe

    return load_recipe(recipe, CurateRecipe, changes or ())


def _engine(asked: CurateRecipe) -> AbstractContextManager[Engine]:
    if asked.engine == "ray":
        from curate.ray_engine import RayEngine

        return RayEngine(asked.address, asked.workers)
    from curate.engine import LocalEngine

    return LocalEngine(asked.workers)
