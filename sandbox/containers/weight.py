"""The cgroup of a container as a run's: its limits set, its peak and its lack of memory read.

Files of the cgroup are found on this machine by the container's first process. Where they are not
to be seen (an engine in a virtual machine), a container has no `Weight`, and rlimits and the
zygote's watchdog do what they can. Where they cannot be written (no root), the engine sets limits.
The zygote is in the container too: its own weight is allowed for.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from sandbox import cgroup
from sandbox.program import Limits

_MIB = 1 << 20
_OWN_PROCESSES = 2  # keeper and zygote; a group adds two more of its own


class Weight(cgroup.Group):
    """The group of a container that runs programs one after the other."""

    def __init__(
        self,
        memory: Path,
        pids: Path,
        version: int,
        accounting: Path | None,
        update: Callable[[int, int], None],
    ) -> None:
        """`update`: sets bytes of memory and number of processes through the engine."""
        super().__init__(memory, pids, version, accounting)
        self._update = update
        usage = memory / ("memory.usage_in_bytes" if version == 1 else "memory.current")
        # What it holds before any run, and room for what the zygote touches later.
        self._own = int(usage.read_text()) + 8 * _MIB

    @property
    def joins(self) -> tuple[str, ...]:
        """Whoever runs in the container is in its group."""
        return ()

    @property
    def folders(self) -> tuple[str, ...]:
        """They are the engine's to remove."""
        return ()

    def prepare(self, limits: Limits) -> None:
        """Set the limits of the next run and forget the peak of the last."""
        wanted = (limits.memory_mb * _MIB + self._own, limits.processes + _OWN_PROCESSES)
        if os.access(self._limit_file, os.W_OK):
            heavier = Limits(
                memory_mb=-(-wanted[0] // _MIB), processes=wanted[1], cpu_s=limits.cpu_s
            )
            super().prepare(heavier)
        elif wanted != self._limits:
            self._update(*wanted)
            self._limits = wanted

    def _drop_cache(self) -> None:
        if self._before > 2 * self._own:  # less is the zygote's, and not to be had
            super()._drop_cache()

    def _set_memory(self, size: int) -> None:
        both = self._memory / "memory.memsw.limit_in_bytes"  # v1, memory and swap together
        if not both.exists():
            super()._set_memory(size)
            return
        # It may never be the smaller of the two, so what is raised is raised first.
        if size > int(both.read_text()):
            both.write_text(str(size))
            super()._set_memory(size)
        else:
            super()._set_memory(size)
            both.write_text(str(size))

    def peak_mb(self) -> float:
        """Return the run's peak in MiB; 0.0 where nobody can say any more."""
        try:
            return super().peak_mb()
        except OSError:  # as below
            return 0.0

    def out_of_memory(self) -> bool:
        """Return whether the kernel killed a process here since the last question."""
        try:
            return super().out_of_memory()
        except OSError:  # the container has ended, and its group with it
            return False


def of(pid: int, update: Callable[[int, int], None]) -> Weight | None:
    """Return the group of the container whose first process is `pid` here; None where unseen."""
    with contextlib.suppress(OSError, ValueError, StopIteration):
        places = _places(pid)
        if "" in places and (places[""] / "memory.current").exists():
            folder = places[""]
            return Weight(folder, folder, 2, None, update)
        memory, pids = places["memory"], places["pids"]
        accounting = places.get("cpuacct")
        if accounting is not None and not (accounting / "cpuacct.usage").exists():
            accounting = None
        return Weight(memory, pids, 1, accounting, update)
    return None


def _places(pid: int) -> dict[str, Path]:
    """Return the folder of a process's group by controller, "" for the unified tree."""
    mounts: dict[str, tuple[Path, str]] = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        fields, (kind, _, options) = left.split(), right.split()[:3]
        if kind == "cgroup2":
            mounts[""] = (Path(fields[4]), fields[3])
        elif kind == "cgroup":
            for controller in options.split(","):
                mounts[controller] = (Path(fields[4]), fields[3])
    found: dict[str, Path] = {}
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            if controller in mounts:
                place, root = mounts[controller]
                below = path.removeprefix(root) if root != "/" else path
                folder = place / below.lstrip("/")
                if folder.is_dir():
                    found[controller] = folder
    return found
