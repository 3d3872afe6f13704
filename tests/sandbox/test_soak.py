"""Ten thousand mixed runs leave the harness as small as it was."""

from __future__ import annotations

import gc
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import (
    AssertTests,
    CallTests,
    Job,
    Kind,
    Limits,
    Outcome,
    Pool,
    Program,
    StdioTests,
    Verdict,
)

pytestmark = [pytest.mark.slow, pytest.mark.alone]

RUNS = 10_000
WARM_UP = 2_000
LIMITS = Limits(cpu_s=2, wall_s=20, memory_mb=128, output_kb=64)
FORKS = "import os\nfor _ in range(4):\n    if os.fork() == 0:\n        os._exit(0)\nos.wait()"
DAEMON = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(60)\nprint(1)"
FILES = "for n in range(50): open(f'f{n}', 'w').write('x' * 1000)\nprint(1)"
HOG = "while True: pass"
BIG = "x = [bytearray(1 << 20) for _ in range(400)]"
CALLS = CallTests.of("f", ([1], 2), ([2], 3))
ASSERTS = AssertTests(test="assert candidate(1) == 2\nassert candidate(5) == 6", entry_point="f")
ECHO = StdioTests.of(("a\n", "a\n"), ("b", "b"))

# name: how many of a hundred, the job, the kind that must come of it
MIX: dict[str, tuple[int, Job, Kind]] = {
    "prints": (30, Job(program=Program.python("print(1)"), limits=LIMITS), Kind.PASSED),
    "reads": (
        5,
        Job(program=Program.python("print(input())"), tests=ECHO, limits=LIMITS),
        Kind.PASSED,
    ),
    "answers calls": (
        14,
        Job(program=Program.python("def f(x): return x + 1"), tests=CALLS, limits=LIMITS),
        Kind.PASSED,
    ),
    "answers calls wrongly": (
        10,
        Job(program=Program.python("def f(x): return 2"), tests=CALLS, limits=LIMITS),
        Kind.WRONG,
    ),
    "meets asserts": (
        10,
        Job(program=Program.python("def f(x): return x + 1"), tests=ASSERTS, limits=LIMITS),
        Kind.PASSED,
    ),
    "fails asserts": (
        5,
        Job(program=Program.python("def f(x): return 2"), tests=ASSERTS, limits=LIMITS),
        Kind.WRONG,
    ),
    "crashes": (6, Job(program=Program.python("1 / 0"), limits=LIMITS), Kind.CRASHED),
    "aborts": (
        2,
        Job(program=Program.python("import os\nos.abort()"), limits=LIMITS),
        Kind.CRASHED,
    ),
    "does not compile": (
        4,
        Job(program=Program.python("def f(:"), limits=LIMITS),
        Kind.COMPILE_ERROR,
    ),
    "forks": (4, Job(program=Program.python(FORKS), limits=LIMITS), Kind.PASSED),
    "leaves a daemon": (3, Job(program=Program.python(DAEMON), limits=LIMITS), Kind.PASSED),
    "writes files": (3, Job(program=Program.python(FILES), limits=LIMITS), Kind.PASSED),
    "prints too much": (
        2,
        Job(program=Program.python("print('x' * (1 << 20))"), limits=LIMITS),
        Kind.OUTPUT,
    ),
    "takes too long": (
        1,
        Job(program=Program.python(HOG), limits=Limits(cpu_s=0.05, wall_s=5)),
        Kind.TIMEOUT,
    ),
    "takes too much": (1, Job(program=Program.python(BIG), limits=LIMITS), Kind.MEMORY),
}


def _jobs(count: int) -> Iterator[Job]:
    hundred = [name for name, (share, _, _) in MIX.items() for _ in range(share)]
    assert len(hundred) == 100
    for n in range(count):
        # Every job after every other: 37 and 100 have no common divisor.
        job = MIX[hundred[n * 37 % 100]][1]
        yield Job(
            program=job.program, tests=job.tests, limits=job.limits, key=hundred[n * 37 % 100]
        )


def _work(pool: Pool, count: int) -> Counter[str]:
    """Run that many jobs; return how many of each sort ended as they must."""
    found: Counter[str] = Counter()
    for job, result in pool.map_jobs(_jobs(count), ordered=False):
        assert isinstance(result, Outcome | Verdict), (job.key, result)
        assert result.kind is MIX[job.key][2], (job.key, result)
        found[job.key] += 1
    return found


def _status(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1])
    return 0


def _below(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                text = (folder / "stat").read_text()
            except OSError:
                continue
            children.setdefault(int(text.rpartition(")")[2].split()[1]), []).append(
                int(folder.name)
            )
    found: list[int] = []
    queue = [root]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


def _lines(path: str) -> int:
    try:
        return len(Path(path).read_text().splitlines())
    except OSError:  # what is not dumpable is closed to all but root
        return 0


def _entries(path: str) -> int:
    try:
        return len(list(Path(path).iterdir()))
    except OSError:
        return 0


def _groups() -> int:
    """Return how many cgroup folders of this process's boxes there are."""
    places = {
        line.split()[1]
        for line in Path("/proc/self/mounts").read_text().splitlines()
        if line.split()[2] in ("cgroup", "cgroup2")
    }
    return sum(
        folder.startswith(f"seedcoder-{os.getpid()}-")
        for place in places
        for _, folders, _ in os.walk(place)
        for folder in folders
    )


def _size() -> dict[str, int]:
    """Return what might grow."""
    gc.collect()
    time.sleep(0.3)
    boxes = _below(os.getpid())
    return {
        "our memory in MiB": _status(os.getpid(), "VmRSS") >> 10,
        "our descriptors": _entries("/proc/self/fd"),
        "our threads": _status(os.getpid(), "Threads"),
        "our mounts": _lines("/proc/self/mounts"),
        "processes": len(boxes),
        "memory of boxes in MiB": sum(_status(pid, "VmRSS") for pid in boxes) >> 10,
        "descriptors of boxes": sum(_entries(f"/proc/{pid}/fd") for pid in boxes),
        "mounts of boxes": sum(_lines(f"/proc/{pid}/mountinfo") for pid in boxes),
        "cgroups": _groups(),
    }


def test_ten_thousand_mixed_runs_leave_nothing_behind() -> None:
    began = time.monotonic()
    outside = _size()
    with Pool(2, confirm_timeouts=False) as pool:
        _work(pool, WARM_UP)
        before = _size()
        done = _work(pool, RUNS - WARM_UP)
        after = _size()
    assert sum(done.values()) == RUNS - WARM_UP
    assert set(done) == set(MIX)
    memory = ("our memory in MiB", "memory of boxes in MiB")
    grown = {
        name: (before[name], after[name])
        for name in before
        if after[name] > before[name] + (8 if name in memory else 0)
    }
    assert grown == {}
    ended = _size()
    # One pool was enough to load what stays loaded; all else is as before it.
    for name in ("our descriptors", "our threads", "our mounts", "processes", "cgroups"):
        assert ended[name] <= outside[name], (name, outside[name], ended[name])
    assert time.monotonic() - began < 600  # 40 s on two quiet cores


def test_boxes_started_and_ended_again_and_again_leave_nothing_behind() -> None:
    def once() -> None:
        with Pool(1) as pool:
            assert pool.run(Program.python("print(1)"), LIMITS).stdout == "1\n"

    once()
    before = _size()
    for _ in range(40):
        once()
    after = _size()
    for name in before:
        room = 4 if name == "our memory in MiB" else 0
        assert after[name] <= before[name] + room, (name, before[name], after[name])
