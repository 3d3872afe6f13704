"""Labelled files: what a model rated, with the text, so that one file of rows trains a scorer."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from curate.scoring.rubric import MOST
from seedcoder.errors import UsageError
from seedcoder.rows import read_rows

PAPER_LABELS: Final = 222_066  # paper, table 17


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One file and its rating, 0 to 10."""

    key: str
    language: str
    repo: str
    text: str
    score: int


def read_labels(path: Path) -> list[Label]:
    """Return the labels of a file that `curate score ask` wrote, or of anybody's rows of this form.

    UsageError, one line: no such file, no labels, a score that is none.
    """
    if not path.is_file():
        raise UsageError(f"no labels {str(path)!r}: seedcoder curate score ask makes them")
    found = {}
    for row in read_rows(path):
        if row.get("kind") != "label":
            continue
        score = row.get("score")
        if (
            not isinstance(score, int)
            or not 0 <= score <= MOST
            or not isinstance(row.get("text"), str)
        ):
            raise UsageError(
                f"{path}: {row['key']!r} is no label: a text and a score of 0 to {MOST}"
            )
        found[row["key"]] = Label(
            key=row["key"],
            language=str(row.get("language", "")),
            repo=str(row.get("repo", "")),
            text=row["text"],
            score=score,
        )
    if not found:
        raise UsageError(f"{path} holds no labels")
    return list(found.values())


def divided(
    labels: Sequence[Label], test_share: float, seed: int
) -> tuple[list[Label], list[Label]]:
    """Return labels to learn from and to test on: repositories go whole to one side, so that no
    file is tested on its neighbour. A file without a repository is its own."""
    learn: list[Label] = []
    test: list[Label] = []
    for label in labels:
        name = f"{seed}\0{label.repo or label.key}".encode()
        lot = int.from_bytes(hashlib.sha256(name).digest()[:8], "big") / 2**64
        (test if lot < test_share else learn).append(label)
    return learn, test
