"""A process between the gateway and one engine, so that no engine outlives its gateway.

Its standard input is the lifeline: when that ends, however the gateway died (SIGKILL too), the
engine and all its descendants are killed. It puts the engine into a session of its own (Ctrl-C on
the gateway's terminal does not reach it), writes what the engine says into a log of bounded size,
and says on its standard output how things go, a line each: "started PID", "failed REASON",
"ended CODE" (negative: by that signal).

Killed itself, it takes the engine's first process along (the kernel's parent-death signal); that
process's own children are then its own affair. Not its descendants, and so not ended by it: Ray's
workers, containers, whatever another server starts for the engine.

Standard library only, and started with `-I -S`: it costs 10 MB and 30 ms.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

MARK = "=== "  # begins the line that the guard itself writes before each start

LOG_BYTES = 8 << 20  # ours: of a log before it becomes the old one, of which one is kept
_OOM_SCORE = 300  # ours: short of memory, the kernel takes an engine before the gateway
_TICK_MS = 500
_KILL_S = 10.0
_SET_PDEATHSIG, _SET_CHILD_SUBREAPER = 1, 36  # include/uapi/linux/prctl.h


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What a guard is to look after.

    log: where the engine's words go. socket: where it will listen; removed before and
    after. lock: held while the engine runs, so that two services never share a socket.
    """

    command: tuple[str, ...]
    log: str
    lock: str
    socket: str | None = None

    def to_argument(self) -> str:
        """Return it as a word of the guard's command line."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__})

    @classmethod
    def from_argument(cls, text: str) -> Charge:
        """Return the charge that `to_argument` wrote."""
        data = json.loads(text)
        return cls(**{**data, "command": tuple(data["command"])})


def main() -> None:
    """Start what the command line says, and stay until it has ended or the lifeline has."""
    charge = Charge.from_argument(sys.argv[1])
    _prctl(_SET_CHILD_SUBREAPER, 1)
    for kind in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(kind, signal.SIG_IGN)  # the lifeline alone decides
    try:
        lock = os.open(charge.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say(f"failed another service keeps this engine already (it holds {charge.lock})")
            return
        _remove_socket(charge)
        log = _Log(Path(charge.log))
        child = _start(charge, log)
    except OSError as error:
        _say(f"failed {error.strerror or error}: {error.filename or charge.command[0]}")
        return
    _say(f"started {child.pid}")
    code = _watch(child, log)
    _kill_descendants()
    _remove_socket(charge)
    if code is None:
        code = child.returncode if child.returncode is not None else -signal.SIGKILL
    _say(f"ended {code}")


def _remove_socket(charge: Charge) -> None:
    if charge.socket is not None:
        Path(charge.socket).unlink(missing_ok=True)


def _start(charge: Charge, log: _Log) -> subprocess.Popen[bytes]:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    log.write(f"{MARK}{now} {' '.join(charge.command)}\n".encode())
    return subprocess.Popen(
        charge.command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
        start_new_session=True,
        preexec_fn=_before_exec,  # this process has one thread
    )


def _before_exec() -> None:
    _prctl(_SET_PDEATHSIG, signal.SIGKILL)
    for kind in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(kind, signal.SIG_DFL)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(_OOM_SCORE), encoding="ascii")


def _watch(child: subprocess.Popen[bytes], log: _Log) -> int | None:
    """Carry words and the request to end, until the engine has ended (its code) or must (None)."""
    assert child.stdout is not None
    words, lifeline, parent = child.stdout.fileno(), sys.stdin.fileno(), os.getppid()
    os.set_blocking(words, False)
    ended = os.pidfd_open(child.pid)
    poll = select.poll()
    for descriptor in (words, lifeline, ended):
        poll.register(descriptor, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poll.poll(_TICK_MS)}
        if words in ready and not log.take(words):
            poll.unregister(words)
        if lifeline in ready:
            if not os.read(lifeline, 64):
                return None
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGTERM)
        if os.getppid() != parent:
            return None  # somebody else holds our lifeline open, but the gateway is gone
        code = _reap(child)
        if code is not None:
            log.take(words)
            return code


def _reap(child: subprocess.Popen[bytes]) -> int | None:
    """Bury what has ended, orphans that came to us too; return the engine's code if it has."""
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == child.pid:
                child.returncode = os.waitstatus_to_exitcode(status)
    return child.returncode


def _kill_descendants() -> None:
    """Kill everything below this process, until nothing is left or the time for it is over."""
    deadline = time.monotonic() + _KILL_S
    while (below := _descendants()) and time.monotonic() < deadline:
        for pid in below:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _descendants() -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # The name in parentheses may hold spaces and parentheses.
                fields = (entry / "stat").read_text(encoding="latin-1").rpartition(")")[2].split()
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, look = [], [os.getpid()]
    while look:
        for pid in children.get(look.pop(), ()):
            found.append(pid)
            look.append(pid)
    return found


class _Log:
    """A file that starts anew when it is full; the one before it is kept as `.1`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open()

    def _open(self) -> None:
        # What engines say may hold prompts: for this user only.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._file = os.open(self._path, flags, 0o600)
        self._bytes = os.fstat(self._file).st_size

    def write(self, data: bytes) -> None:
        if self._bytes > LOG_BYTES:
            os.close(self._file)
            self._path.replace(f"{self._path}.1")
            self._open()
        # A full disk must not stop the engine: its words are lost then.
        with contextlib.suppress(OSError):
            self._bytes += os.write(self._file, data)

    def take(self, descriptor: int) -> bool:
        """Write what lies in a pipe; return False at its end."""
        while True:
            try:
                data = os.read(descriptor, 1 << 16)
            except BlockingIOError:
                return True
            if not data:
                return False
            self.write(data)


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _say(line: str) -> None:
    # The gateway that would read it may be gone.
    with contextlib.suppress(OSError):
        os.write(sys.stdout.fileno(), f"{line}\n".encode())
