"""`seedcoder eval`: run a recipe, judge a run again, list benchmarks, check a judge on gold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer
from typer.core import TyperGroup

RUNS: Final = Path("runs")
ExportFormat = Literal["evalplus", "lcb", "lm-eval", "inspect"]
ImportFormat = Literal["evalplus", "lcb"]


class RecipeFirst(TyperGroup):
    """A group whose first word may be a recipe: `eval demo.toml` is `eval run demo.toml`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the command in where it was left out."""
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=RecipeFirst,
    help="Measure a model on a benchmark: seedcoder eval RECIPE.toml [--set KEY=VALUE]...",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_Json = Annotated[bool, typer.Option("--json", help="Print plain data.")]


@app.command()
def run(
    recipe: Annotated[Path, typer.Argument(help="A recipe, such as recipes/eval/demo.toml.")],
    change: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a key: --set limits.cpu_s=5."),
    ] = None,
    runs: Annotated[Path, typer.Option(help="Where run folders lie.")] = RUNS,
    check_gold: Annotated[
        bool | None,
        typer.Option(
            "--check-gold/--no-check-gold",
            help="Judge canonical and broken solutions first. Default: as the recipe says.",
        ),
    ] = None,
    as_json: _Json = False,
) -> None:
    """Run a recipe or a suite, or go on with it. The default: the word `run` may be left out."""
    from evals.suite import is_suite

    if is_suite(recipe):
        if check_gold is not None:
            raise typer.BadParameter("a suite says it by: --set common.check_gold=true")
        _run_suite(recipe, list(change or []), runs, as_json)
        return
    from evals.recipe import EvalRecipe
    from evals.result import FAILED
    from evals.runner import evaluate
    from seedcoder.recipe import load_recipe

    changes = list(change or [])
    if check_gold is not None:
        changes.append(f"check_gold={str(check_gold).lower()}")
    result = evaluate(load_recipe(recipe, EvalRecipe, changes), name=recipe.stem, root=runs)
    _show(result, as_json)
    if result.status == FAILED:
        raise typer.Exit(1)


@app.command()
def regrade(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    as_json: _Json = False,
) -> None:
    """Judge the answers of a run again; no model is needed."""
    from evals.result import FAILED
    from evals.runner import regrade as judge_again

    result = judge_again(folder)
    _show(result, as_json)
    if result.status == FAILED:
        raise typer.Exit(1)


@app.command()
def compare(
    folders: Annotated[
        list[Path], typer.Argument(metavar="RUN RUN...", help="Run folders; the first is the base.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Write a page of two runs here, side by side.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
    as_json: _Json = False,
) -> None:
    """Compare runs of one benchmark: how far apart, by chance or not, which problems flipped."""
    from evals.compare import compare as hold
    from evals.compare_printed import print_comparison, write_page
    from evals.stored import read_run

    comparison = hold([read_run(folder) for folder in folders], seed=seed)
    if out is not None:
        write_page(comparison, out)
    if as_json:
        typer.echo(json.dumps(comparison.to_json(), indent=2))
    else:
        print_comparison(comparison)


@app.command()
def board(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Runs are looked for below it.")],
    out: Annotated[
        Path | None, typer.Option(help="Where the page goes. Default: board.html in DIR.")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Put many runs on one page, model by benchmark, beside the figures that the paper prints."""
    from evals.board import make_board
    from evals.board_printed import print_board, write_page
    from evals.stored import find_runs

    made = make_board(*find_runs(folder))
    place = out or folder / "board.html"
    write_page(made, place)
    if as_json:
        typer.echo(json.dumps(made.to_json(), indent=2))
    else:
        print_board(made, place)


@app.command("list")
def list_benchmarks(as_json: _Json = False) -> None:
    """List the benchmarks, and whether their data is here."""
    from evals.bench import open_bench
    from evals.catalogue import BENCHES
    from evals.data import only_here
    from evals.printed import print_benchmarks
    from seedcoder.errors import SeedcoderError

    rows = []
    for name, entry in BENCHES.items():
        bench = open_bench(name)
        row: dict[str, Any] = {"name": name, "version": "", "licence": bench.licence}
        row |= {"about": entry.about, "protocols": list(entry.protocols)}
        problems, lacks, left_out = 0, "", {}
        try:
            with only_here():
                problems = bench.count()
                left_out = dict(bench.left_out())
                row["version"] = bench.version
        except SeedcoderError as error:
            lacks = str(error)
        rows.append({**row, "problems": problems, "lacks": lacks, "left_out": left_out})
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    else:
        print_benchmarks(rows)


@app.command()
def predictions(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder of SWE-bench.")],
    out: Annotated[Path, typer.Option(help="JSON lines, or a JSON list where it ends in .json.")],
    sample: Annotated[int, typer.Option(help="Which sample of each instance.")] = 0,
) -> None:
    """Write the patches of a run as SWE-bench's harness reads them."""
    from evals.swe.predictions import predictions_of, write_predictions

    typer.echo(f"{write_predictions(out, predictions_of(folder, sample))} patches written to {out}")


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    out: Annotated[Path, typer.Option(help="The file to write; for lm-eval a folder.")],
    to: Annotated[ExportFormat, typer.Option("--format", help="Whose form.")],
    completions: Annotated[
        bool, typer.Option(help="evalplus: what follows the prompt, not the whole program.")
    ] = False,
) -> None:
    """Write a run in the form of EvalPlus, LiveCodeBench, lm-eval or Inspect."""
    from evals.interop.exchange import export_run

    typer.echo(export_run(folder, out, to, form="completion" if completions else "solution"))


@app.command("import")
def import_samples(
    file: Annotated[Path, typer.Argument(help="EvalPlus samples, or LiveCodeBench outputs.")],
    to: Annotated[ImportFormat, typer.Option("--format", help="Whose form it has.")],
    bench: Annotated[str, typer.Option(help="What the samples answer; see `eval list`.")],
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="An option of the benchmark: version='v0.1.0'."),
    ] = None,
    samples: Annotated[int | None, typer.Option(min=1, help="Only so many of each.")] = None,
    k: Annotated[list[int] | None, typer.Option(min=1, help="The k of each pass@k.")] = None,
    name: Annotated[str | None, typer.Option(help="The run's name.")] = None,
    runs: Annotated[Path, typer.Option(help="Where run folders lie.")] = RUNS,
    check_gold: Annotated[
        bool, typer.Option(help="Judge canonical and broken solutions first.")
    ] = True,
    as_json: _Json = False,
) -> None:
    """Judge samples that another suite wrote, as a run: no model is needed. Resumes."""
    from evals.interop.exchange import import_samples as judge_samples
    from evals.result import FAILED
    from seedcoder.recipe_layers import overrides

    result = judge_samples(
        file,
        to,
        bench=bench,
        options=overrides(option or []),
        samples=samples,
        k=k or [1],
        name=name,
        root=runs,
        check_gold=check_gold,
    )
    _show(result, as_json)
    if result.status == FAILED:
        raise typer.Exit(1)


@app.command()
def problems(
    benches: Annotated[list[str], typer.Argument(metavar="BENCH...", help="Or: all.")],
    export: Annotated[
        Path | None, typer.Option(help="Write JSON lines here: bench, key, text, solution.")
    ] = None,
) -> None:
    """Show a benchmark's problems, or write their texts for decontamination."""
    from evals.problems_out import show, texts_of, write

    if export is None:
        show(benches)
    else:
        typer.echo(f"{write(texts_of(benches), export)} problems written to {export}")


@app.command()
def contamination(
    benches: Annotated[list[str], typer.Argument(metavar="BENCH...", help="Or: all.")],
    shard: Annotated[
        list[Path],
        typer.Option(help="Training data: JSON lines (.gz, .zst), Parquet, or any text file."),
    ],
    column: Annotated[str | None, typer.Option(help="Where a row has its text.")] = None,
    words: Annotated[int, typer.Option(min=1, help="Words of an n-gram.")] = 10,
    as_json: _Json = False,
) -> None:
    """Look for a benchmark's problems in training data: n-grams of words that both have."""
    from evals.contamination import Index, documents
    from evals.problems_out import print_hits, texts_of

    index = Index(texts_of(benches), words)
    for name, text in documents(shard, column):
        index.look(name, text)
    print_hits(index, as_json=as_json)


@app.command()
def gold(
    bench: Annotated[str, typer.Argument(help="A benchmark; see `seedcoder eval list`.")],
    as_json: _Json = False,
) -> None:
    """Check the judge: canonical solutions must pass, broken ones must not."""
    from evals.bench import open_bench
    from evals.gold import check_gold
    from sandbox import Pool

    opened = open_bench(bench)
    problems = opened.problems()
    with Pool() as pool:
        found = check_gold(opened, problems, pool)
    typer.echo(json.dumps(found.to_json(), indent=2) if as_json else f"{bench}: {found.words()}")
    if not found.ok:
        raise typer.Exit(1)


def _run_suite(recipe: Path, changes: list[str], runs: Path, as_json: bool) -> None:
    from evals.printed import print_result, print_suite
    from evals.suite import failed, load_suite, run_suite

    parts = []
    for part in run_suite(load_suite(recipe, changes), root=runs):
        parts.append(part)
        if part.result and not as_json:
            print_result(part.result)
            typer.echo()
    if as_json:
        typer.echo(json.dumps([part.to_json() for part in parts], indent=2))
    else:
        print_suite(recipe.stem, parts)
    if failed(parts):
        raise typer.Exit(1)


def _show(result: Any, as_json: bool) -> None:
    from evals.printed import print_result

    if as_json:
        typer.echo(json.dumps(result.to_json(), indent=2))
    else:
        print_result(result)
