"""A slot whose zygote lives in a container, and calls us from there through a socket.

Descriptors pass because container and supervisor share a kernel. Where they do not (gVisor, an
engine in a virtual machine), or the image has no Python of ours, `start` says so.
The container is kept from run to run, and given up after many runs, when it is not clean, and when
a run needs a work folder of another size.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sandbox import installed
from sandbox.containers import engine, image_tools, options, weight
from sandbox.containers.engine import Container, DockerClient
from sandbox.errors import SandboxBroken, SandboxUnavailable
from sandbox.inside import contained, kernel
from sandbox.inside.settings import Settings
from sandbox.outcome import Kind, Outcome
from sandbox.program import Limits
from sandbox.ran import Ran
from sandbox.slot import Slot

log = logging.getLogger(__name__)

_OURS = "/box/ours"
_DOOR = "/box/door"
_BOOTSTRAP = (
    "import sys, types\n"
    "if sys.version_info < (3, 11): sys.exit('the image has Python %d.%d, not 3.11' "
    "% sys.version_info[:2])\n"
    "p = types.ModuleType('sandbox'); p.__path__ = [sys.argv[1]]; sys.modules['sandbox'] = p\n"
    "from sandbox.inside import hooks; hooks.keep_back()\n"
    "from sandbox.inside.contained import main; main()\n"
)
_INSIDE = Path(kernel.__file__).parent
_MIB = 1 << 20
_CALL_S = 30.0
_TIDY_S = 60.0
_CEILING_MB = 64  # above a run's memory: what the zygote itself holds
RUNS_MOST = 5_000  # ours: then a new container, so that nothing of the kernel's adds up for ever


class Moored(Slot):
    """One zygote in a container of an image."""

    def __init__(
        self,
        client: DockerClient,
        image: str,
        packages: tuple[str, ...],
        preimport: tuple[str, ...],
        engine_name: str,
        *,
        runtime: str = "",
        cpus: float = 0.0,
    ) -> None:
        self._client = client
        self._image = image
        self._names = packages
        self._runtime = runtime
        self._cpus = cpus
        self._container: Container | None = None
        self._leash: socket.socket | None = None
        self._made_for = Limits()
        self._runs = 0
        self._began_s = 0.0
        self._said: Any = None
        self._pid = 0
        super().__init__("docker", (), preimport, engine_name)

    @property
    def container_id(self) -> str:
        """The container that it lives in now, "" without one."""
        return str(self._container.id) if self._container else ""

    @property
    def pid(self) -> int:
        """The pid here of its container's first process."""
        return self._pid

    @property
    def place(self) -> str:
        """The image."""
        return f"in the image {self._image}"

    def tools(self, language: str) -> installed.Tools:
        """Return where a language's tools are in the image. Raises installed.Missing."""
        return image_tools.of(language, self._image, self._where)

    def _where(self, names: tuple[str, ...]) -> dict[str, str]:
        if self._control is None:
            self._start()
        assert self._leash is not None
        try:
            self._leash.send(contained.WHERE + json.dumps(names).encode())
            found: dict[str, str] = json.loads(self._leash.recv(1 << 16))
        except (OSError, ValueError) as error:
            self._stop()
            raise SandboxBroken(f"a container does not say what is in it: {error}") from None
        return found

    def _launch(self) -> tuple[Settings, socket.socket]:
        engine.image_of(self._client, self._image)
        self._runs = 0
        door = Path(tempfile.mkdtemp(prefix="seedcoder-door-"))
        try:
            door.chmod(0o711)  # open to the container's user, but only by a name nobody knows
            name = secrets.token_hex(16)
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
                listener.bind(str(door / name))
                (door / name).chmod(0o777)
                listener.listen(2)
                listener.settimeout(0.5)
                self._container = self._run_container(door, name)
                control = self._answered(listener)
                self._leash = self._answered(listener)
                self._leash.settimeout(_TIDY_S)
        except BaseException:
            self._end()
            raise
        finally:
            shutil.rmtree(door, ignore_errors=True)  # nobody is to call after these two
        self._group = self._weighed()
        return self._told(), control

    def _told(self) -> Settings:
        return Settings(
            kind="docker",
            supervisor_pid=0,
            uid=None,
            trees=(),
            hidden=("/box",),
            packages=self._names,
            links=(),
            sys_path=(),
            preimport=self._preimport,
            counts_memory=self._group is not None,
            work=options.WORK,
            engine=self.engine,
        )

    def _run_container(self, door: Path, name: str) -> Container:
        disk = self._made_for.disk_mb * _MIB
        uid = 1_000_000_000 + (os.getpid() % 500_000) * 2_000 + self._number
        arguments = options.hardened(
            machine=engine.machine(self._client),
            runtime=self._runtime,
            user=uid,
            memory_mb=self._made_for.memory_mb + _CEILING_MB,
            processes=self._made_for.processes + 8,
            cpus=self._cpus,
            tmpfs={options.WORK: disk, options.SHARED: disk // options.SHARED_PART},
        )
        try:
            container = self._client.containers.create(
                self._image,
                command=["-S", "-s", "-P", "-X", "utf8", "-c", _BOOTSTRAP, _OURS,
                         f"{_DOOR}/{name}", options.SHARED],
                entrypoint=["python3"],
                environment={**options.environment(options.WORK), "LD_BIND_NOW": "1"},
                working_dir="/",
                volumes=[f"{_INSIDE}:{_OURS}/inside:ro", f"{door}:{_DOOR}:ro"],
                **arguments,
            )  # fmt: skip
            self._said = container.attach_socket(params={"stderr": 1, "stream": 1})
            container.start()
        except engine.failures() as error:
            raise SandboxUnavailable(
                f"the docker box does not start {self._image}: {engine.words(error)}"
            ) from None
        return container

    def _answered(self, listener: socket.socket) -> socket.socket:
        """Return the next call from the container, or raise SandboxUnavailable when it ends."""
        assert self._container is not None
        deadline = time.monotonic() + _CALL_S
        while time.monotonic() < deadline:
            try:
                link, _ = listener.accept()
                return link
            except TimeoutError:
                if not _is_running(self._container):
                    break
        why = self._last_words(failed=True) or "it did not call within 30 s"
        raise SandboxUnavailable(f"no zygote in a container of {self._image}: {why}")

    def _weighed(self) -> weight.Weight | None:
        assert self._container is not None
        container = self._container
        container.reload()

        def update(memory: int, processes: int) -> None:
            with engine.broken("setting limits"):
                container.client.api.update_container(
                    container.id, mem_limit=memory, memswap_limit=memory
                )

        self._pid = int(container.attrs["State"]["Pid"])
        return weight.of(self._pid, update)

    def _last_words(self, *, failed: bool) -> str:
        said, self._said = self._said, None
        if said is None:
            return ""
        text = b""
        raw = getattr(said, "_sock", said)
        with contextlib.suppress(OSError):
            raw.settimeout(2)
            while failed and len(text) < _MIB and (more := raw.recv(65536)):
                text += more
        said.close()
        words = text.decode("utf-8", "replace").strip().rpartition("\n")[2]
        return "".join(c for c in words if c.isprintable()).strip()

    def _fit(self, limits: Limits) -> None:
        """Give up a container with a work folder of another size, or after many runs."""
        made = self._made_for
        if self.engine == "command":  # compilers and programs take turns, and need unlike sizes
            disk_mb = max(limits.disk_mb, made.disk_mb if self._control is not None else 0)
            limits = dataclasses.replace(limits, disk_mb=disk_mb)
        weighed = self._group is not None  # else the engine's limits are those it was made with
        fits = limits.disk_mb == made.disk_mb and (
            weighed or (limits.memory_mb, limits.processes) == (made.memory_mb, made.processes)
        )
        if self._control is None or not fits or self._runs >= RUNS_MOST:
            self._stop()
            self._made_for = limits
        self._runs += 1
        self._began_s = time.time()

    def finish(self, collect: Iterable[str] = (), *, answers: int = 1, room: int = 1 << 20) -> Ran:
        """Wait for the run's end; a container that was lost for lack of memory is MEMORY."""
        container, began_s = self.container_id, self._began_s
        try:
            return super().finish(collect, answers=answers, room=room)
        except SandboxBroken:
            if not engine.ran_out_of_memory(self._client, container, began_s):
                raise
        return Ran(outcome=_OUT_OF_MEMORY, answers=())

    def _empty_work_place(self) -> None:
        if self._leash is None:
            return
        try:
            self._leash.send(contained.EMPTY)
            answer = self._leash.recv(4096)
        except OSError as error:
            answer = str(error).encode()
        if answer != contained.DONE:
            log.warning(
                "a container's folders could not be emptied container=%s error=%s",
                self.container_id[:12], answer.decode(errors="replace"),
            )  # fmt: skip
            self._stop()

    def _end(self) -> None:
        leash, self._leash = self._leash, None
        if leash is not None:
            leash.close()
        container, self._container = self._container, None
        if container is not None:
            engine.remove(container)


_OUT_OF_MEMORY = Outcome(
    kind=Kind.MEMORY, exit_code=None, signal=9, stdout="", stderr="", truncated=False,
    cpu_s=0.0, wall_s=0.0, peak_mb=0.0, files={},
)  # fmt: skip


def _is_running(container: Container) -> bool:
    try:
        container.reload()
    except engine.sdk().errors.NotFound:
        return False
    return bool(container.attrs["State"]["Running"])
