"""What is known of a language: its commands, and what they take of the box."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath

from sandbox.naming import Names


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """One language.

    The first word of a command is a tool, found by `sandbox.installed`; a name in braces is filled
    in: {source} the program's file, {main} its main class, {heap_mb} what a garbage collector may
    use of the memory limit, {stack_mb} the stack that each thread may have, {modules} the folder
    of Node's modules.

    source: the file that the program's text lies in; naming: tells file and main class by the text.
    suffixes: of files that are taken for this language.
    run: the command; "" executes the compiler's binary. compile: "" where there is nothing to do.
    binary, keeps: what a compiler leaves: a file to execute, or patterns of files that each run
        finds in its work folder. With neither it only checks.
    tools: what a command's first word may be called on a machine, best first.
    modules: Node's modules that must be there. configuration: folders of /etc and /var that its
        tools read; patterns.
    environment: beside PATH, HOME, TMPDIR and LANG.
    reads_proc: whether its runtime ends without /proc, which the restricted box does not show.
    address_space: whether its runtime reserves far more addresses than it uses, so that only what
        is really held can be limited.
    threads: what the runtime starts of its own; added to the limit of processes.
    compile_cpu_s, compile_memory_mb, compile_disk_mb: the compiler's limits.
    memory_words: one of them in stderr says that memory has run out.
    version: the command that prints it. install: Debian's packages, or what else gets it.
    image: the Docker image that has its tools, under its short name.
    """

    title: str
    source: str
    suffixes: tuple[str, ...]
    run: str = ""
    compile: str = ""
    binary: str = ""
    keeps: str = ""
    naming: Callable[[str], Names] | None = None
    tools: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    modules: tuple[str, ...] = ()
    configuration: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    reads_proc: bool = False
    address_space: bool = False
    threads: int = 0
    compile_cpu_s: float = 30.0
    compile_memory_mb: int = 1024
    compile_disk_mb: int = 64
    memory_words: tuple[str, ...] = ()
    version: str
    install: str
    image: str

    def __post_init__(self) -> None:
        if not self.run and not self.binary and self.title != "Python":
            raise ValueError(f"{self.title}: neither a command nor a binary to run")

    def names(self, source: str) -> Names:
        """Return the file that `source` must lie in, and its main class."""
        if self.naming is not None:
            return self.naming(source)
        return Names(file=self.source, main=PurePath(self.source).stem)

    @property
    def commands(self) -> tuple[tuple[str, ...], ...]:
        """The commands there are, split into words: the compiler's, then that of a run."""
        found = (self.compile, self.run)
        return tuple(tuple(shlex.split(command)) for command in found if command)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A language as this machine has it. install: what to install where it is not there."""

    language: str
    version: str
    there: bool
    install: str
