"""seedcoder curate score"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from seedcoder.errors import SeedcoderError, UsageError

app = typer.Typer(
    help="Rate documents by a model, and teach small scorers to do the same.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Changes = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the recipe.")
]


@app.callback()
def _score() -> None:
    """Rate documents by a model, and teach small scorers to do the same."""


@app.command()
def ask(
    recipe: Annotated[Path, typer.Argument(help="A recipe of recipes/curate/, run before.")],
    out: Annotated[Path, typer.Option(help="The file of labels; goes on where it is there.")],
    model: Annotated[str, typer.Option(help="smollm2:, hf:..., openai:..., scripted:...")],
    number: Annotated[int, typer.Option("-n", "--number", help="Documents, drawn by lot.")] = 1000,
    max_tokens: Annotated[int, typer.Option(help="Of a reply.")] = 512,
    batch: Annotated[int, typer.Option(help="Requests at once.")] = 32,
    seed: Annotated[int, typer.Option(help="Another draws others.")] = 0,
    tokens_per_s: Annotated[
        float, typer.Option(min=0.001, help="The model's speed at this batch, for the estimate.")
    ] = 1000.0,
    most_tokens: Annotated[
        int | None, typer.Option(min=1, help="Do not start what would take more.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would take.")] = False,
    pages: Annotated[
        bool, typer.Option("--pages", help="They are web pages: ask for their category too.")
    ] = False,
    changes: Changes = None,
) -> None:
    """Ask a model to rate documents of a corpus."""
    from curate.kept import Corpus
    from curate.recipe import CurateRecipe
    from curate.sample import sample
    from curate.scoring.asking import ask as ask_all
    from curate.scoring.asking import cost_of, left_of
    from curate.scoring.rubric import FILES
    from curate.web.rubric import PAGES
    from seedcoder.completion import Sampling
    from seedcoder.models import open_model
    from seedcoder.recipe import load_recipe

    corpus = Corpus(load_recipe(recipe, CurateRecipe, changes or ()))
    documents = sample(corpus, number, seed=seed)
    sampling = Sampling(max_tokens=max_tokens)
    rubric = PAGES if pages else FILES
    cost = cost_of(left_of(documents, out), sampling, rubric)
    sys.stderr.write(
        f"{cost.documents} documents: about {cost.prompt_tokens:,} tokens to read and"
        f" {cost.reply_tokens:,} to write; {cost.hours(tokens_per_s):.2g} h at"
        f" {tokens_per_s:,g} tokens/s\n"
    )
    if most_tokens is not None and cost.prompt_tokens + cost.reply_tokens > most_tokens:
        raise UsageError(f"this would take more than {most_tokens:,} tokens; ask of fewer: -n")
    if dry_run:
        return
    opened = open_model(model, batch=batch)
    try:
        asked = ask_all(documents, opened, out, sampling, _tell, rubric)
    finally:
        opened.close()
    typer.echo(
        f"{asked.rated} rated, {asked.unrated} without a rating, {asked.errors} lost to errors,"
        f" {asked.had} had before: {out}"
    )
    if asked.errors:
        raise SeedcoderError(f"{asked.errors} documents were not answered; run it again to go on")


@app.command()
def rule(
    recipe: Annotated[Path, typer.Argument(help="A recipe of recipes/curate/, run before.")],
    out: Annotated[Path, typer.Option(help="The file of labels; written anew.")],
    number: Annotated[int, typer.Option("-n", "--number", help="Documents, drawn by lot.")] = 1000,
    seed: Annotated[int, typer.Option(help="Another draws others.")] = 0,
    changes: Changes = None,
) -> None:
    """Rate Python documents without a model: by their syntax trees and ruff."""
    from curate.kept import Corpus
    from curate.recipe import CurateRecipe
    from curate.sample import sample
    from curate.scoring.ruled import write_labels
    from seedcoder.recipe import load_recipe

    corpus = Corpus(load_recipe(recipe, CurateRecipe, changes or ()))
    documents = sample(corpus, number, where=["language == python"], seed=seed)
    typer.echo(f"{write_labels(documents, out)} rated: {out}")


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="A scorer's recipe.")],
    changes: Changes = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would take.")] = False,
) -> None:
    """Teach a scorer from labels, and measure it on repositories kept back."""
    from curate.scoring.labels import PAPER_LABELS, divided, read_labels
    from curate.scoring.recipe import ScorerRecipe
    from curate.scoring.scorer import train as train_scorer
    from seedcoder.recipe import load_recipe

    asked = load_recipe(recipe, ScorerRecipe, changes or ())
    if dry_run:
        if asked.labels.is_file():
            learn, test = divided(read_labels(asked.labels), asked.test_share, asked.seed)
            count = len(learn)
            typer.echo(f"{asked.kind}: {count} labels to learn, {len(test)} to test")
        else:
            count = PAPER_LABELS
            typer.echo(f"{asked.kind}: no labels yet; told for the paper's {count:,}")
        if asked.kind == "llama":
            from curate.scoring.llama import plan

            told = plan(asked.llama, count)
            start = f", from {asked.llama.base}" if asked.llama.base else ""
            typer.echo(
                f"{told.parameters:,} parameters{start}, about {told.memory_mb:,} MB of memory;"
                f" {told.steps:,} steps, at most {told.tokens:,} tokens"
            )
        return
    card = train_scorer(asked, _tell_loss)
    typer.echo(json.dumps({"out": str(asked.out), **card["measured"]}, indent=2))


@app.command("eval")
def evaluate(
    scorer: Annotated[Path, typer.Argument(help="A scorer's folder.")],
    labels: Annotated[Path, typer.Argument(help="Rows of labels.")],
) -> None:
    """Measure a scorer on labels: MAE, class-averaged MAE, rank correlation."""
    from curate.scoring.labels import read_labels
    from curate.scoring.scorer import evaluate as measured
    from curate.scoring.scorer import open_scorer

    typer.echo(json.dumps(measured(open_scorer(scorer), read_labels(labels)), indent=2))


@app.command()
def apply(
    scorer: Annotated[Path, typer.Argument(help="A scorer's folder.")],
    files: Annotated[list[Path], typer.Argument(help="Source files.")],
    address: Annotated[
        str, typer.Option(help="A vLLM server that has the scorer: http://HOST:PORT#NAME.")
    ] = "",
) -> None:
    """Score files. For a corpus, name the scorer in a step: use = "score"."""
    from curate.languages import language_of
    from curate.scoring.scorer import open_scorer

    texts = []
    for file in files:
        try:
            texts.append(file.read_text(encoding="utf-8", errors="replace"))
        except OSError as error:
            raise UsageError(f"cannot read {str(file)!r}: {error.strerror}") from None
    languages = [language_of(str(file), text) for file, text in zip(files, texts, strict=True)]
    opened = open_scorer(scorer, address)
    for file, value in zip(files, opened.scores(texts, languages), strict=True):
        typer.echo(f"{value:.2f}\t{file}")


def _tell(done: int, total: int) -> None:
    if done == total or done % 10 == 0:
        sys.stderr.write(f"rated {done} of {total}\n")


def _tell_loss(done: int, total: int, loss: float) -> None:
    if done == total or done % 20 == 0:
        sys.stderr.write(f"step {done} of {total}: loss {loss:.4f}\n")
