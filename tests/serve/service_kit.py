"""A whole service as a process: a gateway before scripted engines, started as a user starts it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

CARD = """
name = "{name}"
aliases = ["{alias}"]
role = "{role}"
context_tokens = 4096
"""
FIM = '[fim]\nformat = "seed-coder"\n'
THINKING = "[thinking]\n"

# model: role, what its card has more
MODELS = {
    "chatty": ("instruct", ""),
    "pensive": ("reasoning", THINKING),
    "filler": ("base", FIM),
    "vectors": ("embedding", ""),
}
ROWS = [
    {"key": "*", "text": "Hello from the script."},
    {"key": "count", "text": "one two three four five six seven eight nine ten"},
    {"key": "think", "text": "<think>two and two</think>It is 4."},
    {"key": "def add", "text": "a + b\n\n\ndef sub(a, b):\n    return a - b\n"},
    {"key": "for ever", "text": "word " * 3000},
]


class Service:
    """A gateway process. url: of its root. A context manager."""

    def __init__(
        self, folder: Path, *, gateway: str = "", tokens_per_s: float | None = None
    ) -> None:
        self.folder = folder
        (folder / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
        recipe = ""
        pace = f", tokens_per_s = {tokens_per_s}" if tokens_per_s else ""
        for name, (role, more) in MODELS.items():
            card = CARD.format(name=name, alias=f"{name}-alias", role=role)
            (folder / f"{name}.toml").write_text(card + more)
            recipe += f'[[models]]\ncard = "{name}.toml"\nengine = "scripted"\n'
            recipe += f'options = {{ file = "{folder}/answers.jsonl"{pace} }}\n'
        recipe += f'[gateway]\nport = 0\nfiles_dir = "{folder}/files"\n{gateway}\n'
        (folder / "serve.toml").write_text(recipe)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "seedcoder", "serve", "up", str(folder / "serve.toml")],
            stdout=subprocess.PIPE, stderr=(folder / "log").open("w"), text=True, cwd=ROOT,
            env={**os.environ, "SEEDCODER_CACHE": str(folder / "cache")},
        )  # fmt: skip
        assert self.process.stdout is not None
        line = next((one for one in self.process.stdout if one.startswith("serving on")), "")
        assert line, self.log()
        self.url = line.split()[2]
        self.port = int(self.url.rpartition(":")[2])
        self._wait()

    def log(self) -> str:
        """Return what it said on stderr so far."""
        return (self.folder / "log").read_text()

    def ask(
        self,
        path: str,
        body: Any = None,
        *,
        method: str = "",
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Return status and JSON of one request."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data=data, method=method or ("POST" if data is not None else "GET"),
            headers={"Content-Type": "application/json", **(headers or {})},
        )  # fmt: skip
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"null")

    def close(self) -> None:
        """End it as a supervisor does."""
        self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while any(model["state"] != "ready" for model in self.ask("/v1/models")[1]["data"]):
            assert time.monotonic() < deadline and self.process.poll() is None, self.log()
            time.sleep(0.05)
