"""MinHash signatures (Broder 1997): what a text looks like, in 256 numbers.

The share of numbers that two signatures have in common is an estimate of the Jaccard similarity of
the texts' runs of words; with 256 of them its standard error at 0.7 is 0.029.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numba import njit

from curate.neardup.shingles import runs

PERMUTATIONS: Final = 256  # ours, as most peers
_SEED: Final = 20250604  # ours: any will do, as long as all signatures share it
_NONE: Final = 0xFFFFFFFF  # of a text without words


class MinHash:
    """The step. Column: signature (256 numbers of 32 bits, little-endian; 1 kB a document)."""

    name = "minhash"
    version = 1
    reads = ("text",)

    def __init__(self, *, strip: bool) -> None:
        """strip: leave licence headers out."""
        self._strip = strip

    def schema(self) -> pa.Schema:
        """Return signature."""
        return pa.schema([("signature", pa.binary(4 * PERMUTATIONS))])

    def settings(self) -> Mapping[str, Any]:
        """Return all that a signature depends on."""
        return {"strip": self._strip, "permutations": PERMUTATIONS, "seed": _SEED}

    def compute(self, table: pa.Table) -> pa.Table:
        """Compute the signatures."""
        found = signatures(*runs(table.column("text"), strip=self._strip))
        return pa.table({"signature": packed(found)})


def minhash(*, strip_licences: bool = True) -> MinHash:
    """Return the step."""
    return MinHash(strip=strip_licences)


def signatures(numbers: Any, ends: Any) -> Any:
    """Return signatures (rows x 256, uint32) of texts given as `shingles.runs` gives them."""
    generator = np.random.Generator(np.random.PCG64(_SEED))
    # Odd factors: each makes a permutation of the numbers of 32 bits.
    factors = generator.integers(0, 1 << 32, PERMUTATIONS, np.uint32) | np.uint32(1)
    terms = generator.integers(0, 1 << 32, PERMUTATIONS, np.uint32)
    return _signatures(numbers, ends, factors, terms)


def packed(rows: Any) -> pa.Array:
    """Return signatures as a column."""
    data = pa.py_buffer(np.ascontiguousarray(rows, "<u4"))
    return pa.Array.from_buffers(pa.binary(4 * PERMUTATIONS), len(rows), [None, data])


def unpacked(column: pa.ChunkedArray | pa.Array) -> Any:
    """Return signatures (rows x 256, uint32) of a column without nulls."""
    whole = pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column
    if not len(whole):
        return np.zeros((0, PERMUTATIONS), np.uint32)
    flat = np.frombuffer(whole.buffers()[1], "<u4")
    begin = whole.offset * PERMUTATIONS
    return flat[begin : begin + len(whole) * PERMUTATIONS].reshape(-1, PERMUTATIONS)


@njit(cache=True, nogil=True)
def _signatures(numbers: Any, ends: Any, factors: Any, terms: Any) -> Any:
    out: Any = np.full((len(ends) - 1, PERMUTATIONS), np.uint32(_NONE), np.uint32)
    high = np.uint64(32)
    for row in range(len(ends) - 1):
        mine = out[row]
        at, end = np.int64(ends[row]), np.int64(ends[row + 1])
        while at + 4 <= end:  # four at a time: the signature is read and written a quarter as often
            a = np.uint32(numbers[at] >> high)
            b = np.uint32(numbers[at + 1] >> high)
            c = np.uint32(numbers[at + 2] >> high)
            d = np.uint32(numbers[at + 3] >> high)
            for place in range(PERMUTATIONS):
                factor, term = factors[place], terms[place]
                least = min(
                    min(np.uint32(factor * a + term), np.uint32(factor * b + term)),
                    min(np.uint32(factor * c + term), np.uint32(factor * d + term)),
                )
                mine[place] = min(mine[place], least)
            at += 4
        while at < end:
            a = np.uint32(numbers[at] >> high)
            for place in range(PERMUTATIONS):
                mine[place] = min(mine[place], np.uint32(factors[place] * a + terms[place]))
            at += 1
    return out
