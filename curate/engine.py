"""Where tasks are computed: processes of this machine. `ray_engine` is the same on a cluster.

A process that a document brings down, or that takes too long, costs its task only: the task comes
back as Lost, and whoever gave it splits it until the document is alone.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, TimeoutError, wait
from types import TracebackType
from typing import Any, Protocol, Self

from curate.task import Computed, Lost, Task, compute


class Engine(Protocol):
    """Something that does tasks."""

    def run(self, tasks: Iterator[Task]) -> Iterator[tuple[Task, Computed | Lost]]:
        """Yield each task with what came of it, as they end. Takes tasks only as it needs them."""
        ...

    def close(self) -> None:
        """Let go of its processes."""
        ...


class LocalEngine:
    """Processes of this machine. A context manager.

    workers: None is one a core. They are spawned, not forked: libraries that keep threads do not
    live through a fork.
    """

    def __init__(self, workers: int | None = None) -> None:
        """Start nothing yet."""
        self.workers = workers or len(os.sched_getaffinity(0))
        if self.workers < 1:
            raise ValueError(f"workers must be 1 or more, got {workers}")
        self._pool: Any = None

    def run(self, tasks: Iterator[Task]) -> Iterator[tuple[Task, Computed | Lost]]:
        """Yield each task with what came of it, as they end."""
        from pebble import ProcessPool

        if self._pool is None:
            context: Any = multiprocessing.get_context("spawn")
            self._pool = ProcessPool(max_workers=self.workers, context=context)
        under_way: dict[Any, Task] = {}
        more = True
        while more or under_way:
            while more and len(under_way) < 2 * self.workers:
                task = next(tasks, None)
                if task is None:
                    more = False
                    break
                future = self._pool.schedule(compute, args=(task,), timeout=task.limit_s())
                under_way[future] = task
            done, _ = wait(under_way, return_when=FIRST_COMPLETED)
            for future in done:
                yield under_way.pop(future), _result(future)

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.stop()
            self._pool.join()
            self._pool = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _result(future: Any) -> Computed | Lost:
    from pebble import ProcessExpired

    try:
        result: Computed = future.result()
    except TimeoutError:
        return Lost(why="took too long")
    except ProcessExpired as error:
        return Lost(why=f"its process ended with code {error.exitcode}")
    return result
