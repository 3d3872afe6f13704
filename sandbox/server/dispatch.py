"""The queue in front of the pool: bounded, in order, and left by those whose client has gone.

The pool itself is given only what keeps its workers busy, so that a waiting program can always be
taken back. Requests and lines of batches wait in two queues, served in turn: no batch holds up the
others. Limits of a run start in its box, not here. Everything but `Flight`'s own methods and
`_came_back` happens in the event loop's thread.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

from sandbox.errors import SandboxBroken, SandboxError
from sandbox.jobs import Job, Result
from sandbox.pool import Pool
from sandbox.server.metrics import Metrics
from sandbox.server.refusal import Gone, draining, full

# Called once: with the rendered result, or with what went wrong.
Landed = Callable[[bytes | None, BaseException | None], None]
Render = Callable[[Result], bytes]

_SMOOTHING = 0.05  # ours: how much the last run counts for the mean
_AHEAD_S = 0.04  # ours: how much work the pool is given ahead, where programs are short
_AHEAD_MOST = 8  # programs a worker
_TICK_S = 0.02  # ours: the longest that an answer to a batch's line lies before it is looked at
_LONGEST_RETRY_S = 30


class Flight(Future[Result]):
    """A job from its admission to its result. It hears from the pool when it begins and ends."""

    def __init__(
        self, job: Job, render: Render, home: Callable[[Flight], None], of_batch: bool = False
    ) -> None:
        super().__init__()
        self.job = job
        self.of_batch = of_batch
        self.render = render
        self.waiters: list[Landed] = []
        self.noted: Landed | None = None  # hears of the end too, but is nobody to run it for
        self.admitted_at = time.monotonic()
        self.began_at = self.ended_at = 0.0
        self._home = home

    def set_running_or_notify_cancel(self) -> bool:
        """A worker has taken it from the pool's queue."""
        self.began_at = time.monotonic()
        going = super().set_running_or_notify_cancel()
        if not going:
            self._home(self)
        return going

    def set_result(self, result: Result) -> None:
        """It has run."""
        self.ended_at = time.monotonic()
        super().set_result(result)
        self._home(self)

    def set_exception(self, exception: BaseException | None) -> None:
        """Its box failed."""
        self.ended_at = time.monotonic()
        super().set_exception(exception)
        self._home(self)


class Dispatcher:
    """The waiting flights of one pool. most: that may wait; those of batches come on top."""

    def __init__(self, pool: Pool, most: int, metrics: Metrics) -> None:
        self._pool = pool
        self._most = most
        self._metrics = metrics
        # In order, and left at any place at no cost: of requests, and of batches.
        self._waiting: dict[Flight, None] = {}
        self._batched: dict[Flight, None] = {}
        self._turn = False
        self._inside: set[Flight] = set()  # given to the pool and not yet back
        self._ticking = False
        self._back: deque[Flight] = deque()
        self._woken = False
        self._loop = asyncio.get_running_loop()
        self._mean_s = 0.05
        self.is_draining = False

    @property
    def waiting(self) -> int:
        """Programs that no worker has begun."""
        ahead = max(0, len(self._inside) - self._pool.workers)
        return len(self._waiting) + len(self._batched) + ahead

    @property
    def running(self) -> int:
        """Programs under way."""
        return min(len(self._inside), self._pool.workers)

    def admit(self, job: Job, render: Render, *, of_batch: bool = False) -> Flight:
        """Queue a job. Raises Refusal when the queue is full, or the server about to end.

        of_batch: it has a bound of its own and is not refused.
        """
        if self.is_draining:
            raise draining()
        if not of_batch and len(self._waiting) >= self._most:
            raise full(f"{self.waiting} programs wait already", self.retry_after_s())
        flight = Flight(job, render, self._came_back, of_batch)
        (self._batched if of_batch else self._waiting)[flight] = None
        if of_batch and not self._ticking:
            self._ticking = True
            self._loop.call_later(_TICK_S, self._tick)
        self._feed()
        return flight

    def retry_after_s(self) -> int:
        """Return in how many seconds there is likely to be room."""
        seconds = self._mean_s * (self.waiting + 1) / self._pool.workers
        return max(1, min(_LONGEST_RETRY_S, math.ceil(seconds)))

    def leave(self, flight: Flight, waiter: Landed) -> None:
        """Wait for a flight no more; what nobody waits for and has not begun never will."""
        if waiter in flight.waiters:
            flight.waiters.remove(waiter)
        if flight.waiters:
            return
        (self._batched if flight.of_batch else self._waiting).pop(flight, None)
        if flight.cancel():  # refused by a flight that has begun
            self._metrics.dropped.inc()
            _tell(flight, None, Gone())

    def abandon(self) -> None:
        """Answer everybody who waits, as the server ends; what has not begun never will."""
        flights = [*self._inside, *self._waiting, *self._batched]
        self._waiting.clear()
        self._batched.clear()
        for flight in flights:
            never = flight.cancel()
            begun = SandboxBroken("the server ended before the program did")
            _tell(flight, None, draining() if never else begun)

    def _feed(self) -> None:
        room = self._pool.workers * max(
            2, min(_AHEAD_MOST, int(_AHEAD_S / max(self._mean_s, 1e-4)))
        )
        while len(self._inside) < room and (self._waiting or self._batched):
            self._turn = not self._turn
            queue = self._batched if self._batched and self._turn else self._waiting
            queue = queue or self._batched
            flight = next(iter(queue))
            if not self._pool.offer(flight.job, flight):
                return
            del queue[flight]
            self._inside.add(flight)

    def _tick(self) -> None:
        """Collect what came back of batches, for as long as there is something of them."""
        self._collect()
        self._ticking = bool(self._inside or self._batched)
        if self._ticking:
            self._loop.call_later(_TICK_S, self._tick)

    def _came_back(self, flight: Flight) -> None:
        """Note it, in a worker's thread; many that come at once wake the loop once.

        Waking the loop costs more than what it then does for a batch's line: while the pool has
        enough to do, those wait for the next tick.
        """
        self._back.append(flight)
        if flight.of_batch and len(self._inside) - len(self._back) > self._pool.workers:
            return
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._collect)

    def _collect(self) -> None:
        self._woken = False
        while self._back:
            flight = self._back.popleft()
            self._inside.discard(flight)
            if not self._back or len(self._inside) <= self._pool.workers:
                self._feed()
            if not flight.cancelled():
                self._settle(flight)

    def _settle(self, flight: Flight) -> None:
        wait_s = flight.began_at - flight.admitted_at
        run_s = flight.ended_at - flight.began_at
        self._mean_s += _SMOOTHING * (run_s - self._mean_s)
        error = flight.exception()
        if error is not None:
            self._metrics.failed(wait_s, run_s, type(error).__name__)
            known = isinstance(error, SandboxError)
            if not known:  # a fault of ours that no error of the sandbox stands for
                self._metrics.log_fault(error)
                error = SandboxBroken(f"the judge failed: {type(error).__name__}")
            _tell(flight, None, error)
            return
        result = flight.result()
        what = "run" if flight.job.tests is None else "judge"
        self._metrics.ran(wait_s, run_s, what, result.kind.value)
        try:
            answer = flight.render(result)
        except (ValueError, TypeError, LookupError) as fault:  # others wait for this loop
            self._metrics.log_fault(fault)
            _tell(flight, None, SandboxBroken(f"the answer failed: {type(fault).__name__}"))
            return
        _tell(flight, answer, None)


def _tell(flight: Flight, answer: bytes | None, error: BaseException | None) -> None:
    waiters, flight.waiters = flight.waiters, []
    if flight.noted is not None:
        flight.noted(answer, error)
    for waiter in waiters:
        waiter(answer, error)
