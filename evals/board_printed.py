"""What `seedcoder eval board` says on the terminal."""

from __future__ import annotations

from pathlib import Path

import typer

from evals.board import Board, BoardColumn
from evals.columns import print_columns
from seedcoder.errors import UsageError
from seedcoder.run_folder import write_text


def print_board(board: Board, page: Path) -> None:
    """Print a line a place: its figure and the nearest published ones, or why it has none."""
    rows = []
    for (row, column), place in board.places.items():
        named = (row.model, row.protocol, column.bench, column.words)
        score = place.score
        mark = f"newer run {place.newer.state}" if place.newer and score else ""
        if score is None:
            rows.append((*named, "", "", f"{place.runs[0].state}: {place.runs[0].why}"))
            continue
        low, high = map(score.words, score.interval)
        words = mark or _published(board, column)
        rows.append((*named, f"{score.metric} {score.words()}", f"{low} to {high}", words))
    names = ("model", "asked", "benchmark", "version", "score", "95% interval", "published")
    print_columns(names, rows)
    for folder, why in board.unread.items():
        typer.echo(f"cannot be read: {folder}: {why}")
    typer.echo(f"board: {page}")


def write_page(board: Board, path: Path) -> None:
    """Write the page, whole or not at all. UsageError where it cannot be written."""
    from evals.board_page import render

    try:
        write_text(path, render(board))
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


def _published(board: Board, column: BoardColumn) -> str:
    found = [one for one in board.references[column] if one.model.startswith("Seed-Coder")]
    if found:
        return ", ".join(f"{one.model} {one.value:g} ({one.table.id})" for one in found)
    return f"none: {board.why_not[column][0]}" if board.why_not[column] else ""
