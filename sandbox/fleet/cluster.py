"""All that the fleet asks of Ray: a connection, the nodes there are, and an actor on one of them.

Ray is loaded here and nowhere else, when a fleet is made.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from types import ModuleType
from typing import Any, ClassVar

from sandbox.errors import SandboxUnavailable
from sandbox.fleet.node_pool import NodePool
from sandbox.fleet.nodes import NodeFacts
from sandbox.jobs import Job

_REACH_S = 10.0  # ours: so long may a head node take to accept a connection
_THREADS = 4  # of an actor: one call waits for results, others bring programs


class ActorLost(Exception):
    """The actor has ended, or its node: what it had is gone."""


class ActorSilent(Exception):
    """The actor cannot be reached now; it may live."""


def load() -> ModuleType:
    """Return Ray. Raises SandboxUnavailable where it is not installed."""
    try:
        import ray
    except ModuleNotFoundError as error:
        raise SandboxUnavailable(
            f"a cluster needs the 'ray' extra: pip install -e '.[ray]' (no module {error.name})"
        ) from None
    return ray


def connect(address: str) -> None:
    """Connect this process to a cluster; see `Cluster`. Raises SandboxUnavailable."""
    ray = load()
    host, _, port = address.rpartition(":")
    try:
        if host:  # Ray itself asks for minutes where nobody listens
            socket.create_connection((host.strip("[]"), int(port)), _REACH_S).close()
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.WARNING,
            configure_logging=False,
            include_dashboard=False if address == "local" else None,
        )
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        why = " ".join(str(error).split())[:300]
        raise SandboxUnavailable(
            f"no Ray cluster at {address!r} ({why}); `ray start --head` begins one"
        ) from None


class Cluster:
    """A connection to a Ray cluster, made unless this process has one.

    address: "auto" for the cluster this machine is in, HOST:PORT of a head node, or "local" for
    one of this machine alone, ended with the connection.
    Ray's own settings hold: RAY_AUTH_TOKEN, or the token in the user's home, opens a cluster.
    Raises SandboxUnavailable where Ray is not installed or no cluster answers.
    """

    _lock: ClassVar = threading.Lock()
    _count: ClassVar = 0  # of those that use the one connection that a process can have

    def __init__(self, address: str) -> None:
        if "://" in address:
            raise ValueError(f"address must be auto, local or HOST:PORT, got {address!r}")
        self._ray = load()
        self._kind = self._ray.remote(NodePool)
        with Cluster._lock:
            # A connection of the process's own is neither made nor ended here.
            self._counts = bool(Cluster._count) or not self._ray.is_initialized()
            if self._counts and not Cluster._count:
                connect(address)
            Cluster._count += self._counts

    def pickled(self, job: Job) -> bytes:
        """Return a job as bytes, functions of the user's own script included.

        Raises TypeError or PicklingError for what cannot travel (a comparer that holds a lock).
        """
        parcel: bytes = self._ray.cloudpickle.dumps(job)
        return parcel

    def nodes(self) -> list[NodeFacts]:
        """Return the nodes that are alive, by id. Raises ActorSilent where the head is away."""
        try:
            rows = self._ray.nodes()
        except (self._ray.exceptions.RayError, ConnectionError, RuntimeError) as error:
            raise ActorSilent(str(error)) from None
        found = [
            NodeFacts(
                node_id=row["NodeID"],
                address=row["NodeManagerAddress"],
                hostname=row["NodeManagerHostname"],
                cpus=float(row["Resources"].get("CPU", 0)),
            )
            for row in rows
            if row["Alive"]
        ]
        return sorted(found, key=lambda one: one.node_id)

    def start(self, node_id: str, cpus: float) -> Actor:
        """Return an actor for that node, which starts when Ray finds `cpus` free there."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        handle = self._kind.options(
            num_cpus=cpus,
            max_concurrency=_THREADS,
            max_restarts=0,  # a new actor has an empty mailbox: the fleet must know of it
            scheduling_strategy=NodeAffinitySchedulingStrategy(node_id, soft=False),
        ).remote()
        return Actor(self._ray, handle)

    def close(self) -> None:
        """End the connection, where it was made here and nobody else's fleet uses it."""
        with Cluster._lock:
            Cluster._count -= self._counts
            if self._counts and not Cluster._count:
                self._ray.shutdown()


class Actor:
    """One actor, called from the fleet's loop."""

    def __init__(self, ray: ModuleType, handle: Any) -> None:
        self._ray = ray
        self._handle = handle

    async def call(self, name: str, *args: Any, within_s: float | None = None) -> Any:
        """Return what a method returns.

        Raises ActorLost, ActorSilent, TimeoutError.
        """
        errors = self._ray.exceptions
        try:
            future = getattr(self._handle, name).remote(*args).future()
            return await asyncio.wait_for(asyncio.wrap_future(future), within_s)
        except errors.ActorUnavailableError as error:
            raise ActorSilent(_line(error)) from None
        except errors.RayError as error:
            raise ActorLost(_line(error)) from None

    def kill(self) -> None:
        """End its process, wherever it is."""
        self._ray.kill(self._handle)


def _line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:300]
