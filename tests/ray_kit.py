"""A real Ray cluster of this machine: raylets in process groups of their own, to be killed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Quiet, offline, and quick to notice a dead node. Whatever token this user has for other clusters
# plays no part; only this machine reaches this one.
ENVIRON = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_health_check_initial_delay_ms": "500",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "4",
}
_COMMON = (
    "--block", "--disable-usage-stats", "--include-log-monitor=false",
    "--object-store-memory=100000000", "--node-ip-address=127.0.0.1",
)  # fmt: skip


class Kit:
    """A head node and others. The folder's name is short: sockets lie in it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        self._nodes: list[subprocess.Popen[bytes]] = []
        self.head = self._start(
            "--head", f"--port={port}", f"--temp-dir={self.folder}", "--num-cpus=1",
            "--include-dashboard=false",
        )  # fmt: skip
        self._wait_for(port)

    def _wait_for(self, port: int) -> None:
        deadline = time.monotonic() + 60
        while self.head.poll() is None and time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError("no Ray head started")

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        ray = Path(sys.executable).parent / "ray"
        node = subprocess.Popen(
            [ray, "start", *words, *_COMMON],
            env={**os.environ, **ENVIRON},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._nodes.append(node)
        return node

    def add(self, cpus: int) -> subprocess.Popen[bytes]:
        """Start another node, which joins when it joins."""
        return self._start(f"--address={self.address}", f"--num-cpus={cpus}")

    @staticmethod
    def kill(node: subprocess.Popen[bytes]) -> None:
        """Kill a node's raylet and all its workers at once."""
        os.killpg(node.pid, signal.SIGKILL)
        node.wait()

    def close(self) -> None:
        """End all nodes."""
        for node in reversed(self._nodes):
            if node.poll() is None:
                node.terminate()
        for node in self._nodes:
            try:
                node.wait(10)
            except subprocess.TimeoutExpired:
                self.kill(node)
        shutil.rmtree(self.folder, ignore_errors=True)
