"""The zygote's watchdog over one run: CPU time, wall time, output size, and memory without cgroups.

CPU time is summed over every process of the run, so spreading work over children gains nothing.
A run shorter than the first tick is not looked at.
"""

from __future__ import annotations

import os
import resource

from sandbox.inside import settings
from sandbox.inside.settings import Settings

TICK_S = 0.05
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_OUTPUTS = (settings.STDOUT_FD, settings.STDERR_FD)
_PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024


class CpuMeter:
    """CPU time of a run as its cgroup counts it: children that nobody waits for included.

    Without one (fd -1), a program that ignores SIGCHLD hides what children use that live less than
    a tick; the wall clock is then what ends it.
    """

    def __init__(self, fd: int, used_s: float) -> None:
        """`used_s`: what the run has visibly used so far."""
        self._fd = fd
        self._before = self._read() - used_s

    def _read(self) -> float:
        if self._fd < 0:
            return 0.0
        text = os.pread(self._fd, 256, 0)
        if text.startswith(b"usage_usec "):  # v2: cpu.stat
            return int(text.split()[1]) / 1e6
        return int(text) / 1e9  # v1: cpuacct.usage

    def used_s(self) -> float:
        """Return CPU seconds since the run began."""
        return self._read() - self._before


class Watcher:
    """Looks at one run from time to time and says why it must be ended, if it must."""

    def __init__(self, told: Settings, request: tuple[int, ...], cpu: int) -> None:
        _, _, self._cpu_s, _, self._memory, _, _, self._output, self._processes_most, _ = request
        self._weighs = not told.counts_memory
        self._whole_proc = told.kind == "namespace"
        self.largest_sum_kb = 0
        self._meter = CpuMeter(cpu, self._usage()[0])

    def judge(self) -> int:
        """Return the reason to end the run now, or NO_REASON."""
        cpu_s, sum_kb, processes = self._usage()
        cpu_s = max(cpu_s, self._meter.used_s())
        if self._weighs and sum_kb * 1024 > self._memory:
            sum_kb = self._held_kb()
        self.largest_sum_kb = max(self.largest_sum_kb, sum_kb)
        if cpu_s >= self._cpu_s:
            return settings.CPU
        if any(os.fstat(fd).st_size > self._output for fd in _OUTPUTS):
            return settings.OUTPUT
        if self._weighs and sum_kb * 1024 > self._memory:
            return settings.MEMORY
        if processes > self._processes_most:  # rlimits do not count the processes of root
            return settings.PROCESSES
        return settings.NO_REASON

    def _usage(self) -> tuple[float, int, int]:
        """Return CPU seconds and RSS in KiB of all processes of the run, and how many they are."""
        cpu_ticks = pages = 0
        names = self._processes()
        for name in names:
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            cpu_ticks += sum(map(int, fields[11:15]))
            pages += int(fields[21])
        return cpu_ticks / _TICKS_PER_S, pages * _PAGE_KB, len(names)

    def _held_kb(self) -> int:
        """Return what the processes hold in KiB, a page that several share counted once.

        Slower than RSS, and only asked where that is too much: forked children share most of it.
        Where the kernel does not tell us, each is taken to share what the zygote holds.
        """
        total = 0
        for name in self._processes():
            try:
                with open(f"/proc/{name}/smaps_rollup", "rb") as file:
                    total += sum(int(line.split()[1]) for line in file if line.startswith(b"Pss:"))
            except PermissionError:
                shared = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                total += max(0, _rss_kb(name) - shared)
            except (FileNotFoundError, ProcessLookupError):
                continue
        return total

    def _processes(self) -> list[str]:
        if self._whole_proc:  # the run's own /proc; its first process is the sleeper
            return [name for name in os.listdir("/proc") if name.isdigit() and name != "1"]
        return descendants(os.getpid())


def _rss_kb(name: str) -> int:
    try:
        with open(f"/proc/{name}/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE_KB
    except (FileNotFoundError, ProcessLookupError):
        return 0


def descendants(root: int) -> list[str]:
    """Return the pids of all processes below `root`, by the host's /proc."""
    children: dict[str, list[str]] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                parent = file.read().rpartition(b")")[2].split()[1].decode()
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(parent, []).append(name)
    found: list[str] = []
    queue = [str(root)]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found
