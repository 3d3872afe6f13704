"""`POST /v1/batch`: lines of JSON in, lines of JSON out as programs end, both at the other's pace.

So many programs of a batch are under way as keep the boxes busy, and so many answers lie unsent as
`_UNSENT_BYTES` hold; while either is full no more is read, and the client's writes wait. A client
that writes everything before it reads anything is served as long as its answers fit in there and
in the sockets between; larger batches must be read while they are written.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from sandbox.errors import SandboxError
from sandbox.jobs import Job
from sandbox.server import bodies
from sandbox.server.dispatch import Flight, Landed
from sandbox.server.exchange import Exchange, parsed
from sandbox.server.house import House
from sandbox.server.native import render
from sandbox.server.refusal import Gone, Refusal, draining, full, invalid, of_ours

_UNSENT_BYTES = 8 << 20  # ours
_HEADERS = [(b"content-type", b"application/x-ndjson"), (b"x-accel-buffering", b"no")]


async def batch(house: House, exchange: Exchange) -> None:
    """Judge and run the lines of a batch."""
    if house.is_draining:
        raise draining()
    if house.batches >= house.config.batches:
        raise full(f"{house.batches} batches are under way already", 5)
    if exchange.header(b"content-encoding").lower() not in ("", "identity"):
        raise Refusal(415, "Unsupported", "a compressed body is not taken")
    with house.batch():
        await _Batch(house, exchange).carry_out()


class _Batch:
    """One batch: a reader, what is under way, and a writer."""

    def __init__(self, house: House, exchange: Exchange) -> None:
        self._house = house
        self._exchange = exchange
        self._name = exchange.header(b"idempotency-key")
        self._most = 12 * house.pool.workers
        self._few = 6 * house.pool.workers  # so few that more should be read
        self._flying: dict[int, tuple[Flight, Landed, int]] = {}  # by the line: its bytes, too
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._news = asyncio.Event()  # for the writer
        self._room = asyncio.Event()  # for the reader
        self._read_all = False
        self._number = 0

    async def carry_out(self) -> None:
        """Answer every line. Raises Gone when the client goes away or reads no more."""
        await self._exchange.send(
            {"type": "http.response.start", "status": 200, "headers": _HEADERS}
        )
        writer = asyncio.create_task(self._write())
        reader = asyncio.create_task(self._read())
        try:
            await asyncio.wait((writer, reader), return_when=asyncio.FIRST_COMPLETED)
            if not writer.done():
                await reader  # raises what went wrong there; else all lines are under way
                reader = asyncio.create_task(self._exchange.gone())
                await asyncio.wait((writer, reader), return_when=asyncio.FIRST_COMPLETED)
            if not writer.done():
                raise Gone
            await writer
        finally:
            for task in (writer, reader):
                task.cancel()
            await asyncio.gather(writer, reader, return_exceptions=True)
            for flight, landed, held in self._flying.values():
                self._house.dispatcher.leave(flight, landed)
                self._house.bodies.give(held)
            self._flying.clear()

    async def _read(self) -> None:
        try:
            async for line in self._lines():
                self._number += 1
                while len(self._flying) >= self._most or self._unsent_bytes > _UNSENT_BYTES:
                    self._room.clear()
                    await self._room.wait()
                if line.strip():
                    self._take(line)
        except Refusal as refusal:  # of the rest: nothing tells any more where a line begins
            self._fail(None, refusal)
        self._read_all = True
        self._news.set()

    async def _lines(self) -> AsyncIterator[bytes]:
        most_bytes = self._house.config.body_mb << 20
        parts: list[bytes] = []  # of a line that has not ended
        size, more = 0, True
        while more:
            message = await self._exchange.receive()
            if message["type"] == "http.disconnect":
                raise Gone
            chunk, more = message.get("body", b""), bool(message.get("more_body"))
            self._exchange.read += len(chunk)
            *ended, begun = chunk.split(b"\n")
            for end in ended:
                yield b"".join((*parts, end))
                parts.clear()
                size = 0
            parts.append(begun)
            size += len(begun)
            if size > most_bytes:
                raise Refusal(
                    413, "TooLarge", f"line {self._number + 1} has more than {most_bytes >> 20} MiB"
                )
        if size:
            yield b"".join(parts)

    def _take(self, line: bytes) -> None:
        """Put a line under way, or answer it at once."""
        house, key, number = self._house, None, self._number
        try:
            data = parsed(line)
            key = _key(data)
            house.bodies.take(len(line))
        except Refusal as refusal:
            self._fail(key, refusal)
            return
        try:
            what = "outcome" if data.get("tests") is None else "verdict"
            flight, answer = house.board(
                partial(_job, data, house),
                render,
                key=(self._exchange.who, "batch", f"{self._name}\0{key}") if self._name else None,
                body=line.strip(),
                of_batch=True,
            )
        except Refusal as refusal:
            self._fail(key, refusal)
            flight = None
        else:
            if flight is None:
                self._say(key, what, answer)
        if flight is None:
            house.bodies.give(len(line))
            return

        def landed(answer: bytes | None, error: BaseException | None) -> None:
            self._flying.pop(number, None)
            house.bodies.give(len(line))
            if answer is not None:
                self._say(key, what, answer)
            elif isinstance(error, SandboxError):
                self._fail(key, of_ours(error))
            elif isinstance(error, Refusal):
                self._fail(key, error)
            if len(self._flying) <= self._few:
                self._room.set()

        flight.waiters.append(landed)
        self._flying[number] = (flight, landed, len(line))

    def _say(self, key: str | None, what: str, answer: bytes) -> None:
        line = b'{"key": %b, "%b": %b}\n' % (json.dumps(key).encode(), what.encode(), answer)
        self._unsent.append(line)
        self._unsent_bytes += len(line)
        self._news.set()

    def _fail(self, key: str | None, refusal: Refusal) -> None:
        error: dict[str, Any] = {"type": refusal.kind, "message": refusal.message}
        if key is None:
            error["line"] = self._number or 1
        self._say(key, "error", json.dumps(error).encode())

    async def _write(self) -> None:
        """Send answers as they come. Raises Gone when nobody reads them."""
        send, stall_s = self._exchange.send, self._house.config.stall_s
        while True:
            await self._news.wait()
            self._news.clear()
            if self._unsent:
                chunk = b"".join(self._unsent)
                self._unsent.clear()
                try:
                    async with asyncio.timeout(stall_s):
                        await send({"type": "http.response.body", "body": chunk, "more_body": True})
                except TimeoutError:
                    raise Gone from None
                self._unsent_bytes -= len(chunk)
                self._room.set()
            if self._read_all and not self._flying and not self._unsent:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return


def _key(data: Any) -> str:
    """Return a line's key. Raises Refusal."""
    if not isinstance(data, dict):
        raise invalid("a line must be an object")
    key = data.get("key")
    if not isinstance(key, str):
        raise invalid("key: a line must have one, a text", ("key",))
    return key


def _job(data: Any, house: House) -> Job:
    return bodies.line_job(data, house.config)
