"""Rows under headings on the terminal; tabs between cells where it is none."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer


def print_columns(names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table without lines."""
    if not sys.stdout.isatty():
        for row in (names, *rows):
            typer.echo("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in names:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)
