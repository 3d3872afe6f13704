"""Documents into sequences of one length.

"fit": a document longer than a sequence is cut into whole sequences and a rest; then all that is
left goes, the longest first, into the fullest sequence with room (best-fit decreasing; Ding et al.
2024, "Fewer truncations improve language modeling", do so). Nothing else is cut. "cut": one behind
the other, cut where a sequence is full.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Tokens start..start+length of a document, by its number."""

    document: int
    start: int
    length: int


def fit(lengths: Sequence[int], room: int) -> list[list[Piece]]:
    """Return the pieces of each sequence. No sequence is empty; the order depends on nothing but
    the lengths: sequences stand in the order of the first document in them."""
    bins: list[list[Piece]] = []
    rests: list[Piece] = []
    for document, length in enumerate(lengths):
        start = 0
        while length - start >= room:
            bins.append([Piece(document=document, start=start, length=room)])
            start += room
        if length > start:
            rests.append(Piece(document=document, start=start, length=length - start))
    rests.sort(key=lambda piece: (-piece.length, piece.document))
    free: list[tuple[int, int]] = []  # room left, number of the sequence
    for piece in rests:
        at = bisect_left(free, (piece.length, -1))
        if at == len(free):
            left, number = room, len(bins)
            bins.append([])
        else:
            left, number = free.pop(at)
        bins[number].append(piece)
        if left > piece.length:
            insort(free, (left - piece.length, number))
    for one in bins:
        one.sort(key=lambda piece: (piece.document, piece.start))
    return sorted(bins, key=lambda one: (one[0].document, one[0].start))


def cut(lengths: Sequence[int], room: int) -> list[list[Piece]]:
    """Return the pieces of each sequence, all full but the last."""
    bins: list[list[Piece]] = []
    left = 0
    for document, length in enumerate(lengths):
        start = 0
        while start < length:
            if left == 0:
                bins.append([])
                left = room
            taken = min(left, length - start)
            bins[-1].append(Piece(document=document, start=start, length=taken))
            start, left = start + taken, left - taken
    return bins
