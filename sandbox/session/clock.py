"""The time and output of one cell, measured from outside, and when it is to be interrupted."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from sandbox.outcome import Kind

_TICK_S = 0.05  # ours: the watchdog's too
_LEAST_TICK_S = 0.005
_AGAIN_S = 1.0  # ours: a second interrupt, for the first may end in a finalizer
_KILL_S = 2.0  # ours: what a cell has to put things away
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class CpuClock:
    """CPU seconds of a session's processes: its cgroup's file, or else what /proc says of each.

    Without a cgroup, children that nobody waits for count only while they and their parents live;
    the watchdog, which ends the session at its budget, sees orphans too.
    """

    def __init__(self, file: str, pid: int) -> None:
        self._file = Path(file) if file else None
        self._pid = pid

    def used_s(self) -> float:
        """Return CPU seconds so far; 0.0 when the processes are gone."""
        try:
            if self._file is None:
                return sum(map(_used_s, _family(self._pid)))
            text = self._file.read_text()
        except OSError:  # the slot has ended, and its cgroup with it
            return 0.0
        if text.startswith("usage_usec "):  # v2: cpu.stat
            return int(text.split()[1]) / 1e6
        return int(text) / 1e9  # v1: cpuacct.usage


def _family(root: int) -> list[str]:
    """Return a process and its descendants, by the kernel's lists of children."""
    found, queue = [], [str(root)]
    while queue:
        pid = queue.pop()
        found.append(pid)
        try:
            for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - many a second
                queue += Path(f"/proc/{pid}/task/{task}/children").read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def _used_s(pid: str) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(map(int, fields[11:15])) / _TICKS_PER_S


class CellClock:
    """One cell's limits: interrupt it at the first that it reaches, kill it when it goes on.

    output: bytes of each stream. sizes: returns what was written to both so far.
    """

    def __init__(
        self,
        cpu: CpuClock,
        *,
        cell_s: float,
        wall_s: float,
        output: int,
        sizes: Callable[[], tuple[int, int]],
    ) -> None:
        self._cpu, self._cell_s, self._wall_s = cpu, cell_s, wall_s
        self._output, self._sizes = output, sizes
        self._before_s = cpu.used_s()
        self._began = time.monotonic()
        self._asked: list[float] = []
        self._cores = os.cpu_count() or 1
        self.kind: Kind | None = None
        self._why = ""

    def cpu_s(self) -> float:
        """CPU seconds since the cell began."""
        return max(0.0, self._cpu.used_s() - self._before_s)

    def wall_s(self) -> float:
        """Seconds since the cell began."""
        return time.monotonic() - self._began

    def why(self) -> str:
        """Which limit it reached, in words."""
        return self._why

    def tick_s(self) -> float:
        """How long to wait before the next look."""
        if self.kind is not None:
            return _TICK_S
        # A look costs something: no more of them than what is left to use calls for.
        left_s = min(self._cell_s / self._cores, self._wall_s - self.wall_s())
        return max(_LEAST_TICK_S, min(_TICK_S, left_s))

    def due(self) -> signal.Signals | None:
        """Return the signal that the cell is to get now."""
        now = time.monotonic()
        if self.kind is None:
            self._judge(now - self._began)
            if self.kind is not None:
                self._asked.append(now)
                return signal.SIGINT
            return None
        if now - self._asked[0] >= _KILL_S:
            return signal.SIGKILL
        if len(self._asked) == 1 and now - self._asked[0] >= _AGAIN_S:
            self._asked.append(now)
            return signal.SIGINT
        return None

    def _judge(self, wall_s: float) -> None:
        cpu_s = self.cpu_s()
        if cpu_s >= self._cell_s:
            self.kind, self._why = Kind.TIMEOUT, f"{self._cell_s:g} CPU s"
        elif wall_s >= self._wall_s:
            self.kind, self._why = Kind.TIMEOUT, f"{self._wall_s:g} s"
        elif max(self._sizes()) > self._output:
            self.kind, self._why = Kind.OUTPUT, f"{self._output // 1024} KiB of output"
