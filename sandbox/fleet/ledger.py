"""Which program is where: every task is in one place, and leaves with one result or one exception.

Pure bookkeeping, without Ray and without threads; it belongs to whoever runs the fleet's loop.

A node that dies takes no program with it: they go to the front of the queue, at least once run and
once answered (what the dead node had found is never asked for again). A program that was on
`quarantine` pools when they died is under suspicion: from then on no node has two such programs at
a time, so that a program that kills what judges it takes no innocents along. After `requeues` more
tries it is given up, with SandboxBroken.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from itertools import count

from sandbox.errors import SandboxBroken, SandboxUnavailable
from sandbox.fleet.nodes import Node, Task
from sandbox.jobs import Result

_QUARANTINE = 2  # ours: one death is mostly the node's own


class Ledger:
    """The tasks of one fleet. requeues: times that a program is tried again after a failure."""

    def __init__(self, requeues: int) -> None:
        self._requeues = requeues
        self._numbers = count()
        self._waiting: deque[Task] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, parcel: bytes, future: Future[Result], avoid: Iterable[str] = ()) -> None:
        """Take a job in, at the end of the queue. avoid: nodes that it must not go to."""
        self._waiting.append(Task(parcel=parcel, future=future, avoid=set(avoid)))

    def assign(self, nodes: Iterable[Node]) -> list[Node]:
        """Give waiting tasks to the least loaded nodes that have room; return who got some."""
        serving = [node for node in nodes if node.state == "serving"]
        given: dict[str, Node] = {}
        if not serving:
            return []
        kept: deque[Task] = deque()
        while self._waiting:
            free = [node for node in serving if len(node.in_flight) < node.room]
            if not free:
                break
            task = self._waiting.popleft()
            if not self._is_wanted(task):
                continue
            if all(node.facts.node_id in task.avoid for node in serving):
                task.future.set_exception(task.why or SandboxUnavailable("no node can judge it"))
                continue
            node = _least_loaded(node for node in free if _may_have(node, task))
            if node is None:
                kept.append(task)
                continue
            # A number for each time it is given out: a node that has it already, with a result
            # that broke and is on its way, would take an old one for a message sent twice.
            task.number = next(self._numbers)
            node.give(task)
            given[node.facts.node_id] = node
        kept.extend(self._waiting)
        self._waiting = kept
        return list(given.values())

    def _is_wanted(self, task: Task) -> bool:
        """Return False for a task whose future was cancelled while it waited."""
        return task.future.running() or task.future.set_running_or_notify_cancel()

    def settle(self, node: Node, number: int, result: Result | Exception) -> bool:
        """Take a result of a node's. Return False for one that was not asked of it (any more)."""
        task = node.in_flight.pop(number, None)
        if task is None:
            return False
        if isinstance(result, SandboxBroken):
            task.breaks += 1
            if task.breaks <= self._requeues:
                self._waiting.appendleft(task)
                return True
        elif isinstance(result, SandboxUnavailable):
            # It has no tools for the language, or no box any more: others may.
            task.avoid.add(node.facts.node_id)
            task.why = result
            self._waiting.appendleft(task)
            return True
        if isinstance(result, Exception):
            task.future.set_exception(result)
        else:
            task.future.set_result(result)
        return True

    def lost(self, node: Node, why: str) -> int:
        """Take back what a node had, whose pool has ended; return how many are tried again."""
        tasks = list(node.in_flight.values())
        unsent = {task.number for task in node.outbox}
        node.outbox.clear()
        node.in_flight.clear()
        again = []
        for task in tasks:
            if task.number not in unsent:
                task.deaths += 1
            if task.deaths > self._requeues:
                task.future.set_exception(
                    SandboxBroken(
                        f"{task.deaths} pools ended while they had this program, the last on"
                        f" {node.facts.hostname}: {why}"
                    )
                )
            else:
                again.append(task)
        self._waiting.extendleft(reversed(again))
        return len(again)

    def fail_all(self, error: Exception) -> int:
        """End every task that waits with an exception."""
        failed = 0
        while self._waiting:
            task = self._waiting.popleft()
            if self._is_wanted(task):
                task.future.set_exception(error)
                failed += 1
        return failed

    def cancel_all(self) -> None:
        """Cancel every task that waits; those that were given out before end as broken."""
        while self._waiting:
            task = self._waiting.popleft()
            if task.future.cancel():
                task.future.set_running_or_notify_cancel()  # wakes whoever waits for it
            else:
                task.future.set_exception(SandboxBroken("the fleet was closed"))


def _is_suspect(task: Task) -> bool:
    return task.deaths >= _QUARANTINE


def _may_have(node: Node, task: Task) -> bool:
    if node.facts.node_id in task.avoid:
        return False
    return not _is_suspect(task) or not any(map(_is_suspect, node.in_flight.values()))


def _least_loaded(nodes: Iterator[Node]) -> Node | None:
    return min(nodes, key=lambda node: (node.load, node.facts.node_id), default=None)
