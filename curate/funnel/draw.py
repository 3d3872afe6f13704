"""Documents drawn by lot: the same ones for the same seed, however the corpus is cut in parts."""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np
import pyarrow as pa

_ODD = 0x9E3779B97F4A7C15  # the golden ratio's bits (Knuth, The Art of Computer Programming, 6.4)


def lots(keys: pa.ChunkedArray | pa.Array, seed: int) -> Any:
    """Return a number for each key, as if by chance (numpy, uint64): the least are drawn.

    Keys are digests, so that their first 16 digits are as good as random.
    """
    numbers = np.array([int(key[:16], 16) for key in keys.to_pylist()], dtype=np.uint64)
    with np.errstate(over="ignore"):
        mixed = (numbers ^ np.uint64(seed * 2 + 1)) * np.uint64(_ODD)
        return mixed ^ (mixed >> np.uint64(29))


class Drawn:
    """The `number` documents of least lot of all that were offered."""

    def __init__(self, number: int) -> None:
        """Hold none yet."""
        self._number = number
        self._heap: list[tuple[int, str, Any]] = []  # lot negated, key, what was offered with it

    def wants(self, numbers: Any, mask: Any) -> list[int]:
        """Return the rows of a part that may be among the drawn: of those where `mask` is."""
        rows = np.flatnonzero(mask)
        if len(rows) > self._number:
            least = np.argpartition(numbers[rows], self._number)[: self._number]
            rows = rows[least]
        return [
            int(row)
            for row in rows
            if len(self._heap) < self._number or int(numbers[row]) < -self._heap[0][0]
        ]

    def offer(self, lot: int, key: str, what: Any) -> None:
        """Take one that may be drawn."""
        if any(key == other for _, other, _ in self._heap):
            return
        heapq.heappush(self._heap, (-lot, key, what))
        if len(self._heap) > self._number:
            heapq.heappop(self._heap)

    def all(self) -> list[Any]:
        """Return what is drawn, in the order of the lots."""
        return [what for _, _, what in sorted(self._heap, key=lambda one: (-one[0], one[1]))]
