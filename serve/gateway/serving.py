"""The gateway's process: its socket, its signals, its end.

SIGTERM or Ctrl-C drains: /ready says 503, new requests get 503, answers under way go on for
`drain_s`; then the engines are ended. The second signal ends at once; the engines' guards then end
what they guard.
"""

from __future__ import annotations

import logging
import os
import resource
import socket
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI

if TYPE_CHECKING:
    from serve.config import GatewayTable
    from serve.gateway.house import House

log = logging.getLogger(__name__)

_KEEP_ALIVE_S = 75  # above what clients keep an idle connection for
_BACKLOG = 2048
_LAST_WORDS_S = 5


def listen(config: GatewayTable) -> socket.socket:
    """Return the socket a gateway listens on. Raises OSError."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    # Named, as asyncio sends small packets at once only where the protocol is known to be TCP.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Of every connection: one whose client reads nothing for so long is cut by the kernel,
        # which no other way of closing does while bytes wait to be read.
        listener.setsockopt(
            socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(1000 * config.stall_s)
        )
        listener.bind((config.host, config.port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def serve(
    app: FastAPI,
    listener: socket.socket,
    config: GatewayTable,
    *,
    on_exit: Callable[[], None] = lambda: None,
) -> None:
    """Serve until a signal ends it; calls `on_exit` then, and does not return."""
    _allow_many_files()
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
        app.state.house,
        config.drain_s,
    )
    server.run(sockets=[listener])
    # A thread of a library may still wait for something that was not to be waited for.
    on_exit()
    _leave(0)


def _allow_many_files() -> None:
    """Let this process have as many connections as the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


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

    def __init__(self, config: uvicorn.Config, house: House, drain_s: float) -> None:
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
        self._house.is_draining = True
        log.warning("draining requests=%d drain_s=%g", self._house.requests, self._drain_s)

    async def on_tick(self, counter: int) -> bool:
        """Shut down once nobody waits for an answer, or the time for that is over."""
        if self._deadline and not self.should_exit:
            if not self._house.requests:
                self.should_exit = True
            elif time.monotonic() >= self._deadline:
                log.warning("the time to drain is over requests=%d", self._house.requests)
                self._house.cut()
                self.should_exit = True
        return await super().on_tick(counter)
