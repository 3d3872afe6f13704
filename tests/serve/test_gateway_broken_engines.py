"""Engines that refuse, fail, or send what no OpenAI server sends: told as it is, never as ours."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any

import pytest

MESSAGES = [{"role": "user", "content": "hi"}]
GOOD = b'{"id":"x","model":"theirs","choices":[{"index":0,"message":{"content":"theirs"}}]}'
CHUNK = (
    b'data: {"id":"x","model":"theirs","choices":[{"index":0,'
    b'"delta":{"content":"\\"model\\":\\"theirs\\""}}]}\n\n'
)
DONE = b"data: [DONE]\n\n"
JSON, EVENTS = "application/json", "text/event-stream"


class Script:
    """What the upstream server says next."""

    status, kind, data, headers = 200, JSON, GOOD, {}


@pytest.fixture(scope="module")
def script(gateway_kit: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    said = Script()

    class Upstream(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._say(200, JSON, b'{"object": "list", "data": []}', {})

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self._say(said.status, said.kind, said.data, said.headers)

        def _say(self, status: int, kind: str, data: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {"content-type": kind, **headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    models = {"m": {"engine": "openai", "url": url, "model": "theirs"}}
    with gateway_kit.gateway(tmp_path_factory.mktemp("broken"), models) as up:
        yield up, said
    server.shutdown()
    server.server_close()


def say(said: Any, status: int, data: bytes, kind: str = JSON, **headers: str) -> None:
    """Set what the upstream says."""
    said.status, said.data, said.kind, said.headers = status, data, kind, headers


@pytest.mark.slow
def test_the_model_bears_our_name_and_words_stay_as_they_are(script: Any, gateway_kit: Any) -> None:
    up, said = script
    say(said, 200, GOOD)
    answer = up.chat("m").json()
    assert answer["model"] == "m" and answer["choices"][0]["message"]["content"] == "theirs"
    say(said, 200, CHUNK + DONE, EVENTS)
    events = up.events("/v1/chat/completions", model="m", messages=MESSAGES)
    assert events[0]["model"] == "m"
    assert gateway_kit.text_of(events) == '"model":"theirs"'


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "data", "ours", "word"),
    [
        (400, b'{"error": {"message": "bad prompt", "param": "prompt"}}', 400, "bad prompt"),
        (400, b'{"object": "error", "message": "older vllm", "code": 400}', 400, "older vllm"),
        (422, b'{"detail": "not so"}', 422, "not so"),
        (400, b'{"error": "in a word"}', 400, "in a word"),
        (400, b"plain words", 400, "plain words"),
        (400, b"", 400, "400"),
        (401, b'{"error": {"message": "your key"}}', 502, "your key"),
        (404, b'{"error": {"message": "no such model"}}', 502, "no such model"),
        (500, b'{"error": {"message": "it burst"}}', 502, "it burst"),
        (503, b"loading", 503, "loading"),
        (200, b"no json", 502, "no JSON"),
        (200, b"[1]", 502, "no JSON object"),
    ],
)
def test_what_an_engine_refuses_is_told_with_the_right_status(
    script: Any, gateway_kit: Any, status: int, data: bytes, ours: int, word: str
) -> None:
    up, said = script
    say(said, status, data)
    error = gateway_kit.refused(up.chat("m"), ours)
    assert word in error["message"]


def test_an_upstream_that_is_busy_says_when_to_come_again(script: Any, gateway_kit: Any) -> None:
    up, said = script
    say(said, 429, b'{"error": {"message": "slow down"}}', **{"retry-after": "17"})
    answer = up.chat("m")
    assert gateway_kit.refused(answer, 429)["message"] == "slow down"
    assert answer.headers["retry-after"] == "17"


@pytest.mark.parametrize("stop", [None, ["a1", "a2", "a3", "a4", "a5"]])
@pytest.mark.parametrize(
    "data", [b"", b"data: {\n\n", CHUNK, CHUNK + b"data: {", b'data: {"choices": [1]}\n\n' + DONE]
)
def test_a_stream_that_is_none_never_ends_well(
    script: Any, data: bytes, stop: list[str] | None
) -> None:
    up, said = script
    say(said, 200, data, EVENTS)
    body = {"model": "m", "messages": MESSAGES, "stream": True, "stop": stop}
    answer = up.client.post("/v1/chat/completions", json=body)
    is_passed_on = stop is None and DONE in data  # as bytes, which nobody has looked into
    if is_passed_on:
        assert answer.content == data
    elif answer.status_code == 200:
        assert b'"error"' in answer.content and DONE not in answer.content
    else:
        assert answer.status_code in (500, 502, 503) and answer.json()["error"]["message"]


def test_a_head_is_answered_as_a_get_without_its_body(script: Any) -> None:
    up, _ = script
    answer = up.client.head("/health")
    assert answer.status_code == 200 and not answer.content
