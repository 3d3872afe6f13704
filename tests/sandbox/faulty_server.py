"""A tiny real HTTP server that keeps the contract of ours, and fails as it is told to.

It counts how often each program ran, which is what the tests of the remote box are about.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from typing import Any

from sandbox import Kind, Outcome

Work = Callable[[str, dict[str, Any]], dict[str, Any]]


def echo(path: str, job: dict[str, Any]) -> dict[str, Any]:
    """Return an outcome whose stdout is the program's source."""
    return Outcome(
        kind=Kind.PASSED, exit_code=0, signal=None, stdout=job["program"]["source"], stderr="",
        truncated=False, cpu_s=0.0, wall_s=0.0, peak_mb=1.0,
    ).to_json()  # fmt: skip


class FaultyServer(ThreadingHTTPServer):
    """Faults are taken from `faults`, one a POST, until there are none.

    cut_unread: hangs up before the body is read. cut_read: after, without running it. cut_run:
    after running it, before the answer. cut_answer: in the middle of the answer. hang: runs it and
    is silent for `hang_s`. full, draining, error, broken, tests_broken, refused: statuses.
    drained_out: runs it, and after `hang_s` ends without waiting for it any longer.
    restart: runs it, hangs up, and comes back as another instance that forgot everything.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, work: Work = echo, *, kind: str = "namespace", has_instance: bool = True):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.work = work
        self.kind = kind
        self.has_instance = has_instance
        self.version = metadata.version("seedcoder")
        self.key = ""
        self.hang_s = 1.0
        self.retry_after = "0"
        self.faults: list[str] = []
        self.ran: Counter[str] = Counter()
        self.posts: list[tuple[float, dict[str, str]]] = []
        self.kept: dict[str, bytes] = {}
        self.lock = threading.Lock()
        self.instance = secrets.token_hex(8)
        self.connections: list[socket.socket] = []
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def restart(self, kind: str | None = None) -> None:
        """Become another instance."""
        self.kept.clear()
        self.instance = secrets.token_hex(8)
        self.kind = kind or self.kind

    def get_request(self) -> Any:
        got = super().get_request()
        self.connections.append(got[0])
        return got

    def stop(self) -> None:
        """End as a process does: every connection is closed."""
        self.shutdown()
        self.server_close()
        for one in self.connections:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Be silent: connections are cut on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes
    server: FaultyServer

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _cut(self) -> None:
        """Hang up with a reset, as a killed process does."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True
        raise ConnectionAbortedError

    def _send(self, status: int, body: bytes, *, most: int | None = None, **extra: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/json")
        if self.server.has_instance:
            self.send_header("Sandbox-Instance", self.server.instance)
        for name, value in extra.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body[:most])

    def _error(self, status: int, kind: str, **extra: str) -> None:
        body = json.dumps({"error": {"type": kind, "message": f"it is {kind}"}}).encode()
        self._send(status, body, **extra)

    def do_GET(self) -> None:
        server = self.server
        hello = {"box": server.kind, "kind": server.kind, "version": server.version, "workers": 4}
        if server.has_instance:
            hello["instance"] = server.instance
        self._send(200, json.dumps(hello).encode())

    def do_POST(self) -> None:
        server = self.server
        with server.lock:
            fault = server.faults.pop(0) if server.faults else ""
            server.posts.append((time.monotonic(), dict(self.headers)))
        if fault == "cut_unread":
            self._cut()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if server.key and self.headers["Authorization"] != f"Bearer {server.key}":
            return self._error(401, "Unauthorized")
        if fault == "cut_read":
            self._cut()
        statuses = {
            "full": (429, "QueueFull"), "draining": (503, "Draining"), "error": (500, "Internal"),
            "broken": (503, "SandboxBroken"), "unavailable": (503, "SandboxUnavailable"),
            "tests_broken": (422, "TestsBroken"), "refused": (413, "TooLarge"),
        }  # fmt: skip
        if fault in statuses:
            return self._error(*statuses[fault], Retry_After=server.retry_after)
        answer = self._answer(body)
        if fault == "restart":
            server.restart()
        if fault in ("cut_run", "restart"):
            self._cut()
        if fault == "hang":
            time.sleep(server.hang_s)
        if fault == "drained_out":
            time.sleep(server.hang_s)
            return self._error(503, "Draining", Retry_After=server.retry_after)
        if fault == "cut_answer":
            self._send(200, answer, most=len(answer) // 2)
            self.wfile.flush()
            self._cut()
        return self._send(200, answer)

    def _answer(self, body: bytes) -> bytes:
        """Return the answer kept under the key, or run the program."""
        server, key = self.server, self.headers["Idempotency-Key"]
        with server.lock:
            if key in server.kept:
                return server.kept[key]
            job = json.loads(body)
            server.ran[job["program"]["source"]] += 1
        answer = json.dumps(server.work(self.path, job)).encode()
        with server.lock:
            server.kept[key] = answer
        return answer
