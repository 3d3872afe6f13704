"""How a server is set up. All defaults are ours."""

from __future__ import annotations

import functools
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from sandbox.box import DEFAULT_PACKAGES


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """One server.

    host, port: where it listens; port 0 takes a free one. is_open: listen beyond loopback although
        no keys are asked for.
    workers: boxes; 0 is one a core. box, require, packages, confirm_timeouts: as for `Pool`. Who
        judges through a server by a pool of his own has time-outs confirmed there; doing it here
        as well stops everybody else's programs for as long as the limit.
    queue: programs that may wait for a box; more are refused.
    keys_file: see `keys`. datasets: a folder, see `datasets`.
    drain_s: seconds that running and waiting programs get to end after SIGTERM.
    body_mb: of a request, and of a line of a batch. bodies_mb: of all requests together.
    body_s: seconds that a request's body may take to arrive.
    files: of a program. file_mb: MiB of each.
    batches: at once. stall_s: seconds that a batch's reader may leave its answers lying.
    sessions: alive at once.
    kept, kept_mb, kept_s: answers kept for repeated keys: number, MiB of all, seconds of each.
    most_cpu_s, most_wall_s, most_memory_mb, most_disk_mb, most_output_mb, most_processes: what a
        request's limits may ask for.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    is_open: bool = False
    workers: int = 0
    box: str = "auto"
    require: str | None = None
    packages: tuple[str, ...] = DEFAULT_PACKAGES
    confirm_timeouts: bool = False
    queue: int = 256
    keys_file: Path | None = None
    datasets: Path | None = None
    drain_s: float = 30.0
    body_mb: int = 16
    bodies_mb: int = 512
    body_s: float = 60.0
    files: int = 256
    file_mb: int = 8
    batches: int = 32
    stall_s: float = 120.0
    sessions: int = 8
    kept: int = 4096
    kept_mb: int = 64
    kept_s: float = 900.0
    most_cpu_s: float = 600.0
    most_wall_s: float = 1800.0
    most_memory_mb: int = 4096
    most_disk_mb: int = 1024
    most_output_mb: int = 16
    most_processes: int = 1024

    def __post_init__(self) -> None:
        for name in (
            "queue", "body_mb", "bodies_mb", "files", "file_mb", "batches", "sessions", "kept",
            "kept_mb", "body_s", "stall_s", "kept_s", "most_cpu_s", "most_wall_s",
            "most_memory_mb", "most_disk_mb", "most_output_mb", "most_processes",
        ):  # fmt: skip
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if not self.drain_s >= 0:
            raise ValueError(f"drain_s must not be negative, got {self.drain_s}")
        if self.workers < 0:
            raise ValueError(f"workers must not be negative, got {self.workers}")
        if not 0 <= self.port < 65536:
            raise ValueError(f"port must be 0 to 65535, got {self.port}")

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)


@functools.lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Return whether a host's name or address is this machine's own."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"
