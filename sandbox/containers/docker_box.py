"""The docker box: the judge of the other boxes, over zygotes that live in containers.

Where the image has Python 3.11 or later and shares our kernel, every way of judging works as in
the namespace box ("zygote"). Elsewhere (gVisor, other images) each run is a command in a container
of its own ("exec"): scripts, commands and projects are judged, calls of functions are not.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Literal

from sandbox import toolchain
from sandbox.cases import Tests
from sandbox.containers import engine, options
from sandbox.containers.bare import Bare
from sandbox.containers.moored import Moored
from sandbox.errors import SandboxUnavailable, TestsBroken
from sandbox.judge import judge
from sandbox.outcome import Outcome
from sandbox.program import Limits, Program
from sandbox.project.judging import judge_by
from sandbox.project.plan import ProjectPlan
from sandbox.project.tests import ProjectTests
from sandbox.ready import Engine, Role, ready
from sandbox.slot import Slot
from sandbox.verdict import Verdict

DEFAULT_IMAGE = "seedcoder-sandbox"
Transport = Literal["auto", "zygote", "exec"]


class DockerBox:
    """Containers of one image, for programs and for what judges them, started when needed.

    The two never share a container.
    image: its name, with or without a tag. packages: of its Python packages, those that programs
    may import. cpus: cores a container may use at once; 0.0 is all. transport: "zygote" (runs are
    forked in a container that is kept), "exec" (each has its own), or the first that starts.
    python: the command that is the image's Python where `execute` and projects want it.
    Raises SandboxUnavailable without the SDK, an engine, or the image.
    """

    def __init__(
        self,
        image: str = DEFAULT_IMAGE,
        packages: tuple[str, ...] = ("numpy",),
        *,
        cpus: float = 0.0,
        transport: Transport = "auto",
        python: str = "python3",
    ) -> None:
        self.image = image
        self.transport: Transport = transport
        self.why_exec = ""  # why runs are not forked from a zygote
        self._packages = packages
        self._cpus = cpus
        self._python = python
        self._slots: dict[tuple[Role, Engine], Slot] = {}
        self._bare: Bare | None = None
        self._other: tuple[str, Bare] | None = None  # the last project's image, and no other
        self._client = engine.connect()
        try:
            engine.image_of(self._client, image)
            engine.remove_orphans(self._client)
            self.runtime = engine.GVISOR if engine.GVISOR in engine.runtimes(self._client) else ""
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        """Start the first zygote, or see that a command can be executed."""
        if self.transport != "exec":
            try:
                self._slots["candidate", "python"] = self._moored("candidate", "python")
                self.transport = "zygote"
                return
            except SandboxUnavailable as error:
                if self.transport == "zygote":
                    raise
                self.why_exec = str(error)
        self.transport = "exec"
        try:
            self.execute(("/bin/sh", "-c", "exit 0"), Limits())
        except SandboxUnavailable as error:
            reasons = filter(None, (self.why_exec, str(error)))
            raise SandboxUnavailable("; ".join(reasons)) from None

    @property
    def name(self) -> str:
        """The kind and the image."""
        return f"docker:{self.image}"

    @property
    def kind(self) -> str:
        """The kind of box."""
        return "docker"

    @property
    def slots(self) -> tuple[Slot, ...]:
        """Those that were started."""
        return tuple(self._slots.values())

    def slot(self, role: Role, engine: Engine = "python") -> Slot:
        """Return the slot for `role` and `engine`, started if need be."""
        found = self._slots.get((role, engine))
        if found is None:
            found = self._slots[role, engine] = self.new_slot(role, engine)
        return found

    def new_slot(self, role: Role = "candidate", engine: Engine = "python") -> Slot:
        """Return a slot with containers of its own; it is the caller's to close."""
        return self._moored(role, engine) if self.transport == "zygote" else self._exec(engine)

    def _moored(self, role: Role, engine: Engine) -> Moored:
        wanted = toolchain.PREIMPORT if role == "candidate" else toolchain.PREIMPORT_TESTS
        return Moored(
            self._client, self.image, self._packages, wanted, engine,
            runtime=self.runtime, cpus=self._cpus,
        )  # fmt: skip

    def _exec(self, engine: Engine) -> Bare:
        return Bare(self.image, engine, runtime=self.runtime, cpus=self._cpus, python=self._python)

    def project_slot(self, folder: str) -> tuple[Slot, str]:
        """Raise TestsBroken: a container shows no folder of this machine."""
        raise TestsBroken("an image brings its own packages: leave packages_dir empty")

    def run(self, program: Program, limits: Limits, collect: tuple[str, ...] = ()) -> Outcome:
        """Run a program as a script."""
        started = ready(program, limits, self)
        return (
            started
            if isinstance(started, Outcome)
            else started.run(stdin=program.stdin, collect=collect)
        )

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
        writable: bool = False,
    ) -> Outcome:
        """Run a command in a fresh container of the image, and throw that away.

        files: laid beneath `workdir` first. workdir: "" is a work folder in memory, with the
        limit's size; another is a folder of the image (/testbed), which is then `writable`.
        environment: beside the image's own. collect: names beneath `workdir`.
        writable: all of the image can be written, in that container only, and the command is its
            root, without any capability.
        Raises SandboxUnavailable where no container starts, SandboxBroken where it is lost.
        """
        return self.slot_of().execute(
            argv, limits, files=files, stdin=stdin, environment=environment, workdir=workdir,
            collect=collect, writable=writable,
        ).outcome  # fmt: skip

    def judge(self, program: Program, tests: Tests, limits: Limits) -> Verdict:
        """Judge a program by tests."""
        if isinstance(tests, ProjectTests):
            return self._judge_project(program, tests, limits)
        return judge(program, tests, limits, self)

    def _judge_project(self, program: Program, tests: ProjectTests, limits: Limits) -> Verdict:
        if tests.packages_dir:
            self.project_slot(tests.packages_dir)
        in_image = tests.snapshot.kind == "image"
        slot = self.slot_of(tests.snapshot.name if in_image else "")

        def carry(made: ProjectPlan, most: Limits) -> Outcome:
            # The driver is a file and not an argument: those are of bounded length.
            return slot.execute(
                (self._python, "-I", f"{options.WORK}/driver.py"), most, stdin=made.stdin,
                files={"driver.py": made.driver.encode()}, writable=in_image,
            ).outcome  # fmt: skip

        return judge_by(program, tests, limits, carry, site=True, scratch=options.WORK)

    def slot_of(self, image: str = "") -> Bare:
        """Return what executes commands in an image, "" for the box's own; it stays the box's.

        Raises SandboxUnavailable where the engine has no image of that name.
        """
        if image in ("", self.image):
            if self._bare is None:
                self._bare = self._exec("command")
            return self._bare
        if self._other is None or self._other[0] != image:
            try:
                engine.image_of(self._client, image)
            except SandboxUnavailable:
                raise SandboxUnavailable(f"no image {image!r} here: docker pull {image}") from None
            if self._other is not None:
                self._other[1].close()
            made = Bare(
                image, "command", runtime=self.runtime, cpus=self._cpus, python=self._python
            )
            self._other = image, made
        return self._other[1]

    def close(self) -> None:
        """End all its containers."""
        for slot in self._slots.values():
            slot.close()
        if self._bare is not None:
            self._bare.close()
        if self._other is not None:
            self._other[1].close()
        self._client.close()


@contextlib.contextmanager
def commands_in(image: str, *, python: str = "python3") -> Iterator[Bare]:
    """Lend what executes commands in containers of an image, without a box around it.

    Raises SandboxUnavailable without the SDK, an engine, or the image.
    """
    client = engine.connect()
    try:
        engine.image_of(client, image)
        runtime = engine.GVISOR if engine.GVISOR in engine.runtimes(client) else ""
    finally:
        client.close()
    made = Bare(image, "command", runtime=runtime, cpus=0.0, python=python)
    try:
        yield made
    finally:
        made.close()
