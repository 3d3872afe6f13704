"""HTTP/1.1 for an engine: whole answers, and streams whose every write is one system call.

A protocol of our own on httptools, because a stream is written from one place for all clients at
once: a server that wakes a task a token costs twice the processor time for the same tokens.

Does not guard against strangers: no keys, no TLS, no limit on connections. For a unix socket or
loopback, behind the gateway.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import httptools
import orjson

from serve.fault import Fault

log = logging.getLogger(__name__)

_HIGH_BYTES = 256 << 10  # ours: a client this far behind is not written to until it has read
_WAITING_MOST = 16  # ours: requests that one connection may send before it reads an answer
_ID = re.compile(r"[\w.:-]{1,64}", re.ASCII)

Answer = Callable[["Exchange"], None]


class Exchange:
    """One request and its answer.

    on_gone: called once when the client goes away before the answer is whole.
    """

    def __init__(self, wire: Wire, method: str, target: bytes, headers: dict[bytes, bytes]) -> None:
        self._wire = wire
        self.method = method
        self.path = target.partition(b"?")[0].decode("latin-1")
        self.headers = headers
        self.body = b""
        self.on_gone: Callable[[], None] | None = None
        self.keeps_alive = True
        self._is_streaming = False
        self._is_over = False

    @property
    def is_over(self) -> bool:
        """Whether the answer is whole, or nobody is there to read it."""
        return self._is_over

    @property
    def is_behind(self) -> bool:
        """Whether the client reads more slowly than it is written to."""
        return self._wire.is_paused

    def answer(self, status: int, body: bytes, *, retry_after_s: float | None = None) -> None:
        """Send a whole answer, which is JSON."""
        if self._is_over:
            return
        head = self._head(status, b"application/json")
        if retry_after_s is not None:
            head += b"retry-after: %d\r\n" % math.ceil(retry_after_s)
        head += b"content-length: %d\r\n\r\n" % len(body)
        self._wire.write(head if self.method == "HEAD" else head + body)
        self._finish()

    def fault(self, fault: Fault) -> None:
        """Send a refusal; in a stream that has begun, as its last event."""
        body = orjson.dumps(fault.to_json())
        if self._is_streaming:
            self.write(b"data: " + body + b"\n\n")
            self.end()
            return
        self.answer(fault.status, body, retry_after_s=fault.retry_after_s)

    def begin(self) -> None:
        """Begin a stream of events."""
        self._is_streaming = True
        head = self._head(200, b"text/event-stream; charset=utf-8")
        self._wire.write(head + b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n")

    def write(self, events: bytes) -> None:
        """Send events: one chunk, however many they are."""
        if not self._is_over:
            self._wire.write(b"%x\r\n%b\r\n" % (len(events), events))

    def end(self) -> None:
        """End the stream."""
        if not self._is_over:
            self._wire.write(b"0\r\n\r\n")
            self._finish()

    def lost(self) -> None:
        """The connection is gone."""
        if not self._is_over:
            self._is_over = True
            gone, self.on_gone = self.on_gone, None
            if gone is not None:
                gone()

    def _head(self, status: int, kind: bytes) -> bytes:
        phrase = HTTPStatus(status).phrase.encode()
        head = b"HTTP/1.1 %d %b\r\ncontent-type: %b\r\n" % (status, phrase, kind)
        given = self.headers.get(b"x-request-id", b"")
        if _ID.fullmatch(given.decode("latin-1")):
            head += b"x-request-id: %b\r\n" % given
        return head if self.keeps_alive else head + b"connection: close\r\n"

    def _finish(self) -> None:
        self._is_over = True
        self.on_gone = None
        self._wire.done(self)


class Wire(asyncio.Protocol):
    """One connection. Requests on it are answered one after the other."""

    def __init__(self, act: Answer, open_wires: set[Wire], body_bytes: int) -> None:
        self._act = act
        self._open = open_wires
        self._most_bytes = body_bytes
        self._transport: Any = None
        self._parser = httptools.HttpRequestParser(self)
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._parts: list[bytes] = []
        self._size = 0
        self._under_way: Exchange | None = None
        self._waiting: deque[Exchange] = deque()
        self.is_paused = False

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self._transport = transport
        self._transport.set_write_buffer_limits(high=_HIGH_BYTES)
        self._open.add(self)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            if self._transport.is_closing():
                return  # one of the callbacks below has refused it
            log.info("no HTTP error=%s", error)
            self._refuse(400, "this is no HTTP request")

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody reads any more."""
        self._open.discard(self)
        self._waiting.clear()
        if self._under_way is not None:
            self._under_way.lost()
            self._under_way = None

    def pause_writing(self) -> None:
        """The client is behind."""
        self.is_paused = True

    def resume_writing(self) -> None:
        """The client has caught up."""
        self.is_paused = False

    # httptools' side

    def on_message_begin(self) -> None:
        """A request begins."""
        self._target, self._headers, self._parts, self._size = b"", {}, [], 0

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header."""
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """Let a client that asks first send its body."""
        if self._headers.get(b"expect", b"").lower() == b"100-continue":
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._size += len(body)
        if self._transport.is_closing():
            return
        if self._size > self._most_bytes:
            self._refuse(413, f"a body may have {self._most_bytes >> 20} MiB here")
        else:
            self._parts.append(body)

    def on_message_complete(self) -> None:
        """Answer the request, or put it behind the one under way."""
        if self._transport.is_closing():
            return
        method = self._parser.get_method().decode("latin-1")
        exchange = Exchange(self, method, self._target, self._headers)
        exchange.body = b"".join(self._parts)
        exchange.keeps_alive = self._parser.should_keep_alive()
        self._parts = []
        self._waiting.append(exchange)
        if len(self._waiting) > _WAITING_MOST:
            self._transport.abort()
            return
        # Not from within the parser, which takes what goes wrong in there for bad HTTP.
        asyncio.get_running_loop().call_soon(self._next)

    # an exchange's side

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self._transport.write(data)

    def done(self, exchange: Exchange) -> None:
        """Go on to the next request."""
        self._under_way = None
        if not exchange.keeps_alive:
            self._transport.close()
        elif self._waiting:
            asyncio.get_running_loop().call_soon(self._next)

    def close(self) -> None:
        """Close the connection if nothing is under way."""
        if not self.is_busy:
            self._transport.close()

    @property
    def is_busy(self) -> bool:
        """Whether an answer is under way."""
        return self._under_way is not None or bool(self._waiting)

    def _next(self) -> None:
        if not self._waiting or self._under_way is not None or self._transport.is_closing():
            return
        exchange = self._under_way = self._waiting.popleft()
        is_ours = True
        try:
            self._act(exchange)
            is_ours = False
        except Fault as fault:
            is_ours = False
            exchange.fault(fault)
        finally:
            if is_ours:  # the loop logs it; the client must not wait for ever
                exchange.fault(Fault(500, "the engine failed at this", kind="server_error"))

    def _refuse(self, status: int, message: str) -> None:
        exchange = Exchange(self, "", b"", {})
        exchange.keeps_alive = False
        exchange.fault(Fault(status, message))
