"""Which texts are dropped: only those that are similar to one that is kept.

Peers put every bucket of the LSH straight into groups and keep one of each, unchecked: in chains
of buckets they drop texts that are like no other one that stays. Here texts are looked at from the
best to the last, each only beside those already kept that share a bucket with it; the signatures
are compared first, then the runs of words themselves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from curate.neardup.shingles import jaccard


def buckets(signatures: Any, bands: int, rows: int) -> tuple[Any, Any]:
    """Return for each text and band which bucket it is in (texts x bands, int32; -1: alone), and
    how many buckets there are.

    Two texts share a bucket of a band where `rows` numbers of their signatures in a row are equal.
    A text without words is alone everywhere.
    """
    count = len(signatures)
    found: Any = np.full((count, bands), -1, np.int32)
    wordless = signatures[:, 0] == np.uint32(0xFFFFFFFF) if count else np.zeros(0, bool)
    if count:
        wordless &= signatures[:, -1] == np.uint32(0xFFFFFFFF)
    next_bucket = 0
    for band in range(bands):
        hashed = band_numbers(signatures, band * rows, rows)
        order = np.argsort(hashed, kind="stable")
        next_bucket = _name_buckets(hashed, order, wordless, found, band, next_bucket)
    return found, next_bucket


@njit(cache=True, nogil=True)
def band_numbers(signatures: Any, begin: int, rows: int) -> Any:
    """Return a number for each signature's `rows` numbers from `begin` on: its bucket's."""
    out: Any = np.empty(len(signatures), np.uint64)
    for text in range(len(signatures)):
        hashed = np.uint64(0xCBF29CE484222325)
        for place in range(begin, begin + rows):
            hashed = (hashed ^ np.uint64(signatures[text, place])) * np.uint64(0x9E3779B97F4A7C15)
            hashed ^= hashed >> np.uint64(29)
        out[text] = hashed
    return out


@njit(cache=True, nogil=True)
def _name_buckets(
    hashed: Any, order: Any, wordless: Any, found: Any, band: int, next_bucket: int
) -> int:
    at = 0
    while at < len(order):
        end = at + 1
        while end < len(order) and hashed[order[end]] == hashed[order[at]]:
            end += 1
        if end - at > 1:
            for place in range(at, end):
                if not wordless[order[place]]:
                    found[order[place], band] = next_bucket
            next_bucket += 1
        at = end
    return next_bucket


@njit(cache=True, nogil=True)
def star(
    order: Any,
    signatures: Any,
    found: Any,
    bucket_count: int,
    runs: Any,
    bounds: Any,
    place_of: Any,
    threshold: float,
    margin: float,
) -> tuple[Any, Any]:
    """Return for each text the one it is dropped for (-1: kept) and how similar they are.

    order: texts, the best first. found: their buckets. runs, bounds: sets of texts, of those that
    share any bucket; place_of: which set is a text's (-1: none). threshold: Jaccard similarity from
    which a text is dropped. margin: signatures may fall so much short of it before a pair is not
    looked at closer. Of several kept ones the most similar is named.
    """
    texts, bands = found.shape
    kept_for: Any = np.full(texts, -1, np.int64)
    similar: Any = np.zeros(texts, np.float64)
    head: Any = np.full(bucket_count, -1, np.int32)  # the last text kept in a bucket
    following: Any = np.full((texts, bands), -1, np.int32)  # the one kept before it
    seen: Any = np.full(texts, -1, np.int32)
    width = signatures.shape[1]
    least = int(np.ceil((threshold - margin) * width))
    for text in order:
        best, best_similar = -1, 0.0
        for band in range(bands):
            bucket = found[text, band]
            if bucket < 0:
                continue
            other = head[bucket]
            while other >= 0:
                if seen[other] != text:
                    seen[other] = text
                    equal = 0
                    for place in range(width):
                        equal += signatures[text, place] == signatures[other, place]
                    if equal >= least:
                        mine, its = place_of[text], place_of[other]
                        exact = jaccard(
                            runs[bounds[mine] : bounds[mine + 1]],
                            runs[bounds[its] : bounds[its + 1]],
                        )
                        if exact >= threshold and exact > best_similar:
                            best, best_similar = other, exact
                other = following[other, band]
        if best >= 0:
            kept_for[text] = best
            similar[text] = best_similar
            continue
        for band in range(bands):
            bucket = found[text, band]
            if bucket >= 0:
                following[text, band] = head[bucket]
                head[bucket] = text
    return kept_for, similar
