"""Idempotency: a request that comes again joins the run under way, or gets the answer kept of it.

What was answered with a result is kept, bounded in number, bytes and age. A failure is not: it was
told to the client, whose next try runs the program anew. Keys of one owner mean nothing to another.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from dataclasses import dataclass

from sandbox.server.dispatch import Flight
from sandbox.server.refusal import Refusal

_KEY_MOST = 255
_OVERHEAD = 400  # bytes that an entry takes beside its answer; ours, roughly


@dataclass(slots=True)
class Entry:
    """One key. flight: while its run is under way. answer: once there is one."""

    digest: bytes
    flight: Flight | None = None
    answer: bytes | None = None
    kept_at: float = 0.0


Key = tuple[str, str, str]  # owner of the API key, route, idempotency key


class Answers:
    """The entries of one server."""

    def __init__(self, *, most: int, most_bytes: int, most_s: float) -> None:
        self._most, self._most_bytes, self._most_s = most, most_bytes, most_s
        self._flying: dict[Key, Entry] = {}  # bounded by the queue
        self._kept: OrderedDict[Key, Entry] = OrderedDict()  # oldest first
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept) + len(self._flying)

    @property
    def kept_bytes(self) -> int:
        """Bytes of the answers that are kept."""
        return self._bytes

    def find(self, key: Key, body: bytes) -> Entry:
        """Return the entry of a key: with a flight, with an answer, or new with neither.

        Raises Refusal where the key came with another body before.
        """
        if len(key[2]) > _KEY_MOST:
            raise Refusal(400, "InvalidRequest", f"an idempotency key has {_KEY_MOST} characters")
        self._forget_old()
        digest = hashlib.sha256(body).digest()
        entry = self._flying.get(key) or self._kept.get(key)
        if entry is None:
            return Entry(digest)
        if entry.digest != digest:
            raise Refusal(
                422, "IdempotencyKeyReused", "this idempotency key came with another body before"
            )
        return entry

    def fly(self, key: Key, entry: Entry, flight: Flight) -> None:
        """Note that the key's run is under way."""
        entry.flight = flight
        self._flying[key] = entry

        def landed(answer: bytes | None, error: BaseException | None) -> None:
            self._land(key, entry, answer)

        flight.noted = landed

    def _land(self, key: Key, entry: Entry, answer: bytes | None) -> None:
        """Note the end of a run, or that it never began."""
        del self._flying[key]
        entry.flight = None
        if answer is None or len(answer) + _OVERHEAD > self._most_bytes:
            return
        entry.answer, entry.kept_at = answer, time.monotonic()
        self._kept[key] = entry
        self._bytes += len(answer) + _OVERHEAD
        while len(self._kept) > self._most or self._bytes > self._most_bytes:
            self._forget_oldest()

    def _forget_old(self) -> None:
        horizon = time.monotonic() - self._most_s
        while self._kept and next(iter(self._kept.values())).kept_at < horizon:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        _, entry = self._kept.popitem(last=False)
        self._bytes -= len(entry.answer or b"") + _OVERHEAD
