"""What is known of a node, and the programs it has: the account of one member of the fleet."""

from __future__ import annotations

import math
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Literal

from sandbox.jobs import Result

# Beyond one waiting program a worker, as many as the node ends in this time wait there: what a
# message there and back may take. Ours, with a bound for what dies with a node.
_AHEAD_S = 0.1
_AHEAD_MOST = 256
_RATE_OVER_S = 2.0
_MESSAGE_BYTES = 4 << 20  # ours: of programs in one message; a larger one goes alone

State = Literal["starting", "serving", "refused", "lost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """A node as Ray tells of it. cpus: what it offers to actors and tasks."""

    node_id: str
    address: str
    hostname: str
    cpus: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolFacts:
    """A node's pool as it tells of itself. place: digest of its judging code, Python, packages."""

    box_name: str
    box_kind: str
    workers: int
    version: str
    place: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeState:
    """A node for people. detail: why it is not serving; in_flight: programs it has now.

    done: results it gave. programs_per_s: lately. restarts: of its pool, on a node that lived on.
    """

    node_id: str
    address: str
    hostname: str
    state: State
    detail: str
    box: str
    workers: int
    in_flight: int
    done: int
    programs_per_s: float
    restarts: int


@dataclass(slots=True, eq=False)
class Task:
    """A job on its way. parcel: the job, pickled, as it is sent.

    number: by which the node that has it knows it. deaths: pools that ended while they had it.
    breaks: boxes that broke under it. avoid: nodes that said they cannot judge it. why: their last
    word.
    """

    parcel: bytes
    future: Future[Result]
    number: int = -1
    deaths: int = 0
    breaks: int = 0
    avoid: set[str] = field(default_factory=set)
    why: Exception | None = None


@dataclass(slots=True, eq=False)
class Node:
    """A member. in_flight: what it was given and has not answered; outbox: what of it is unsent."""

    facts: NodeFacts
    state: State = "starting"
    detail: str = ""
    pool: PoolFacts | None = None
    in_flight: dict[int, Task] = field(default_factory=dict)
    outbox: list[Task] = field(default_factory=list)
    done: int = 0
    restarts: int = 0
    rate_per_s: float = 0.0
    settled: bool = False  # has been serving, or was refused, once

    @property
    def workers(self) -> int:
        """Boxes that judge at a time; at least 1."""
        return max(1, self.pool.workers if self.pool else 1)

    @property
    def room(self) -> int:
        """How many programs it takes at a time."""
        ahead = min(_AHEAD_MOST, int(self.rate_per_s * _AHEAD_S))
        return 2 * self.workers + ahead

    @property
    def load(self) -> float:
        """Programs a worker."""
        return len(self.in_flight) / self.workers

    def give(self, task: Task) -> None:
        """Note that a task goes to it."""
        self.in_flight[task.number] = task
        self.outbox.append(task)

    def unsent(self) -> list[Task]:
        """Return what fits into a message, which counts as sent from here on."""
        count, size = 0, 0
        for task in self.outbox:
            size += len(task.parcel)
            if count and size > _MESSAGE_BYTES:
                break
            count += 1
        tasks, self.outbox = self.outbox[:count], self.outbox[count:]
        return tasks

    def answered(self, count: int, within_s: float) -> None:
        """Note results, and how long the node took since those before."""
        self.done += count
        within_s = max(within_s, 1e-3)
        weight = 1 - math.exp(-within_s / _RATE_OVER_S)
        self.rate_per_s += weight * (count / within_s - self.rate_per_s)

    def shown(self) -> NodeState:
        """Return its state for people."""
        return NodeState(
            node_id=self.facts.node_id,
            address=self.facts.address,
            hostname=self.facts.hostname,
            state=self.state,
            detail=self.detail,
            box=self.pool.box_name if self.pool else "",
            workers=self.pool.workers if self.pool else 0,
            in_flight=len(self.in_flight),
            done=self.done,
            programs_per_s=round(self.rate_per_s, 1),
            restarts=self.restarts,
        )
