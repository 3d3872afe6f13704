"""The same tasks on a Ray cluster, with the same columns bit for bit.

The store, and the modules of the steps, must be where every node sees them: a shared file system.
Steps that gather run where the recipe was started, in the memory that they bound themselves.

Does not guard: a node whose copy of the suite differs; Ray checks Python and itself, not us.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from curate.task import Computed, Lost, Task, compute
from sandbox.fleet.cluster import connect, load

_LOOK_S = 1.0  # ours: how often tasks that take too long are looked for
_TRIES = 3  # ours: of a task of one document


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sent:
    task: Task
    tries: int = 1
    since_s: float = 0.0  # since when it is waited for


class RayEngine:
    """A cluster. A context manager.

    address: "auto" for the cluster this machine is in, HOST:PORT of a head node, or "local" for
    one of this machine alone, ended with the engine. workers: tasks at once; None is one a CPU of
    the cluster, which may grow.
    SandboxUnavailable: Ray is not installed, or no cluster answers.
    """

    def __init__(self, address: str = "auto", workers: int | None = None) -> None:
        """Connect, unless this process is connected."""
        self._ray: Any = load()
        self.workers = workers
        self._own = not self._ray.is_initialized()
        if self._own:
            connect(address)
        # A step that ends its process is that document's: Ray must not try it thrice.
        self._compute = self._ray.remote(compute).options(num_cpus=1, max_retries=0)

    def run(self, tasks: Iterator[Task]) -> Iterator[tuple[Task, Computed | Lost]]:
        """Yield each task with what came of it, as they end.

        A node may have died under a task that is lost: one of a single document, which nobody
        would split, is tried thrice before the document is blamed.
        """
        under_way: dict[Any, _Sent] = {}
        more = True
        while more or under_way:
            while more and len(under_way) < 2 * self._at_once():
                task = next(tasks, None)
                if task is None:
                    more = False
                    break
                under_way[self._compute.remote(task)] = _Sent(task=task)
            done, waiting = self._ray.wait(list(under_way), timeout=_LOOK_S)
            for reference in done:
                sent = under_way.pop(reference)
                came = self._result(reference)
                if isinstance(came, Lost) and len(sent.task.at) == 1 and sent.tries < _TRIES:
                    again = replace(sent, tries=sent.tries + 1, since_s=0.0)
                    under_way[self._compute.remote(sent.task)] = again
                else:
                    yield sent.task, came
            self._end_the_late(waiting, under_way)

    def close(self) -> None:
        """End the connection that was made here."""
        if self._own:
            self._ray.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _at_once(self) -> int:
        return self.workers or max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def _result(self, reference: Any) -> Computed | Lost:
        errors = self._ray.exceptions
        try:
            result: Computed = self._ray.get(reference)
        except errors.TaskCancelledError:
            return Lost(why="took too long")
        except (errors.WorkerCrashedError, errors.NodeDiedError, errors.ObjectLostError):
            return Lost(why="its process ended")
        except errors.OutOfMemoryError:
            return Lost(why="its node had no memory left")
        return result

    def _end_the_late(self, waiting: list[Any], under_way: dict[Any, _Sent]) -> None:
        """Cancel tasks past their limit. Waiting for a free CPU counts as well, so the limit is
        that of all that may stand before it."""
        now = time.monotonic()
        for reference in waiting:
            sent = under_way[reference]
            if not sent.since_s:
                under_way[reference] = replace(sent, since_s=now)
            elif now - sent.since_s > 3 * sent.task.limit_s():
                self._ray.cancel(reference, force=True)
                under_way[reference] = replace(sent, since_s=now)
