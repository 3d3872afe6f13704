"""HTTP/1.1 to one server, as thin as it can be: a token passes here thousands of times a second.

    pool = Pool(address)
    async with pool.ask("/v1/completions", headers, data) as answer:
        answer.status, answer.headers
        while chunk := await answer.read():
            ...

Only what engines need: POST with a body, answers by length, in chunks or to the connection's end, a
connection used again, unix sockets, TCP, TLS. No redirects, no cookies, no compression (it is asked
for none), no proxy. A general client costs twice as much for each token.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import httptools

if TYPE_CHECKING:
    from serve.engines.engine import Address

# Below the 5 s that uvicorn, and so vLLM, keeps an idle connection: never the one being closed.
_IDLE_S = 3.0
_CONNECT_S = 10.0
_HELD_MOST_BYTES = 1 << 18  # of an answer that nobody has read yet; then the engine must wait


class Silent(TimeoutError):
    """The server has said nothing for too long."""


class Answer(asyncio.Protocol):
    """One connection, and the answer that is on it now.

    Raises ConnectionError where the server goes away, `Silent`, httptools' error for what is no
    HTTP.
    """

    def __init__(self, silence_s: float) -> None:
        self._silence_s = silence_s
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._gathering: asyncio.TimerHandle | None = None
        self._after_s = 0.0
        self._error: BaseException | None = None
        self._is_paused = False
        self.is_open = True
        self.is_used = False  # it has brought an answer before
        self.idle_since_s = 0.0
        self._begin()

    def _begin(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self._pieces: list[bytes] = []
        self._held_bytes = 0
        self._has_head = False
        self.is_whole = False
        self._keeps_alive = False
        self.was_heard = False

    @property
    def media_type(self) -> str:
        """What the answer says it is, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    async def ask(self, head: bytes, data: bytes) -> None:
        """Send a request and wait for the head of its answer."""
        self._begin()
        self._after_s = 0.0
        self._heard_s = self._loop.time()
        self._timer = self._loop.call_later(self._silence_s, self._look)
        self._transport.write(head + data)
        while not self._has_head:
            await self._wait()

    async def read(self, *, after_s: float = 0.0) -> bytes:
        """Return what has come since; b"" at the answer's end.

        after_s: on the event loop's clock: what comes before is gathered until then, or until the
        answer's end.
        """
        self._after_s = after_s
        while not self._pieces or not self._is_time():
            if self.is_whole:
                return b""
            await self._wait()
        pieces = self._pieces
        self._pieces, self._held_bytes = [], 0
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def end(self) -> bool:
        """Be done with the answer; return whether the connection can be used again.

        An answer that has not come to its end is cut off, and the engine stops its work.
        """
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        if self.is_open and self.is_whole and not self._is_paused and self._keeps_alive:
            self.idle_since_s = time.monotonic()
            self.is_used = True
            return True
        self.close()
        return False

    def close(self) -> None:
        """Close the connection at once."""
        self.is_open = False
        self._transport.abort()

    def _is_time(self) -> bool:
        return (
            self._after_s <= self._loop.time()
            or self.is_whole
            or self._error is not None
            or self._held_bytes > _HELD_MOST_BYTES
        )

    async def _wait(self) -> None:
        if self._error is not None:
            raise self._error
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        if self._error is not None and not self._pieces:
            raise self._error

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _gathered(self) -> None:
        self._gathering = None
        self._wake()

    def _fail(self, error: BaseException) -> None:
        if self._error is None:
            self._error = error
        self._wake()

    def _look(self) -> None:
        """End the answer if its server has been silent, else look again when it would have been."""
        left_s = self._heard_s + self._silence_s - self._loop.time()
        if self._is_paused:
            left_s = self._silence_s  # it is we who do not listen
        if left_s > 0:
            self._timer = self._loop.call_later(left_s, self._look)
        else:
            self._fail(Silent(f"nothing came for {self._silence_s:g} s"))

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are of no such class

    def data_received(self, data: bytes) -> None:
        self.was_heard = True
        self._heard_s = self._loop.time()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(ConnectionError(f"what came is no HTTP: {error}"))
            self.close()
            return
        if self._is_time():
            self._wake()
        elif self._gathering is None and self._waiter is not None:
            self._gathering = self._loop.call_at(self._after_s, self._gathered)
        if self._held_bytes > _HELD_MOST_BYTES and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open = False
        if self._has_head and not self.is_whole and error is None and self._ends_at_close():
            self.is_whole = True
            self._wake()
            return
        said = f": {error}" if error is not None else ""
        self._fail(ConnectionResetError(f"the connection was closed{said}"))

    def _ends_at_close(self) -> bool:
        return not {"content-length", "transfer-encoding"} & self.headers.keys()

    # What the parser calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Take the end of the head."""
        self.status = self._parser.get_status_code()
        self._has_head = self.status >= 200  # else another head follows

    def on_body(self, piece: bytes) -> None:
        """Take some of the body."""
        self._pieces.append(piece)
        self._held_bytes += len(piece)

    def on_message_complete(self) -> None:
        """Take the end of an answer."""
        self.is_whole = self._has_head
        self._keeps_alive = self._parser.should_keep_alive()  # known in this moment only


class Pool:
    """The connections to one address."""

    def __init__(self, address: Address, *, silence_s: float) -> None:
        self.address = address
        self._silence_s = silence_s
        self._idle: list[Answer] = []
        parts = urlsplit(address.url)
        self._host = parts.hostname or "engine"
        self._is_secure = parts.scheme == "https"
        self._port = parts.port or (443 if self._is_secure else 80)
        self._context = ssl.create_default_context() if self._is_secure else None
        lines = [
            f"Host: {parts.netloc.rpartition('@')[2] or 'engine'}",
            "Content-Type: application/json",
            "Accept: text/event-stream, application/json",
            "Accept-Encoding: identity",
            *(f"{name}: {value}" for name, value in address.headers.items()),
        ]
        self._lines = "\r\n".join(lines)

    @asynccontextmanager
    async def ask(
        self, path: str, headers: Mapping[str, str], data: bytes
    ) -> AsyncIterator[Answer]:
        """Ask, and give the answer, whose head is there. Raises OSError as `Answer` does."""
        more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = (
            f"POST {self.address.prefix}{path} HTTP/1.1\r\n{self._lines}\r\n{more}"
            f"Content-Length: {len(data)}\r\n\r\n"
        ).encode("latin-1")
        answer = self._free() or await self._connect()
        try:
            try:
                await answer.ask(head, data)
            except ConnectionError:
                if answer.was_heard or not answer.is_used:
                    raise
                # The server closed an idle connection as this request was sent: it saw nothing.
                answer.end()
                answer = await self._connect()
                await answer.ask(head, data)
            yield answer
        finally:
            if answer.end():
                self._idle.append(answer)

    def _free(self) -> Answer | None:
        since_s = time.monotonic() - _IDLE_S
        while self._idle:
            answer = self._idle.pop()
            if answer.is_open and answer.idle_since_s > since_s:
                return answer
            answer.close()
        return None

    async def _connect(self) -> Answer:
        loop = asyncio.get_running_loop()

        def make() -> Answer:
            return Answer(self._silence_s)

        async with asyncio.timeout(_CONNECT_S):
            if self.address.socket is not None:
                _, answer = await loop.create_unix_connection(make, str(self.address.socket))
            else:
                _, answer = await loop.create_connection(
                    make, self._host, self._port, ssl=self._context
                )
        return answer

    def close(self) -> None:
        """Close the connections that nobody uses."""
        for answer in self._idle:
            answer.close()
        self._idle.clear()
