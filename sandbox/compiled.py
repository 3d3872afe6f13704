"""Programs of other languages than Python: compiled once, in the box, and kept for later runs.

A compiler is run like any program that is not trusted, because the text that it reads is not: in
the box, with limits of its own, and what it leaves is given to no run but of the same text. What
was compiled among candidates is never given to a judge, nor the other way round.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import os
import re
import shlex
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from sandbox import installed
from sandbox.errors import SandboxUnavailable
from sandbox.inside import launch, settings
from sandbox.language import Language
from sandbox.languages import LANGUAGES
from sandbox.outcome import Kind, Outcome
from sandbox.program import Limits, Program
from sandbox.ran import Ran
from sandbox.slot import Slot

_MIB = 1 << 20
_KEPT_MOST = 1024
_KEPT_BYTES = 256 * _MIB
_LARGEST_BYTES = 64 * _MIB
_OVERHEAD_MB = 96  # ours: what a virtual machine holds beside its heap
_STRAIGHT = re.compile(rb"(\d{1,4}) (\d{1,12})\n")
_OUR_FAULT = (Kind.TIMEOUT, Kind.MEMORY)  # of this machine's load, too: tried again the next time


class Sealed:
    """A binary in memory that nobody can change any more, ready to be executed."""

    def __init__(self, content: bytes) -> None:
        self.size = len(content)
        self.fd = _executable_memory()
        self._closed = weakref.finalize(self, os.close, self.fd)
        view = memoryview(content)
        while view:
            view = view[os.write(self.fd, view) :]
        os.fchmod(self.fd, 0o555)
        seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, seals)

    def content(self) -> bytes:
        """Return its bytes."""
        return os.pread(self.fd, self.size, 0)


def _executable_memory() -> int:
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    mfd_exec = 0x10  # Linux 6.3: without it, a machine may be set to refuse to execute it
    try:
        return os.memfd_create("program", flags | mfd_exec)
    except OSError:
        return os.memfd_create("program", flags)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """What runs need of a compiled program: a binary to execute, or files for the work folder."""

    binary: Sealed | None = None
    files: Mapping[str, bytes] = dataclasses.field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes held."""
        return sum(map(len, self.files.values())) + (self.binary.size if self.binary else 0)


_Key = tuple[str, ...]


class _Kept:
    """The programs compiled last, and what compilers refused, bounded in number and bytes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: OrderedDict[_Key, Compiled | Outcome] = OrderedDict()
        self._bytes = 0
        self._under_way: dict[_Key, threading.Lock] = {}

    def get(self, key: _Key) -> Compiled | Outcome | None:
        """Return what is kept."""
        with self._lock:
            found = self._found.get(key)
            if found is not None:
                self._found.move_to_end(key)
            return found

    def put(self, key: _Key, value: Compiled | Outcome) -> None:
        """Keep it, and let go of the oldest."""
        with self._lock:
            self._bytes += _size(value) - _size(self._found.pop(key, None))
            self._found[key] = value
            while len(self._found) > _KEPT_MOST or self._bytes > _KEPT_BYTES:
                _, oldest = self._found.popitem(last=False)
                self._bytes -= _size(oldest)

    @contextlib.contextmanager
    def alone(self, key: _Key) -> Iterator[None]:
        """Only one thread compiles the same program; the others wait for it."""
        with self._lock:
            gate = self._under_way.setdefault(key, threading.Lock())
        with gate:
            try:
                yield
            finally:
                with self._lock:
                    self._under_way.pop(key, None)


def _size(value: Compiled | Outcome | None) -> int:
    if value is None:
        return 0
    return value.size if isinstance(value, Compiled) else len(value.stderr)


_kept = _Kept()


def compiled(program: Program, slot: Slot, role: str, limits: Limits) -> Compiled | Outcome:
    """Return the program compiled, or what its compiler did where that failed.

    An outcome is COMPILE_ERROR with the compiler's words in stderr, or TIMEOUT or MEMORY where the
    compiler went over its own limits, which stderr says.
    Raises SandboxUnavailable where the language's tools are not on this machine.
    """
    language = LANGUAGES[program.language]
    tools = tools_of(program.language, slot)
    if not language.compile:
        return Compiled()
    key = _key(program, tools.identity, role, slot.kind, limits.compile_cpu_s)
    with _kept.alone(key):
        found = _kept.get(key)
        if found is None:
            found = _compile(program, language, tools, slot, limits)
            if not (isinstance(found, Outcome) and found.kind in _OUR_FAULT):
                _kept.put(key, found)
    return found


def tools_of(language: str, slot: Slot) -> installed.Tools:
    """Return a language's tools where the slot's runs find them.

    Raises SandboxUnavailable where this machine, or the slot's image, lacks one.
    """
    try:
        return slot.tools(language)
    except installed.Missing as error:
        raise SandboxUnavailable(
            f"{LANGUAGES[language].title}: {error} {slot.place}; to install:"
            f" {LANGUAGES[language].install}"
        ) from None


def _key(program: Program, *more: object) -> _Key:
    """Return what makes a program that program to its compiler."""
    digest = hashlib.sha256(text_of(program.source))
    for name, content in sorted(program.files.items()):
        digest.update(f"\0{name}\0{len(content)}\0".encode("utf-8", "surrogatepass"))
        digest.update(content)
    return (program.language, digest.hexdigest(), *map(str, more))


def _compile(
    program: Program, language: Language, tools: installed.Tools, slot: Slot, limits: Limits
) -> Compiled | Outcome:
    cpu_s = limits.compile_cpu_s or language.compile_cpu_s
    allowed = Limits(
        cpu_s=cpu_s,
        memory_mb=max(language.compile_memory_mb, limits.memory_mb),
        disk_mb=language.compile_disk_mb,
        processes=64 + language.threads,
        output_kb=256,
    )
    job = {
        "files": dict(program.files),
        "program": {language.names(program.source).file: text_of(program.source)},
        "command": command(language, language.compile, program.source, tools, allowed.memory_mb),
        "argv": (),
        "by_link": False,
        "environment": environment(language, tools),
        "stack": 0,
        "packs": tuple(pattern.lstrip("*") for pattern in language.keeps.split()),
    }
    wanted = (language.binary,) if language.binary else (launch.PACKED,) if language.keeps else ()
    slot.begin(
        settings.COMMAND, job, allowed, collect=bool(wanted), any_address=language.address_space
    )
    ran = checked(slot.finish(wanted), language, of_program=False)
    if ran.outcome.kind is not Kind.PASSED:
        return _refused(ran.outcome, allowed)
    if not wanted:
        return Compiled()
    content = ran.outcome.files.get(wanted[0], b"")
    if not content or len(content) > _LARGEST_BYTES:
        why = "left no program" if not content else "made a program larger than 64 MiB"
        return _refused(ran.outcome, allowed, f"the compiler {why}")
    if language.binary:
        return Compiled(binary=Sealed(content))
    try:
        return Compiled(files=_unpacked(content))
    except ValueError as error:
        return _refused(ran.outcome, allowed, f"the compiler left {error}")


def _refused(outcome: Outcome, limits: Limits, why: str = "") -> Outcome:
    """Return the outcome of a program that was not compiled."""
    words = outcome.stdout + outcome.stderr
    kind = Kind.COMPILE_ERROR
    if outcome.kind is Kind.TIMEOUT:
        kind, why = outcome.kind, f"the compiler was out of time after {outcome.cpu_s:.1f} CPU s"
    elif outcome.kind is Kind.MEMORY:
        kind, why = outcome.kind, f"the compiler needed more than {limits.memory_mb} MiB of memory"
    elif outcome.kind is Kind.FORBIDDEN:
        kind, why = outcome.kind, "the compiler was killed for a forbidden system call"
    elif not words.strip() and not why:
        how = f"signal {outcome.signal}" if outcome.signal else f"exit code {outcome.exit_code}"
        why = f"the compiler ended with {how} and said nothing"
    stderr = f"{words.rstrip()}\n{why}\n".lstrip("\n") if why else words
    return dataclasses.replace(outcome, kind=kind, stdout="", stderr=stderr, files={})


def _unpacked(packed: bytes) -> dict[str, bytes]:
    """Return the files that `launch` packed. Hostile: raises ValueError."""
    files: dict[str, bytes] = {}
    at = 0
    while at < len(packed):
        head = _STRAIGHT.match(packed, at)
        if head is None:
            raise ValueError("no list of files")
        names_end = head.end() + int(head[1])
        at = names_end + int(head[2])
        name = PurePosixPath(packed[head.end() : names_end].decode("utf-8", "surrogateescape"))
        if at > len(packed) or name.is_absolute() or ".." in name.parts or "\0" in str(name):
            raise ValueError("a file that is none")
        files[str(name)] = packed[names_end:at]
    return files


def text_of(source: str) -> bytes:
    """Return a program's text as the bytes of its file."""
    try:
        return source.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a lone surrogate that stands for no byte; its compiler will say so
        return source.encode("utf-8", "surrogatepass")


def command(
    language: Language,
    template: str,
    source: str,
    tools: installed.Tools,
    memory_mb: int,
    *,
    deep: bool = True,
) -> tuple[str, ...]:
    """Return a command of the language with its tools' real places.

    deep: threads may have large stacks; not where those count as data before they are used.
    """
    names = language.names(source)
    values = {
        "source": names.file,
        "main": names.main,
        "heap_mb": str(max(memory_mb - _OVERHEAD_MB, memory_mb * 5 // 8)),
        "stack_mb": "64" if deep else "2",
        "modules": tools.modules,
    }
    tool, *words = shlex.split(template)
    return (tools.paths[tool], *(word.format_map(values) for word in words))


def environment(language: Language, tools: installed.Tools) -> dict[str, str]:
    """Return what a command of the language finds in its environment, and nothing of ours."""
    own = dict.fromkeys(str(PurePosixPath(path).parent) for path in tools.paths.values())
    folders = [*own, "/usr/bin", "/bin"]
    return {"PATH": ":".join(dict.fromkeys(folders)), "LANG": "C.UTF-8", **language.environment}


def checked(ran: Ran, language: Language, *, of_program: bool) -> Ran:
    """Return a run with its kind set right: a lack of memory that only its runtime noticed.

    of_program: what was executed is the program's own file. Raises SandboxUnavailable where a tool
    could not be started: that is no fault of the program.
    """
    outcome = ran.outcome
    unstarted = next((x for x in ran.answers if x.startswith(launch.UNSTARTED)), "")
    if unstarted and not of_program and outcome.kind is Kind.CRASHED:
        raise SandboxUnavailable(f"{language.title} cannot be started in the box: {outcome.stderr}")
    if outcome.kind is Kind.CRASHED and any(
        words in outcome.stderr for words in language.memory_words
    ):
        return dataclasses.replace(ran, outcome=dataclasses.replace(outcome, kind=Kind.MEMORY))
    return ran
