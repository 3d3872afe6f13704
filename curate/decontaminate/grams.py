"""Runs of ten words as numbers, and which documents hold one that a benchmark has.

A word is a maximal run of letters, digits, underscores and bytes from 128 on; letters of ASCII are
compared in lower case. Compiled by numba at first use, on the bytes of an arrow column.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit

MOST: Final = 32  # runs told of one document: ours

_FOLD: Any = np.zeros(256, np.uint8)  # 0: no part of a word; else what the byte is compared as
_FOLD[[*range(48, 58), *range(97, 123), 95, *range(128, 256)]] = [
    *range(48, 58), *range(97, 123), 95, *range(128, 256),
]  # fmt: skip
_FOLD[[*range(65, 91)]] = [*range(97, 123)]

_OFFSET: Final = np.uint64(0xCBF29CE484222325)  # FNV-1a (draft-eastlake-fnv, section 5)
_PRIME: Final = np.uint64(0x100000001B3)
_POLY: Final = np.uint64(0x9E3779B97F4A7C15)  # odd; 2^64 over the golden ratio
_MIX: Final = np.uint64(0xFF51AFD7ED558CCD)  # MurmurHash3's fmix64
_SHIFT: Final = np.uint64(33)
_EIGHT: Final = np.uint64(8)
_BITS: Final = 26  # of the filter: 8 MB, which a core's cache nearly holds


def all_grams(data: Any, offsets: Any, words: int) -> tuple[Any, Any, Any]:
    """Return all texts' runs of `words` words: numbers (uint64), where each begins and ends in
    `data` (int64 pairs), and how many runs there are up to each text's end."""
    found: tuple[Any, Any, Any] = _all(data, offsets, words, _FOLD)
    return found


class Known:
    """The runs of all problems. numbers: sorted, each once."""

    def __init__(self, numbers: Any) -> None:
        """Make the filter that most runs of a document end at."""
        self.numbers = np.unique(numbers)
        self._bits: Any = np.zeros(1 << (_BITS - 3), np.uint8)
        places = (self.numbers >> np.uint64(64 - _BITS)).astype(np.int64)
        np.bitwise_or.at(self._bits, places >> 3, (1 << (places & 7)).astype(np.uint8))

    def look(self, data: Any, offsets: Any, words: int) -> tuple[Any, Any, Any]:
        """Return which texts hold a known run: (text, place in `numbers`, byte) of the first
        `MOST` of each text, as three arrays."""
        if not len(self.numbers):
            nothing: Any = np.zeros(0, np.int64)
            return nothing, nothing, nothing
        power = np.uint64(pow(int(_POLY), words, 1 << 64))
        found: tuple[Any, Any, Any] = _look(
            data, offsets, words, power, _FOLD, self.numbers, self._bits
        )
        return found


@njit(cache=True, nogil=True)
def _word(data: Any, at: int, end: int, fold: Any) -> tuple[Any, int]:
    """Return the number of the word that begins at `at`, and where it ends."""
    hashed, eight, held = _OFFSET, np.uint64(0), 0
    while at < end and fold[data[at]]:
        eight = (eight << _EIGHT) | np.uint64(fold[data[at]])
        held += 1
        if held == 8:
            hashed = (hashed ^ eight) * _PRIME
            hashed ^= hashed >> _SHIFT
            eight, held = np.uint64(0), 0
        at += 1
    hashed = (hashed ^ eight) * _PRIME
    return hashed ^ (hashed >> _SHIFT), at


@njit(cache=True, nogil=True)
def _all(data: Any, offsets: Any, words: int, fold: Any) -> tuple[Any, Any, Any]:
    most = (offsets[-1] - offsets[0]) // 2 + len(offsets)
    numbers: Any = np.empty(most, np.uint64)
    spans: Any = np.empty((most, 2), np.int64)
    ends: Any = np.zeros(len(offsets), np.int64)
    last: Any = np.zeros(words, np.uint64)
    begins: Any = np.zeros(words, np.int64)
    power = np.uint64(1)
    for _ in range(words):
        power *= _POLY
    count = 0
    for text in range(len(offsets) - 1):
        at, end = offsets[text], offsets[text + 1]
        rolling, seen = np.uint64(0), 0
        last[:] = 0
        while True:
            while at < end and not fold[data[at]]:
                at += 1
            if at >= end:
                break
            place = seen % words
            begin = at
            hashed, at = _word(data, at, end, fold)
            rolling = rolling * _POLY + hashed - last[place] * power
            last[place] = hashed
            begins[place] = begin
            seen += 1
            if seen >= words:
                mixed = (rolling ^ (rolling >> _SHIFT)) * _MIX
                numbers[count] = mixed ^ (mixed >> _SHIFT)
                spans[count, 0] = begins[seen % words]
                spans[count, 1] = at
                count += 1
        ends[text + 1] = count
    return numbers[:count], spans[:count], ends


@njit(cache=True, nogil=True)
def _look(
    data: Any, offsets: Any, words: int, power: Any, fold: Any, known: Any, bits: Any
) -> tuple[Any, Any, Any]:
    texts: Any = np.empty(1024, np.int64)
    places: Any = np.empty(1024, np.int64)
    ends: Any = np.empty(1024, np.int64)
    last: Any = np.zeros(words, np.uint64)
    count = 0
    down = np.uint64(64 - _BITS)
    for text in range(len(offsets) - 1):
        at, end = offsets[text], offsets[text + 1]
        rolling, seen, place, told = np.uint64(0), 0, 0, 0
        last[:] = 0
        while True:
            while at < end and not fold[data[at]]:
                at += 1
            if at >= end:
                break
            hashed, at = _word(data, at, end, fold)
            rolling = rolling * _POLY + hashed - last[place] * power
            last[place] = hashed
            place = 0 if place == words - 1 else place + 1
            seen += 1
            if seen < words:
                continue
            mixed = (rolling ^ (rolling >> _SHIFT)) * _MIX
            number = mixed ^ (mixed >> _SHIFT)
            bit = np.int64(number >> down)
            if not bits[bit >> 3] >> (bit & 7) & 1:
                continue
            where = np.searchsorted(known, number)
            if where >= len(known) or known[where] != number:
                continue
            if count == len(texts):
                texts = np.concatenate((texts, np.empty(count, np.int64)))
                places = np.concatenate((places, np.empty(count, np.int64)))
                ends = np.concatenate((ends, np.empty(count, np.int64)))
            texts[count], places[count], ends[count] = text, where, at
            count += 1
            told += 1
            if told == MOST:
                break
    return texts[:count], places[:count], ends[:count]
