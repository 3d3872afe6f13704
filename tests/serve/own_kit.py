"""Our own engine servers as processes, and what tests ask of them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
NAME = "model-of-the-test"


class Served:
    """One engine process, on loopback or on a unix socket."""

    def __init__(self, kind: str, *words: str, socket: Path | None = None) -> None:
        place = ["--port", "0"] if socket is None else ["--socket", str(socket)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "serve.engines.own", kind, "--name", NAME, *place, *words],
            stderr=subprocess.PIPE, text=True, cwd=ROOT,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
        )  # fmt: skip
        assert self.process.stderr is not None
        self.log: list[str] = []
        for line in self.process.stderr:
            self.log.append(line)
            if "serving on" in line:
                break
        found = re.search(r"serving on (\S+)", self.log[-1] if self.log else "")
        assert found, self.log
        self.socket = socket
        self.url = found[1] if socket is None else "http://engine"
        threading.Thread(target=self._listen, daemon=True).start()
        self.client = httpx.Client(
            base_url=self.url,
            timeout=120,
            transport=httpx.HTTPTransport(uds=str(socket)) if socket is not None else None,
        )

    def _listen(self) -> None:
        assert self.process.stderr is not None
        self.log.extend(self.process.stderr)

    def post(self, path: str, **body: Any) -> httpx.Response:
        """Post JSON, with the model's name in it."""
        return self.client.post(path, json={"model": NAME, **body})

    def chat(self, text: str, **body: Any) -> dict[str, Any]:
        """Return the answer to one message."""
        messages = [{"role": "user", "content": text}]
        return whole(self.post("/v1/chat/completions", messages=messages, **body))

    def text(self, prompt: Any, **body: Any) -> dict[str, Any]:
        """Return the continuation of a prompt."""
        return whole(self.post("/v1/completions", prompt=prompt, **body))

    def events(self, path: str, **body: Any) -> Iterator[dict[str, Any]]:
        """Yield the events of a stream; it must end with [DONE]."""
        with self.client.stream("POST", path, json={"model": NAME, "stream": True, **body}) as got:
            if got.status_code != 200:
                got.read()
                raise AssertionError(got.text)
            last = ""
            for line in got.iter_lines():
                if line:
                    assert line.startswith("data: "), line
                    last = line.removeprefix("data: ")
                    if last != "[DONE]":
                        yield json.loads(last)
            assert last == "[DONE]"

    def load(self) -> tuple[int, int]:
        """Return replies (under way, waiting)."""
        state = self.client.get("/health").json()
        return state["running"], state["waiting"]

    def end(self, kind: int = signal.SIGTERM, timeout_s: float = 60) -> int:
        """Signal the process and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(kind)
        return self.process.wait(timeout_s)


@contextmanager
def served(kind: str, *words: str, socket: Path | None = None) -> Iterator[Served]:
    """An engine for the length of a `with` block."""
    engine = Served(kind, *words, socket=socket)
    try:
        yield engine
    finally:
        engine.client.close()
        engine.process.kill()
        engine.process.wait()


def whole(answer: httpx.Response) -> dict[str, Any]:
    """Return the body of an answer that must be one."""
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def refused(answer: httpx.Response, status: int) -> Mapping[str, Any]:
    """Return the error of an answer that must be one, in OpenAI's shape."""
    assert answer.status_code == status, answer.text
    error: dict[str, Any] = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    return error


def pieces(events: list[dict[str, Any]], at: int = 0) -> list[str]:
    """Return the texts of one choice, event by event; those without text are left out."""
    found = []
    for event in events:
        for choice in event["choices"]:
            if choice["index"] == at:
                said = choice["text"] if "text" in choice else choice["delta"].get("content")
                found.append(said)
    return [text for text in found if text]


def until(found: Callable[[], bool], within_s: float = 60) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + within_s
    while not found():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)
