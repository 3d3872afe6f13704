"""The fleet's loop: members come and go, programs go out, results come in.

Everything here happens on one event loop in one thread, so the ledger needs no locks. Each node has
a coroutine for its whole life: start a pool there, exchange programs for results, and when the
pool's process ends, start another one, for as long as the node lives.

Does not guard against a network that splits: a node that is cut off from the fleet and lives on
may finish programs which others are given too. Of the two results one is taken.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

from sandbox.box import DEFAULT_PACKAGES, STRENGTH
from sandbox.errors import SandboxUnavailable
from sandbox.fleet.cluster import Actor, ActorLost, ActorSilent, Cluster
from sandbox.fleet.ledger import Ledger
from sandbox.fleet.node_pool import place
from sandbox.fleet.nodes import Node, PoolFacts, Task
from sandbox.jobs import Result

log = logging.getLogger(__name__)

# All ours.
_LOOK_S = 1.0  # between two looks at which nodes there are
_EXCHANGE_S = 5.0  # the longest that an exchange waits for a result
_SILENT_S = 30.0  # how long an actor may be out of reach before its programs go elsewhere
_PAUSE_S = 0.5  # before a pool is started again, times its failures in a row
_RETRY_S = 30.0  # before a node whose CPUs are taken is asked again
_FAILURES_MOST = 5  # pools in a row that ended without one result: the node is not used any more
_GRACE_S = 10.0  # that a fleet waits for its other nodes when one serves
_CLOSE_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a fleet is set up; see `Fleet`."""

    workers_per_node: int | None
    reserve_cpus: float | None
    box: str
    require: str | None
    confirm_timeouts: bool
    packages: tuple[str, ...] = DEFAULT_PACKAGES
    requeues: int
    start_s: float
    node_wait_s: float


class Dispatcher:
    """The members and the ledger of one fleet. Every method but the constructor is for its loop."""

    def __init__(self, cluster: Cluster, plan: Plan, capacity_changed: Callable[[int], None]):
        self._cluster = cluster
        self._plan = plan
        self._capacity_changed = capacity_changed
        self.ledger = Ledger(plan.requeues)
        self.nodes: dict[str, Node] = {}
        self._actors: dict[str, Actor] = {}
        self._lives: dict[str, asyncio.Task[None]] = {}
        self._putting: dict[str, asyncio.Task[None]] = {}
        self._floor = plan.require
        self._watcher: asyncio.Task[None] | None = None
        self._none_since = time.monotonic()
        self._place = place(plan.packages)
        self._changed = asyncio.Event()
        self._is_closed = False

    async def open(self) -> str:
        """Start pools on the nodes there are. Return the weakest kind of box among them.

        Raises SandboxUnavailable when none serves within the plan's time. From then on no weaker
        box is let in.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._plan.start_s
        await self._look()
        self._start_watching()
        while not self.nodes or not all(node.settled for node in self.nodes.values()):
            if self._serving():  # the others may still join, but not hold everybody up
                deadline = min(deadline, loop.time() + _GRACE_S)
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), deadline - loop.time())
            except TimeoutError:
                break
        kinds = [node.pool.box_kind for node in self._serving() if node.pool]
        if not kinds:
            raise SandboxUnavailable(self._nobody())
        weakest = min(kinds, key=lambda kind: STRENGTH[kind])
        if self._floor in (None, "auto"):
            self._floor = weakest
        return weakest

    def _serving(self) -> list[Node]:
        return [node for node in self.nodes.values() if node.state == "serving"]

    def _nobody(self) -> str:
        details = [f"{node.facts.hostname}: {node.detail or node.state}" for node in self.known()]
        return "no node of the fleet serves (" + ("; ".join(details) or "there is none") + ")"

    def known(self) -> list[Node]:
        """Return all nodes that there are, or were."""
        return sorted(self.nodes.values(), key=lambda node: node.facts.node_id)

    # -- who is a member ---------------------------------------------------------------------

    def _start_watching(self) -> None:
        self._watcher = asyncio.create_task(self._watch())
        self._watcher.add_done_callback(self._watch_again)

    def _watch_again(self, watcher: asyncio.Task[None]) -> None:
        """Go on after a fault of ours or of Ray's: without a watcher jobs could wait for ever."""
        if self._is_closed or watcher.cancelled() or (error := watcher.exception()) is None:
            return
        log.error("the fleet's watcher failed and starts again", exc_info=error)
        self._start_watching()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            await self._look()
            self._give_up_waiting()

    async def _look(self) -> None:
        """Take in the nodes that came, let go of those that left."""
        try:
            facts = await asyncio.wait_for(asyncio.to_thread(self._cluster.nodes), _SILENT_S)
        except (ActorSilent, TimeoutError) as error:
            log.warning("the cluster's head does not answer error=%r", error)
            return
        alive = {one.node_id: one for one in facts}
        for node_id, one in alive.items():
            if node_id not in self.nodes:
                node = self.nodes[node_id] = Node(facts=one)
                life = self._lives[node_id] = asyncio.create_task(self._live(node))
                life.add_done_callback(partial(self._ended, node))
        for node_id, node in self.nodes.items():
            if node_id not in alive and node.state != "lost":
                self._lives[node_id].cancel()
                self._let_go(node, "the node has left the cluster")
                self._set(node, "lost", "it left the cluster")

    def _give_up_waiting(self) -> None:
        """End the programs that wait where there has been no node for too long."""
        if self._serving():
            self._none_since = time.monotonic()
        elif time.monotonic() - self._none_since > self._plan.node_wait_s:
            failed = self.ledger.fail_all(SandboxUnavailable(self._nobody()))
            if failed:
                log.warning("programs failed for want of a node count=%d", failed)

    def _set(self, node: Node, state: str, detail: str = "") -> None:
        node.state = state  # type: ignore[assignment]
        node.detail = detail
        node.settled = node.settled or state in ("serving", "refused")
        if state in ("refused", "lost"):
            log.warning(
                "a node is %s host=%s node=%s reason=%s",
                state, node.facts.hostname, node.facts.node_id[:12], detail,
            )  # fmt: skip
        self._changed.set()
        self._capacity_changed(sum(one.room for one in self._serving()))
        self.dispatch()

    # -- one node's life ---------------------------------------------------------------------

    async def _live(self, node: Node) -> None:
        """Keep a pool on a node, until the node leaves or is refused."""
        failures = 0
        while failures < _FAILURES_MOST:
            self._set(node, "starting", node.detail)
            done_before = node.done
            try:
                refusal, pause_s = await self._start(node)
                if refusal and not pause_s:
                    self._end_actor(node)
                    self._set(node, "refused", refusal)
                    return
                if refusal:
                    self._end_actor(node)
                    self._set(node, "refused", refusal)
                    await asyncio.sleep(pause_s)
                    continue
                await self._serve(node)
            except ActorLost as error:
                failures = 1 if node.done > done_before else failures + 1
                node.restarts += 1
                self._set(node, "starting", f"its pool ended: {error}")
                self._let_go(node, str(error))
                log.warning(
                    "a pool ended host=%s node=%s error=%s",
                    node.facts.hostname, node.facts.node_id[:12], error,
                )  # fmt: skip
                await self._look()  # a node that left cancels this very coroutine
                await asyncio.sleep(_PAUSE_S * failures)
        self._set(node, "refused", f"{failures} pools in a row ended there without a result")

    def _ended(self, node: Node, life: asyncio.Task[None]) -> None:
        """Take back what a node had whose coroutine failed: a fault of ours must not hang jobs."""
        if life.cancelled() or (error := life.exception()) is None:
            return
        log.error("a node's loop failed host=%s", node.facts.hostname, exc_info=error)
        self._let_go(node, repr(error))
        self._set(node, "refused", f"the fleet failed there: {error!r}")

    async def _start(self, node: Node) -> tuple[str, float]:
        """Start a pool. Return why there is none, "" where there is, and when to try again.

        Raises ActorLost.
        """
        plan = self._plan
        workers = plan.workers_per_node or int(node.facts.cpus)
        cpus = plan.reserve_cpus
        if cpus is None:
            cpus = min(float(workers), node.facts.cpus)
        if workers < 1 or cpus > node.facts.cpus:
            return f"it offers {node.facts.cpus:g} CPUs", 0.0
        actor = self._actors[node.facts.node_id] = self._cluster.start(node.facts.node_id, cpus)
        try:
            opened: PoolFacts | str = await actor.call(
                "open", workers, plan.box, self._floor, plan.confirm_timeouts, plan.packages,
                within_s=plan.start_s,
            )  # fmt: skip
        except TimeoutError:
            return f"no pool within {plan.start_s:g} s; are {cpus:g} of its CPUs free?", _RETRY_S
        except ActorSilent as error:
            raise ActorLost(str(error)) from None
        if isinstance(opened, str):
            return opened, 0.0
        if opened.place != self._place:
            log.warning(
                "a node judges by other code, Python or packages host=%s version=%s",
                node.facts.hostname, opened.version,
            )  # fmt: skip
        node.pool = opened
        self._set(node, "serving")
        return "", 0.0

    async def _serve(self, node: Node) -> None:
        """Exchange programs for results until the actor is lost. Raises ActorLost."""
        actor = self._actors[node.facts.node_id]
        seen, silent_since, last = 0, 0.0, time.monotonic()
        while True:
            tasks = node.unsent()
            if node.outbox:  # more than a message holds
                self._start_putting(node)
            try:
                results = await actor.call("exchange", _parcel(tasks), seen, _EXCHANGE_S)
            except ActorSilent as error:
                # Whatever did not arrive is sent again: what did arrive is known there.
                node.outbox = list(node.in_flight.values())
                silent_since = silent_since or time.monotonic()
                if time.monotonic() - silent_since > _SILENT_S:
                    raise ActorLost(str(error)) from None
                await asyncio.sleep(_PAUSE_S)
                continue
            silent_since = 0.0
            now = time.monotonic()
            fresh = 0
            for serial, number, result in results:
                if serial > seen:
                    seen = serial
                    fresh += self.ledger.settle(node, number, result)
            if fresh:
                node.answered(fresh, now - last)
                self._capacity_changed(sum(one.room for one in self._serving()))
            last = now
            self.dispatch(but=node)

    def take(self, parcel: bytes, future: Future[Result], only: str | None = None) -> None:
        """Take a job in. only: the one node that it may go to."""
        others = [node_id for node_id in self.nodes if node_id != only] if only else []
        self.ledger.add(parcel, future, others)
        if self._is_closed:
            self.ledger.cancel_all()
        else:
            self.dispatch()

    def dispatch(self, but: Node | None = None) -> None:
        """Give out what waits. but: the node whose own coroutine sends what it got."""
        for node in self.ledger.assign(self.nodes.values()):
            if node is not but:
                self._start_putting(node)

    def _start_putting(self, node: Node) -> None:
        if node.facts.node_id not in self._putting:
            self._putting[node.facts.node_id] = asyncio.create_task(self._put(node))

    async def _put(self, node: Node) -> None:
        """Send a node its programs while its coroutine waits for results."""
        node_id = node.facts.node_id
        try:
            while node.outbox and node.state == "serving":
                await self._actors[node_id].call("put", _parcel(node.unsent()))
        except (ActorLost, ActorSilent):
            # The exchange that is under way finds out too, and takes back or sends again. It may
            # be under way for long where only this call was lost.
            if node.state == "serving":
                node.outbox = list(node.in_flight.values())
        finally:
            del self._putting[node_id]

    def _let_go(self, node: Node, why: str) -> None:
        """Take back what a node had; end its actor, which may live on."""
        self._end_actor(node)
        node.rate_per_s = 0.0
        again = self.ledger.lost(node, why)
        if again:
            log.warning(
                "programs are queued again host=%s count=%d", node.facts.hostname, again
            )  # fmt: skip
        self.dispatch()

    def _end_actor(self, node: Node) -> None:
        actor = self._actors.pop(node.facts.node_id, None)
        if actor is not None:
            actor.kill()

    async def close(self) -> None:
        """End all pools, and what waits for them."""
        self._is_closed = True
        tasks = [*self._lives.values(), *self._putting.values()]
        if self._watcher is not None:
            tasks.append(self._watcher)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(self._farewell(actor) for actor in self._actors.values()))
        for node in self.nodes.values():
            node.state = "lost"
            self.ledger.lost(node, "the fleet was closed")
        self.ledger.cancel_all()

    async def _farewell(self, actor: Actor) -> None:
        """Let a pool end its boxes, then end its process."""
        try:
            await actor.call("close", within_s=_CLOSE_S)
        except (ActorLost, ActorSilent, TimeoutError):
            pass
        actor.kill()


def _parcel(tasks: list[Task]) -> list[tuple[int, bytes]]:
    return [(task.number, task.parcel) for task in tasks]
