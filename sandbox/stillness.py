"""Is a run asleep, and what does it wait for? Told from outside, by what /proc says of its threads.

Load does not look like sleep: a thread that would run and gets no processor is not asleep, and one
that woke in between has changed its counters. Where /proc does not show the run (a container's
processes, a kernel without lists of children), it never counts as asleep, and its limits end it.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

_ASLEEP = ("S", "Z", "X", "I")
# What the kernel calls the place where a thread waits, in words for a person.
_PLACES = {
    "pipe_read": "waited for words to read",
    "pipe_write": "waited for its words to be read",
    "nanosleep": "slept",
}
_NO_PLACE = "waited"
_GONE = (FileNotFoundError, ProcessLookupError)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - several times a second
        found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    return found


def _processes(guard: int) -> Iterator[int]:
    """Yield the processes of the run: what is below the guard's child, the zygote."""
    queue = [child for zygote in _children(guard) for child in _children(zygote)]
    while queue:
        pid = queue.pop()
        yield pid
        with contextlib.suppress(*_GONE):
            queue += _children(pid)


def glance(guard: int) -> frozenset[tuple[str, ...]] | None:
    """Return what changes as soon as anything of a slot's run moves.

    None where something moves right now, or nothing can be seen. guard: the slot's pid.
    """
    seen = set()
    try:
        for pid in _processes(guard):
            for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - several times a second
                lines = Path(f"/proc/{pid}/task/{task}/status").read_text().splitlines()
                state = next(line.split()[1] for line in lines if line.startswith("State:"))
                if state not in _ASLEEP:
                    return None
                seen.add((task, *(line for line in lines if "ctxt_switches" in line)))
    except (OSError, StopIteration):
        return None
    return frozenset(seen) or None


def waits(guard: int) -> str:
    """Return what a sleeping run does, in words; the kernel may not tell."""
    places = []
    try:
        for pid in _processes(guard):
            for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - several times a second
                places.append(Path(f"/proc/{pid}/task/{task}/wchan").read_text())
    except OSError:
        return _NO_PLACE
    for place, words in _PLACES.items():
        if any(place in found for found in places):
            return words
    return _NO_PLACE


def end(guard: int) -> None:
    """Kill the run, and leave its zygote to tell how it ended."""
    with contextlib.suppress(OSError):
        for zygote in _children(guard):
            for pid in _children(zygote):
                _kill(pid, zygote)


def _kill(pid: int, parent: int) -> None:
    """Kill a child of `parent`, and not who may have got its number since it was read."""
    with contextlib.suppress(*_GONE):
        pidfd = os.pidfd_open(pid)
        try:
            text = Path(f"/proc/{pid}/stat").read_text()
            if int(text.rpartition(")")[2].split()[1]) == parent:
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        finally:
            os.close(pidfd)
