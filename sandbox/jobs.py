"""Jobs, and how they are asked of whoever runs many: one by one, as a stream, by asyncio.

`Pool` and `Fleet` differ in where a job goes; what their users see is written here once.
"""

from __future__ import annotations

import asyncio
import queue
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, cast

from sandbox.cases import Tests
from sandbox.errors import SandboxError
from sandbox.outcome import Outcome
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


class Jobs(ABC):
    """Takes jobs; every one ends in exactly one result or one exception."""

    @abstractmethod
    def _submit(self, job: Job) -> Future[Result]:
        """Queue a job, waiting while there is no room."""

    @abstractmethod
    async def _asubmit(self, job: Job) -> Result:
        """Queue a job, waiting for room without blocking the event loop, and for its result."""

    @property
    @abstractmethod
    def _room(self) -> int:
        """How many jobs a stream keeps under way now."""

    @abstractmethod
    def close(self, *, wait_for_jobs: bool = True) -> None:
        """End the boxes: after the jobs under way, or without waiting for them. Idempotent."""

    def submit(
        self,
        program: Program,
        tests: Tests | None = None,
        limits: Limits | None = None,
        *,
        collect: tuple[str, ...] = (),
    ) -> Future[Result]:
        """Queue a job, waiting while there is no room; its future gives Verdict or Outcome."""
        job = Job(program=program, tests=tests, limits=limits or Limits(), collect=collect)
        return self._submit(job)

    def run(self, program: Program, limits: Limits | None = None) -> Outcome:
        """Run one program and wait for its outcome."""
        return cast(Outcome, self.submit(program, None, limits).result())

    def judge(self, program: Program, tests: Tests, limits: Limits | None = None) -> Verdict:
        """Judge one program and wait for the verdict."""
        return cast(Verdict, self.submit(program, tests, limits).result())

    def map(self, jobs: Iterable[Job], *, ordered: bool = True) -> Iterator[Result | SandboxError]:
        """Yield a result a job, in order or as completed; a failure of ours as its SandboxError.

        Jobs are taken from the iterable only as fast as they are done. Where they come as
        completed, use `map_jobs` to know which job each result belongs to.
        """
        for _, result in self.map_jobs(jobs, ordered=ordered):
            yield result

    def map_jobs(
        self, jobs: Iterable[Job], *, ordered: bool = True
    ) -> Iterator[tuple[Job, Result | SandboxError]]:
        """Yield (job, result) as `map` does."""
        source = iter(jobs)
        under_way: dict[Future[Result], Job] = {}
        order: deque[Future[Result]] = deque()
        done: queue.SimpleQueue[Future[Result]] = queue.SimpleQueue()
        try:
            while True:
                while len(under_way) < self._room and (job := next(source, None)) is not None:
                    future = self._submit(job)
                    under_way[future] = job
                    if ordered:
                        order.append(future)
                    else:
                        future.add_done_callback(done.put)
                if not under_way:
                    return
                future = order.popleft() if ordered else done.get()
                result = _settled(future)
                yield under_way.pop(future), result
        finally:
            for future in under_way:
                future.cancel()

    async def arun(self, program: Program, limits: Limits | None = None) -> Outcome:
        """Run one program without blocking the event loop."""
        return cast(Outcome, await self._asubmit(Job(program=program, limits=limits or Limits())))

    async def ajudge(self, program: Program, tests: Tests, limits: Limits | None = None) -> Verdict:
        """Judge one program without blocking the event loop."""
        job = Job(program=program, tests=tests, limits=limits or Limits())
        return cast(Verdict, await self._asubmit(job))

    async def amap(
        self, jobs: Iterable[Job], *, ordered: bool = True
    ) -> AsyncIterator[Result | SandboxError]:
        """Yield results as `map` does, without blocking the event loop."""
        source = iter(jobs)
        window: deque[asyncio.Task[Result]] = deque()
        try:
            while True:
                while len(window) < self._room and (job := next(source, None)) is not None:
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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(wait_for_jobs=kind is None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.close, wait_for_jobs=kind is None)


def _settled(future: Future[Result]) -> Result | SandboxError:
    try:
        return future.result()
    except SandboxError as error:
        return error
