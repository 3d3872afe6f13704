"""A program that can be started at once: in the right zygote, compiled where it has to be.

Everything that judges by running a program again and again goes through `Ready`, so that no judge
knows how a language is run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from sandbox import reasons
from sandbox.inside import settings
from sandbox.outcome import Outcome
from sandbox.program import Limits, Program
from sandbox.slot import Ran, Slot

# Who runs in a zygote. No zygote that has run test code, a checker or an interactor ever runs a
# candidate.
Role = Literal["candidate", "tests"]
# What its runs are: Python forked from it, a command started by exec, or a session of cells.
Engine = Literal["python", "command", "session"]


class Slots(Protocol):
    """Where zygotes come from: a box starts each when it is first asked for."""

    def slot(self, role: Role, engine: Engine = "python") -> Slot:
        """Return the zygote for `role` and `engine`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A program in its zygote's hands: `begin` starts it, `finish` says what it did.

    job: what the zygote's engine is sent. limits: of each run.
    """

    slot: Slot
    mode: int
    job: Mapping[str, Any]
    limits: Limits

    def begin(
        self,
        *,
        stdin: str | bytes = "",
        argv: tuple[str, ...] | None = None,
        files: Mapping[str, bytes] | None = None,
        stdin_fd: int = -1,
        stdout_fd: int = -1,
        collect: bool = False,
    ) -> None:
        """Start a run. argv, files: in place of, and beside, those of the program.

        stdin_fd, stdout_fd: ends of pipes that are its streams; the caller closes its own copies.
        """
        job = dict(self.job)
        if argv is not None:
            job["argv"] = argv
        if files:
            job["files"] = {**job["files"], **files}
        raw = stdin if isinstance(stdin, bytes) else stdin.encode("utf-8", "surrogateescape")
        self.slot.begin(
            self.mode, job, self.limits,
            stdin=raw, stdin_fd=stdin_fd, stdout_fd=stdout_fd, collect=collect,
        )  # fmt: skip

    def finish(self, collect: Iterable[str] = ()) -> Ran:
        """Wait for the run's end. Raises SandboxBroken when the box failed."""
        return self.slot.finish(collect)

    def run(
        self,
        *,
        stdin: str | bytes = "",
        argv: tuple[str, ...] | None = None,
        files: Mapping[str, bytes] | None = None,
        collect: tuple[str, ...] = (),
    ) -> Outcome:
        """Run it once."""
        self.begin(stdin=stdin, argv=argv, files=files, collect=bool(collect))
        return self.finish(collect).outcome


def ready(
    program: Program, limits: Limits, slots: Slots, role: Role = "candidate"
) -> Ready | Outcome:
    """Return the program made ready, or what its compiler did where that failed.

    Raises SandboxUnavailable where its language has no toolchain here.
    """
    slot = slots.slot(role, "python")
    job = reasons.job(program, argv=tuple(program.argv))
    return Ready(slot=slot, mode=settings.SCRIPT, job=job, limits=limits)
