"""A server's process: its socket, its signals, its end. The gateway of `serve` has the same.

SIGTERM or Ctrl-C drains: /readyz says 503, programs that run or wait go on for `drain_s`, new ones
get 503. The second ends at once; the guards of the boxes then end what ran in them.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Protocol

import uvicorn
from fastapi import FastAPI

_KEEP_ALIVE_S = 75  # above what clients keep an idle connection for
_BACKLOG = 2048
_LAST_WORDS_S = 5


class Answering(Protocol):
    """Who answers, as far as the end of a server goes. requests: those that a drain waits for."""

    @property
    def requests(self) -> int:
        """How many are being answered."""
        ...

    def drain(self, drain_s: float) -> None:
        """Take nothing new from now on. drain_s: how long what is under way may still take."""
        ...

    def cut(self) -> None:
        """End what is under way: the time to wait for it is over."""
        ...


def listen(host: str, port: int, *, options: Sequence[tuple[int, int, int]] = ()) -> socket.socket:
    """Return the socket a server listens on. options: for setsockopt. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named, as asyncio sends small packets at once only where the protocol is known to be TCP.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for level, name, value in options:
            listener.setsockopt(level, name, value)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def serve(
    app: FastAPI,
    listener: socket.socket,
    house: Answering,
    *,
    drain_s: float,
    code: Callable[[], int],
) -> None:
    """Serve until a signal ends it; does not return. code: asked for the exit code at the end."""
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # the log shows who connected, not who that says it is
            ws="none",
            lifespan="on",
            backlog=_BACKLOG,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_LAST_WORDS_S,
        ),
        house,
        drain_s,
    )
    server.run(sockets=[listener])
    # A thread may still wait for something that was not to be waited for.
    _leave(code())


def _leave(code: int) -> None:
    for flush in (sys.stdout.flush, sys.stderr.flush):
        _quietly(flush)
    os._exit(code)


def _quietly(flush: Callable[[], object]) -> None:
    try:
        flush()
    except (OSError, ValueError):
        pass  # whoever read it has gone


class _Server(uvicorn.Server):
    """uvicorn's server that drains before it shuts down."""

    def __init__(self, config: uvicorn.Config, house: Answering, drain_s: float) -> None:
        super().__init__(config)
        self._house = house
        self._drain_s = drain_s
        self._deadline = 0.0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain at the first signal; end at the second."""
        if self._deadline:
            _leave(128 + sig)
        self._deadline = time.monotonic() + self._drain_s
        if not self.started:
            self.should_exit = True
            return
        self._house.drain(self._drain_s)

    async def on_tick(self, counter: int) -> bool:
        """Shut down once nobody waits for an answer, or the time for that is over."""
        if self._deadline and not self.should_exit:
            if not self._house.requests:
                self.should_exit = True
            elif time.monotonic() >= self._deadline:
                self._house.cut()
                self.should_exit = True
        return await super().on_tick(counter)
