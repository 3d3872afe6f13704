"""Runs of five words as numbers: what texts are compared by.

A word is a maximal run of letters, digits, underscores and bytes from 128 on, as it stands: code
is not lower-cased nor its digits changed. A text of fewer words than a run is one run. Licence
headers are left out: comments at the head of a file that speak of a licence or a copyright make
short files of one project look alike though nothing else in them is.

Compiled by numba at first use, on the bytes of an arrow column as they lie.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
from numba import njit

WORDS: Final = 5  # in a run (ours, as most peers; the paper names no number)

# FNV-1a (draft-eastlake-fnv, section 5), of eight bytes at a time, folded after each
_FNV_OFFSET: Final = np.uint64(0xCBF29CE484222325)
_FNV_PRIME: Final = np.uint64(0x100000001B3)
_POLY: Final = np.uint64(0x9E3779B97F4A7C15)  # odd; 2^64 over the golden ratio
_MIX: Final = np.uint64(0xFF51AFD7ED558CCD)  # MurmurHash3's fmix64
_SHIFT: Final = np.uint64(33)
_BYTE: Final = np.uint64(8)


def _power(base: int, exponent: int) -> np.uint64:
    return np.uint64(pow(base, exponent, 1 << 64))


_OUT: Final = _power(int(_POLY), WORDS)

_BLANK, _WORD = 1, 2
_KIND: Any = np.zeros(256, np.uint8)
_KIND[[9, 10, 11, 12, 13, 32]] = _BLANK
_KIND[[*range(48, 58), *range(65, 91), *range(97, 123), 95, *range(128, 256)]] = _WORD


_LICENCE_WORDS: Final = tuple(
    np.frombuffer(word, np.uint8) for word in (b"licen", b"copyright", b"spdx")
)


@njit(cache=True, nogil=True)
def _says(data: Any, begin: int, end: int, words: Any) -> bool:
    """Whether a comment speaks of a licence: it holds one of the words, in any case."""
    for at in range(begin, end):
        for word in words:
            if data[at] | 32 != word[0] or at + len(word) > end:
                continue
            place = 1
            while place < len(word) and data[at + place] | 32 == word[place]:
                place += 1
            if place == len(word):
                return True
    return False


@njit(cache=True, nogil=True)
def _line_end(data: Any, at: int, end: int) -> int:
    while at < end and data[at] != 10:
        at += 1
    return at


@njit(cache=True, nogil=True)
def _comment_end(data: Any, at: int, end: int) -> int:
    """Return where the comment that begins at `at` ends; `at` itself where there is none."""
    c = data[at]
    d = data[at + 1] if at + 1 < end else 0
    if c == 47 and d == 42:  # /* */
        at += 2
        while at + 1 < end and not (data[at] == 42 and data[at + 1] == 47):
            at += 1
        return min(at + 2, end)
    if c == 60 and d == 33 and at + 3 < end and data[at + 2] == 45 and data[at + 3] == 45:
        at += 4  # <!-- -->
        while at + 2 < end and not (data[at] == 45 and data[at + 1] == 45 and data[at + 2] == 62):
            at += 1
        return min(at + 3, end)
    if (c == 34 or c == 39) and d == c and at + 2 < end and data[at + 2] == c:
        at += 3  # a string of three quotes
        while at + 2 < end and not (data[at] == c and data[at + 1] == c and data[at + 2] == c):
            at += 1
        return min(at + 3, end)
    begun = at
    while at < end:  # lines of # // -- ; %
        c = data[at]
        d = data[at + 1] if at + 1 < end else 0
        if not (c == 35 or c == 59 or c == 37 or (c == 47 and d == 47) or (c == 45 and d == 45)):
            break
        at = _line_end(data, at, end)
        begun = at
        while at < end and (data[at] == 10 or data[at] == 13 or data[at] == 32 or data[at] == 9):
            at += 1
    return begun


@njit(cache=True, nogil=True)
def _body_begin(data: Any, begin: int, end: int, words: Any) -> int:
    """Return where a text begins once licence comments at its head are left out.

    Other comments before them are left out too; those after the last that speaks of one stay.
    """
    at = found = begin
    while True:
        while at < end and (
            data[at] <= 32 or data[at] == 0xEF or data[at] == 0xBB or data[at] == 0xBF
        ):
            at += 1
        if at >= end:
            return found
        after = _comment_end(data, at, end)
        if after == at:
            return found
        if _says(data, at, after, words):
            found = after
        at = after


@njit(cache=True, nogil=True)
def _runs(data: Any, begin: int, end: int, kind: Any, out: Any, at_out: int) -> int:
    """Write the numbers of a text's runs from `at_out` on; return where they end."""
    last: Any = np.zeros(WORDS, np.uint64)
    rolling = np.uint64(0)
    words = place = 0
    start, at = at_out, begin
    while True:
        while at < end and kind[data[at]] != _WORD:
            at += 1
        if at >= end:
            break
        hashed = _FNV_OFFSET
        eight, held = np.uint64(0), 0
        while at < end and kind[data[at]] == _WORD:
            eight = (eight << _BYTE) | np.uint64(data[at])
            held += 1
            if held == 8:
                hashed = (hashed ^ eight) * _FNV_PRIME
                hashed ^= hashed >> _SHIFT
                eight, held = np.uint64(0), 0
            at += 1
        hashed = (hashed ^ eight) * _FNV_PRIME
        hashed ^= hashed >> _SHIFT
        rolling = rolling * _POLY + hashed - last[place] * _OUT
        last[place] = hashed
        place = 0 if place == WORDS - 1 else place + 1
        words += 1
        if words >= WORDS:
            mixed = (rolling ^ (rolling >> _SHIFT)) * _MIX
            out[at_out] = mixed ^ (mixed >> _SHIFT)
            at_out += 1
    if words and at_out == start:
        mixed = (rolling ^ (rolling >> _SHIFT)) * _MIX
        out[at_out] = mixed ^ (mixed >> _SHIFT)
        at_out += 1
    return at_out


@njit(cache=True, nogil=True)
def _all_runs(data: Any, offsets: Any, strip: bool, kind: Any, words: Any) -> tuple[Any, Any]:
    rows = len(offsets) - 1
    # A run needs a word and what parts it from the next.
    out: Any = np.empty((offsets[-1] - offsets[0]) // 2 + rows + 1, np.uint64)
    ends: Any = np.zeros(rows + 1, np.uint64)
    at_out = 0
    for row in range(rows):
        begin, end = offsets[row], offsets[row + 1]
        body = _body_begin(data, begin, end, words) if strip else begin
        wrote = _runs(data, body, end, kind, out, at_out)
        if wrote == at_out and body > begin:  # nothing but its licence: that is its text
            wrote = _runs(data, begin, end, kind, out, at_out)
        at_out = wrote
        ends[row + 1] = at_out
    return out[:at_out], ends


@njit(cache=True, nogil=True)
def _sets(numbers: Any, ends: Any) -> tuple[Any, Any]:
    out: Any = np.empty(len(numbers), np.uint32)
    bounds: Any = np.zeros(len(ends), np.int64)
    at_out = 0
    for row in range(len(ends) - 1):
        mine = np.sort(
            (numbers[np.int64(ends[row]) : np.int64(ends[row + 1])] >> np.uint64(32)).astype(
                np.uint32
            )
        )
        for place in range(len(mine)):
            if place == 0 or mine[place] != mine[place - 1]:
                out[at_out] = mine[place]
                at_out += 1
        bounds[row + 1] = at_out
    return out[:at_out], bounds


def bytes_of(texts: pa.ChunkedArray | pa.Array) -> tuple[Any, Any]:
    """Return a column's bytes (uint8) and where each text begins and ends (int64, one more)."""
    whole = pa.concat_arrays(texts.chunks) if isinstance(texts, pa.ChunkedArray) else texts
    whole = whole.cast(pa.large_string())
    if not len(whole):
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    _, offsets, data = whole.buffers()
    bounds = np.frombuffer(offsets, np.int64)[whole.offset : whole.offset + len(whole) + 1]
    # An empty buffer cannot be sliced by numba: one byte more costs nothing.
    held = (
        np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(1, np.uint8)
    )
    return held, bounds


def body_of(text: str) -> str:
    """Return a text without the licence comments at its head."""
    data = np.frombuffer(text.encode() or b" ", np.uint8)
    begin = _body_begin(data, 0, len(text.encode()), _LICENCE_WORDS)
    return text.encode()[begin:].decode(errors="replace")


def runs(texts: pa.ChunkedArray | pa.Array, *, strip: bool = True) -> tuple[Any, Any]:
    """Return the numbers of all texts' runs (uint64) and where each text's end (uint64, one more).

    strip: leave licence headers out. A run may come twice; a text without words has none.
    """
    data, offsets = bytes_of(texts)
    found: tuple[Any, Any] = _all_runs(data, offsets, strip, _KIND, _LICENCE_WORDS)
    return found


def sets(texts: pa.ChunkedArray | pa.Array, *, strip: bool = True) -> tuple[Any, Any]:
    """Return each text's runs as a set: sorted numbers (uint32), and where each ends (int64).

    32 bits: of two texts of 2,000 runs about one in a thousand pairs shares a number by chance.
    """
    numbers, ends = runs(texts, strip=strip)
    found: tuple[Any, Any] = _sets(numbers, ends)
    return found


@njit(cache=True, nogil=True)
def jaccard(left: Any, right: Any) -> float:
    """Return the share of what two sorted sets have in common of what is in either; 0 for none."""
    i = j = both = 0
    while i < len(left) and j < len(right):
        if left[i] == right[j]:
            both += 1
            i += 1
            j += 1
        elif left[i] < right[j]:
            i += 1
        else:
            j += 1
    either = len(left) + len(right) - both
    return both / either if either else 0.0
