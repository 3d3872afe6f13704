"""A gateway as a process of its own, before scripted engines, and what tests ask of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
CARD = 'name = "{name}"\nrole = "{role}"\ncontext_tokens = 4096\naliases = ["{name}-alias"]\n'
MESSAGES = [{"role": "user", "content": "hi"}]


def write_recipe(
    folder: Path, models: dict[str, dict[str, Any]], gateway: dict[str, Any] | None = None
) -> Path:
    """Write a recipe and its cards; return its file.

    models: from a card's name to its engine's options; "engine" and "role" among them are not the
    engine's, "card" is more of the card.
    """
    text = ""
    for name, given in models.items():
        options = dict(given)
        role, more = options.pop("role", "instruct"), options.pop("card", "")
        (folder / f"{name}.toml").write_text(CARD.format(name=name, role=role) + more)
        text += f'[[models]]\ncard = "{name}.toml"\n'
        text += f"engine = {json.dumps(options.pop('engine', 'scripted'))}\n[models.options]\n"
        text += "".join(f"{key} = {json.dumps(value)}\n" for key, value in options.items())
    text += "[gateway]\nport = 0\n"
    settings = {"files_dir": str(folder / "files"), **(gateway or {})}
    text += "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())
    path = folder / "serve.toml"
    path.write_text(text)
    return path


class Gateway:
    """One gateway process."""

    def __init__(self, recipe: Path, *, names: tuple[str, ...], key: str = "") -> None:
        self.sockets = Path(tempfile.mkdtemp(prefix="gateway-"))  # short, as their paths must be
        self.process = subprocess.Popen(
            [sys.executable, "-m", "seedcoder", "serve", "up", str(recipe)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
            env={**os.environ, "SEEDCODER_CACHE": str(recipe.parent / "cache"),
                 "XDG_RUNTIME_DIR": str(self.sockets)},
        )  # fmt: skip
        self.log: list[str] = []
        threading.Thread(target=self._listen, daemon=True).start()
        assert self.process.stdout is not None
        line = next((one for one in self.process.stdout if one.startswith("serving on")), "")
        found = re.search(r"serving on (http://\S+:(\d+)) ", line)
        assert found, self.log
        self.url, self.port = found[1], int(found[2])
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self.client = httpx.Client(base_url=self.url, timeout=60, headers=headers)
        for name in names:
            until(lambda name=name: self.is_ready(name))

    def _listen(self) -> None:
        assert self.process.stderr is not None
        self.log.extend(self.process.stderr)

    def is_ready(self, name: str) -> bool:
        """Whether a model takes requests."""
        return self.client.get("/ready", params={"model": name}).status_code == 200

    def post(self, path: str, **body: Any) -> httpx.Response:
        """Post JSON."""
        return self.client.post(path, json=body)

    def chat(self, model: str, **body: Any) -> httpx.Response:
        """Ask a model."""
        return self.post("/v1/chat/completions", model=model, messages=MESSAGES, **body)

    def events(self, path: str, **body: Any) -> list[dict[str, Any]]:
        """Return the events of a stream, which must end well."""
        with self.client.stream("POST", path, json={"stream": True, **body}) as got:
            got.read()
            assert got.status_code == 200, got.text
            return events_of(got.content)

    def counted(self, name: str, **labels: str) -> float:
        """Return the sum of a counter or gauge over the series that have these labels."""
        total = 0.0
        for line in self.client.get("/metrics").text.splitlines():
            head, _, value = line.rpartition(" ")
            if re.match(rf"seedcoder_serve_{name}(\{{|$)", head) and all(
                f'{key}="{said}"' in head for key, said in labels.items()
            ):
                total += float(value)
        return total

    def connect(self) -> socket.socket:
        """Return a bare connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def end(self, kind: int = signal.SIGTERM, timeout_s: float = 60) -> int:
        """Signal the process and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(kind)
        return self.process.wait(timeout_s)


@contextmanager
def gateway(
    folder: Path,
    models: dict[str, dict[str, Any]],
    settings: dict[str, Any] | None = None,
    *,
    key: str = "",
) -> Iterator[Gateway]:
    """A gateway for the length of a `with` block, its engines ready."""
    recipe = write_recipe(folder, models, settings)
    running = Gateway(recipe, names=tuple(models), key=key)
    try:
        yield running
    finally:
        running.client.close()
        running.end()
        assert running.process.stdout is not None
        running.process.stdout.close()
        shutil.rmtree(running.sockets)


def events_of(data: bytes) -> list[dict[str, Any]]:
    """Return the events in a stream's bytes, which must end with [DONE]."""
    found = [part.removeprefix(b"data: ") for part in data.split(b"\n\n") if part]
    assert found and found[-1] == b"[DONE]", data[-300:]
    return [json.loads(part) for part in found[:-1]]


def text_of(events: list[dict[str, Any]], at: int = 0) -> str:
    """Return the text of one choice."""
    said = ""
    for event in events:
        for choice in event["choices"]:
            if choice["index"] == at:
                delta = choice.get("delta")
                said += (choice.get("text") if delta is None else delta.get("content")) or ""
    return said


def refused(answer: httpx.Response, status: int) -> dict[str, Any]:
    """Return the error of an answer that must be one, in OpenAI's shape."""
    assert answer.status_code == status, answer.text
    error: dict[str, Any] = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert answer.headers["x-request-id"]
    return error


def request_of(path: str, body: dict[str, Any]) -> bytes:
    """Return a request's bytes, for a bare connection."""
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}\r\n\r\n"
    return head.encode() + data


def until(found: Callable[[], Any], within_s: float = 30) -> Any:
    """Wait until something is so, and return it."""
    deadline = time.monotonic() + within_s
    while not (got := found()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)
    return got
