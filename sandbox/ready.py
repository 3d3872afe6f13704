"""A program that can be started at once: in the right zygote, compiled where it has to be.

Everything that judges by running a program again and again goes through `Ready`, so that no judge
knows how a language is run.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from sandbox import compiled, installed, reasons
from sandbox.errors import SandboxUnavailable, TestsBroken
from sandbox.inside import settings
from sandbox.language import Language
from sandbox.languages import LANGUAGES
from sandbox.outcome import Outcome
from sandbox.program import Limits, Program
from sandbox.ran import Ran
from sandbox.slot import Slot

# Who runs in a zygote. No zygote that has run test code, a checker or an interactor ever runs a
# candidate.
Role = Literal["candidate", "tests"]
# What its runs are: Python forked from it, a command started by exec, or a session of cells.
Engine = Literal["python", "command", "session"]

_STACK_BYTES = 64 << 20  # ours: deep recursion is usual in competitions; of the memory limit


class Slots(Protocol):
    """Where zygotes come from: a box starts each when it is first asked for."""

    def slot(self, role: Role, engine: Engine = "python") -> Slot:
        """Return the zygote for `role` and `engine`."""
        ...

    def project_slot(self, folder: str) -> tuple[Slot, str]:
        """Return a zygote that shows a folder of packages, and where it shows it; "" for none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A program in its zygote's hands: `begin` starts it, `finish` says what it did.

    job: what the zygote's engine is sent. limits: of each run. language: None where the zygote is
    the interpreter. binary: what is executed, where a compiler made one.
    """

    slot: Slot
    mode: int
    job: Mapping[str, Any]
    limits: Limits
    language: Language | None = None
    binary: compiled.Sealed | None = None

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
            link=self.binary.fd if self.binary else -1,
            any_address=self.language is not None and self.language.address_space,
        )  # fmt: skip

    def finish(self, collect: Iterable[str] = ()) -> Ran:
        """Wait for the run's end. Raises SandboxBroken when the box failed."""
        ran = self.slot.finish(collect)
        if self.language is None:
            return ran
        return compiled.checked(ran, self.language, of_program=not self.language.run)

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

    Raises SandboxUnavailable where its language has no tools here, TestsBroken for a language that
    is no program (a patch).
    """
    if program.language == "python":
        job = reasons.job(program, argv=tuple(program.argv))
        slot = slots.slot(role, "python")
        return Ready(slot=slot, mode=settings.SCRIPT, job=job, limits=limits)
    language = LANGUAGES.get(program.language)
    if language is None:
        raise TestsBroken(f"{program.language!r} is no program: only ProjectTests judge it")
    slot = slots.slot(role, "command")
    tools = compiled.tools_of(program.language, slot)
    if language.reads_proc and slot.kind == "restricted":
        raise SandboxUnavailable(f"{language.title} reads /proc, which the restricted box hides")
    made = compiled.compiled(program, slot, role, limits)
    if isinstance(made, Outcome):
        return made
    return _command(program, language, tools, made, limits, slot)


def _command(
    program: Program,
    language: Language,
    tools: installed.Tools,
    made: compiled.Compiled,
    limits: Limits,
    slot: Slot,
) -> Ready:
    """Return what starts a compiled program, or the interpreter of one that is not."""
    laid = dict(made.files)
    binary = made.binary
    if not language.keeps and language.run:
        laid[language.names(program.source).file] = compiled.text_of(program.source)
    if binary is not None and os.geteuid() != 0:
        # Its runs are of the user that owns it: one could leave a word in its times or modes.
        laid[language.binary], binary = binary.content(), None
    allowed = limits
    if language.threads:
        allowed = dataclasses.replace(limits, processes=limits.processes + language.threads)
    words: tuple[str, ...] = (f"./{language.binary}",)
    if language.run:
        words = compiled.command(
            language, language.run, program.source, tools, limits.memory_mb, deep=slot.counts_memory
        )
    job = {
        "files": dict(program.files),
        "program": laid,
        "command": words,
        "argv": tuple(program.argv),
        "by_link": binary is not None,
        "environment": compiled.environment(language, tools),
        # Without a cgroup, stacks of threads count as data, and would be as large as this.
        "stack": _STACK_BYTES if language.binary and slot.counts_memory else 0,
        "packs": (),
    }
    return Ready(
        slot=slot, mode=settings.COMMAND, job=job, limits=allowed, language=language, binary=binary
    )
