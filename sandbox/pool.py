"""Many boxes at once: a pool of workers behind a bounded queue, for threads and for asyncio.

Every job ends in exactly one result or one exception. A run whose box breaks raises SandboxBroken
for that job; the box is replaced and the pool goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from types import TracebackType
from typing import cast

from sandbox.box import DEFAULT_PACKAGES, Box, open_box
from sandbox.cases import Tests
from sandbox.errors import SandboxError
from sandbox.outcome import Kind, Outcome
from sandbox.program import Limits, Program
from sandbox.verdict import Verdict

Result = Verdict | Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A program to judge by `tests`, or without tests just to run.

    key: yours, to know the job again where results come as they complete.
    """

    program: Program
    tests: Tests | None = None
    limits: Limits = field(default_factory=Limits)
    collect: tuple[str, ...] = ()
    key: str = ""


_Item = tuple[Job, "Future[Result]"]


class Pool:
    """`workers` boxes, each in a thread of its own.

    workers: default one a core. box, require: see `open_box`. confirm_timeouts: a TIMEOUT counts
    only after the program was run once more with nothing else running in this pool. queue_size:
    jobs that may wait; `submit` blocks beyond it.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        box: str = "auto",
        require: str | None = None,
        confirm_timeouts: bool = True,
        queue_size: int | None = None,
        packages: tuple[str, ...] = DEFAULT_PACKAGES,
    ) -> None:
        self.workers = workers or len(os.sched_getaffinity(0))
        if self.workers < 1:
            raise ValueError(f"workers must be positive, got {workers}")
        first = open_box(box, require=require, packages=packages)
        self.box_name: str = first.name
        self.box_kind: str = first.kind
        self._require = require
        self._packages = packages
        self._confirm = confirm_timeouts
        self._queue: queue.Queue[_Item | None] = queue.Queue(queue_size or 4 * self.workers)
        self._alone = _Turnstile()
        self._closed = False
        self._abandoned = False
        self._close_lock = threading.Lock()
        self._threads = [
            threading.Thread(
                target=self._work, args=(first if i == 0 else None,), name=f"box-{i}", daemon=True
            )
            for i in range(self.workers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def packages(self) -> tuple[str, ...]:
        """The packages that programs may import."""
        return self._packages

    @property
    def confirms_timeouts(self) -> bool:
        """Whether a TIMEOUT was found twice, the second time with nothing else running here."""
        return self._confirm

    def _work(self, box: Box | None) -> None:
        try:
            while (item := self._queue.get()) is not None:
                job, future = item
                if self._abandoned:
                    future.cancel()
                if not future.set_running_or_notify_cancel():
                    continue
                try:
                    if box is None:
                        box = open_box(
                            self.box_name, require=self._require, packages=self._packages
                        )
                    future.set_result(self._do(box, job))
                except BaseException as error:  # noqa: BLE001 - it is the job's, raised at result()
                    future.set_exception(error)
        finally:
            if box is not None:
                box.close()

    def _do(self, box: Box, job: Job) -> Result:
        with self._alone.shared():
            result = _once(box, job)
        if self._confirm and _timed_out(result):
            with self._alone.exclusive():
                result = _once(box, job)
        return result

    def submit(
        self,
        program: Program,
        tests: Tests | None = None,
        limits: Limits | None = None,
        *,
        collect: tuple[str, ...] = (),
    ) -> Future[Result]:
        """Queue a job, waiting while the queue is full; its future gives Verdict or Outcome."""
        job = Job(program=program, tests=tests, limits=limits or Limits(), collect=collect)
        return self._submit(job)

    def _submit(self, job: Job) -> Future[Result]:
        if self._closed:
            raise RuntimeError("this pool is closed")
        future: Future[Result] = Future()
        self._queue.put((job, future))
        self._drain_if_ended()
        return future

    def offer(self, job: Job, future: Future[Result]) -> bool:
        """Queue a job whose result `future` gets; False, at once, when the queue is full.

        For whoever has a queue of his own before this one: a future may be of a class that hears
        of its begin (`set_running_or_notify_cancel`) and end, in the worker's thread.
        """
        if self._closed:
            raise RuntimeError("this pool is closed")
        try:
            self._queue.put_nowait((job, future))
        except queue.Full:
            return False
        self._drain_if_ended()
        return True

    def _drain_if_ended(self) -> None:
        """Cancel what was queued while the pool closed: no worker is left to take it."""
        if self._closed and not any(thread.is_alive() for thread in self._threads):
            self._drain()

    def run(self, program: Program, limits: Limits | None = None) -> Outcome:
        """Run one program and wait for its outcome."""
        return cast(Outcome, self.submit(program, None, limits).result())

    def judge(self, program: Program, tests: Tests, limits: Limits | None = None) -> Verdict:
        """Judge one program and wait for the verdict."""
        return cast(Verdict, self.submit(program, tests, limits).result())

    def map(self, jobs: Iterable[Job], *, ordered: bool = True) -> Iterator[Result | SandboxError]:
        """Yield a result a job, in order or as completed; a broken box yields its SandboxError.

        Jobs are taken from the iterable only as fast as the pool works. Where they come as
        completed, use `map_jobs` to know which job each result belongs to.
        """
        for _, result in self.map_jobs(jobs, ordered=ordered):
            yield result

    def map_jobs(
        self, jobs: Iterable[Job], *, ordered: bool = True
    ) -> Iterator[tuple[Job, Result | SandboxError]]:
        """Yield (job, result) as `map` does."""
        window: deque[tuple[Job, Future[Result]]] = deque()
        source = iter(jobs)
        room = 2 * self.workers + 2
        try:
            while True:
                while len(window) < room and (job := next(source, None)) is not None:
                    window.append((job, self._submit(job)))
                if not window:
                    return
                if not ordered:
                    wait([future for _, future in window], return_when=FIRST_COMPLETED)
                    window = deque(sorted(window, key=lambda pair: not pair[1].done()))
                job, future = window.popleft()
                yield job, _settled(future)
        finally:
            for _, future in window:
                future.cancel()

    async def arun(self, program: Program, limits: Limits | None = None) -> Outcome:
        """Run one program without blocking the event loop."""
        return cast(Outcome, await self._asubmit(Job(program=program, limits=limits or Limits())))

    async def ajudge(self, program: Program, tests: Tests, limits: Limits | None = None) -> Verdict:
        """Judge one program without blocking the event loop."""
        job = Job(program=program, tests=tests, limits=limits or Limits())
        return cast(Verdict, await self._asubmit(job))

    async def _asubmit(self, job: Job) -> Result:
        future: Future[Result] = Future()
        while True:  # a full queue holds the caller back, not the event loop
            if self._closed:
                raise RuntimeError("this pool is closed")
            try:
                self._queue.put_nowait((job, future))
                self._drain_if_ended()
                break
            except queue.Full:
                await asyncio.sleep(0.005)
        return await asyncio.wrap_future(future)

    async def amap(
        self, jobs: Iterable[Job], *, ordered: bool = True
    ) -> AsyncIterator[Result | SandboxError]:
        """Yield results as `map` does, without blocking the event loop."""
        source = iter(jobs)
        window: deque[asyncio.Task[Result]] = deque()
        room = 2 * self.workers + 2
        try:
            while True:
                while len(window) < room and (job := next(source, None)) is not None:
                    window.append(asyncio.ensure_future(self._asubmit(job)))
                if not window:
                    return
                if ordered:
                    await asyncio.wait([window[0]])
                else:
                    await asyncio.wait(window, return_when=asyncio.FIRST_COMPLETED)
                    window = deque(sorted(window, key=lambda task: not task.done()))
                task = window.popleft()
                error = task.exception()
                if isinstance(error, SandboxError):
                    yield error
                else:
                    yield task.result()
        finally:
            for task in window:
                task.cancel()

    def close(self, *, wait_for_jobs: bool = True) -> None:
        """End the workers: after the jobs that wait, or cancelling those. Idempotent."""
        with self._close_lock:
            if self._closed:
                return
            self._closed = True
            self._abandoned = not wait_for_jobs
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
        self._drain()

    def _drain(self) -> None:
        """Cancel the jobs that slipped in behind the workers' end."""
        with contextlib.suppress(queue.Empty):
            while True:
                item = self._queue.get_nowait()
                if item is not None and item[1].cancel():
                    item[1].set_running_or_notify_cancel()  # wakes whoever waits for it

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(wait_for_jobs=kind is None)

    async def __aenter__(self) -> Pool:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.close, wait_for_jobs=kind is None)


def _once(box: Box, job: Job) -> Result:
    if job.tests is None:
        return box.run(job.program, job.limits, job.collect)
    return box.judge(job.program, job.tests, job.limits)


def _timed_out(result: Result) -> bool:
    """Return whether any run was out of time: where each case counts, each must be confirmed."""
    runs = result.outcomes if isinstance(result, Verdict) else ()
    return any(one.kind is Kind.TIMEOUT for one in (result, *runs))


def _settled(future: Future[Result]) -> Result | SandboxError:
    try:
        return future.result()
    except SandboxError as error:
        return error


class _Turnstile:
    """Many may be inside at once, or one alone; whoever wants to be alone goes first."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._inside = 0
        self._waiting = 0
        self._taken = False

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        with self._condition:
            while self._taken or self._waiting:
                self._condition.wait()
            self._inside += 1
        try:
            yield
        finally:
            with self._condition:
                self._inside -= 1
                self._condition.notify_all()

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        with self._condition:
            self._waiting += 1
            while self._taken or self._inside:
                self._condition.wait()
            self._waiting -= 1
            self._taken = True
        try:
            yield
        finally:
            with self._condition:
                self._taken = False
                self._condition.notify_all()
