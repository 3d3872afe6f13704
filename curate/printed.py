"""What a run of curate says on the terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from curate.running import Result, Tell


@contextmanager
def stages(every_s: float = 10.0) -> Iterator[Tell]:
    """Give a function that says on stderr how far each stage is, now and then."""
    said: dict[str, float] = {}

    def tell(stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if stage not in said or now - said[stage] >= every_s:
            said[stage] = now
            of = f" {done} of {total}" if total else ""
            sys.stderr.write(f"{stage}:{of}\n")

    yield tell


def print_result(result: Result) -> None:
    """Print the steps, and what was kept."""
    console = Console()
    table = Table("step", "rows", "now", "kept", "dropped for", "quarantined", "s")
    for step in result.steps:
        why = ", ".join(f"{n} {words}" for words, n in sorted(step.dropped.items()))
        kept = "" if step.kept is None else str(step.kept)
        cells = (step.title, str(step.rows), str(step.fresh), kept, why)
        table.add_row(*cells, str(step.quarantined), f"{step.wall_s:.1f}")
    console.print(table)
    for words, number in result.dropped_by.items():
        console.print(f"dropped by {words}: {number}", markup=False, highlight=False)
    refused = sum(result.refused.values())
    console.print(
        f"kept {result.kept} of {result.documents} documents,"
        f" {result.kept_bytes / 1e6:.1f} of {result.bytes / 1e6:.1f} MB"
        + (f"; {refused} records refused" if refused else ""),
        markup=False,
        highlight=False,
    )


def print_told(told: Sequence[Mapping[str, Any]]) -> None:
    """Print what `explain` found."""
    console = Console(highlight=False, markup=False)
    for document in told:
        place = _plain("/".join(name for name in (document["repo"], document["path"]) if name))
        console.print(f"{place}  [{document['source']}]", style="bold")
        for name in ("key", "language", "licence", "bytes"):
            console.print(f"  {name}: {_plain(str(document[name]))}")
        for step, said in document["steps"].items():
            words = ", ".join(f"{name} {value}" for name, value in said.items() if value != "")
            console.print(f"  {step}: {_plain(words)}")
        end = "kept" if document["kept"] else f"dropped by {document['dropped_by']}"
        console.print(f"  {end}", style="green" if document["kept"] else "red")


def print_sample(drawn: Sequence[Mapping[str, Any]], *, lines: int = 20) -> None:
    """Print the first lines of each document."""
    console = Console(highlight=False, markup=False)
    for row in drawn:
        place = "/".join(name for name in (row["repo"], row["path"]) if name)
        beside = ", ".join(f"{name} {value}" for name, value in row.items() if "." in name)
        console.rule(_plain(f"{place} ({row['language']}) {row['key'][:12]}"))
        if beside:
            console.print(_plain(beside))
        if row["dropped"]:
            console.print(f"dropped by {row['dropped']}", style="red")
        text = row["text"].splitlines()
        console.print("\n".join(map(_plain, text[:lines])))
        if len(text) > lines:
            console.print(f"... {len(text) - lines} lines more")


def _plain(text: str) -> str:
    """Return a line without what could drive a terminal."""
    return "".join(c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
