"""What the terminal shows of a run: a table where there is a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from evals.columns import print_columns
from evals.report.words import WORDS
from evals.result import COMPLETE, FAILED, Result
from evals.suite import Part


def print_result(result: Result) -> None:
    """Print the scores with their intervals, the kinds of verdicts, and where the report is."""
    manifest, tally = result.manifest, result.tally
    recipe = manifest["recipe"]
    title = (
        f"{recipe['bench']} ({recipe['protocol']}) · {manifest.get('model', recipe['model'])} · "
        f"{manifest.get('box', 'no')} box"
    )
    rows: list[tuple[str, str]] = []
    for score in tally.scores:
        solved = f", {_count(score.value * score.problems)} of {score.problems} problems"
        if score.unit != "share":
            solved = f", over {score.problems} problems"
        rows.append((score.metric, f"{score.words()}{solved}"))
        name = "95% interval"
        for bounds, method in ((score.wilson, "Wilson"), (score.bootstrap, "bootstrap")):
            if bounds:
                low, high = map(score.words, bounds)
                rows.append((name, f"{low} to {high} ({method})"))
                name = ""
        if score.left_out:
            rows.append(("left out", f"{score.left_out} problems without enough verdicts"))
    kinds = ", ".join(f"{count} {WORDS[kind]}" for kind, count in tally.kinds.items())
    rows.append(("verdicts", kinds or "none"))
    rows.extend(
        (f"  {tag}", f"{score.words()} of {score.problems}") for tag, score in tally.parts.items()
    )
    if tally.shared:
        rows.append(("shared mode", f"{tally.shared} judged beside their tests, the weaker way"))
    if tally.cut:
        rows.append(("cut replies", f"{tally.cut} reached the most tokens allowed"))
    if tally.overflows:
        rows.append(("overflow", f"{tally.overflows} prompts did not fit the model's context"))
    if tally.thinking:
        rows.append(("thinking", tally.thinking.words()))
    rows.extend(_lost(result))
    if "gold" in manifest:
        gold = manifest["gold"]
        rows.append(
            (
                "gold check",
                f"{gold['canonical_passed']} of {gold['total']} canonical solutions passed, "
                f"{gold['broken_passed']} broken ones",
            )
        )
    if result.changed:
        flips = [f"{key} {old} -> {new}" for key, (old, new) in result.changed.items()]
        more = f" and {len(flips) - 5} more" if len(flips) > 5 else ""
        rows.append(("changed", "; ".join(flips[:5]) + more))
    if tally.tokens:
        rows.append(("cost", result.cost.words()))
    if not result.worked:
        rows.append(("note", "already done: nothing was asked or judged now"))
    rows.append(("report", str(result.report)))
    _print_table(title, rows)


def print_benchmarks(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print what there is: those that can be run here first, then what the others lack."""
    here = [row for row in rows if not row["lacks"]]
    print_columns(
        ("benchmark", "problems", "version", "licence", "about"),
        [
            (row["name"], str(row["problems"]), row["version"], row["licence"], row["about"])
            for row in here
        ],
    )
    for row in here:
        for part, why in row["left_out"].items():
            typer.echo(f"{row['name']}: left out: {part}: {why}")
    absent = [row for row in rows if row["lacks"]]
    if absent:
        typer.echo("\nData not here:")
        for row in absent:
            typer.echo(f"  {row['name']} ({row['licence']}): {row['lacks']}")


def print_suite(name: str, parts: Sequence[Part]) -> None:
    """Print a line a benchmark: its first score, or why there is none."""
    typer.echo(f"{name}: {sum(part.status == COMPLETE for part in parts)} of {len(parts)} done")
    rows = []
    for part in parts:
        score = next(iter(part.result.tally.scores), None) if part.result else None
        if score is None:
            rows.append((part.name, part.status, "", "", part.why))
            continue
        low, high = map(score.words, score.interval)
        doubt = f"{low} to {high}"
        rows.append((part.name, part.status, f"{score.metric} {score.words()}", doubt, ""))
    print_columns(("run", "status", "score", "95% interval", "why not"), rows)


def _lost(result: Result) -> list[tuple[str, str]]:
    tally = result.tally
    missing = len(tally.answers) - tally.judged
    if not missing:
        return []
    errors = tally.errors
    first = f" (first: {errors[0].error})" if errors else ""
    words = f"{missing} of {len(tally.answers)} samples not judged, not in the score{first}"
    rows = [("lost", words)]
    if result.status == FAILED:
        rows.append(("failed", "more were lost than max_error_rate allows; run again to go on"))
    return rows


def _count(value: float) -> str:
    return f"{value:.0f}" if abs(value - round(value)) < 1e-6 else f"{value:.1f}"


def _print_table(title: str, rows: Sequence[tuple[str, str]]) -> None:
    if not sys.stdout.isatty():
        typer.echo(title)
        width = max(len(name) for name, _ in rows)
        for name, words in rows:
            typer.echo(f"{name:{width}}  {words}")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), show_header=False, title_justify="left")
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, words in rows:
        table.add_row(Text(name), Text(words))
    Console().print(table)
