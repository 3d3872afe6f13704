"""seedcoder curate classify"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="Train classifiers that find more of what some documents are.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Recipe = Annotated[Path, typer.Argument(help="A recipe of recipes/curate/, of a classifier.")]
Changes = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the recipe.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print plain data.")]


@app.callback()
def _classify() -> None:
    """Train classifiers that find more of what some documents are."""


@app.command()
def recall(recipe: Recipe, changes: Changes = None, as_json: AsJson = False) -> None:
    """Train one whose threshold finds a given share of the positives (web pages about code)."""
    from curate.selection.recall import recall as train
    from curate.selection.recipe import RecallRecipe
    from seedcoder.recipe import load_recipe

    asked = load_recipe(recipe, RecallRecipe, changes or ())
    card = train(asked)
    if as_json:
        typer.echo(json.dumps(card, indent=2))
        return
    typer.echo(f"{asked.out}: {_told(card)}")


@app.command()
def rounds(recipe: Recipe, changes: Changes = None, as_json: AsJson = False) -> None:
    """Find high-quality data by rounds of classifiers with hard negatives, one a source."""
    from curate.selection.recipe import SelectionRecipe
    from curate.selection.rounds import select
    from seedcoder.recipe import load_recipe

    asked = load_recipe(recipe, SelectionRecipe, changes or ())
    report = select(asked, lambda name, number: typer.echo(f"{name}: round {number}", err=True))
    if as_json:
        typer.echo(json.dumps(report, indent=2))
        return
    for name, source in report["sources"].items():
        typer.echo(
            f"{name}: {source['documents']} documents, {source['seeds']} seeds of"
            f" {source['strata']} kinds"
        )
        for one in source["rounds"]:
            found = f", recalls {one['recalled']}" if "recalled" in one else ""
            typer.echo(f"  round {one['round']}: {_told(one)}{found}")
        typer.echo(f"  {asked.out / name / 'final'}")


@app.command()
def categories(
    labels: Annotated[Path, typer.Argument(help="Rows of `curate score ask --pages`.")],
    out: Annotated[Path, typer.Option(help="The folder that is made.")],
    seed: Annotated[int, typer.Option(help="Another keeps other sites back.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Learn pages' categories from what a model said; show how it rated each."""
    from curate.selection.recipe import LearningTable
    from curate.web.categories import read_page_labels, train

    card = train(read_page_labels(labels), out, settings=LearningTable(), seed=seed)
    if as_json:
        typer.echo(json.dumps(card, indent=2))
        return
    typer.echo(
        f"{out}: learnt from {card['learnt']} pages; right on {card['right']:.1%} of"
        f" {card['tested']} kept back ({card['right_by_the_most_common']:.1%} by the most common)"
    )
    for name, scores in card["scores"].items():
        quartiles = " ".join(f"{value:g}" for value in scores["quartiles"])
        typer.echo(f"  {name}: {scores['pages']} pages, mean {scores['mean']:g}, at {quartiles}")


def _told(card: Mapping[str, Any]) -> str:
    cut, other, learnt = card["validated"], card["checked"], card["learnt"]
    return (
        f"learnt from {learnt['positives']} + {learnt['negatives']}; threshold"
        f" {card['threshold']:.4f} has recall {cut['recall']:.1%}, precision"
        f" {cut['precision']:.1%} on {cut['positives']} + {cut['negatives']} kept back"
        f" (chosen on other halves: {other['recall']:.1%}, {other['precision']:.1%})"
    )
