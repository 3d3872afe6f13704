"""What a zygote is told when it starts, and the fixed-size messages it then exchanges."""

from __future__ import annotations

import json
import marshal
import os
import struct
from typing import Any, NamedTuple

WORK = "/box/work"
SHELF = "/box/packages"

# A request: mode, flags, cpu_s, wall_s, memory, address space, disk bytes, output bytes, processes,
# bytes of the payload.
# The descriptors ride along in the order of the places they are for: the zygote keeps these numbers
# free, and the kernel fills the lowest first. What the flags name follows, LINK first.
REQUEST = struct.Struct("<BBddQQQQII")
# A reply: stage reached, errno, wait status, reason, CPU us, wall us, largest RSS in KiB, sum of
# RSS in KiB as the watchdog saw it.
REPLY = struct.Struct("<BiiBQQQQ")

STDIN_FD, STDOUT_FD, STDERR_FD, ANSWERS_FD, PAYLOAD_FD, LINK_FD = range(6)
MOST_FDS = 8

HAS_LINK, HAS_COLLECT = 1, 2

ANY_ADDRESS = 1 << 62  # bytes; from here on, addresses are not limited, nor data by rlimit

SCRIPT, CALLS, CANDIDATE, TESTS, SHARED, FORESEEN, COMMAND, SESSION, PLAIN = range(9)

READY = b"ready"
READY_IN_C = b"ready, in C"  # it takes PLAIN too
STAGE_DONE = 255

# Why the watchdog ended a run.
NO_REASON, CPU, WALL, OUTPUT, MEMORY, PROCESSES = range(6)


class Settings(NamedTuple):  # not a dataclass: that module would be carried into every fork
    """One zygote's surroundings, decided by the supervisor.

    kind: "namespace", "restricted" or "unsafe".
    engine: what its runs are: "python" (forked from the zygote), "command" (started by exec) or
        "session" (cells, one after the other).
    supervisor_pid: the process whose death ends everything.
    uid: the user that programs become (root only), or None to stay who we are.
    trees: host folders seen read-only at the same paths; hidden: folders beneath them shown empty.
    packages: folders of hidden places shown all the same (numpy), on SHELF where there is a root
        of our own.
    links: symbolic links of the host's root that the box has too (/lib -> usr/lib).
    sys_path: what Python finds its modules on. preimport: modules loaded once, before any fork.
    cgroup_joins: files that a run writes "0" to, to be counted. cgroup_folders: removed at the end.
    cpu_file: where a cgroup counts the CPU time of runs, or "".
    work: the restricted box's work folder on the host.
    """

    kind: str
    supervisor_pid: int
    uid: int | None
    trees: tuple[str, ...]
    hidden: tuple[str, ...]
    packages: tuple[str, ...]
    links: tuple[tuple[str, str], ...]
    sys_path: tuple[str, ...]
    preimport: tuple[str, ...]
    cgroup_joins: tuple[str, ...] = ()
    cgroup_folders: tuple[str, ...] = ()
    cpu_file: str = ""
    counts_memory: bool = False
    work: str = ""
    engine: str = "python"

    def to_bytes(self) -> bytes:
        """Return the message that starts a zygote."""
        return json.dumps(self._asdict()).encode()

    @classmethod
    def from_bytes(cls, raw: bytes) -> Settings:
        """Return the settings that `to_bytes` wrote."""
        data = json.loads(raw)
        for name, value in data.items():
            if isinstance(value, list):
                data[name] = tuple(tuple(x) if isinstance(x, list) else x for x in value)
        return cls(**data)


def read_job(fd: int, size: int) -> dict[str, Any]:
    """Return what the supervisor sent for a run, and close the descriptor."""
    job: dict[str, Any] = marshal.loads(os.pread(fd, size, 0))
    os.close(fd)
    return job
