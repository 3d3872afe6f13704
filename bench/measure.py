"""What every benchmark here shares: CPU time of a process tree, and the closing line."""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def tree(root: int = 0) -> list[int]:
    """Return the pids of a process, of this one by default, and all its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, queue = [root or os.getpid()], [root or os.getpid()]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


def tree_cpu_s() -> float:
    """Return CPU seconds used so far by this process, its living descendants and its dead ones."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    dead = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = own.ru_utime + own.ru_stime + dead.ru_utime + dead.ru_stime
    return total + sum(map(single_cpu_s, tree()[1:]))


def process_cpu_s(root: int) -> float:
    """Return CPU seconds used so far by another process, its descendants and its dead ones."""
    return sum(map(single_cpu_s, tree(root)))


def single_cpu_s(pid: int) -> float:
    """Return CPU seconds used so far by one process and those of its children that are dead."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(map(int, fields[11:15])) / _TICKS_PER_S


def tree_rss_mb() -> float:
    """Return the private and shared memory of the descendants in MiB, shared pages counted once
    a process that maps them in proportion (PSS)."""
    total_kb = 0
    for pid in tree()[1:]:
        try:
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total_kb += int(line.split()[1])
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return total_kb / 1024


def close(name: str, value: float, unit: str, bar: float, *, ok: bool) -> None:
    """Print the JSON line and exit 0, or 1 below the bar."""
    print(json.dumps({"name": name, "value": round(value, 4), "unit": unit, "bar": bar, "ok": ok}))
    sys.exit(0 if ok else 1)
