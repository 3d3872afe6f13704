"""How a container is closed off: the arguments that every one of ours is made with.

Holds: no network, no capability, no new privileges, our filter of system calls, a read-only root,
writable folders in memory with a cap, limits on memory, processes and CPU, and of the host's
environment nothing.
Does not hold: faults of the kernel itself, but under gVisor; what an image holds can be read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sandbox.containers import engine, seccomp

WORK = "/tmp"
SHARED = "/dev/shm"  # for semaphores; it comes on top of the work folder's size
SHARED_PART = 16  # ours: so small a part of it
_MIB = 1 << 20


def hardened(
    *,
    machine: str,
    runtime: str,
    user: int,
    memory_mb: int,
    processes: int,
    cpus: float,
    tmpfs: Mapping[str, int],
    writable: bool = False,
) -> dict[str, Any]:
    """Return arguments of `containers.create`.

    machine: the engine's processor. runtime: "" is the engine's default. user: uid and gid.
    memory_mb, processes: of all that runs in the container. cpus: cores it may use at once; 0.0 is
    all. tmpfs: writable folders and their size in bytes. writable: whether the root is, too.
    """
    profile = json.dumps(seccomp.profile(machine))
    made: dict[str, Any] = {
        "detach": True,
        "auto_remove": True,
        "labels": engine.labels(),
        "network_mode": "none",
        "hostname": "box",
        "ipc_mode": "none",
        "read_only": not writable,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges", f"seccomp={profile}"],
        "user": f"{user}:{user}",
        "mem_limit": memory_mb * _MIB,
        "memswap_limit": memory_mb * _MIB,
        "pids_limit": processes,
        "use_config_proxy": False,
        "log_config": {"Type": "none", "Config": {}},
        "tmpfs": {
            path: f"size={size},mode=1777,exec,nosuid,nodev,nr_inodes=16384"
            for path, size in tmpfs.items()
        },
    }
    if cpus:
        made["nano_cpus"] = int(cpus * 1e9)
    if runtime:
        made["runtime"] = runtime
    return made


def environment(work: str) -> dict[str, str]:
    """Return the variables that programs find beside those of the image."""
    return {
        "LANG": "C.UTF-8",
        "HOME": work,
        "TMPDIR": work,
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
