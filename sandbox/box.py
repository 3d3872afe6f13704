"""Boxes of this machine, and the choice of the strongest one.

A box judges one program at a time. `namespace` holds against hostile programs; `restricted` is for
machines that refuse namespaces; `unsafe` is a bare process for tests of the harness itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol, cast

from sandbox import toolchain
from sandbox.cases import Tests
from sandbox.errors import SandboxUnavailable
from sandbox.inside.settings import SHELF
from sandbox.judge import judge
from sandbox.outcome import Outcome
from sandbox.program import Limits, Program
from sandbox.ready import Engine, Role, ready
from sandbox.slot import Slot
from sandbox.verdict import Verdict

BoxName = Literal["namespace", "restricted", "unsafe"]
# A box that is required at least; docker and namespace bar each other's way to nothing.
STRENGTH = {"unsafe": 0, "restricted": 1, "docker": 2, "namespace": 2}
DEFAULT_PACKAGES = ("numpy",)


class Box(Protocol):
    """Anything that runs and judges programs, one at a time."""

    @property
    def name(self) -> str:
        """Which box it is, for manifests: its kind, with the image or the server it is in."""
        ...

    @property
    def kind(self) -> str:
        """One of STRENGTH: what holds programs in the end."""
        ...

    def run(self, program: Program, limits: Limits, collect: tuple[str, ...] = ()) -> Outcome:
        """Run a program as a script; `collect` names files of its work folder to bring back."""
        ...

    def judge(self, program: Program, tests: Tests, limits: Limits) -> Verdict:
        """Judge a program by tests."""
        ...

    def close(self) -> None:
        """End all its processes."""
        ...


class LocalBox:
    """Zygotes for programs, and others for what judges them, each started when first needed.

    The two never swap: no zygote that has seen test code ever runs a candidate.
    """

    def __init__(self, name: BoxName, packages: tuple[str, ...] = DEFAULT_PACKAGES) -> None:
        self._name = name
        self._packages = packages
        self._slots: dict[tuple[Role, Engine], Slot] = {}
        self._project: tuple[str, Slot] | None = None  # the last environment's, and no other
        self.slot("candidate")

    @property
    def name(self) -> str:
        """The kind of box."""
        return self._name

    @property
    def kind(self) -> str:
        """The kind of box."""
        return self._name

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The zygotes that were started."""
        return (*self._slots.values(), *((self._project[1],) if self._project else ()))

    def slot(self, role: Role, engine: Engine = "python") -> Slot:
        """Return the zygote for `role` and `engine`, started if need be."""
        found = self._slots.get((role, engine))
        if found is None:
            wanted = toolchain.PREIMPORT if role == "candidate" else toolchain.PREIMPORT_TESTS
            found = Slot(self._name, self._packages, wanted, engine)
            self._slots[role, engine] = found
        return found

    def project_slot(self, folder: str) -> tuple[Slot, str]:
        """Return a zygote that shows a folder of packages, and where it shows it; "" for none."""
        if self._project is None or self._project[0] != folder:
            if self._project is not None:
                self._project[1].close()
                self._project = None
            self._project = folder, Slot(self._name, (folder,) if folder else (), ())
        shelf = f"{SHELF}/{Path(folder).name}" if self._name == "namespace" else folder
        return self._project[1], shelf if folder else ""

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
        """End all zygotes."""
        for slot in self.slots:
            slot.close()


def open_box(
    name: str = "auto",
    *,
    require: str | None = None,
    packages: tuple[str, ...] = DEFAULT_PACKAGES,
) -> Box:
    """Return a started box: the one named, or with "auto" the strongest that starts here.

    name: "auto", "namespace", "restricted", "unsafe"; "docker" or "docker:IMAGE"; or the URL of a
    sandbox server.
    require: the weakest kind of box that will do. Raises SandboxUnavailable when none starts, or
    none as strong as that; ValueError for a name that is none of ours.
    """
    known = ", ".join(STRENGTH)
    if require not in (None, "auto", *STRENGTH):
        raise ValueError(f"require must be auto or one of {known}, got {require!r}")
    least = STRENGTH.get(require or "auto", 0)
    # "unsafe" is never chosen, only asked for by name.
    wanted = ("namespace", "restricted") if name == "auto" else (name,)
    reasons = []
    for choice in wanted:
        kind = _kind(choice)
        if kind and STRENGTH[kind] < least:
            reasons.append(f"{choice} is weaker than the required {require}")
            continue
        try:
            opened = _open(choice, packages)
        except SandboxUnavailable as error:
            reasons.append(str(error))
            continue
        if STRENGTH[opened.kind] >= least:
            return opened
        opened.close()
        reasons.append(f"{opened.name} is weaker than the required {require}")
    raise SandboxUnavailable("; ".join(reasons) + "; `seedcoder doctor` says how to get a box")


def _kind(name: str) -> str:
    """Return the kind of the box named, "" where only the box itself can say (a server)."""
    if name.startswith(("http://", "https://")):
        return ""
    kind = name.partition(":")[0]
    if kind not in STRENGTH:
        known = ", ".join(STRENGTH)
        # Not the whole name: what is almost a URL may hold a password.
        raise ValueError(f"box must be auto, one of {known}, or a URL, got {kind!r}")
    return kind


def _open(name: str, packages: tuple[str, ...]) -> Box:
    if _kind(name) == "docker":
        from sandbox.containers import DEFAULT_IMAGE, DockerBox

        return DockerBox(name.partition(":")[2] or DEFAULT_IMAGE, packages)
    if not _kind(name):
        try:
            from sandbox.remote import RemoteBox
        except ModuleNotFoundError as error:
            raise SandboxUnavailable(
                f"a remote box needs {error.name}: pip install -e '.[server]'"
            ) from None
        return RemoteBox(name)  # its packages are the server's to say
    return LocalBox(cast(BoxName, _kind(name)), packages)
