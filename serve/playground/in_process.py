"""Ask an ASGI application of this process as if it were on the network, streams included.

httpx's own `ASGITransport` gives an answer only once it is whole; a chat is read while it is
written. Closing the answer tells the application that the client went away, as a server does.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx

from serve.gateway.exchange import Message, Scope


class InProcess(httpx.AsyncBaseTransport):
    """A transport to one application. Its requests come from "127.0.0.1"."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; return as soon as its headers are there."""
        body = await request.aread()
        exchange = _Exchange(body)
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": request.url.scheme,
            "path": request.url.path,
            "raw_path": request.url.raw_path.split(b"?")[0],
            "query_string": request.url.query,
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "client": ("127.0.0.1", 0),
            "server": (request.url.host, request.url.port),
            "state": {},
        }
        work = asyncio.ensure_future(self._app(scope, exchange.receive, exchange.send))
        work.add_done_callback(exchange.ended)
        try:
            status, headers = await exchange.begun
        except BaseException:
            exchange.leave()
            work.cancel()
            raise
        return httpx.Response(status, headers=headers, stream=_Answer(exchange, work))


class _Exchange:
    """Both directions of one request, from the application's side."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body
        self._gone = asyncio.Event()
        self.begun: asyncio.Future[tuple[int, list[tuple[bytes, bytes]]]] = (
            asyncio.get_running_loop().create_future()
        )
        # One piece waits at most: an application that writes faster than it is read is held back.
        self.pieces: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=1)

    async def receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self._gone.is_set():
            raise OSError("the client went away")
        if message["type"] == "http.response.start":
            self.begun.set_result((message["status"], list(message.get("headers", ()))))
            return
        if body := message.get("body", b""):
            await self.pieces.put(bytes(body))
        if not message.get("more_body"):
            await self.pieces.put(None)

    def leave(self) -> None:
        """Tell the application that nobody reads any more."""
        self._gone.set()
        with contextlib.suppress(asyncio.QueueEmpty):
            self.pieces.get_nowait()

    def ended(self, work: asyncio.Future[None]) -> None:
        """Wake whoever waits for an answer that will not come."""
        error = None if work.cancelled() else work.exception()
        if not self.begun.done():
            why = httpx.ReadError(f"the application gave no answer: {error!r}")
            self.begun.set_exception(why)
            self.begun.exception()  # looked at, whether or not anyone waits
        elif self.pieces.empty():
            self.pieces.put_nowait(None)


class _Answer(httpx.AsyncByteStream):
    def __init__(self, exchange: _Exchange, work: asyncio.Future[None]) -> None:
        self._exchange = exchange
        self._work = work

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (piece := await self._exchange.pieces.get()) is not None:
            yield piece

    async def aclose(self) -> None:
        """Stop reading; the application hears of it."""
        self._exchange.leave()
        if not self._work.done():
            with contextlib.suppress(TimeoutError, asyncio.CancelledError, OSError):
                await asyncio.wait_for(asyncio.shield(self._work), timeout=1.0)
            if not self._work.done():
                self._work.cancel()
