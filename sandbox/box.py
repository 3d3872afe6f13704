"""Boxes of this machine, and the choice of the strongest one.

A box judges one program at a time. `namespace` holds against hostile programs; `restricted` is for
machines that refuse namespaces; `unsafe` is a bare process for tests of the harness itself.
"""

from __future__ import annotations

from typing import Literal, Protocol, cast

from sandbox import toolchain
from sandbox.cases import Tests
from sandbox.errors import SandboxUnavailable
from sandbox.judge import judge
from sandbox.outcome import Outcome
from sandbox.program import Limits, Program
from sandbox.slot import Slot
from sandbox.verdict import Verdict

BoxName = Literal["namespace", "restricted", "unsafe"]
STRENGTH: tuple[BoxName, ...] = ("unsafe", "restricted", "namespace")
DEFAULT_PACKAGES = ("numpy",)


class Box(Protocol):
    """Anything that runs and judges programs, one at a time."""

    @property
    def name(self) -> str:
        """Which kind of box it is, for manifests."""
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
    """A zygote for programs, and once asserting tests come, a second one for test code.

    The two never swap: no zygote that has seen test code ever runs a candidate.
    """

    def __init__(self, name: BoxName, packages: tuple[str, ...] = DEFAULT_PACKAGES) -> None:
        self._name = name
        self._packages = packages
        self._slot = Slot(name, packages)
        self._tests_slot: Slot | None = None

    @property
    def name(self) -> str:
        """The kind of box."""
        return self._name

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The zygotes that are running."""
        return (self._slot,) if self._tests_slot is None else (self._slot, self._tests_slot)

    def run(self, program: Program, limits: Limits, collect: tuple[str, ...] = ()) -> Outcome:
        """Run a program as a script."""
        return self._slot.run(program, limits, collect)

    def judge(self, program: Program, tests: Tests, limits: Limits) -> Verdict:
        """Judge a program by tests."""
        return judge(program, tests, limits, self._slot, self._second)

    def _second(self) -> Slot:
        if self._tests_slot is None:
            self._tests_slot = Slot(self._name, self._packages, toolchain.PREIMPORT_TESTS)
        return self._tests_slot

    def close(self) -> None:
        """End both zygotes."""
        for slot in self.slots:
            slot.close()


def open_box(
    name: str = "auto",
    *,
    require: str | None = None,
    packages: tuple[str, ...] = DEFAULT_PACKAGES,
) -> LocalBox:
    """Return a started box: the one named, or with "auto" the strongest that starts here.

    Raises SandboxUnavailable when none starts, or none as strong as `require`; ValueError for a
    name that is none of ours.
    """
    known = ", ".join(STRENGTH)
    for given in (name, require):
        if given not in (None, "auto", *STRENGTH):
            raise ValueError(f"box must be auto or one of {known}, got {given!r}")
    least = STRENGTH.index(cast(BoxName, require)) if require not in (None, "auto") else 0
    # "unsafe" is never chosen, only asked for by name.
    wanted: tuple[str, ...] = ("namespace", "restricted") if name == "auto" else (name,)
    reasons = []
    for choice in wanted:
        kind = cast(BoxName, choice)
        if STRENGTH.index(kind) < least:
            reasons.append(f"{choice} is weaker than the required {require}")
            continue
        try:
            return LocalBox(kind, packages)
        except SandboxUnavailable as error:
            reasons.append(str(error))
    raise SandboxUnavailable("; ".join(reasons) + "; `seedcoder doctor` says how to get a box")
