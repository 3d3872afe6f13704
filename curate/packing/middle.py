"""Filling in the middle: a document as prefix, middle and suffix, rearranged.

Cut at two places of its characters, each as likely as any other (paper, sec. 2.2.6: character
level). Layout as the base model's card has it: suffix token, suffix, prefix token, prefix, middle
token, middle; "psm" has the prefix first. What ends a document ends it here too: no token ends a
middle. The three parts are tokenised apart, so that the model learns to begin anywhere in a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from curate.packing.lots import below, share


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """The numbers of the three tokens, and whether the suffix comes first."""

    prefix: int
    suffix: int
    middle: int
    is_spm: bool


def parts_of(text: str, rate: float, seed: int, *names: str | int) -> tuple[str, str, str] | None:
    """Return prefix, middle and suffix of a text that is drawn to be rearranged; None: it is not.

    names: whatever makes this document's lot its own: its key, the epoch.
    """
    if share(seed, "fim", *names) >= rate:
        return None
    places = sorted(below(len(text) + 1, seed, "cut", at, *names) for at in range(2))
    return text[: places[0]], text[places[0] : places[1]], text[places[1] :]


def arranged(
    marks: Marks, prefix: Sequence[int], middle: Sequence[int], suffix: Sequence[int]
) -> list[int]:
    """Return the tokens in the order in which they are trained on."""
    first, second = [marks.suffix, *suffix], [marks.prefix, *prefix]
    if not marks.is_spm:
        first, second = second, first
    return [*first, *second, marks.middle, *middle]


def undone(marks: Marks, tokens: Sequence[int]) -> tuple[list[int], list[int], list[int]]:
    """Return prefix, middle and suffix of what `arranged` returned. ValueError: it is no such."""
    found = list(tokens)
    first, second = (marks.suffix, marks.prefix) if marks.is_spm else (marks.prefix, marks.suffix)
    if not found or found[0] != first:
        raise ValueError("no document with its middle at the end: its first token is another")
    at, middle_at = found.index(second), found.index(marks.middle)
    one, other, middle = found[1:at], found[at + 1 : middle_at], found[middle_at + 1 :]
    prefix, suffix = (other, one) if marks.is_spm else (one, other)
    return prefix, middle, suffix
