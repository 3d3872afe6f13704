"""When a line of a batch may be asked: live requests come first.

Before each engine, lines of batches hold at most a share of its streams, and a new one begins only
where a stream is free, which none is while live requests wait. A line that has begun is asked like
any other request: it is not stopped for a live one, which finds the rest of the streams.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serve.gateway.house import House, Served

_LOOK_S = 0.05  # ours: how often the next line looks whether there is room
_PACE_S = 0.002  # ours: until a line that was let in is seen at the engine's turnstile


class BatchRoom:
    """The room that lines of all batches share."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.most = max(1, int(house.config.streams * house.config.batch_share))
        self._held: dict[str, asyncio.Semaphore] = {}
        self._next: dict[str, asyncio.Lock] = {}

    @asynccontextmanager
    async def turn(self, served: Served) -> AsyncIterator[None]:
        """Wait until a line may be asked, in order of coming; a gateway that drains asks none."""
        name = served.card.name
        held = self._held.setdefault(name, asyncio.Semaphore(self.most))
        async with held:
            # One at a time looks, however many wait.
            async with self._next.setdefault(name, asyncio.Lock()):
                while not self._is_free(served):
                    await asyncio.sleep(_LOOK_S)
                await asyncio.sleep(_PACE_S)
            yield

    def _is_free(self, served: Served) -> bool:
        # Where live requests wait, no stream is free: one that ends goes to the first of them.
        return not self._house.is_draining and served.turnstile.running < self._house.config.streams
