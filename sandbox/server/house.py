"""What all routes of one server share: pool, queue, kept answers, sessions, data sets."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import metadata
from typing import ParamSpec, TypeVar

from sandbox.jobs import Job
from sandbox.language import Found
from sandbox.languages import found
from sandbox.pool import Pool
from sandbox.server.answers import Answers, Entry, Key
from sandbox.server.config import ServerConfig
from sandbox.server.datasets import Datasets
from sandbox.server.dispatch import Dispatcher, Flight, Render
from sandbox.server.exchange import Bodies, Exchange
from sandbox.server.keys import Keys
from sandbox.server.metrics import Metrics
from sandbox.server.refusal import Gone, Refusal, draining
from sandbox.session.many import Sessions

log = logging.getLogger(__name__)

_SWEEP_S = 30.0
_CLOSE_S = 2.0
_UNWATCHED_S = 0.2  # ours
_P = ParamSpec("_P")
_T = TypeVar("_T")


class House:
    """One server. Made before the event loop runs; `open` and `close` belong to the loop.

    Raises SandboxUnavailable where no box starts, ValueError for bad keys or data sets.
    """

    def __init__(self, config: ServerConfig) -> None:
        self.config = config
        self.keys = Keys.read(config.keys_file) if config.keys_file else None
        self.datasets = Datasets.read(config.datasets)
        self.metrics = Metrics()
        self.version = _version()
        # A word of this start: kept answers are of it, and of no other behind the same address.
        self.instance = secrets.token_hex(8)
        workers = config.workers or None
        self.pool = Pool(
            workers,
            box=config.box,
            require=config.require,
            packages=config.packages,
            confirm_timeouts=config.confirm_timeouts,
            # All that the dispatcher lets in at a time: an offer is then never refused.
            queue_size=8 * (workers or 1024),
        )
        self.bodies = Bodies(config.bodies_mb << 20)
        self.answers = Answers(
            most=config.kept, most_bytes=config.kept_mb << 20, most_s=config.kept_s
        )
        self.dispatcher: Dispatcher
        self.requests = 0  # being answered, but for those that only look
        self.batches = 0
        # Cells block a thread each.
        self._threads = ThreadPoolExecutor(config.sessions + 2, thread_name_prefix="cells")
        self._sessions: Sessions | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._found: tuple[Found, ...] | None = None

    @property
    def is_draining(self) -> bool:
        """Whether the server is about to end."""
        return self.dispatcher.is_draining

    def drain(self, drain_s: float) -> None:
        """Take nothing new from now on. drain_s: how long what is under way may still take."""
        self.dispatcher.is_draining = True
        log.warning(
            "draining waiting=%d running=%d drain_s=%g",
            self.dispatcher.waiting, self.dispatcher.running, drain_s,
        )  # fmt: skip

    def cut(self) -> None:
        """Answer everybody who waits: the time to wait for what is under way is over."""
        log.warning("the time to drain is over requests=%d", self.requests)
        self.dispatcher.abandon()

    def open(self) -> None:
        """Start what needs the event loop."""
        self.dispatcher = Dispatcher(self.pool, self.config.queue, self.metrics)
        self.metrics.watch(
            waiting=lambda: self.dispatcher.waiting,
            running=lambda: self.dispatcher.running,
            requests=lambda: self.requests,
            sessions=lambda: len(self._sessions) if self._sessions else 0,
            kind=self.pool.box_kind,
            workers=self.pool.workers,
        )
        self._sweeper = asyncio.get_running_loop().create_task(self._sweep())

    async def close(self) -> bool:
        """End everything; return whether all boxes ended within a few seconds.

        A program that still runs keeps its box's thread; it ends with this process.
        """
        if self._sweeper is not None:
            self._sweeper.cancel()
        ended = threading.Event()

        def end() -> None:
            if self._sessions is not None:
                self._sessions.close_all()
            self.pool.close(wait_for_jobs=False)
            ended.set()

        threading.Thread(target=end, daemon=True, name="closing").start()
        self._threads.shutdown(wait=False, cancel_futures=True)
        deadline = asyncio.get_running_loop().time() + _CLOSE_S
        while not ended.is_set() and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.02)
        return ended.is_set()

    async def settle(
        self,
        exchange: Exchange,
        make: Callable[[], Job],
        render: Render,
        *,
        key: Key | None = None,
        body: bytes = b"",
    ) -> bytes:
        """Return what is rendered of a job's result: run now, or under the same key before.

        Raises Refusal, SandboxError, and Gone when the client went away: a job that had not begun
        is then not run.
        """
        flight, answer = self.board(make, render, key=key, body=body)
        if flight is None:
            return answer
        waiting: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        landed = partial(_landed, waiting)
        flight.waiters.append(landed)
        watch = _Watch(exchange, landed)
        try:
            return await waiting
        finally:
            watch.end()
            self.dispatcher.leave(flight, landed)

    def board(
        self,
        make: Callable[[], Job],
        render: Render,
        *,
        key: Key | None = None,
        body: bytes = b"",
        of_batch: bool = False,
    ) -> tuple[Flight | None, bytes]:
        """Return the flight of a job, or no flight and the answer that is kept of it."""
        entry: Entry | None = None
        if key is not None:
            entry = self.answers.find(key, body)
            if entry.answer is not None or entry.flight is not None:
                self.metrics.joined.inc()
                return entry.flight, entry.answer or b""
        flight = self.dispatcher.admit(make(), render, of_batch=of_batch)
        if key is not None and entry is not None:
            self.answers.fly(key, entry, flight)
        return flight, b""

    async def in_thread(self, work: Callable[_P, _T], *args: _P.args, **words: _P.kwargs) -> _T:
        """Do what blocks in a thread of the cells'."""
        call = partial(work, *args, **words)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def sessions(self) -> Sessions:
        """Return the sessions, made when first asked for. Raises Refusal where there are none."""
        if self.is_draining:
            raise draining()
        if self._sessions is None:
            if self.pool.box_kind == "docker" or "://" in self.pool.box_name:
                raise Refusal(
                    501, "Unsupported", f"the box {self.pool.box_name!r} keeps no sessions"
                )
            self._sessions = Sessions(
                most=self.config.sessions,
                box=self.pool.box_name,
                packages=self.config.packages,
            )
        return self._sessions

    async def languages(self) -> tuple[Found, ...]:
        """Return every language, asked of the machine once."""
        if self._found is None:
            self._found = await self.in_thread(found)
        return self._found

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            if self._sessions is not None:
                await self.in_thread(self._sessions.sweep)

    @contextlib.contextmanager
    def batch(self) -> Iterator[None]:
        """Count a batch for as long as it goes on."""
        self.batches += 1
        try:
            yield
        finally:
            self.batches -= 1


class _Watch:
    """Looks out for a client that goes away while it waits, once it has waited for a while."""

    def __init__(self, exchange: Exchange, landed: Callable[[None, Gone], None]) -> None:
        self._exchange, self._landed = exchange, landed
        self._task: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(_UNWATCHED_S, self._begin)

    def _begin(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        await self._exchange.gone()
        self._landed(None, Gone())

    def end(self) -> None:
        """Look out no more."""
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()


def _landed(
    waiting: asyncio.Future[bytes], answer: bytes | None, error: BaseException | None
) -> None:
    if waiting.done():
        return
    if error is not None:
        waiting.set_exception(error)
    else:
        waiting.set_result(answer or b"")


def _version() -> str:
    try:
        return metadata.version("seedcoder")
    except metadata.PackageNotFoundError:
        return "0"
