"""An engine's process, as the gateway holds it: through its guard."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.base_subprocess import BaseSubprocessTransport
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serve.engines.guard import Charge

_ROOT = Path(__file__).parents[2]
_BOOTSTRAP = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); from serve.engines.guard import main; main()"
)
_KILL_S = 15.0  # a little more than the guard takes


class NotStarted(Exception):
    """The engine's process could not be made; the message says why, in a line."""


class Guarded:
    """A running engine. Letting go of it (`kill`, or dying) ends it and its descendants."""

    def __init__(self, guard: asyncio.subprocess.Process, pid: int) -> None:
        self._guard = guard
        self.pid = pid
        self._ending = asyncio.create_task(self._listen(), name=f"engine-{pid}")

    @classmethod
    async def start(cls, charge: Charge, environment: Mapping[str, str]) -> Guarded:
        """Start the engine; it runs, which is not yet to say that it listens.

        environment: beside this process's own. Raises NotStarted.
        """
        guard = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", "-c", _BOOTSTRAP, str(_ROOT), charge.to_argument(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, **environment},
            start_new_session=True,
        )  # fmt: skip
        assert guard.stdout is not None
        try:
            word, _, rest = (await guard.stdout.readline()).decode().strip().partition(" ")
            if word != "started":
                await _bury(guard)
                raise NotStarted(rest or f"its guard ended with code {guard.returncode}")
        except BaseException:
            _let_go(guard)
            raise
        return cls(guard, int(rest))

    async def _listen(self) -> int:
        assert self._guard.stdout is not None
        try:
            line = (await self._guard.stdout.readline()).decode().split()
            await _bury(self._guard)
        finally:
            _let_go(self._guard)
        # No line: the guard itself was killed, and took the engine along.
        return int(line[1]) if len(line) == 2 else -signal.SIGKILL

    @property
    def has_ended(self) -> bool:
        """Whether the engine and its descendants are gone."""
        return self._ending.done()

    async def ended(self) -> int:
        """Wait for its end; return its exit code, or minus the signal that ended it."""
        return await asyncio.shield(self._ending)

    async def wait(self, timeout_s: float) -> int | None:
        """Wait for its end, but no longer than that; return its code, or None."""
        done, _ = await asyncio.wait((self._ending,), timeout=timeout_s)
        return self._ending.result() if done else None

    def ask_to_end(self) -> None:
        """Send SIGTERM to the engine's first process."""
        if not self.has_ended:
            assert self._guard.stdin is not None
            with contextlib.suppress(ConnectionError, RuntimeError):
                self._guard.stdin.write(b"t")

    async def kill(self) -> int:
        """End it and its descendants now; return its code."""
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        code = await self.wait(_KILL_S)
        if code is None:
            with contextlib.suppress(ProcessLookupError):
                self._guard.kill()
            code = await self.ended()
        return code


async def _bury(guard: asyncio.subprocess.Process) -> None:
    """Wait until nothing is left of it, pipes neither: they may not outlast the event loop."""
    assert guard.stdin is not None and guard.stdout is not None
    guard.stdin.close()
    with contextlib.suppress(ConnectionError):
        await guard.stdin.wait_closed()
    await guard.stdout.read()
    await guard.wait()
    await asyncio.sleep(0)  # the transport closes itself in the next turn of the loop
    await asyncio.sleep(0)


def _let_go(guard: asyncio.subprocess.Process) -> None:
    """Close what the event loop holds of it, whoever ends the waiting: left to the collector, it
    would be closed when there is no loop any more. The guard sees its input end, and ends the
    engine; the transport's own `close` would kill it before it could."""
    transport: Any = guard._transport  # type: ignore[attr-defined]
    for fd in (0, 1):
        if (pipe := transport.get_pipe_transport(fd)) is not None:
            pipe.close()
    if isinstance(transport, BaseSubprocessTransport):  # uvloop's needs no telling
        transport._closed = True


def name_of_end(code: int) -> str:
    """Say how a process ended: "with exit code 1", "by SIGKILL"."""
    if code >= 0:
        return f"with exit code {code}"
    try:
        return f"by {signal.Signals(-code).name}"
    except ValueError:
        return f"by signal {-code}"
