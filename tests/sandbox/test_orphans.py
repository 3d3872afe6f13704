"""However the process that judges dies, nothing of its boxes stays on the machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.box import BoxName, LocalBox

pytestmark = [pytest.mark.slow, pytest.mark.alone]

CHECKOUT = Path(__file__).resolve().parents[2]
JUDGING = """
import sys, threading
from sandbox import AssertTests, Job, Limits, Pool, Program
pool = Pool(2, box=sys.argv[1], confirm_timeouts=False)
tests = AssertTests(test="assert candidate(1)", entry_point="f")
busy = Program.python('''
import os, signal, time
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
for _ in range(2):
    if os.fork() == 0:
        os.setsid()
        break
def f(x):
    while True:
        time.sleep(1)
f(1)
''')
for _ in range(2):
    pool.submit(busy, tests, Limits(cpu_s=60, wall_s=120))
print("submitted", flush=True)
threading.Event().wait()
"""


def _stats() -> dict[int, int]:
    """Return the parent of every process."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                text = (folder / "stat").read_text()
            except OSError:
                continue
            fields = text.rpartition(")")[2].split()
            if fields[0] != "Z":
                found[int(folder.name)] = int(fields[1])
    return found


def _below(root: int) -> set[int]:
    parents = _stats()
    found: set[int] = set()
    queue = [root]
    while queue:
        last = queue.pop()
        below = [pid for pid, parent in parents.items() if parent == last]
        found.update(below)
        queue += below
    return found


def _groups(pids: set[int]) -> set[Path]:
    """Return the cgroup folders of our making that the processes are in."""
    mounts = []
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind in ("cgroup", "cgroup2"):
            mounts.append(Path(place))
    found = set()
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            path = line.split(":", 2)[2]
            if "seedcoder-" in path:
                found |= {mount / path.lstrip("/") for mount in mounts}
    return {folder for folder in found if folder.is_dir()}


def _start(name: str, temporary: Path) -> tuple[subprocess.Popen[str], set[int], set[Path]]:
    """Start a judging process; return it, all processes below it, and their cgroups."""
    judging = subprocess.Popen(
        [sys.executable, "-c", JUDGING, name],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), "TMPDIR": str(temporary)},
    )
    assert judging.stdout is not None
    assert judging.stdout.readline() == "submitted\n"
    deadline = time.monotonic() + 20
    below: set[int] = set()
    while len(below) < 12 and time.monotonic() < deadline:  # guards, zygotes, runs, their children
        time.sleep(0.1)
        below = _below(judging.pid)
    assert len(below) >= 8, below
    return judging, below, _groups(below)


def _gone(below: set[int], groups: set[Path], temporary: Path) -> list[str]:
    """Return what is left after a while."""
    deadline = time.monotonic() + 10
    while True:
        alive = below & set(_stats())
        folders = [str(folder) for folder in groups if folder.exists()]
        files = [str(path) for path in temporary.iterdir()]
        left = [f"process {pid}" for pid in alive] + folders + files
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.1)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGSEGV])
@pytest.mark.parametrize("name", ["namespace", "restricted"])
def test_nothing_is_left_when_the_judging_process_is_killed(
    name: BoxName, number: int, tmp_path: Path, box_of: Callable[[BoxName], LocalBox]
) -> None:
    box_of(name)
    judging, below, groups = _start(name, tmp_path)
    judging.send_signal(number)
    judging.wait(20)
    assert _gone(below, groups, tmp_path) == []


def test_no_process_is_left_when_guards_are_killed_before_the_judging_process(
    tmp_path: Path, box_of: Callable[[BoxName], LocalBox]
) -> None:
    """The restricted box does not hold this: there the guard alone ends what a run started."""
    box_of("namespace")
    judging, below, _ = _start("namespace", tmp_path)
    parents = _stats()
    guards = [pid for pid in below if parents.get(pid) == judging.pid]
    assert guards
    judging.send_signal(signal.SIGSTOP)  # it must not tidy up
    for guard in guards:
        os.kill(guard, signal.SIGKILL)
    judging.kill()
    judging.wait(20)
    left = [one for one in _gone(below, set(), tmp_path) if one.startswith("process")]
    assert left == []
