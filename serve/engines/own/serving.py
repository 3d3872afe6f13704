"""An own engine's process: where it listens, its signals, its end.

SIGTERM or Ctrl-C drains: answers under way go on for `drain_s`, new requests get 503. The second
ends at once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from seedcoder.errors import UsageError
from serve.engines.own.front import Front, Speaker
from serve.engines.own.wire import Wire

log = logging.getLogger(__name__)

_BACKLOG = 2048
_BODY_BYTES = 64 << 20  # ours: above what the gateway lets in
_TICK_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where to listen: a unix socket, or a port of loopback (0 takes a free one)."""

    path: Path | None = None
    port: int | None = None
    host: str = "127.0.0.1"
    drain_s: float = 30.0

    def __post_init__(self) -> None:
        if (self.path is None) == (self.port is None):
            raise UsageError("say where to listen: --socket PATH or --port NUMBER")

    def listen(self) -> tuple[socket.socket, str]:
        """Return a listening socket and its address as text. Raises UsageError."""
        if self.path is None:
            # Named, as asyncio sends small packets at once only where the protocol is known as TCP.
            listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        else:
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            if self.path is None:
                listener.bind((self.host, self.port))
                said = "http://{}:{}".format(*listener.getsockname()[:2])
            else:
                _bind_unix(listener, self.path)
                said = f"unix:{self.path}"
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            where = self.path or f"{self.host}:{self.port}"
            raise UsageError(f"cannot listen on {where}: {error.strerror or error}") from error
        listener.setblocking(False)
        return listener, said


def serve(make: Callable[[], Speaker], names: Sequence[str], place: Place) -> NoReturn:
    """Serve until a signal ends it; does not return.

    make: called in the event loop, before anybody is let in.
    """
    import uvloop

    uvloop.run(_serve(make, names, place))


async def _serve(make: Callable[[], Speaker], names: Sequence[str], place: Place) -> NoReturn:
    loop = asyncio.get_running_loop()
    front = Front(make(), names)
    listener, said = place.listen()
    wires: set[Wire] = set()
    ended = asyncio.Event()

    def end(number: int) -> None:
        if ended.is_set():
            os._exit(128 + number)
        ended.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, number)

    def connect() -> Wire:
        return Wire(front, wires, _BODY_BYTES)

    if place.path is None:
        server = await loop.create_server(connect, sock=listener, backlog=_BACKLOG)
    else:
        server = await loop.create_unix_server(connect, sock=listener, backlog=_BACKLOG)
    log.warning("serving on %s names=%s", said, ",".join(names))
    await ended.wait()
    await _drain(front, wires, place.drain_s)
    server.close()
    if place.path is not None:
        place.path.unlink(missing_ok=True)
    # At once: a model's thread may be in the middle of a round that nobody waits for.
    sys.stderr.flush()
    os._exit(0)


async def _drain(front: Front, wires: set[Wire], drain_s: float) -> None:
    front.is_draining = True
    loop = asyncio.get_running_loop()
    deadline = loop.time() + drain_s
    log.warning("draining answers=%d drain_s=%g", sum(x.is_busy for x in wires), drain_s)
    while any(wire.is_busy for wire in wires):
        if loop.time() >= deadline:
            log.warning("the time to drain is over answers=%d", sum(x.is_busy for x in wires))
            break
        await asyncio.sleep(_TICK_S)


def _bind_unix(listener: socket.socket, path: Path) -> None:
    if path.is_socket():
        path.unlink()  # of an engine that was killed; one that lives loses its address
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
