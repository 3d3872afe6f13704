"""The fleet for its users: what a `Pool` offers, over all nodes of a Ray cluster.

Every job ends in exactly one result or one exception. A node that dies takes none with it: its
programs are run again elsewhere, so a program may run more than once, and one result is taken.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from sandbox.box import DEFAULT_PACKAGES
from sandbox.fleet.cluster import Cluster
from sandbox.fleet.dispatch import Dispatcher, Plan
from sandbox.fleet.nodes import NodeState
from sandbox.jobs import Job, Jobs, Result

_T = TypeVar("_T")
_LEAST_ROOM = 16  # ours: jobs that may wait where there is no node yet


class Fleet(Jobs):
    """One pool a node, programs going to the one with the fewest for each of its workers.

    address: "auto" for the Ray cluster that this machine is in, HOST:PORT of its head, or "local"
        for a cluster of this machine alone. A connection that this process has is used.
    workers_per_node: default as many as the node offers CPUs. reserve_cpus: CPUs that Ray sets
        aside on each node; default one a worker, as far as it has them; 0 shares them with others.
    box, require, confirm_timeouts, packages: as for `Pool`, on every node. A node whose box is
        weaker than `require`, or than the weakest at the start, is refused, with a warning.
    queue_size: jobs that may be under way; `submit` blocks beyond it. Default twice what the nodes
        take at a time.
    requeues: how often a program is tried again after a node, a pool or a box ended under it;
        then it has SandboxBroken.
    start_s: wall seconds that nodes get to start a pool. node_wait_s: wall seconds without any
        node after which what waits has SandboxUnavailable.
    Raises SandboxUnavailable where there is no Ray, no cluster, or no node that serves in time.
    """

    def __init__(
        self,
        address: str = "auto",
        *,
        workers_per_node: int | None = None,
        reserve_cpus: float | None = None,
        box: str = "auto",
        require: str | None = None,
        confirm_timeouts: bool = True,
        queue_size: int | None = None,
        packages: tuple[str, ...] = DEFAULT_PACKAGES,
        requeues: int = 2,
        start_s: float = 60.0,
        node_wait_s: float = 120.0,
    ) -> None:
        for name, value in (("workers_per_node", workers_per_node), ("queue_size", queue_size)):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be positive, got {value}")
        if requeues < 0:
            raise ValueError(f"requeues must not be negative, got {requeues}")
        self._packages = packages
        self._confirm = confirm_timeouts
        self._gate = _Gate(queue_size)
        self._closed = False
        self._close_lock = threading.Lock()
        plan = Plan(
            workers_per_node=workers_per_node, reserve_cpus=reserve_cpus, box=box, require=require,
            confirm_timeouts=confirm_timeouts, packages=packages, requeues=requeues,
            start_s=start_s, node_wait_s=node_wait_s,
        )  # fmt: skip
        self._cluster = Cluster(address)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fleet", daemon=True)
        self._thread.start()
        self._dispatcher = self._on_loop(self._make(plan))
        try:
            self.box_kind: str = self._on_loop(self._dispatcher.open())
        except BaseException:
            self.close(wait_for_jobs=False)
            raise
        # Without the names of nodes, which come and go: a run's manifest must not depend on them.
        boxes = {node.box for node in self.nodes() if node.state == "serving"}
        self.box_name: str = "fleet:" + "+".join(sorted(boxes))

    async def _make(self, plan: Plan) -> Dispatcher:
        return Dispatcher(self._cluster, plan, self._gate.widen)

    def _on_loop(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    @property
    def packages(self) -> tuple[str, ...]:
        """The packages that programs may import."""
        return self._packages

    @property
    def confirms_timeouts(self) -> bool:
        """Whether a TIMEOUT was found twice, the second time with nothing else in its pool."""
        return self._confirm

    @property
    def workers(self) -> int:
        """Boxes on all nodes that serve now."""
        return sum(node.workers for node in self.nodes() if node.state == "serving")

    def nodes(self) -> tuple[NodeState, ...]:
        """Return every node there is or was, by id."""

        async def shown() -> tuple[NodeState, ...]:
            return tuple(node.shown() for node in self._dispatcher.known())

        if not self._thread.is_alive():
            return ()
        return self._on_loop(shown())

    def _submit(self, job: Job) -> Future[Result]:
        parcel = self._cluster.pickled(job)
        self._gate.enter(self._check_open)
        return self._queued(parcel)

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("this fleet is closed")

    def submit_to(self, node_id: str, job: Job) -> Future[Result]:
        """Queue a job for one node, to try that node; it has SandboxUnavailable where it left."""
        parcel = self._cluster.pickled(job)
        self._gate.enter(self._check_open)
        return self._queued(parcel, node_id)

    def _queued(self, parcel: bytes, only: str | None = None) -> Future[Result]:
        """Hand a job that is through the gate to the loop."""
        future: Future[Result] = Future()
        future.add_done_callback(lambda _: self._gate.leave())

        try:
            self._loop.call_soon_threadsafe(self._dispatcher.take, parcel, future, only)
        except RuntimeError:  # the loop is closed
            future.cancel()
            future.set_running_or_notify_cancel()
        return future

    @property
    def _room(self) -> int:
        return self._gate.most

    async def _asubmit(self, job: Job) -> Result:
        parcel = self._cluster.pickled(job)
        while not self._gate.may_enter():  # a full fleet holds the caller back, not the event loop
            self._check_open()
            await asyncio.sleep(0.005)
        self._check_open()
        return await asyncio.wrap_future(self._queued(parcel))

    def close(self, *, wait_for_jobs: bool = True) -> None:
        """End the pools: after the jobs under way, or without waiting for them. Idempotent."""
        with self._close_lock:
            if self._closed:
                return
            self._closed = True
        self._gate.wake()
        if wait_for_jobs:
            self._gate.wait_until_empty()
        self._on_loop(self._dispatcher.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(asyncio.sleep(0))  # jobs that slipped in are cancelled
        self._loop.close()
        self._cluster.close()


class _Gate:
    """Bounds the jobs under way. fixed: by this number, else by twice what the nodes take."""

    def __init__(self, fixed: int | None) -> None:
        self._fixed = fixed
        self.most = fixed or _LEAST_ROOM
        self._inside = 0
        self._condition = threading.Condition()

    def widen(self, room: int) -> None:
        """Note what the nodes take at a time."""
        most = self._fixed or max(_LEAST_ROOM, 2 * room)
        if most != self.most:
            with self._condition:
                self.most = most
                self._condition.notify_all()

    def enter(self, check: Callable[[], None]) -> None:
        """Wait until there is room, and take it. `check` raises where waiting is of no use."""
        with self._condition:
            check()
            while self._inside >= self.most:
                self._condition.wait()
                check()
            self._inside += 1

    def may_enter(self) -> bool:
        """Take room if there is some."""
        with self._condition:
            if self._inside >= self.most:
                return False
            self._inside += 1
            return True

    def leave(self) -> None:
        """Give room back."""
        with self._condition:
            self._inside -= 1
            self._condition.notify_all()

    def wake(self) -> None:
        """Let those that wait look again whether it is of use."""
        with self._condition:
            self._condition.notify_all()

    def wait_until_empty(self) -> None:
        """Wait until no job is under way."""
        with self._condition:
            while self._inside:
                self._condition.wait()
