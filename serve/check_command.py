"""seedcoder serve check"""

from __future__ import annotations

import json
from pathlib import Path

import typer

from serve.card import find_card
from serve.check import Checked, check

_MARKS = {"wrong": "WRONG  ", "warning": "warning", "note": "note   "}


def check_card(name: str, *, source: Path | None, is_json: bool) -> None:
    """Check a card and print what was found. Exits 1 where something is wrong."""
    card = find_card(name)
    checked = check(card, folder=source)
    if is_json:
        typer.echo(json.dumps(checked.to_json(), ensure_ascii=False, indent=2))
    else:
        typer.echo("\n".join(_lines(checked)))
    if not checked.is_right:
        raise typer.Exit(1)


def _lines(checked: Checked) -> list[str]:
    lines = [f"{checked.card}  ({checked.folder or 'no checkpoint here'})"]
    for name, text in checked.samples.items():
        lines += ["", f"{name}:", *(f"  | {line}" for line in text.split("\n"))]
    lines += [""] if checked.samples else []
    lines += [f"{_MARKS[one.level]} {one.about}: {one.text}" for one in checked.findings]
    lines.append("right" if checked.is_right else "not right")
    return lines
