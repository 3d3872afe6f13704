"""What a run did, out of what its zygote reports and what it left in its memory files.

Everything here is read after the run's end, and most of it may have been written by a hostile
program: text is decoded with replacement and cut, files are opened beneath the work folder only.
"""

from __future__ import annotations

import os
import signal
import socket
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sandbox.inside import kernel, settings
from sandbox.outcome import Kind, Outcome
from sandbox.program import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One run as the slot reports it: the outcome, and what the driver wrote of answers."""

    outcome: Outcome
    answers: tuple[str, ...]


def told(
    reply: tuple[int, ...],
    fds: Sequence[int],
    limits: Limits,
    *,
    out_of_memory: bool,
    peak_mb: float,
    files: Mapping[str, bytes],
    answers: int,
    room: int,
) -> Ran:
    """Return the run that the zygote's reply tells of.

    fds: the run's descriptors, by place. out_of_memory, peak_mb: as its cgroup counted, False and
    0.0 without one. answers: lines of them that are read; room: characters.
    """
    _, _, status, reason, cpu_us, wall_us, largest_kb, sum_kb = reply
    most = limits.output_kb * 1024
    stdout, more_out = text(fds[settings.STDOUT_FD], most)
    stderr, more_err = text(fds[settings.STDERR_FD], most)
    raw, _ = text(fds[settings.ANSWERS_FD], room)
    lines = tuple(raw.split("\n", answers)[:answers]) if raw else ()
    if lines and len(lines) < answers:
        lines = lines[:-1]  # what follows the last line's end
    code = os.waitstatus_to_exitcode(status)
    kind = _kind(code, reason, lines, out_of_memory=out_of_memory, too_much=more_out or more_err)
    if kind is Kind.CRASHED and code == -signal.SIGKILL and cpu_us >= limits.cpu_s * 1e6:
        kind = Kind.TIMEOUT
    outcome = Outcome(
        kind=kind,
        exit_code=code if code >= 0 else None,
        signal=-code if code < 0 else None,
        stdout=stdout,
        stderr=stderr,
        truncated=more_out or more_err,
        cpu_s=cpu_us / 1e6,
        wall_s=wall_us / 1e6,
        peak_mb=round(peak_mb or max(largest_kb, sum_kb) / 1024, 3),
        files=files,
    )
    return Ran(outcome=outcome, answers=lines)


def collected(collector: socket.socket, names: Sequence[str], most: int) -> dict[str, bytes]:
    """Read regular files of the dead run's work folder, whatever it put there instead.

    collector: where the run handed the folder out. most: bytes of each.
    """
    collector.setblocking(False)
    try:
        _, fds, _, _ = socket.recv_fds(collector, 1, 1)
    except BlockingIOError:
        return {}
    found: dict[str, bytes] = {}
    for name in names:
        try:
            fd = kernel.open_beneath(fds[0], name)
        except OSError:
            continue
        try:
            if stat.S_ISREG(os.fstat(fd).st_mode):
                found[name] = os.pread(fd, most, 0)
        finally:
            os.close(fd)
    for fd in fds:
        os.close(fd)
    return found


def _kind(
    code: int, reason: int, answers: tuple[str, ...], *, out_of_memory: bool, too_much: bool
) -> Kind:
    if out_of_memory or reason == settings.MEMORY:
        return Kind.MEMORY
    if reason in (settings.CPU, settings.WALL) or code == -signal.SIGXCPU:
        return Kind.TIMEOUT
    if reason == settings.OUTPUT or too_much or code == -signal.SIGXFSZ:
        return Kind.OUTPUT
    if code == -signal.SIGSYS:
        return Kind.FORBIDDEN
    if any(line.startswith("C") for line in answers[:1]):
        return Kind.COMPILE_ERROR
    if code == 0:
        return Kind.PASSED
    if any(line.startswith("M") for line in answers):
        return Kind.MEMORY
    return Kind.CRASHED


def text(fd: int, limit: int) -> tuple[str, bool]:
    """Return what a run wrote, as text and up to the limit, and whether there was more."""
    size = os.fstat(fd).st_size
    if not size:
        return "", False
    return os.pread(fd, min(size, limit), 0).decode("utf-8", "replace"), size > limit
