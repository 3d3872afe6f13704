"""What a run of curate says on the terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

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
