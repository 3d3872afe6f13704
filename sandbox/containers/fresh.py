"""Containers that serve one execution each and are then thrown away, some kept warm beforehand.

The first process reads a stream that only we hold: it ends, and the container with it, when we
close it or die. The image must have `sh`.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from dataclasses import dataclass
from typing import Any

from sandbox.containers import engine, options, weight
from sandbox.containers.engine import Container
from sandbox.errors import SandboxError, SandboxUnavailable
from sandbox.program import Limits

_MIB = 1 << 20
_HOLDER = 1_999_999_998  # not the user of commands: they cannot touch what holds them
_OWN_MB = 8  # the shell that waits
_HOLD = ("/bin/sh", "-c", "read _; exit 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a container is made for; those of one need stand in for each other.

    writable: whether commands may write outside the work folder too.
    """

    image: str
    runtime: str
    memory_mb: int
    processes: int
    disk_mb: int
    cpus: float
    writable: bool

    @classmethod
    def of(cls, limits: Limits, **more: Any) -> Need:
        """Return the need of a run with these limits."""
        return cls(
            memory_mb=limits.memory_mb, processes=limits.processes, disk_mb=limits.disk_mb, **more
        )


class Held:
    """A running container that waits for commands, with a client of its own."""

    def __init__(self, need: Need) -> None:
        client = self._client = engine.connect()
        disk = need.disk_mb * _MIB
        arguments = options.hardened(
            machine=engine.machine(client), runtime=need.runtime, user=_HOLDER,
            memory_mb=need.memory_mb + _OWN_MB, processes=need.processes + 4, cpus=need.cpus,
            tmpfs={options.SHARED: disk // options.SHARED_PART}, writable=need.writable,
        )  # fmt: skip
        types = engine.sdk().types
        # Not `tmpfs`: archives can be put into a volume although the root is read-only.
        work = types.Mount(
            target=options.WORK, source=None, type="volume",
            driver_config=types.DriverConfig(
                "local",
                options={
                    "type": "tmpfs", "device": "tmpfs",
                    "o": f"size={disk},mode=1777,nosuid,nodev,nr_inodes=16384",
                },
            ),
        )  # fmt: skip
        ulimits = [
            types.Ulimit(name="core", soft=0, hard=0),
            types.Ulimit(name="fsize", soft=disk, hard=disk),
            types.Ulimit(name="memlock", soft=0, hard=0),
        ]
        self.weight: weight.Weight | None = None
        try:
            self.container: Container = client.containers.create(
                need.image, command=list(_HOLD[1:]), entrypoint=[_HOLD[0]], mounts=[work],
                ulimits=ulimits, working_dir="/", stdin_open=True,
                environment=options.environment(options.WORK),
                **{**arguments, "detach": False},
            )  # fmt: skip
        except engine.failures() as error:
            client.close()
            raise _refused(need, error) from None
        try:
            self._held = self.container.attach_socket(params={"stdin": 1, "stream": 1})
            self.container.start()
            self.container.reload()
        except engine.failures() as error:
            self.end()
            raise _refused(need, error) from None
        pid = int(self.container.attrs["State"]["Pid"])
        self.weight = weight.of(pid, lambda memory, processes: None)

    def end(self) -> None:
        """End it with all that runs in it, and remove it."""
        if self.weight is not None:
            self.weight.close()
        engine.remove(self.container)
        held = getattr(self, "_held", None)
        if held is not None:
            with contextlib.suppress(OSError):
                held.close()
        self._client.close()


def _refused(need: Need, error: BaseException) -> SandboxUnavailable:
    return SandboxUnavailable(f"no container of {need.image} starts: {engine.words(error)}")


class Warm:
    """One container ahead of the need: the next is made while this one works."""

    def __init__(self) -> None:
        self._spare: tuple[Need, queue.Queue[Held | SandboxError]] | None = None

    def take(self, need: Need) -> Held:
        """Return a container for a need. Raises SandboxUnavailable."""
        spare, self._spare = self._spare, None
        held = None
        if spare is not None:
            made = spare[1].get()
            if isinstance(made, Held):
                if spare[0] == need and is_running(made.container):
                    held = made
                else:
                    made.end()
        if held is None:
            held = Held(need)
        self._spare = need, _made_aside(need)
        return held

    def close(self) -> None:
        """End the spare one."""
        spare, self._spare = self._spare, None
        if spare is not None:
            made = spare[1].get()
            if isinstance(made, Held):
                made.end()


def is_running(container: Container) -> bool:
    """Return whether a container still runs, as far as the engine says."""
    try:
        container.reload()
    except engine.failures():
        return False
    return bool(container.attrs["State"]["Running"])


def _made_aside(need: Need) -> queue.Queue[Held | SandboxError]:
    """Start making a container in a thread."""
    place: queue.Queue[Held | SandboxError] = queue.Queue(1)

    def make() -> None:
        try:
            place.put(Held(need))
        except SandboxError as error:
            place.put(error)  # `take` tries again itself, and says why

    threading.Thread(target=make, name="warm-container", daemon=True).start()
    return place
