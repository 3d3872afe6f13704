"""The styles in which instructions are written, and two blended into a new one.

The paper (sec. 3.1) takes its styles from instructions of public datasets and blends two at random;
the built-in ones are ours, and a file adds others.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from seedcoder.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """A way of asking. words: what a writer is told of it."""

    name: str
    words: str


STYLES: Final = tuple(
    Style(name=name, words=words)
    for name, words in (
        ("plain", "one short and direct paragraph that states the task and nothing else"),
        ("specification", "a numbered list of precise requirements, with edge cases named"),
        ("story", "a small real-world situation in which somebody needs the program"),
        ("contest", "a contest problem: statement, what goes in, what comes out, bounds, examples"),
        ("signature", "a function signature with a docstring that holds two examples"),
        ("chat", "a casual message to a colleague, with the loose wording of one"),
        ("expert", "a terse request by an expert who names data structures and complexity"),
        ("beginner", "a beginner's question who describes what should happen, not how"),
        ("review", "a remark in a code review that asks for a function to be written anew"),
        ("ticket", "a ticket: context, expected behaviour, conditions of acceptance"),
    )
)


def styles_of(path: Path | None) -> tuple[Style, ...]:
    """Return the built-in styles and those of a file of JSON lines {"name", "style"}.

    UsageError, naming the line, for a file that cannot be used.
    """
    if path is None:
        return STYLES
    found: list[Style] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as UTF-8 text: {error}") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            found.append(Style(name=str(row["name"]), words=str(row["style"])))
        except (ValueError, KeyError, TypeError):
            raise UsageError(f'{path}:{number}: want {{"name", "style"}}') from None
    return (*STYLES, *found)


def drawn(styles: Sequence[Style], key: str, *, seed: int, mixed: float) -> tuple[Style, ...]:
    """Return the style of an item: one, or with the share `mixed` two. The same for the same key
    and seed."""
    lot = random.Random(f"{seed} style {key}")
    both = len(styles) > 1 and lot.random() < mixed
    return tuple(lot.sample(list(styles), 2 if both else 1))
