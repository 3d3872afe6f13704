"""What a commit does to one file, as text; and how its lines differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final, NamedTuple

from seedcoder.errors import SeedcoderError

_PAIRS_MOST: Final = 4_000_000  # ours: lines before by lines after that are still compared


class DoesNotApply(SeedcoderError):
    """A change that is not written as it must be, or that does not fit the files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A file: its text, as UTF-8 byte for byte, and whether it can be executed."""

    text: str
    executable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A file before and after; None where it is not there. renamed_from: its path before, where
    that was another."""

    path: str
    before: Blob | None
    after: Blob | None
    renamed_from: str = ""

    def __post_init__(self) -> None:
        if self.before is None and self.after is None:
            raise ValueError(f"change of {self.path!r} has neither before nor after")
        if self.renamed_from and (self.before is None or self.after is None):
            raise ValueError(f"rename of {self.path!r} needs before and after")

    @property
    def letter(self) -> str:
        """A, D, R or M: as git says added, deleted, renamed, modified."""
        if self.before is None:
            return "A"
        if self.after is None:
            return "D"
        return "R" if self.renamed_from else "M"


class Edit(NamedTuple):
    """Lines [b0, b1) before become lines [a0, a1) after."""

    b0: int
    b1: int
    a0: int
    a1: int


def lines_of(text: str) -> list[str]:
    """Split at line feeds alone, as git does, each kept; only the last line may lack one."""
    lines = text.split("\n")
    found = [line + "\n" for line in lines[:-1]]
    return [*found, lines[-1]] if lines[-1] else found


def edits_of(before: Sequence[str], after: Sequence[str]) -> list[Edit]:
    """Return where two lists of lines differ, in order, with at least a common line between."""
    head = 0
    shorter = min(len(before), len(after))
    while head < shorter and before[head] == after[head]:
        head += 1
    tail = 0
    while tail < shorter - head and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    b_end, a_end = len(before) - tail, len(after) - tail
    if head == b_end and head == a_end:
        return []
    if head in (b_end, a_end) or (b_end - head) * (a_end - head) > _PAIRS_MOST:
        return [Edit(head, b_end, head, a_end)]
    matcher = SequenceMatcher(None, before[head:b_end], after[head:a_end])
    return [
        Edit(head + b0, head + b1, head + a0, head + a1)
        for what, b0, b1, a0, a1 in matcher.get_opcodes()
        if what != "equal"
    ]


def changed_lines(change: Change) -> int:
    """Return how many lines are taken away and added together."""
    before = lines_of(change.before.text) if change.before else []
    after = lines_of(change.after.text) if change.after else []
    return sum(e.b1 - e.b0 + e.a1 - e.a0 for e in edits_of(before, after))


def similarity(one: str, two: str) -> float:
    """Return how much of the longer text is lines that both have, 0 to 1 (git's measure, by
    lines)."""
    left, right = Counter(lines_of(one)), Counter(lines_of(two))
    both = sum(len(line) * min(n, right[line]) for line, n in left.items())
    return both / max(len(one), len(two), 1)
