"""One control group a slot: it bounds and measures memory and processes of a run as a whole.

Both versions are known: v1 with a memory and a pids hierarchy, and the unified v2 tree. Where
neither can be written (most unprivileged users), `open_group` returns None and the watchdog and
rlimits do what they can; `seedcoder doctor` says so.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from sandbox.program import Limits

_MIB = 1 << 20
_CACHE_MOST = 16 * _MIB


class Group:
    """The cgroup of one slot. Only runs join it; the zygote stays outside and is never weighed."""

    def __init__(
        self, memory: Path, pids: Path, version: int, accounting: Path | None = None
    ) -> None:
        self.version = version
        self._memory = memory
        self._pids = pids
        self._accounting = accounting
        self._limits: tuple[int, int] = (0, 0)
        self._before = 0
        v1 = version == 1
        self._limit_file = memory / ("memory.limit_in_bytes" if v1 else "memory.max")
        self._oom = os.open(
            memory / ("memory.oom_control" if v1 else "memory.events"), os.O_RDONLY | os.O_CLOEXEC
        )
        self._peak = self._open_peak(v1)
        self._ooms_seen = self._ooms()
        if not v1:
            with contextlib.suppress(OSError):  # a kernel without swap accounting
                (memory / "memory.swap.max").write_text("0")

    def _open_peak(self, v1: bool) -> int:
        path = self._memory / ("memory.max_usage_in_bytes" if v1 else "memory.peak")
        try:
            return os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return -1  # v2 before Linux 6.12 cannot be reset: the largest RSS must do

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders to remove when the slot ends."""
        found = [self._memory, self._pids, *([self._accounting] if self._accounting else [])]
        return tuple(dict.fromkeys(map(str, found)))

    @property
    def cpu_file(self) -> str:
        """The file that counts CPU time, or "" where only the cpu controller would."""
        if self.version == 2:
            return str(self._memory / "cpu.stat")
        return str(self._accounting / "cpuacct.usage") if self._accounting else ""

    @property
    def joins(self) -> tuple[str, ...]:
        """The files a process writes "0" to, to join."""
        name = "tasks" if self.version == 1 else "cgroup.procs"
        return tuple(f"{folder}/{name}" for folder in self.folders)

    def prepare(self, limits: Limits) -> None:
        """Set the limits of the next run and forget the peak of the last."""
        wanted = (limits.memory_mb * _MIB, limits.processes)
        if wanted != self._limits:
            self._set_memory(wanted[0])
            # The zygote and the sleeper are in there too, and not the program's own doing.
            (self._pids / "pids.max").write_text(str(wanted[1] + 2))
            self._limits = wanted
        if self._peak >= 0:
            self._forget_peak()
            if self._before > _CACHE_MOST:
                self._drop_cache()
                self._forget_peak()

    def _forget_peak(self) -> None:
        os.pwrite(self._peak, b"0", 0)
        # What is left is page cache that earlier runs were the first to read.
        self._before = int(os.pread(self._peak, 32, 0))

    def _drop_cache(self) -> None:
        """Give the page cache back: taken away under a run, it would hide what the run held."""
        if self.version == 1:
            name, text = "memory.force_empty", "0"
        else:
            name, text = "memory.reclaim", str(self._before)
        with contextlib.suppress(OSError):  # v2 says so when it found less than that
            (self._memory / name).write_text(text)

    def _set_memory(self, size: int) -> None:
        for attempt in range(20):
            try:
                self._limit_file.write_text(str(size))
                return
            except OSError:  # EBUSY: pages of the last run are still being given back
                if attempt == 19:
                    raise
                time.sleep(0.01)

    def peak_mb(self) -> float:
        """Return the run's peak in MiB; 0.0 where this kernel cannot say."""
        if self._peak < 0:
            return 0.0
        return max(0, int(os.pread(self._peak, 32, 0)) - self._before) / _MIB

    def out_of_memory(self) -> bool:
        """Return whether the kernel killed a process of the group since the last question."""
        seen = self._ooms()
        new = seen > self._ooms_seen
        self._ooms_seen = seen
        return new

    def _ooms(self) -> int:
        for line in os.pread(self._oom, 512, 0).split(b"\n"):
            if line.startswith(b"oom_kill "):
                return int(line.split()[1])
        return 0

    def close(self) -> None:
        """Close descriptors and remove the folders."""
        os.close(self._oom)
        if self._peak >= 0:
            os.close(self._peak)
        for folder in self.folders:
            for _ in range(50):
                try:
                    Path(folder).rmdir()
                    break
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.02)


PREFIX = "seedcoder-"


def open_group(number: int) -> Group | None:
    """Return a new group for a slot of this process, or None where cgroups cannot be written."""
    name = f"{PREFIX}{os.getpid()}-{number}"
    for make in (_open_v2, _open_v1):
        try:
            group = make(name)
        except (OSError, ValueError):
            group = None
        if group is not None:
            return group
    return None


def _remove_stale(parent: Path) -> None:
    """Remove groups of processes that are gone and could not tidy up (their guard was killed)."""
    for folder in parent.glob(f"{PREFIX}*-*"):
        owner = folder.name.removeprefix(PREFIX).partition("-")[0]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            with contextlib.suppress(OSError):
                folder.rmdir()


def _own(controller: str) -> str:
    """Return this process's path in the hierarchy of `controller` ("" for v2)."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        if controller in names.split(","):
            return path
    raise ValueError(f"no hierarchy has the controller {controller!r}")


def _mounted(kind: str, controller: str) -> Path:
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, found, options, *_ = line.split()
        if found == kind and (not controller or controller in options.split(",")):
            return Path(place)
    raise ValueError(f"no {kind} hierarchy for {controller!r}")


def _open_v1(name: str) -> Group | None:
    folders = []
    for controller in ("memory", "pids"):
        folder = _mounted("cgroup", controller) / _own(controller).lstrip("/") / name
        _remove_stale(folder.parent)
        folder.mkdir(exist_ok=True)
        folders.append(folder)
    return Group(folders[0], folders[1], 1, _open_accounting(name))


def _open_accounting(name: str) -> Path | None:
    """A cpuacct group, where it is not tied to the cpu controller (that one halves throughput)."""
    try:
        root = _mounted("cgroup", "cpuacct")
        mounts = Path("/proc/self/mounts").read_text().splitlines()
        options = next(line.split()[3] for line in mounts if line.split()[1] == str(root))
        if "cpu" in options.split(","):
            return None
        folder = root / _own("cpuacct").lstrip("/") / name
        _remove_stale(folder.parent)
        folder.mkdir(exist_ok=True)
    except (OSError, ValueError, StopIteration):
        return None
    return folder


def _open_v2(name: str) -> Group | None:
    """A group beside or below our own, in the nearest place that passes both controllers on.

    The kernel lets processes live only in leaves; our own cgroup is a leaf, so the group is made
    under the nearest ancestor whose subtree already has the controllers, or can be given them.
    """
    root = _mounted("cgroup2", "")
    own = root / _own("").lstrip("/")
    for parent in [p for p in (own.parent, *own.parents) if p.is_relative_to(root)]:
        control = parent / "cgroup.subtree_control"
        if not {"memory", "pids"} <= set((parent / "cgroup.controllers").read_text().split()):
            continue
        try:
            if not {"memory", "pids"} <= set(control.read_text().split()):
                control.write_text("+memory +pids")
            _remove_stale(parent)
            folder = parent / name
            folder.mkdir(exist_ok=True)
        except OSError:
            continue
        if os.access(folder / "cgroup.procs", os.W_OK):
            return Group(folder, folder, 2)
        folder.rmdir()
    return None
