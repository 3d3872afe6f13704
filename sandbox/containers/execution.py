"""One command in a container of its own: files in, output and files out, limits kept from outside.

CPU time decides TIMEOUT, as the container's cgroup counts it; wall time is the backstop. Starting
the command is counted with it: some 20 ms that are the engine's. MEMORY is what the kernel says of
the container. Programs run as another user than the process that holds the container.
Does not hold: disk outside the work folder where `workdir` is in the image (each file is capped).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.containers import engine, options, transfer
from sandbox.containers.fresh import Held, Need, Warm, is_running
from sandbox.containers.stream import Command
from sandbox.errors import SandboxBroken
from sandbox.inside.launch import PACKED
from sandbox.outcome import Kind, Outcome
from sandbox.program import Limits

_MIB = 1 << 20
_TICK_S = 0.05
_ASK_S = 0.5  # between questions to the engine, where the cgroup cannot be seen
_PROGRAM_USER = 1_999_999_999
_SIGNALS = {128 + number: number for number in (4, 5, 6, 7, 8, 9, 11, 15, 24, 25, 31)}
_SIGXCPU, _SIGXFSZ, _SIGSYS, _SIGKILL = 24, 25, 31, 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What to execute.

    argv: the command. files: laid into `workdir` first, beneath it. stdin. environment: beside the
    image's own. workdir: "" is the work folder; any other is in the image, whose files can then be
    written, by the image's root without any capability. collect: names beneath `workdir`.
    packs: endings of files there that are packed into one, as `inside.launch` does, when the
    command has ended well.
    """

    argv: tuple[str, ...]
    files: Mapping[str, bytes]
    stdin: bytes
    environment: Mapping[str, str]
    workdir: str
    collect: tuple[str, ...] = ()
    packs: tuple[str, ...] = ()


def execute(warm: Warm, need: Need, task: Task, limits: Limits) -> Outcome:
    """Execute a task in a fresh container.

    Raises SandboxBroken when the container was lost, SandboxUnavailable when none starts.
    """
    held = warm.take(need)
    try:
        return _execute(held, need, task, limits)
    finally:
        held.end()


def _execute(held: Held, need: Need, task: Task, limits: Limits) -> Outcome:
    folder = task.workdir or options.WORK
    user = 0 if need.writable else _PROGRAM_USER
    transfer.put(held.container, folder, task.files, user)
    meter = _Meter(held)
    since = time.time()
    began = time.monotonic()
    command = Command(
        held.container, task.argv, workdir=folder, user=user, environment=dict(task.environment),
        stdin=task.stdin, output_most=limits.output_kb * 1024,
    )  # fmt: skip
    try:
        kind = _watched(command, meter, limits, began)
        cpu_s, wall_s = meter.used_s(now=True), time.monotonic() - began
        # Sampled before anything ends: the cgroup goes with the container.
        ran_out = held.weight is not None and held.weight.out_of_memory()
        peak_mb = held.weight.peak_mb() if held.weight is not None else 0.0
        code = -1 if kind else command.exit_code()
        if not ran_out and _is_lost(held, patient=not kind and code in (-1, 128 + _SIGKILL)):
            if not _oom_seen(held, since):
                raise SandboxBroken("the container of this run was lost")
            ran_out = True
        files: dict[str, bytes] = {}
        if (task.collect or (task.packs and code == 0)) and not kind and not ran_out:
            files = _left(held, task, folder, limits.disk_mb * _MIB)
    finally:
        command.close()
    if not ran_out and held.weight is None and code in _SIGNALS:
        ran_out = _oom_seen(held, since)
    signal = _SIGKILL if kind else _SIGNALS.get(code)
    stdout, stderr = command.text()
    return Outcome(
        kind=Kind.MEMORY if ran_out else kind or _kind(code, signal, over=command.over),
        exit_code=None if signal else code,
        signal=signal,
        stdout=stdout,
        stderr=stderr,
        truncated=command.over,
        cpu_s=cpu_s,
        wall_s=wall_s,
        peak_mb=round(peak_mb, 3),
        files=files,
    )


def _watched(command: Command, meter: _Meter, limits: Limits, began: float) -> Kind | None:
    """Drain a command to its end; or return why it must be ended now."""
    look = began
    while not command.turn(_TICK_S):
        now = time.monotonic()
        if command.over:
            return Kind.OUTPUT
        if now >= began + limits.wall_s:
            return Kind.TIMEOUT
        if now >= look:
            look = now + _TICK_S
            if meter.used_s() >= limits.cpu_s:
                return Kind.TIMEOUT
    return Kind.TIMEOUT if meter.used_s(now=True) >= limits.cpu_s else None


def _kind(code: int, signal: int | None, *, over: bool) -> Kind:
    if signal == _SIGXCPU:
        return Kind.TIMEOUT
    if over or signal == _SIGXFSZ:
        return Kind.OUTPUT
    if signal == _SIGSYS:
        return Kind.FORBIDDEN
    return Kind.PASSED if code == 0 else Kind.CRASHED


def _is_lost(held: Held, *, patient: bool) -> bool:
    """Return whether the container itself has ended.

    patient: wait a little, for processes of a container are killed before the engine notes its end.
    """
    for _ in range(10 if patient else 1):
        if not is_running(held.container):
            return True
        if patient:
            time.sleep(_TICK_S)
    return False


def _left(held: Held, task: Task, folder: str, most_bytes: int) -> dict[str, bytes]:
    """Return the files asked for, with all that the run left behind frozen meanwhile."""
    with engine.broken("freezing a container"):
        held.container.pause()
    try:
        files = transfer.collect(held.container, folder, task.collect, most_bytes)
        if task.packs:
            files[PACKED] = transfer.packed_tree(held.container, folder, task.packs, most_bytes)
    finally:
        with contextlib.suppress(*engine.failures()):  # gVisor takes 10 s to end what is frozen
            held.container.unpause()
    return files


def _oom_seen(held: Held, since: float) -> bool:
    return engine.ran_out_of_memory(held.container.client, held.container.id, since)


class _Meter:
    """CPU seconds of a container since it was made."""

    def __init__(self, held: Held) -> None:
        self._container = held.container
        self._file = Path(held.weight.cpu_file) if held.weight and held.weight.cpu_file else None
        self._asked = 0.0
        self._last = 0.0
        self._before = self._read()

    def used_s(self, *, now: bool = False) -> float:
        """Return the seconds used. now: ask, however lately the engine was asked."""
        if self._file is None and not now and time.monotonic() < self._asked + _ASK_S:
            return self._last
        # Lost with its container, the last reading stands.
        self._last = max(self._last, self._read() - self._before)
        return self._last

    def _read(self) -> float:
        if self._file is not None:
            try:
                text = self._file.read_text()
            except OSError:
                return 0.0
            return int(text.split()[1]) / 1e6 if text.startswith("usage") else int(text) / 1e9
        self._asked = time.monotonic()
        with contextlib.suppress(*engine.failures()):
            told = self._container.stats(stream=False)
            return float(told["cpu_stats"]["cpu_usage"]["total_usage"]) / 1e9
        return 0.0
