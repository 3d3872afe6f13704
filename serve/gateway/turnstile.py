"""Before each engine: so many are answered at once, so many wait their turn, the rest come again.

Counts requests, not tokens: an engine that batches shares itself out among those it has.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from serve.fault import Fault

_RETRY_MOST_S = 60.0  # ours: later than this, a guess from past durations says nothing
_WEIGHT = 0.1  # ours: of the newest duration in the running mean


class Turnstile:
    """The way into one engine, first come, first served."""

    def __init__(self, name: str, streams: int, queue: int) -> None:
        self._name = name
        self._streams = streams
        self._queue = queue
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._mean_s = 1.0
        self.running = 0

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiters)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[float]:
        """Wait for a turn and have it; gives the seconds waited.

        Raises Fault 429, with a guess when there will be room, where too many wait already.
        """
        waited_s = await self._enter()
        began_s = time.perf_counter()
        try:
            yield waited_s
        finally:
            self._mean_s += _WEIGHT * (time.perf_counter() - began_s - self._mean_s)
            self._leave()

    async def _enter(self) -> float:
        if self.running < self._streams and not self._waiters:
            self.running += 1
            return 0.0
        if len(self._waiters) >= self._queue:
            raise Fault(
                429,
                f"{self._name} is busy: {self.running} requests are being answered and"
                f" {self.waiting} wait; come again later",
                kind="rate_limit_error",
                code="queue_full",
                retry_after_s=self._until_room_s(),
            )
        turn = asyncio.get_running_loop().create_future()
        self._waiters.append(turn)
        began_s = time.perf_counter()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave()  # the turn had just been given
            else:
                self._waiters.remove(turn)
            raise
        return time.perf_counter() - began_s

    def _leave(self) -> None:
        if self._waiters:
            self._waiters.popleft().set_result(None)  # it takes the place of the one who leaves
        else:
            self.running -= 1

    def _until_room_s(self) -> float:
        """Guess when a place in the queue will be free."""
        a_turn_s = self._mean_s / self._streams
        return float(min(_RETRY_MOST_S, max(1, math.ceil(a_turn_s))))
