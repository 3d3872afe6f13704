"""Texts of a batch as one piece of bytes, for what looks at all of them at once."""

from __future__ import annotations

import numpy as np
import pyarrow as pa


def joined(texts: pa.ChunkedArray) -> tuple[bytes, list[int]]:
    """Return the UTF-8 of a column's texts in one piece; where each begins, and the last ends."""
    column = texts.cast(pa.large_string()).combine_chunks()
    if isinstance(column, pa.ChunkedArray):  # no rows
        return b"", [0]
    _, offsets, data = column.buffers()
    bounds = np.frombuffer(offsets, np.int64)[column.offset : column.offset + len(column) + 1]
    if data is None or not len(column):
        return b"", [0] * (len(column) + 1)
    begin = int(bounds[0])
    return data.slice(begin, int(bounds[-1]) - begin).to_pybytes(), (bounds - begin).tolist()
