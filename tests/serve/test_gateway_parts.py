"""The gateway's parts by themselves: events cut from bytes, the queue, the way to engines."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from serve.engines.engine import Address
from serve.fault import Fault
from serve.gateway import sse
from serve.gateway.collect import collect
from serve.gateway.turnstile import Turnstile
from serve.gateway.wire import Pool, Silent

EVENTS = b'data: {"a": 1}\n\n: ping\n\nevent: x\ndata: {"b": "\\n\\n"}\n\ndata: [DONE]\n\n'
FOUND = [b'{"a": 1}', b'{"b": "\\n\\n"}', b"[DONE]"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("lines", [b"\n", b"\r\n"])
def test_events_come_out_whole_however_they_are_cut(size: int, lines: bytes) -> None:
    data = EVENTS.replace(b"\n", lines)
    cutter, found = sse.Cutter(), []
    for at in range(0, len(data), size):
        block = cutter.feed(data[at : at + size])
        assert not block or block.endswith(b"\n\n")
        found += list(sse.data_of(block))
    assert found == FOUND and not cutter.is_torn
    cutter.feed(b'data: {"a"')
    assert cutter.is_torn


def test_what_is_no_event_is_the_engines_fault() -> None:
    for data in (b"{", b"[]", b"1"):
        with pytest.raises(Fault) as caught:
            sse.read(data)
        assert caught.value.status == 502


def test_turns_come_in_order_and_a_waiter_that_leaves_gives_its_turn_on() -> None:
    async def go() -> None:
        turnstile, order = Turnstile("m", 1, 3), []

        async def one(name: str) -> None:
            async with turnstile.turn():
                order.append(name)
                await asyncio.sleep(0)

        async with turnstile.turn():
            tasks = [asyncio.create_task(one(name)) for name in "abc"]
            await asyncio.sleep(0)
            assert (turnstile.running, turnstile.waiting) == (1, 3)
            with pytest.raises(Fault) as caught:
                async with turnstile.turn():
                    pass
            assert caught.value.status == 429 and caught.value.retry_after_s
            tasks[1].cancel()
            await asyncio.sleep(0)
            assert turnstile.waiting == 2
        # The turn is given to "a" in this very moment; cancelled, it must hand it on.
        tasks[0].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert order == ["c"]
        assert (turnstile.running, turnstile.waiting) == (0, 0)

    asyncio.run(go())


Say = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def asked(folder: Path, say: Say, count: int = 1, silence_s: float = 5) -> list[Any]:
    """Ask a server that says this; return what came, an error as itself."""
    socket, found = folder / "s", []
    server = await asyncio.start_unix_server(say, str(socket))
    pool = Pool(Address(socket=socket, model="m"), silence_s=silence_s)
    try:
        for _ in range(count):
            try:
                async with pool.ask("/v1/completions", {}, b"{}") as answer:
                    data = b""
                    while piece := await answer.read():
                        data += piece
                    found.append((answer.status, data))
            except OSError as error:
                found.append(type(error))
    finally:
        pool.close()
        server.close()
    return found


async def head(reader: asyncio.StreamReader) -> bytes:
    """Read a request."""
    said = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(2)
    return said


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", (200, b"ok")),
        (CHUNKED + b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", (200, b"abc")),
        (b"HTTP/1.0 200 OK\r\n\r\nto the end", (200, b"to the end")),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n", (400, b"")),
        (CHUNKED + b"1\r\na\r\n", ConnectionResetError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", ConnectionResetError),
        (b"", ConnectionResetError),
        (b"no http\r\n\r\n", ConnectionError),
    ],
)
def test_an_answer_ends_well_or_is_known_not_to(tmp_path: Path, said: bytes, found: Any) -> None:
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.write(said)
        await writer.drain()
        writer.close()

    assert asyncio.run(asked(tmp_path, say)) == [found]


def test_a_connection_is_used_again_and_a_stale_one_is_not_an_error(tmp_path: Path) -> None:
    connections = 0

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        for _ in range(2):
            await head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await reader.read(1)  # the third has come, and the connection is closed on it
        writer.close()

    assert asyncio.run(asked(tmp_path, say, count=4)) == [(200, b"ok")] * 4
    assert connections == 2


def test_what_comes_early_is_gathered_and_an_end_is_not_waited_for(tmp_path: Path) -> None:
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            await head(reader)
            for piece in (CHUNKED, b"1\r\na\r\n", b"1\r\nb\r\n"):
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.01)
            writer.write(b"1\r\nc\r\n0\r\n\r\n")
        writer.close()

    async def go() -> None:
        clock = asyncio.get_running_loop().time
        server = await asyncio.start_unix_server(say, str(tmp_path / "s"))
        pool = Pool(Address(socket=tmp_path / "s", model="m"), silence_s=5)
        async with pool.ask("/", {}, b"{}") as answer:
            assert await answer.read() == b"a"
            far_s = clock() + 60
            assert await answer.read(after_s=far_s) == b"bc"
            assert await answer.read(after_s=far_s) == b""
            assert clock() < far_s - 50
        async with pool.ask("/", {}, b"{}") as answer:
            assert await answer.read() == b"a"
            soon_s = clock() + 0.005
            assert (await answer.read(after_s=soon_s)).startswith(b"b")
            assert clock() >= soon_s - 0.002
        pool.close()
        server.close()

    asyncio.run(go())


def test_a_server_that_falls_silent_is_noticed(tmp_path: Path) -> None:
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.write(CHUNKED + b"1\r\na\r\n")
        await reader.read()
        writer.close()

    assert asyncio.run(asked(tmp_path, say, silence_s=0.2)) == [Silent]


def test_a_whole_answer_has_all_that_its_stream_had() -> None:
    def chunk(index: int = 0, finish: str | None = None, **delta: Any) -> dict[str, Any]:
        choice = {"index": index, "delta": delta, "finish_reason": finish}
        return {"id": "x", "object": "chat.completion.chunk", "choices": [choice]}

    def call(**said: Any) -> dict[str, Any]:
        return {"tool_calls": [{"index": 0, **said}]}

    async def events() -> AsyncIterator[dict[str, Any]]:
        yield chunk(role="assistant", content="")
        yield chunk(1, content="b")
        yield chunk(content="a", reasoning="t")
        yield chunk(**call(id="c1", type="function", function={"name": "f", "arguments": '{"x"'}))
        yield chunk(**call(function={"arguments": ": 1}"}))
        yield chunk(finish="tool_calls")
        yield chunk(1, finish="stop")
        yield {"id": "x", "choices": [], "usage": {"total_tokens": 3}}

    whole = asyncio.run(collect(events(), kind="chat"))
    first, second = whole["choices"]
    assert whole["object"] == "chat.completion" and whole["usage"] == {"total_tokens": 3}
    assert first["message"]["reasoning"] == "t" and first["message"]["content"] == "a"
    assert first["message"]["tool_calls"] == [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
    ]
    assert (first["finish_reason"], second["finish_reason"]) == ("tool_calls", "stop")
    assert second["message"] == {"role": "assistant", "content": "b"}


@pytest.mark.slow
def test_a_request_is_a_span_of_its_clients_trace(gateway_kit: Any, tmp_path: Path) -> None:
    posted: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    collector = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    trace = "0af7651916cd43dd8448eb211c80319c"
    settings = {"traces_url": f"http://127.0.0.1:{collector.server_address[1]}"}
    with gateway_kit.gateway(tmp_path, {"talker": {}}, settings) as up:
        body = {"model": "talker", "prompt": "hush-hush", "max_tokens": 2}
        parent = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
        answer = httpx.post(f"{up.url}/v1/completions", json=body, headers=parent)
        assert answer.status_code == 200
    collector.shutdown()
    collector.server_close()
    sent = b"".join(posted)
    assert bytes.fromhex(trace) in sent
    assert b"POST /v1/completions" in sent and b"gen_ai.usage.output_tokens" in sent
    assert b"hush-hush" not in sent and json.dumps(body).encode() not in sent


@pytest.mark.slow
def test_prompts_are_logged_only_where_the_recipe_says_so(gateway_kit: Any, tmp_path: Path) -> None:
    with gateway_kit.gateway(tmp_path, {"talker": {}}, {"logs_prompts": True}) as up:
        body = {"model": "talker", "messages": [{"role": "user", "content": "tell-me"}]}
        headers = {"x-request-id": "asked-1"}
        assert up.client.post("/v1/chat/completions", json=body, headers=headers).status_code == 200
        line = gateway_kit.until(lambda: next((x for x in up.log if "tell-me" in x), None))
        assert "prompt id=asked-1" in line


@pytest.mark.slow
def test_a_gateway_that_others_could_use_unasked_is_not_started(
    gateway_kit: Any, tmp_path: Path
) -> None:
    for settings, said in (({"host": "0.0.0.0"}, "keys_file"), ({"host": "192.0.2.1"}, "is_open")):
        recipe = gateway_kit.write_recipe(tmp_path, {"talker": {}}, settings)
        words = [sys.executable, "-m", "seedcoder", "serve", "up", str(recipe)]
        done = subprocess.run(words, capture_output=True, text=True, cwd=gateway_kit.ROOT)
        assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
def test_two_models_of_one_name_are_a_line_and_exit_2(gateway_kit: Any, tmp_path: Path) -> None:
    models = {"a": {"card": ""}, "a-alias": {}}
    recipe = gateway_kit.write_recipe(tmp_path, models)
    words = [sys.executable, "-m", "seedcoder", "serve", "up", str(recipe)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=gateway_kit.ROOT)
    assert done.returncode == 2 and "two models answer to 'a-alias'" in done.stderr


@pytest.mark.slow
def test_an_address_that_is_taken_is_exit_3(gateway_kit: Any, tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = {"port": taken.getsockname()[1]}
        recipe = gateway_kit.write_recipe(tmp_path, {"talker": {}}, {})
        text = recipe.read_text().replace("port = 0", f"port = {settings['port']}")
        recipe.write_text(text)
        words = [sys.executable, "-m", "seedcoder", "serve", "up", str(recipe)]
        done = subprocess.run(words, capture_output=True, text=True, cwd=gateway_kit.ROOT)
    assert done.returncode == 3 and "cannot listen" in done.stderr
