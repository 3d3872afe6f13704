"""The fleet's end on a node: a `Pool`, with a mailbox of results.

Runs in a Ray actor with threads. One call carries programs there and results back: while some are
judged, `exchange` waits until a good part of what is here is done, so that small programs share
the cost of a message. A result is kept until the next call says it arrived, and a program that is
sent twice is judged once: a message that was lost on the way loses nothing.
"""

from __future__ import annotations

import pickle
import threading
import time
from collections import deque
from concurrent.futures import Future
from functools import partial
from importlib import metadata

from sandbox.errors import SandboxBroken, SandboxError
from sandbox.fleet.nodes import PoolFacts
from sandbox.jobs import Job, Result
from sandbox.pool import Pool
from sandbox.reward import key

_LINGER_S = 0.03  # ours: what a result may wait for others
_UNREADABLE = (pickle.UnpicklingError, ImportError, AttributeError, TypeError, ValueError, EOFError)
_QUEUE = 2048  # ours: more than a node is ever given beside its workers


class NodePool:
    """A pool on this node, for the fleet's loop on another."""

    def __init__(self) -> None:
        self._pool: Pool | None = None
        self._arrived = threading.Condition()
        self._results: deque[tuple[int, int, Result | Exception]] = deque()  # by serial number
        self._serial = 0
        self._here: set[int] = set()  # being judged, or done and not yet known to have arrived

    def open(
        self,
        workers: int,
        box: str,
        require: str | None,
        confirm_timeouts: bool,
        packages: tuple[str, ...],
    ) -> PoolFacts | str:
        """Start the pool. Return what it is, or why there is none."""
        try:
            pool = Pool(
                workers,
                box=box,
                require=require,
                confirm_timeouts=confirm_timeouts,
                packages=packages,
                queue_size=workers + _QUEUE,
            )
        except (SandboxError, ValueError) as error:
            return str(error)
        self._pool = pool
        return PoolFacts(
            box_name=pool.box_name,
            box_kind=pool.box_kind,
            workers=pool.workers,
            version=version(),
            place=place(packages),
        )

    def put(self, parcels: list[tuple[int, bytes]]) -> None:
        """Take programs in, each a pickled `Job` with its number."""
        assert self._pool is not None
        for number, parcel in parcels:
            with self._arrived:
                if number in self._here:
                    continue
                self._here.add(number)
            try:
                job: Job = pickle.loads(parcel)
            except _UNREADABLE as error:
                # A comparer of the user's, say, in a module that this node lacks.
                self._add(number, ValueError(f"a node cannot load the job: {error!r}"))
                continue
            future = self._pool.submit(job.program, job.tests, job.limits, collect=job.collect)
            future.add_done_callback(partial(self._keep, number))

    def _keep(self, number: int, done: Future[Result]) -> None:
        error = done.exception()
        if error is None:
            self._add(number, done.result())
        elif isinstance(error, SandboxError):
            self._add(number, type(error)(str(error)))
        elif isinstance(error, ValueError | TypeError):
            self._add(
                number, (ValueError if isinstance(error, ValueError) else TypeError)(str(error))
            )
        else:
            self._add(number, SandboxBroken(f"{type(error).__name__}: {error}"))

    def _add(self, number: int, result: Result | Exception) -> None:
        with self._arrived:
            self._serial += 1
            self._results.append((self._serial, number, result))
            if len(self._results) == 1 or self._is_half():
                self._arrived.notify_all()

    def _is_half(self) -> bool:
        """Return whether half of what is here is done: the workers have the rest meanwhile."""
        return 2 * len(self._results) >= len(self._here)

    def exchange(
        self, parcels: list[tuple[int, bytes]], seen: int, wait_s: float
    ) -> list[tuple[int, int, Result | Exception]]:
        """Take programs in, and return (serial, number, result) of what is done.

        seen: the last serial that arrived. wait_s: seconds after which it returns empty-handed.
        """
        self.put(parcels)
        deadline = time.monotonic() + wait_s
        with self._arrived:
            while self._results and self._results[0][0] <= seen:
                self._here.discard(self._results.popleft()[1])
            first_at = 0.0
            while (left_s := deadline - time.monotonic()) > 0:
                if self._results:
                    if self._is_half():
                        break
                    first_at = first_at or time.monotonic()
                    left_s = min(left_s, first_at + _LINGER_S - time.monotonic())
                    if left_s <= 0:
                        break
                self._arrived.wait(left_s)
            return list(self._results)

    def close(self) -> None:
        """End the boxes, without waiting for what they judge."""
        if self._pool is not None:
            self._pool.close(wait_for_jobs=False)


class _Anywhere:
    """Stands for a pool in a digest that must be the same on all nodes that judge alike."""

    def __init__(self, packages: tuple[str, ...]) -> None:
        self.box_name = ""
        self.packages = packages


def place(packages: tuple[str, ...]) -> bytes:
    """Return a digest of what judges here: the sandbox's code, Python, packages."""
    return key.of_place(_Anywhere(packages), "python", "")


def version() -> str:
    """Return the version of seedcoder here, "" where it is not installed."""
    try:
        return metadata.version("seedcoder")
    except metadata.PackageNotFoundError:
        return ""
