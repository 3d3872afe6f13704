"""A sandbox server as a process of its own, and what tests ask of it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
TOKEN = "import secrets; print(secrets.token_hex())"
STDIO = {"kind": "stdio", "cases": [{"stdin": "2 3\n", "stdout": "5\n"}]}
SUM = "print(sum(map(int, input().split())))"
PROBLEMS = (
    {
        "id": 1,
        "prompt": "Print the sum of two numbers.",
        "labels": {"level": "easy"},
        "tests": {
            "kind": "stdio",
            "cases": [{"stdin": "2 3", "stdout": "5"}, {"stdin": "4 4", "stdout": "8"}],
        },
    },
    {
        "id": "double",
        "prompt": "Write double(x).",
        "entry_point": "double",
        "tests": {"kind": "asserts", "test": "assert candidate(4) == 8"},
    },
)


class Served:
    """One server process."""

    def __init__(self, *words: str, environment: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "seedcoder", "sandbox", "serve", "--port", "0", *words],
            stderr=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, **(environment or {})},
        )  # fmt: skip
        assert self.process.stderr is not None
        self.log: list[str] = []
        for line in self.process.stderr:
            self.log.append(line)
            if line.startswith("serving on"):
                break
        found = re.search(r"serving on (http://\S+:(\d+)) ", "".join(self.log))
        assert found, self.log
        self.url, self.port = found[1], int(found[2])
        threading.Thread(target=self._listen, daemon=True).start()
        self.client = httpx.Client(base_url=self.url, timeout=60)

    def _listen(self) -> None:
        assert self.process.stderr is not None
        self.log.extend(self.process.stderr)

    def post(self, path: str, data: Any, **headers: str) -> httpx.Response:
        """Post JSON."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(path, json=data, headers=named)

    def run(self, source: str, **fields: Any) -> httpx.Response:
        """Run a program on our own route."""
        return self.post("/v1/run", {"program": {"source": source}, **fields})

    def counted(self, name: str) -> float:
        """Return the sum of a counter over its labels."""
        text = self.client.get("/metrics").text
        pattern = rf"^seedcoder_sandbox_{name}(?:\{{[^}}]*\}})? (\S+)$"
        return sum(float(x) for x in re.findall(pattern, text, re.MULTILINE))

    def zygotes(self) -> list[int]:
        """Return the pids of the processes below the server that are zygotes."""
        children: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                except (FileNotFoundError, ProcessLookupError):
                    continue
                children.setdefault(int(fields[1]), []).append(int(entry.name))
        guards = children.get(self.process.pid, [])
        return [pid for guard in guards for pid in children.get(guard, [])]

    def end(self, kind: int = signal.SIGTERM, timeout_s: float = 30) -> int:
        """Signal the process and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(kind)
        return self.process.wait(timeout_s)


@contextmanager
def served(*words: str, environment: dict[str, str] | None = None) -> Iterator[Served]:
    """A server for the length of a `with` block."""
    server = Served(*words, environment=environment)
    try:
        yield server
    finally:
        server.client.close()
        server.process.kill()
        server.process.wait()


def until(found: Callable[[], bool], within_s: float = 20) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + within_s
    while not found():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def in_background(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Start something in a thread; return it and the list that its result comes into."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work()), daemon=True)
    thread.start()
    return thread, results


def lines_of(*rows: Any) -> bytes:
    """Return rows as lines of JSON."""
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def write_problems(folder: Path) -> Path:
    """Write the data set `sums` into a folder."""
    (folder / "sums.jsonl").write_bytes(lines_of(*PROBLEMS))
    return folder
