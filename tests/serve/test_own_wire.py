"""Our HTTP, spoken to byte by byte."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

pytest.importorskip("httptools", reason="the engines' HTTP needs httptools")
from serve.engines.own.wire import Exchange, Wire

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
MOST = 1 << 20


def act(exchange: Exchange) -> None:
    """Answer with what was asked; /bug fails, /slow answers later."""
    if exchange.path == "/bug":
        raise RuntimeError("a bug")
    body = f"{exchange.method} {exchange.path} {len(exchange.body)}".encode()
    if exchange.path == "/slow":
        asyncio.get_running_loop().call_later(0.05, exchange.answer, 200, body)
    else:
        exchange.answer(200, body)


def talked(tmp_path: Path, talk: Talk) -> None:
    """Let `talk` speak with a server."""

    async def both() -> None:
        wires: set[Wire] = set()
        path = str(tmp_path / "w.sock")
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(lambda: Wire(act, wires, MOST), path)
        reader, writer = await asyncio.open_unix_connection(path)
        async with asyncio.timeout(20):
            await talk(reader, writer)
        writer.close()
        server.close()

    asyncio.run(both())


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Read one answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    assert length is not None
    return int(head.split()[1]), await reader.readexactly(int(length[1]))


def test_requests_sent_ahead_are_answered_in_their_order(tmp_path: Path) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for path in (b"/slow", b"/b", b"/c"):
            writer.write(b"GET %b HTTP/1.1\r\nhost: x\r\n\r\n" % path)
        assert [(await answer(reader))[1] for _ in range(3)] == [
            b"GET /slow 0", b"GET /b 0", b"GET /c 0",
        ]  # fmt: skip

    talked(tmp_path, talk)


def test_a_body_may_come_in_chunks_and_after_being_asked_for(tmp_path: Path) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"POST /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        writer.write(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        assert await answer(reader) == (200, b"POST /a 5")
        writer.write(
            b"POST /b HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n"
        )
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        writer.write(b"hi")
        assert await answer(reader) == (200, b"POST /b 2")

    talked(tmp_path, talk)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"this is no HTTP\r\n\r\n", 400),
        (b"POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (2 * MOST), 413),
    ],
)
def test_what_is_no_request_is_refused_and_the_connection_closed(
    tmp_path: Path, sent: bytes, status: int
) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        if status == 413:
            writer.write(b"x" * (MOST + 1))
        found, body = await answer(reader)
        assert found == status
        assert body.startswith(b'{"error":')
        assert await reader.read() == b""

    talked(tmp_path, talk)


def test_a_failure_of_ours_is_a_500_and_logged_and_the_connection_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET /bug HTTP/1.1\r\nhost: x\r\n\r\n")
        status, body = await answer(reader)
        assert status == 500
        assert b"server_error" in body
        writer.write(b"GET /b HTTP/1.1\r\nhost: x\r\n\r\n")
        assert await answer(reader) == (200, b"GET /b 0")

    with caplog.at_level(logging.ERROR, "asyncio"):
        talked(tmp_path, talk)
    assert "a bug" in caplog.text


def test_a_request_id_is_given_back_unless_it_is_none(tmp_path: Path) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for given, expected in ((b"abc-1", b"x-request-id: abc-1\r\n"), (b"a b", b"")):
            writer.write(b"GET /a HTTP/1.1\r\nhost: x\r\nx-request-id: %b\r\n\r\n" % given)
            head = await reader.readuntil(b"\r\n\r\n")
            assert (expected in head) if expected else (b"x-request-id" not in head)
            await reader.readexactly(len(b"GET /a 0"))

    talked(tmp_path, talk)
