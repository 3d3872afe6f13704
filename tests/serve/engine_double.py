"""A server that behaves as an engine does, or as badly as one can.

Run as `python -I -S engine_double.py SOCKET WORD...`: standard library only, up in 0.1 s.
Words: `ill` (its health check says 503), `deaf` (takes connections, answers nothing), `exit` (ends
at once, after some last words), `stubborn` (SIGTERM does nothing), `family` (starts a child in a
session of its own that ignores SIGTERM, and a grandchild whose parent has gone; their pids are in
SOCKET.family), `slow` (an answer takes until SOCKET.go is there), `chatty` (says much),
`locked` (wants the key sk-1).
"""

from __future__ import annotations

import os
import signal
import socketserver
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

SOCKET, WORDS = Path(sys.argv[1]), set(sys.argv[2:])
SLEEPER = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Handler(BaseHTTPRequestHandler):
    """Answers GET."""

    def do_GET(self) -> None:
        if "deaf" in WORDS:
            time.sleep(600)
        if self.path == "/slow":
            while not SOCKET.with_suffix(".go").exists():
                time.sleep(0.02)
        status = 503 if "ill" in WORDS else 200
        if "locked" in WORDS and self.headers.get("Authorization") != "Bearer sk-1":
            status = 401
        self.send_response(status)
        body = f"{os.getpid()} {self.path} {self.headers.get('Authorization')}".encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "unix"

    def log_message(self, format: str, *args: object) -> None:
        say(format % args)


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Waits for the requests under way when it ends."""

    daemon_threads = False
    block_on_close = True


def start_family() -> None:
    child = subprocess.Popen([sys.executable, "-S", "-c", SLEEPER], start_new_session=True)
    between = (
        "import subprocess, sys;"
        f"print(subprocess.Popen([sys.executable, '-S', '-c', {SLEEPER!r}],"
        " start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).pid)"
    )
    told = subprocess.run([sys.executable, "-S", "-c", between], capture_output=True, check=True)
    SOCKET.with_suffix(".family").write_text(f"{child.pid} {int(told.stdout)}")


def main() -> None:
    say(f"loading with {sorted(WORDS)} and {os.environ.get('ENGINE_WORD')}")
    if "exit" in WORDS:
        say("ValueError: the weights are too heavy")
        for number in range(8):
            say(f"cleaning up {number}")
        sys.exit(3)
    if "family" in WORDS:
        start_family()
    server = Server(str(SOCKET), Handler)

    def end(*_: object) -> None:
        if "stubborn" not in WORDS:
            threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, end)
    if "chatty" in WORDS:
        for _ in range(200):
            say("x" * 99_999)
    server.serve_forever(poll_interval=0.02)
    server.server_close()
    say("ended in good order")


main()
