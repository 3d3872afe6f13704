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
from collections.abc import Iterator
from concurrent.futures import Future

from sandbox.box import DEFAULT_PACKAGES, Box, open_box
from sandbox.jobs import Job, Jobs, Result
from sandbox.outcome import Kind
from sandbox.verdict import Verdict

_Item = tuple[Job, "Future[Result]"]


class Pool(Jobs):
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

    @property
    def _room(self) -> int:
        return 2 * self.workers + 2

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


def _once(box: Box, job: Job) -> Result:
    if job.tests is None:
        return box.run(job.program, job.limits, job.collect)
    return box.judge(job.program, job.tests, job.limits)


def _timed_out(result: Result) -> bool:
    """Return whether any run was out of time: where each case counts, each must be confirmed."""
    runs = result.outcomes if isinstance(result, Verdict) else ()
    return any(one.kind is Kind.TIMEOUT for one in (result, *runs))


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
