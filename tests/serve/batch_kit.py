"""A gateway as a process of its own before a model that the test itself plays."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
CARD = """
name = "parrot"
aliases = ["bird"]
role = "instruct"
context_tokens = 4096
"""


class Parrot:
    """An OpenAI server that says the last message again, and remembers what it was asked.

    act: called with the words before they are answered; may wait, or return a status to refuse
    with. asked: how often it was asked for which words.
    """

    def __init__(self) -> None:
        parrot = self
        self.asked: Counter[str] = Counter()
        self.order: list[str] = []
        self.under_way = self.most_under_way = 0
        self.act: Callable[[str], int | None] = lambda words: None
        self._lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._say(200, {"object": "list", "data": [{"id": "parrot"}]})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                words = body["messages"][-1]["content"] if "messages" in body else body["prompt"]
                with parrot._lock:
                    parrot.asked[words] += 1
                    parrot.order.append(words)
                    parrot.under_way += 1
                    parrot.most_under_way = max(parrot.most_under_way, parrot.under_way)
                try:
                    status = parrot.act(words)
                finally:
                    with parrot._lock:
                        parrot.under_way -= 1
                if status is not None:
                    self._say(status, {"error": {"message": "no", "type": "x", "code": None}})
                    return
                said = {"role": "assistant", "content": words}
                self._say(
                    200,
                    {
                        "id": "cmpl-1", "object": "chat.completion", "created": 1,
                        "model": "parrot",
                        "choices": [{"index": 0, "message": said, "finish_reason": "stop"}],
                        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
                    },
                )  # fmt: skip

            def _say(self, status: int, body: dict[str, Any]) -> None:
                data = json.dumps(body).encode()
                try:
                    self.send_response(status)
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                except (BrokenPipeError, ConnectionResetError):
                    pass  # the gateway was killed

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Gateway:
    """`seedcoder serve up` before a parrot; `start` again after `end`, on the same folder."""

    def __init__(self, folder: Path, parrot: Parrot, **settings: Any) -> None:
        self.folder = folder
        (folder / "parrot.toml").write_text(CARD)
        lines = "\n".join(f"{name} = {json.dumps(value)}" for name, value in settings.items())
        self._recipe = folder / "serve.toml"
        self._recipe.write_text(
            f'[[models]]\ncard = "parrot.toml"\nengine = "openai"\n'
            f'options = {{ url = "{parrot.url}" }}\n'
            f'[gateway]\nport = 0\nfiles_dir = "{folder}/kept"\n{lines}\n'
        )
        self.process: subprocess.Popen[str] | None = None
        self.url = ""
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "seedcoder", "serve", "up", str(self._recipe)],
            stdout=subprocess.PIPE, stderr=(self.folder / "log").open("a"), text=True, cwd=ROOT,
            env={**os.environ, "SEEDCODER_CACHE": str(self.folder / "cache")},
        )  # fmt: skip
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("serving on"):
                self.url = line.split()[2]
                until(lambda: httpx.get(f"{self.url}/ready", timeout=60).status_code != 503)
                return
        raise AssertionError((self.folder / "log").read_text())

    def client(self, key: str = "none") -> Any:
        """A client of OpenAI's library, which tries nothing twice."""
        import openai

        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0, timeout=60)

    def end(self, how: int = signal.SIGTERM) -> None:
        assert self.process is not None and self.process.stdout is not None
        self.process.send_signal(how)
        self.process.wait(60)
        self.process.stdout.close()


def ask(words: str, custom_id: str | None = None, **changes: Any) -> dict[str, Any]:
    """Return a good line of a batch."""
    return {
        "custom_id": custom_id or words,
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "parrot", "messages": [{"role": "user", "content": words}]},
        **changes,
    }


def jsonl(rows: list[Any]) -> bytes:
    """Return rows as lines; bytes stand as they are."""
    return b"".join(
        (row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows
    )


def begin(client: Any, rows: list[Any], **more: Any) -> Any:
    """Upload lines and begin their batch."""
    file = client.files.create(file=("in.jsonl", jsonl(rows)), purpose="batch")
    return client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions",
        completion_window=more.pop("completion_window", "24h"), **more,
    )  # fmt: skip


def until(found: Callable[[], Any], within_s: float = 60) -> Any:
    """Wait until something is so, and return it."""
    deadline = time.monotonic() + within_s
    while not (got := found()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)
    return got


def ended(client: Any, batch: Any, status: str = "completed") -> Any:
    """Wait until a batch has ended, and return it."""

    def look() -> Any:
        now = client.batches.retrieve(batch.id)
        return now if now.status in ("completed", "failed", "cancelled", "expired") else None

    now = until(look)
    assert now.status == status, now
    return now


def rows_of(client: Any, file_id: str | None) -> dict[str | None, dict[str, Any]]:
    """Return the rows of a file by their custom_id."""
    if file_id is None:
        return {}
    lines = client.files.content(file_id).text.splitlines()
    rows = [json.loads(line) for line in lines]
    assert len({row["id"] for row in rows}) == len(rows)
    return {row["custom_id"]: row for row in rows}
