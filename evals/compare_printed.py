"""What `seedcoder eval compare` says on the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import typer

from evals.columns import print_columns
from evals.compare import Comparison, Pair, Twin
from seedcoder.errors import UsageError
from seedcoder.run_folder import write_text

_MOST_FLIPS = 30


def print_comparison(comparison: Comparison) -> None:
    """Print the runs, how far each lies from the first, and which problems came out otherwise."""
    first = next(iter(comparison.runs.values()))
    typer.echo(f"{first.bench}, {first.version}")
    print_columns(
        ("", "model", "run", "judged", "score", "state"),
        [
            (
                name,
                run.model,
                run.folder.name,
                str(run.judged),
                f"{run.scores[0].metric} {run.scores[0].words()}" if run.scores else "",
                run.state if run.state == "complete" else f"{run.state}: {run.why}",
            )
            for name, run in comparison.runs.items()
        ],
    )
    for key, values in comparison.differs.items():
        typer.echo(f"differs: {key}: {' | '.join(values)}")
    typer.echo()
    several = len(comparison.pairs) > 1
    print_columns(
        ("pair", "difference", "95% interval", "p", *(("p (Holm)",) if several else ()), "test"),
        [row for pair in comparison.pairs for row in _rows(pair, several=several)],
    )
    for pair in comparison.pairs:
        _print_flips(pair)


def _rows(pair: Pair, *, several: bool) -> Iterator[tuple[str, ...]]:
    gap, chance = pair.passing, pair.chance
    yield (
        f"{pair.name} - A",
        f"{100 * gap.value:+.1f} points",
        f"{100 * gap.low:+.1f} to {100 * gap.high:+.1f}",
        f"{chance.p_value:.3g}",
        *((f"{pair.corrected:.3g}",) if several else ()),
        chance.method,
    )
    for name, other in pair.values.items():
        blank = ("",) if several else ()
        between = f"{other.low:+.3f} to {other.high:+.3f}"
        yield (f"  {name}", f"{other.value:+.3f}", between, "", *blank, "")


def _print_flips(pair: Pair) -> None:
    chance = pair.chance
    typer.echo(
        f"\n{pair.name} and A over {len(pair.twins)} problems: {chance.equal} alike, A better on "
        f"{chance.first_better}, {pair.name} better on {chance.second_better}"
    )
    if pair.left_out:
        typer.echo(f"left out: {pair.left_out} problems that only one of them has a verdict on")
    if pair.several:
        typer.echo("several samples a problem: each problem's pass rate is what is compared")
    flips = pair.flips
    if flips:
        shown = flips[:_MOST_FLIPS]
        print_columns(
            ("problem", "better", "A", pair.name, "first failure"),
            [_flip(twin, pair.name) for twin in shown],
        )
        if len(flips) > len(shown):
            typer.echo(f"and {len(flips) - len(shown)} more; --json has all, --out shows them")


def _flip(twin: Twin, name: str) -> tuple[str, ...]:
    worse = twin.first if twin.change > 0 else twin.second
    better = name if twin.change > 0 else "A"
    return (twin.problem, better, twin.first.words, twin.second.words, _plain(worse.reason[:80]))


def _plain(said: str) -> str:
    """Return what a program said, without what a terminal would obey."""
    return "".join(c if c.isprintable() else "�" for c in said)


def write_page(comparison: Comparison, path: Path) -> None:
    """Write the page of two runs. UsageError for more of them, or where it cannot be written."""
    from evals.compare_page import render

    if len(comparison.runs) > 2:
        raise UsageError(f"--out shows two runs side by side, not {len(comparison.runs)}")
    try:
        write_text(path, render(comparison))
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
