"""The container engine: reaching it, what it can do, and clearing up after dead supervisors.

The SDK is imported when an engine is wanted, never before.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sandbox.errors import SandboxBroken, SandboxUnavailable

# What the SDK has no types for.
DockerClient = Any
Container = Any

LABEL = "seedcoder.box"
_OWNER = "seedcoder.owner"
GVISOR = "runsc"
HOW = (
    "install an engine (Debian: apt-get install docker.io), start it, and let this user reach its "
    "socket, or set DOCKER_HOST"
)
_CONNECT_S = 60


def sdk() -> Any:
    """Return the SDK's module. Raises SandboxUnavailable where it is not installed."""
    try:
        import docker  # type: ignore[import-untyped]
    except ImportError:
        raise SandboxUnavailable(
            "the docker box needs the 'docker' extra: pip install -e '.[docker]'"
        ) from None
    return docker


def failures() -> tuple[type[Exception], ...]:
    """Return what the SDK raises where the engine refuses or cannot be reached."""
    import requests

    return (sdk().errors.DockerException, requests.RequestException, OSError)


def connect(timeout_s: int = _CONNECT_S) -> DockerClient:
    """Return a client of the engine that DOCKER_HOST names, by default the local one.

    timeout_s: of each question to it.
    Raises SandboxUnavailable where the SDK or the engine is missing.
    """
    try:
        client = sdk().from_env(timeout=timeout_s)
        client.ping()
    except failures() as error:
        raise SandboxUnavailable(f"no container engine answers ({words(error)}); {HOW}") from None
    return client


def words(error: BaseException) -> str:
    """Return an error of the SDK in one short line."""
    said = getattr(error, "explanation", None) or str(error)
    return " ".join(str(said).split())[:300]


@contextlib.contextmanager
def broken(doing: str) -> Iterator[None]:
    """Turn what the engine refuses into SandboxBroken."""
    try:
        yield
    except failures() as error:
        raise SandboxBroken(f"the container engine failed {doing}: {words(error)}") from None


def runtimes(client: DockerClient) -> tuple[str, ...]:
    """Return the names of the engine's runtimes."""
    with broken("telling of itself"):
        return tuple(sorted(client.info().get("Runtimes", {})))


def machine(client: DockerClient) -> str:
    """Return the engine's processor as uname calls it."""
    with broken("telling of itself"):
        return str(client.info().get("Architecture", ""))


def labels() -> dict[str, str]:
    """Return the labels of a container of this process."""
    return {LABEL: "1", _OWNER: _mark(os.getpid())}


def _mark(pid: int) -> str:
    """Return what tells a process from all others of this boot: namespace, pid, start time."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    namespace = Path("/proc/self/ns/pid").readlink()
    return f"{boot} {namespace} {pid} {_started(pid)}"


def _started(pid: int) -> str:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[19]


def _is_dead(mark: str) -> bool:
    """Return whether the process of a mark is known to be gone.

    Processes of other PID namespaces of this boot cannot be seen, and count as alive.
    """
    boot, namespace, pid, started = [*mark.split(), "", "", "", ""][:4]
    ours = _mark(os.getpid()).split()
    if not started or boot != ours[0]:
        return True
    return namespace == ours[1] and _started(int(pid)) != started


def remove_orphans(client: DockerClient) -> int:
    """Remove containers whose supervisors are dead; return how many there were.

    They end with their supervisor by themselves; what is left is what an engine that died itself
    did not remove.
    """
    count = 0
    with broken("listing containers"):
        found = client.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True)
    for container in found:
        if _is_dead(container.labels.get(_OWNER, "")):
            remove(container)
            count += 1
    return count


def remove(container: Container) -> None:
    """Remove a container with its volumes; one that is going by itself is left to."""
    with contextlib.suppress(*failures()):
        container.remove(force=True, v=True)


def ran_out_of_memory(client: DockerClient, container: str, since_s: float) -> bool:
    """Return whether the engine saw a container run out of memory since a time (of the epoch)."""
    with broken("telling what became of a container"):
        events = client.events(
            since=int(since_s) - 1, until=int(time.time()) + 1, decode=True,
            filters={"container": container, "event": "oom"},
        )  # fmt: skip
        return any(True for _ in events)


def image_of(client: DockerClient, name: str) -> Any:
    """Return an image by name. Raises SandboxUnavailable where the engine has none of that name."""
    try:
        return client.images.get(name)
    except sdk().errors.ImageNotFound:
        raise SandboxUnavailable(
            f"no image {name!r} here; `seedcoder sandbox image build` makes one, "
            "`seedcoder sandbox image list` names those there are"
        ) from None
    except failures() as error:
        raise SandboxUnavailable(f"image {name!r}: {words(error)}") from None
