"""The docker box: the judge of the other boxes, over zygotes that live in containers.

Where the image has Python 3.11 or later and shares our kernel, every way of judging works as in
the namespace box. Elsewhere (gVisor, other images) programs are run by `execute`, one container a
run: scripts and projects are judged, function calls are not.
"""

from __future__ import annotations

from sandbox import toolchain
from sandbox.cases import Tests
from sandbox.containers import engine
from sandbox.containers.moored import Moored
from sandbox.judge import judge
from sandbox.outcome import Outcome
from sandbox.program import Limits, Program
from sandbox.ready import Engine, Role, ready
from sandbox.slot import Slot
from sandbox.verdict import Verdict

DEFAULT_IMAGE = "seedcoder-sandbox"


class DockerBox:
    """Containers of one image, for programs and for what judges them, started when needed.

    The two never share a container.
    image: its name, with or without a tag. packages: of its Python packages, those that programs
    may import. cpus: cores a container may use at once; 0.0 is all.
    Raises SandboxUnavailable without the SDK, an engine, or the image.
    """

    def __init__(
        self,
        image: str = DEFAULT_IMAGE,
        packages: tuple[str, ...] = ("numpy",),
        *,
        cpus: float = 0.0,
    ) -> None:
        self.image = image
        self._packages = packages
        self._cpus = cpus
        self._client = engine.connect()
        self._slots: dict[tuple[Role, Engine], Moored] = {}
        try:
            engine.image_of(self._client, image)
            engine.remove_orphans(self._client)
            self.runtime = engine.GVISOR if engine.GVISOR in engine.runtimes(self._client) else ""
            self.slot("candidate")
        except BaseException:
            self.close()
            raise

    @property
    def name(self) -> str:
        """The kind and the image, with the runtime where it is not the engine's own."""
        return f"docker:{self.image}"

    @property
    def kind(self) -> str:
        """The kind of box."""
        return "docker"

    @property
    def slots(self) -> tuple[Moored, ...]:
        """The zygotes that were started."""
        return tuple(self._slots.values())

    def slot(self, role: Role, engine: Engine = "python") -> Slot:
        """Return the zygote for `role` and `engine`, started if need be."""
        found = self._slots.get((role, engine))
        if found is None:
            found = self._slots[role, engine] = self.new_slot(role, engine)
        return found

    def new_slot(self, role: Role = "candidate", engine: Engine = "python") -> Moored:
        """Return a zygote in a container of its own; it is the caller's to close."""
        wanted = toolchain.PREIMPORT if role == "candidate" else toolchain.PREIMPORT_TESTS
        return Moored(
            self._client, self.image, self._packages, wanted, engine,
            runtime=self.runtime, cpus=self._cpus,
        )  # fmt: skip

    def project_slot(self, folder: str) -> tuple[Slot, str]:
        """Projects are judged by `execute`; no zygote shows a folder of this machine."""
        raise NotImplementedError

    def run(self, program: Program, limits: Limits, collect: tuple[str, ...] = ()) -> Outcome:
        """Run a program as a script."""
        started = ready(program, limits, self)
        return (
            started
            if isinstance(started, Outcome)
            else started.run(stdin=program.stdin, collect=collect)
        )

    def judge(self, program: Program, tests: Tests, limits: Limits) -> Verdict:
        """Judge a program by tests."""
        return judge(program, tests, limits, self)

    def close(self) -> None:
        """End all its containers."""
        for slot in self._slots.values():
            slot.close()
        self._client.close()
