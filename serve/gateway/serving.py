"""The gateway's process: its socket, its signals, its end.

SIGTERM or Ctrl-C drains: /ready says 503, new requests get 503, answers under way go on for
`drain_s`; then the engines are ended. The second signal ends at once; the engines' guards then end
what they guard.
"""

from __future__ import annotations

import resource
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from fastapi import FastAPI

from sandbox.server import serving

if TYPE_CHECKING:
    from serve.config import GatewayTable


def listen(config: GatewayTable) -> socket.socket:
    """Return the socket a gateway listens on. Raises OSError."""
    # Of every connection: one whose client reads nothing for so long is cut by the kernel, which
    # no other way of closing does while bytes wait to be read.
    stall_ms = round(1000 * config.stall_s)
    option = (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, stall_ms)
    return serving.listen(config.host, config.port, options=(option,))


def serve(
    app: FastAPI,
    listener: socket.socket,
    config: GatewayTable,
    *,
    on_exit: Callable[[], None] = lambda: None,
) -> None:
    """Serve until a signal ends it; calls `on_exit` then, and does not return."""

    def code() -> int:
        on_exit()
        return 0

    _allow_many_files()
    serving.serve(app, listener, app.state.house, drain_s=config.drain_s, code=code)


def _allow_many_files() -> None:
    """Let this process have as many connections as the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
