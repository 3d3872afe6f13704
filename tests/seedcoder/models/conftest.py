"""A real HTTP server that speaks the OpenAI protocol and misbehaves on demand."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass
class Turn:
    """What the server does with one request. A reply of `pieces` unless something else is said."""

    pieces: tuple[str, ...] = ("hello",)
    finish: str | None = "stop"
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    error: str = "no"
    body: bytes | None = None  # sent as it is
    drop_after: int | None = None  # pieces; then the connection is cut
    piece_pause_s: float = 0.0
    thought: tuple[str, ...] = ()  # sent before the pieces, in a field of its own
    thought_field: str = "reasoning_content"


@dataclass
class Server:
    """`plan` is asked for each request (its JSON body, how many came before) what to do."""

    plan: Callable[[dict[str, Any], int], Turn] = lambda body, before: Turn()
    seen: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    hung_up: threading.Event = field(default_factory=threading.Event)
    most_at_once: int = 0
    at_once: int = 0
    url: str = ""

    turn = Turn

    def play(self, *turns: Turn) -> None:
        """Do `turns` in order; the last one again and again."""
        self.plan = lambda body, before: turns[min(before, len(turns) - 1)]


def _handler(server: Server, lock: threading.Lock) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with lock:
                turn = server.plan(body, len(server.seen))
                server.seen.append(body)
                server.paths.append(self.path)
                server.at_once += 1
                server.most_at_once = max(server.most_at_once, server.at_once)
            try:
                self.answer(body, turn)
            except (BrokenPipeError, ConnectionResetError):
                server.hung_up.set()
                self.close_connection = True
            finally:
                with lock:
                    server.at_once -= 1

        def answer(self, body: dict[str, Any], turn: Turn) -> None:
            is_chat = self.path.endswith("/chat/completions")
            if turn.body is not None or turn.status != 200:
                error = json.dumps({"error": {"message": turn.error, "type": "x"}}).encode()
                self.send_whole(turn.status, turn.body or error, turn.headers)
            elif body.get("stream"):
                self.send_stream(turn, is_chat=is_chat)
            else:
                time.sleep(turn.piece_pause_s)
                text = "".join(turn.pieces)
                message = {"role": "assistant", "content": text}
                if turn.thought:
                    message[turn.thought_field] = "".join(turn.thought)
                part = {"message": message}
                choice = {"index": 0, "finish_reason": turn.finish}
                choice |= part if is_chat else {"text": text}
                whole = {"id": "1", "object": "x", "created": 1, "model": "m", "choices": [choice]}
                whole["usage"] = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
                data = json.dumps(whole).encode()
                self.send_whole(200, data, turn.headers, cut=turn.drop_after is not None)

        def send_whole(
            self,
            status: int,
            data: bytes,
            headers: tuple[tuple[str, str], ...],
            cut: bool = False,
        ) -> None:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data[: len(data) // 2] if cut else data)
            self.close_connection = cut

        def send_stream(self, turn: Turn, *, is_chat: bool) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("connection", "close")
            self.end_headers()
            self.close_connection = True
            for piece in turn.thought:
                delta = {turn.thought_field: piece}
                self.event({"choices": [{"index": 0, "finish_reason": None, "delta": delta}]})
            for sent, piece in enumerate(turn.pieces):
                if sent == turn.drop_after:
                    return
                time.sleep(turn.piece_pause_s)
                part: dict[str, Any] = {"delta": {"content": piece}} if is_chat else {"text": piece}
                self.event({"choices": [{"index": 0, "finish_reason": None, **part}]})
            if turn.drop_after is not None:
                return
            part = {"delta": {}} if is_chat else {"text": ""}
            self.event({"choices": [{"index": 0, "finish_reason": turn.finish, **part}]})
            self.event({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}})
            self.wfile.write(b"data: [DONE]\n\n")

        def event(self, data: dict[str, Any]) -> None:
            data = {"id": "1", "object": "x", "created": 1, "model": "m", **data}
            self.wfile.write(b"data: " + json.dumps(data).encode() + b"\n\n")
            self.wfile.flush()

    return Handler


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(state, threading.Lock()))
    state.url = f"http://127.0.0.1:{http.server_address[1]}/v1"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    http.shutdown()
    http.server_close()
    thread.join()
