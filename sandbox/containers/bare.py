"""A slot without a zygote: each run is a command in a container of its own.

For images without a Python of ours, and engines that share no kernel with us. Scripts and commands
run; what needs a process of ours beside the program (calls, tests that talk to it, interactors)
does not, and says so.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from sandbox import installed
from sandbox.containers import image_tools, options
from sandbox.containers.execution import Task, execute
from sandbox.containers.fresh import Need, Warm
from sandbox.errors import SandboxBroken, SandboxUnavailable
from sandbox.inside import settings
from sandbox.program import Limits
from sandbox.ran import Ran
from sandbox.slot import Slot

_LARGEST_BYTES = 64 << 20


class Bare(Slot):
    """Runs of one role in fresh containers of an image."""

    def __init__(
        self, image: str, engine_name: str, *, runtime: str, cpus: float, python: str
    ) -> None:
        """python: the command that is the image's Python."""
        self.kind = "docker"
        self.engine = engine_name
        self._image = image
        self._runtime = runtime
        self._cpus = cpus
        self._python = python
        self._warm = Warm()
        self._task: tuple[Task, Limits] | None = None

    @property
    def counts_memory(self) -> bool:
        """The engine's cgroup does."""
        return True

    @property
    def place(self) -> str:
        """The image."""
        return f"in the image {self._image}"

    def tools(self, language: str) -> installed.Tools:
        """Return where a language's tools are in the image. Raises installed.Missing."""
        return image_tools.of(language, self._image, self._where)

    def _where(self, names: tuple[str, ...]) -> dict[str, str]:
        plain = [name for name in names if not name.startswith("/")]
        whole = [name for name in names if name.startswith("/")]
        asks = [f"command -v {shlex.quote(name)} || echo" for name in plain]
        asks += [f"ls -d {shlex.quote(name)} 2>/dev/null || echo" for name in whole]
        said = self.execute(("/bin/sh", "-c", "; ".join(asks)), Limits(cpu_s=10)).outcome.stdout
        return dict(zip([*plain, *whole], said.split("\n"), strict=False))

    def execute(
        self,
        argv: tuple[str, ...],
        limits: Limits,
        *,
        files: Mapping[str, bytes] | None = None,
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
        workdir: str = "",
        collect: tuple[str, ...] = (),
        packs: tuple[str, ...] = (),
        writable: bool = False,
    ) -> Ran:
        """Execute a command in a fresh container; see `Task` and `Need`."""
        task = Task(
            argv=argv, files=files or {}, stdin=stdin, environment=environment or {},
            workdir=workdir, collect=collect, packs=packs,
        )  # fmt: skip
        need = Need.of(
            limits, image=self._image, runtime=self._runtime, cpus=self._cpus,
            writable=writable or bool(workdir),
        )  # fmt: skip
        return Ran(outcome=execute(self._warm, need, task, limits), answers=())

    def begin(
        self,
        mode: int,
        job: Mapping[str, Any],
        limits: Limits,
        *,
        stdin: bytes = b"",
        link: int = -1,
        stdin_fd: int = -1,
        stdout_fd: int = -1,
        collect: bool = False,
        any_address: bool = False,
        restarted: bool = False,
    ) -> None:
        """Take a run; `finish` starts it. Raises SandboxUnavailable for what needs a zygote."""
        if mode not in (settings.SCRIPT, settings.COMMAND) or stdin_fd >= 0 or stdout_fd >= 0:
            raise SandboxUnavailable(
                f"containers of {self._image} only run scripts and commands: calls, tests that talk"
                " to the program and interactors need an image with Python 3.11 on a shared kernel"
            )
        if mode == settings.SCRIPT:
            source = job["source"].encode("utf-8", "surrogateescape")
            files = {**job["files"], "main.py": source}
            argv = (self._python, "main.py", *job["argv"])
            task = Task(argv=argv, files=files, stdin=stdin, environment={}, workdir="")
        else:
            task = self._of_command(job, stdin, link)
        self._task = task, limits

    def _of_command(self, job: Mapping[str, Any], stdin: bytes, link: int) -> Task:
        files = {**job["files"], **job["program"]}
        command = tuple(job["command"])
        if job["by_link"]:
            files[command[0].removeprefix("./")] = os.pread(link, _LARGEST_BYTES, 0)
        # A relative command is found from where it starts only by a path.
        if command[0].startswith("./"):
            command = (f"{options.WORK}/{command[0][2:]}", *command[1:])
        return Task(
            argv=(*command, *job["argv"]), files=files, stdin=stdin,
            environment=job["environment"], workdir="", packs=tuple(job["packs"]),
        )  # fmt: skip

    def finish(self, collect: Iterable[str] = (), *, answers: int = 1, room: int = 1 << 20) -> Ran:
        """Run what `begin` took, to its end."""
        taken, self._task = self._task, None
        if taken is None:
            raise SandboxBroken("no run was begun")
        task, limits = taken
        wanted = () if task.packs else tuple(collect)
        return self.execute(
            task.argv, limits, files=task.files, stdin=task.stdin, environment=task.environment,
            collect=wanted, packs=task.packs,
        )  # fmt: skip

    def close(self) -> None:
        """End the container that was kept warm."""
        self._warm.close()
