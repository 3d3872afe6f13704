"""Numbers that look drawn by lot and depend on nothing but a seed and names.

Defined here to the bit (BLAKE2b of the standard library), so that the same seed gives the same
bytes on every machine, with any number of workers and any release of any library.
"""

from __future__ import annotations

import hashlib
from typing import Final

_SPACE: Final = 1 << 64


def lot(seed: int, *names: str | int) -> int:
    """Return a number below 2**64."""
    data = "\0".join(str(name) for name in (seed, *names)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def share(seed: int, *names: str | int) -> float:
    """Return a number of at least 0 and below 1."""
    return (lot(seed, *names) >> 11) / (1 << 53)


def below(bound: int, seed: int, *names: str | int) -> int:
    """Return a number of at least 0 and below `bound`, each as likely to 1 in 2**64 / bound."""
    return lot(seed, *names) * bound // _SPACE


class Shuffle:
    """An order of 0..n-1 by lot, of which any place is known without the others.

    A Feistel network of four rounds over the next power of four, walked until it lands below n
    (Black and Rogaway 2002, "Ciphers with arbitrary finite domains"). No memory, for any n.
    """

    def __init__(self, n: int, seed: int, *names: str | int) -> None:
        """Take the keys of the rounds. ValueError: n below 0 or above 2**62."""
        if not 0 <= n <= 1 << 62:
            raise ValueError(f"n must be between 0 and 2**62, got {n}")
        self.n = n
        self._half = max(1, ((n - 1).bit_length() + 1) // 2) if n > 1 else 1
        self._mask = (1 << self._half) - 1
        self._keys = tuple(lot(seed, "shuffle", at, *names) for at in range(4))

    def __call__(self, place: int) -> int:
        """Return what stands at a place. IndexError outside 0..n-1."""
        if not 0 <= place < self.n:
            raise IndexError(f"place {place} of {self.n}")
        found = self._walk(place)
        while found >= self.n:
            found = self._walk(found)
        return found

    def _walk(self, value: int) -> int:
        left, right = value >> self._half, value & self._mask
        for key in self._keys:
            left, right = right, left ^ (_mixed(right ^ key) & self._mask)
        return left << self._half | right


def _mixed(value: int) -> int:
    """Return the finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    value = (value + 0x9E3779B97F4A7C15) % _SPACE
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 % _SPACE
    value = (value ^ value >> 27) * 0x94D049BB133111EB % _SPACE
    return value ^ value >> 31
