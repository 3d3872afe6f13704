"""What the minimal rules look at, measured in one pass over all texts of a batch (numba)."""

# mypy: allow-untyped-decorators

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit

NAMES: Final = ("nul", "letters", "lines", "filled", "longest", "encoded", "encoded_run")

_LETTER: Final = np.array([b > 127 or chr(b).isalnum() for b in range(256)])
_BASE64: Final = np.array([b < 128 and (chr(b).isalnum() or chr(b) in "+/") for b in range(256)])
_HEX: Final = np.array([chr(b) in "0123456789abcdefABCDEF" for b in range(256)])

# Ours: shorter runs are names, masks and test data. Bytes of base64; numbers or escapes.
_BASE64_LEAST: Final = 64
_ITEMS_LEAST: Final = 16


def measure(data: bytes, bounds: list[int]) -> dict[str, np.ndarray[Any, Any]]:
    """Return by name, for each text, what was counted.

    nul: bytes that are 0; letters: letters and digits (bytes of other alphabets too); lines;
    filled: lines that are not empty; longest: bytes of the longest line; encoded: bytes in runs of
    base64, of numbers in hex or of escapes; encoded_run: bytes of the longest such run.
    """
    found: Any = np.zeros((len(bounds) - 1, len(NAMES)), np.int64)
    _measure(np.frombuffer(data, np.uint8), np.array(bounds), _LETTER, _BASE64, _HEX, found)
    return {name: found[:, at] for at, name in enumerate(NAMES)}


@njit(cache=True, nogil=True)
def _measure(data: Any, bounds: Any, letter: Any, base64: Any, hexa: Any, found: Any) -> None:
    for text in range(len(bounds) - 1):
        begin, end = bounds[text], bounds[text + 1]
        nul = letters = filled = longest = encoded = run_most = 0
        lines = 1
        line = base = 0
        at = begin
        while at < end:
            byte = data[at]
            at += 1
            letters += letter[byte]
            if base64[byte]:
                base += 1
            else:
                if base >= _BASE64_LEAST:
                    encoded += base
                    run_most = max(run_most, base)
                base = 0
                nul += byte == 0
            if byte == 10:
                lines += 1
                filled += line > 0
                longest = max(longest, line)
                line = 0
            else:
                line += 1
        if base >= _BASE64_LEAST:
            encoded += base
            run_most = max(run_most, base)
        filled += line > 0
        longest = max(longest, line)
        # Runs of 0x1f, and of \\x1f: an item, and what stands between two.
        at = begin
        start = items = last = 0
        while at + 3 < end:
            size = 0
            if data[at] == 48 and data[at + 1] == 120 and hexa[data[at + 2]]:
                size = 3
                while at + size < end and size < 10 and hexa[data[at + size]]:
                    size += 1
            elif data[at] == 92 and (data[at + 1] == 120 or data[at + 1] == 117):
                size = 4 if data[at + 1] == 120 else 6
            if size == 0:
                at += 1
                continue
            if items and at - last <= 4:
                items += 1
            else:
                if items >= _ITEMS_LEAST:
                    encoded += last - start
                    run_most = max(run_most, last - start)
                items = 1
                start = at
            at += size
            last = at
        if items >= _ITEMS_LEAST:
            encoded += last - start
            run_most = max(run_most, last - start)
        found[text, 0], found[text, 1], found[text, 2] = nul, letters, lines
        found[text, 3], found[text, 4] = filled, longest
        found[text, 5], found[text, 6] = encoded, run_most
