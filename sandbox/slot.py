"""The supervisor's side of one zygote: start it, send it runs, read what they did.

A slot runs one program at a time and belongs to one thread at a time.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import marshal
import os
import socket
import struct
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sandbox import cgroup, installed, plainly, ran, toolchain
from sandbox.errors import SandboxBroken, SandboxUnavailable
from sandbox.inside import kernel, native, settings, workplace
from sandbox.inside.settings import REPLY, REQUEST, STAGE_DONE, Settings
from sandbox.outcome import Outcome
from sandbox.program import Limits, Program
from sandbox.ran import Ran

log = logging.getLogger(__name__)

_MIB = 1 << 20
_BOOTSTRAP = (
    "import sys, types;"
    "p = types.ModuleType('sandbox'); p.__path__ = [sys.argv[1]]; sys.modules['sandbox'] = p;"
    "from sandbox.inside import hooks; hooks.keep_back();"
    "from sandbox.inside.guard import main; main()"
)
_START_S = 60.0
_GRACE_S = 30.0
_STAGES = (
    "joining the cgroup", "mounting /proc", "arranging descriptors", "setting limits",
    "changing the user", "restricting privileges",
)  # fmt: skip
_UID_BASE = 1_000_000_000
_UIDS_PER_PROCESS = 2_000
_numbers = itertools.count()
_free_numbers: list[int] = []
_numbers_lock = threading.Lock()
_restarts = [0]  # zygotes that were started again in this process


def restarts() -> int:
    """Return how many zygotes of this process died, or were given up, and were started again."""
    return _restarts[0]


class Slot:
    """One zygote of a kind of box, restarted when it dies."""

    def __init__(
        self,
        kind: str,
        packages: tuple[str, ...] = ("numpy",),
        preimport: tuple[str, ...] = toolchain.PREIMPORT,
        engine: str = "python",
    ) -> None:
        self.kind = kind
        self.engine = engine
        self._preimport = preimport if engine != "command" else ()
        shelf = settings.SHELF if kind == "namespace" else ""
        self._chain = toolchain.find(packages, shelf, engine)
        with _numbers_lock:
            self._number = _free_numbers.pop() if _free_numbers else next(_numbers)
        self._guard: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._group: cgroup.Group | None = None
        self._work = ""
        self._errors = -1
        self._fds: list[int] = []
        self._limits = Limits()
        self._in_c = False
        self._timeout_s = 0.0
        self._collector: socket.socket | None = None
        self._running = False
        self._was_started = False
        self._start()

    @property
    def counts_memory(self) -> bool:
        """Whether a cgroup measures and bounds memory."""
        return self._group is not None

    @property
    def cgroup_version(self) -> int:
        """1 or 2, and 0 without a cgroup."""
        return self._group.version if self._group else 0

    @property
    def counts_cpu(self) -> bool:
        """Whether a cgroup counts CPU time, whoever waits for the processes."""
        return bool(self._group and self._group.cpu_file)

    @property
    def cpu_file(self) -> str:
        """The file in which a cgroup counts CPU time of runs, or ""."""
        return self._group.cpu_file if self._group else ""

    @property
    def pid(self) -> int:
        """The pid of the slot's guard process."""
        return self._guard.pid if self._guard else 0

    @property
    def place(self) -> str:
        """Where its runs find the tools of languages, in words."""
        return "on this machine"

    def tools(self, language: str) -> installed.Tools:
        """Return where a language's tools are in its box. Raises installed.Missing."""
        return installed.tools(language)

    def _start(self) -> None:
        if not kernel.machine_is_known() and self.kind != "unsafe":
            raise SandboxUnavailable("the system call tables know x86_64 and aarch64 only")
        if self._was_started:
            with _numbers_lock:
                _restarts[0] += 1
        self._was_started = True
        told, ours = self._launch()
        self._control = ours
        ours.settimeout(_START_S)
        try:
            ours.send(told.to_bytes())
            answer = ours.recv(4096)
        except OSError as error:
            answer = str(error).encode()
        self._in_c = answer == settings.READY_IN_C
        failed = answer not in (settings.READY, settings.READY_IN_C)
        last_words = self._last_words(failed=failed)
        if failed:
            self._stop()
            why = last_words or answer.decode(errors="replace") or "its process ended at once"
            raise SandboxUnavailable(f"the {self.kind} box does not start: {why}")
        ours.settimeout(None)
        self._timeout_s = 0.0

    def _launch(self) -> tuple[Settings, socket.socket]:
        """Start the process that becomes the zygote; return what to tell it, and our end to it."""
        if self.kind != "unsafe":
            self._group = cgroup.open_group(self._number)
        told = self._settings()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        chain = self._chain
        home = settings.WORK if self.kind == "namespace" else self._work
        self._errors = os.memfd_create("errors", os.MFD_CLOEXEC)
        library = native.memory_file()
        preload = {"LD_PRELOAD": f"/proc/self/fd/{library}"} if library >= 0 else {}
        self._guard = subprocess.Popen(
            [
                chain.interpreter, "-S", "-s", "-P", "-X", "utf8", "-c", _BOOTSTRAP,
                str(Path(__file__).parent), str(theirs.fileno()),
            ],
            pass_fds=(theirs.fileno(), library) if preload else (theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            env={**chain.environment, "HOME": home, "TMPDIR": home, "LD_BIND_NOW": "1", **preload},
            cwd="/",
            start_new_session=True,
        )  # fmt: skip
        theirs.close()
        if preload:
            os.close(library)
        return told, ours

    def _last_words(self, *, failed: bool) -> str:
        """Return the last line that the zygote's process wrote before it was ready, or ended."""
        words = ran.text(self._errors, _MIB)[0].strip().rpartition("\n")[2]
        os.close(self._errors)
        return words if failed else ""

    def _settings(self) -> Settings:
        chain = self._chain
        uid = self._uid() if os.geteuid() == 0 and self.kind != "unsafe" else None
        if self.kind != "namespace":
            self._work = tempfile.mkdtemp(prefix="seedcoder-box-")
            if uid is not None:
                os.chown(self._work, uid, uid)
        return Settings(
            kind=self.kind,
            supervisor_pid=os.getpid(),
            uid=uid,
            trees=chain.trees,
            hidden=chain.hidden,
            packages=chain.packages,
            links=chain.links,
            sys_path=chain.sys_path,
            preimport=self._preimport,
            cgroup_joins=self._group.joins if self._group else (),
            cgroup_folders=self._group.folders if self._group else (),
            cpu_file=self._group.cpu_file if self._group else "",
            counts_memory=self._group is not None,
            work=self._work,
            engine=self.engine,
        )

    def _uid(self) -> int | None:
        """Return a user nobody else has: process limits are counted per user.

        None where that user could not reach the interpreter: without namespaces a home folder
        closed to others cannot be seen through, so programs stay root, without any capability.
        """
        if self.kind == "restricted" and not toolchain.open_to_all(self._chain.interpreter):
            return None
        uid = _UID_BASE + (os.getpid() % 500_000) * _UIDS_PER_PROCESS + self._number
        for line in Path("/proc/self/uid_map").read_text().splitlines():
            inside, _, count = map(int, line.split())
            if inside <= uid < inside + count:
                return uid
        return 60_000 + self._number  # a container's map ends at 65,535

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
        """Send a run to the zygote. `link` is given away: the caller closes its own copy.

        any_address: the run may reserve any amount of addresses; memory that it holds is limited.
        stdin_fd, stdout_fd: the run's streams are these (ends of pipes) in place of `stdin` and of
        the memfd that is read afterwards; the caller closes its own copies.
        A zygote that died while idle is replaced first, once (`restarted`).
        """
        if self._running:  # an earlier run was never read: its reply must not pass for this one's
            self._stop()
            self._forget_run()
        self._fit(limits)
        if self._control is None:
            self._start()
        assert self._control is not None
        if self._group is not None:
            try:
                self._group.prepare(limits)
            except OSError:  # the zygote died while idle, and its guard tidied up
                self._stop()
                self._start()
                self._group.prepare(limits)
        plain = plainly.message(job) if mode == settings.COMMAND and self._in_c else None
        packed, mode = (plain, settings.PLAIN) if plain else (marshal.dumps(dict(job)), mode)
        new = os.memfd_create
        if stdin_fd >= 0:
            first = os.dup(stdin_fd)
        else:
            first = new("stdin") if stdin else os.open(os.devnull, os.O_RDONLY)
        self._fds = fds = [first, os.dup(stdout_fd) if stdout_fd >= 0 else new("stdout")]
        fds += (new("stderr"), new("answers"), new("job"))
        _write_all(fds[settings.PAYLOAD_FD], packed)
        if stdin:
            _write_all(fds[settings.STDIN_FD], stdin)
            os.lseek(fds[settings.STDIN_FD], 0, os.SEEK_SET)
        flags, riding = 0, list(fds)
        if link >= 0:
            flags |= settings.HAS_LINK
            riding.append(link)
        theirs: socket.socket | None = None
        if collect:
            flags |= settings.HAS_COLLECT
            self._collector, theirs = socket.socketpair()
            riding.append(theirs.fileno())
        self._running = True
        self._limits = limits
        memory = limits.memory_mb * _MIB
        # Room above the memory limit for what is reserved and never touched (numpy, threads).
        address = settings.ANY_ADDRESS if any_address else max(4 * memory, memory + 4096 * _MIB)
        request = REQUEST.pack(
            mode, flags, limits.cpu_s, limits.wall_s, memory, address,
            limits.disk_mb * _MIB, limits.output_kb * 1024, limits.processes, len(packed),
        )  # fmt: skip
        self._await_at_most(limits.wall_s + _GRACE_S)
        try:
            rights = struct.pack(f"{len(riding)}i", *riding)
            self._control.sendmsg([request], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
            self._let_go(settings.STDIN_FD, stdin_fd)
            self._let_go(settings.STDOUT_FD, stdout_fd)
        except OSError as error:
            self._stop()
            self._forget_run()
            if restarted:
                raise SandboxBroken(f"the zygote was gone before the run: {error}") from None
            self.begin(
                mode, job, limits, stdin=stdin, link=link, stdin_fd=stdin_fd, stdout_fd=stdout_fd,
                collect=collect, any_address=any_address, restarted=True,
            )  # nothing of the run had begun  # fmt: skip
        finally:
            if theirs is not None:
                theirs.close()

    def _fit(self, limits: Limits) -> None:
        """Give up a zygote whose surroundings do not fit a run; the box of containers does."""

    def _let_go(self, place: int, given: int) -> None:
        """Close our copy of a pipe's end: while we held it, the other side would see no end."""
        if given >= 0:
            null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
            os.dup2(null, self._fds[place], inheritable=False)
            os.close(null)

    def fileno(self) -> int:
        """Return a descriptor that can be read once the run under way has ended, and no sooner."""
        if self._control is None:
            self._start()
        assert self._control is not None
        return self._control.fileno()

    def _await_at_most(self, seconds: float) -> None:
        assert self._control is not None
        if seconds != self._timeout_s:
            whole = int(seconds)
            self._control.setsockopt(
                socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", whole, 0)
            )
            self._timeout_s = seconds

    def output_sizes(self) -> tuple[int, int]:
        """Return how many bytes the run under way has written to stdout and stderr."""
        streams = self._fds[settings.STDOUT_FD : settings.STDERR_FD + 1]
        out, err = (os.fstat(fd).st_size for fd in streams)
        return out, err

    def take_output(self, limit: int) -> tuple[tuple[str, bool], tuple[str, bool]]:
        """Return what the run under way has written since last asked, each cut to `limit` bytes.

        What it writes in this very moment may be lost.
        """
        taken = []
        for fd in self._fds[settings.STDOUT_FD : settings.STDERR_FD + 1]:
            taken.append(ran.text(fd, limit))
            os.ftruncate(fd, 0)
            os.lseek(fd, 0, os.SEEK_SET)  # the run's own position too: it is the same file
        return taken[0], taken[1]

    def work_folder(self, timeout_s: float = 1.0) -> int:
        """Return a descriptor of the work folder of a run begun with `collect`; the caller's own.

        Raises SandboxBroken where the run did not hand it over. `finish` then finds no files.
        """
        if self._collector is not None:
            self._collector.settimeout(timeout_s)
            with contextlib.suppress(TimeoutError):
                _, fds, _, _ = socket.recv_fds(self._collector, 1, 1)
                if fds:
                    return fds[0]
        raise SandboxBroken("the run did not hand over its work folder")

    def finish(self, collect: Iterable[str] = (), *, answers: int = 1, room: int = 1 << 20) -> Ran:
        """Wait for the run's end. Raises SandboxBroken when the zygote died or the box failed.

        answers: lines of answers expected; two more are read, so that too many can be seen.
        room: characters of answers read at most.
        """
        assert self._control is not None
        try:
            raw = self._control.recv(REPLY.size)
        except OSError as error:
            raw, why = b"", f"it did not answer in time ({error})"
        else:
            why = "it died"
        if len(raw) != REPLY.size:
            self._stop()
            self._forget_run()
            raise SandboxBroken(f"the zygote of this run was lost: {why}")
        try:
            return self._read(REPLY.unpack(raw), tuple(collect), answers + 2, room)
        except OSError as error:  # it died right after its reply, and its cgroup went with it
            self._stop()
            raise SandboxBroken(f"the box of this run was lost: {error}") from None
        finally:
            self._forget_run()
            self._empty_work_place()

    def _empty_work_place(self) -> None:
        if not self._work:
            return
        try:
            workplace.empty(self._work)
        except OSError as error:  # the next run gets another folder
            log.warning("a work folder could not be emptied folder=%s error=%s", self._work, error)
            self._stop()

    def _read(self, reply: tuple[int, ...], collect: tuple[str, ...], most: int, room: int) -> Ran:
        stage, number, status = reply[:3]
        group = self._group
        out_of_memory = group is not None and group.out_of_memory()
        if stage != STAGE_DONE and not out_of_memory:
            raise SandboxBroken(
                f"the box failed while {_STAGES[min(stage, len(_STAGES) - 1)]}: "
                f"{os.strerror(number) if number else f'wait status {status}'}"
            )
        files: dict[str, bytes] = {}
        if collect and self._collector is not None:
            files = ran.collected(self._collector, collect, self._limits.disk_mb * _MIB)
        return ran.told(
            reply,
            self._fds,
            self._limits,
            out_of_memory=out_of_memory,
            peak_mb=group.peak_mb() if group else 0.0,
            files=files,
            answers=most,
            room=room,
        )

    def run(self, program: Program, limits: Limits, collect: tuple[str, ...] = ()) -> Outcome:
        """Run a program as a script."""
        self.begin(
            settings.SCRIPT,
            {
                "source": program.source,
                "argv": tuple(program.argv),
                "files": dict(program.files),
            },
            limits,
            stdin=program.stdin.encode("utf-8", "surrogateescape"),
            collect=bool(collect),
        )
        return self.finish(collect).outcome

    def _forget_run(self) -> None:
        self._running = False
        for fd in self._fds:
            os.close(fd)
        self._fds = []
        if self._collector is not None:
            self._collector.close()
            self._collector = None

    def _stop(self) -> None:
        """End the zygote and all in it; the next run starts a new one."""
        if self._control is not None:
            self._control.close()
            self._control = None
        self._end()
        if self._group is not None:
            self._group.close()
            self._group = None
        if self._work:
            with contextlib.suppress(OSError):
                workplace.empty(self._work)
                Path(self._work).rmdir()
            self._work = ""

    def _end(self) -> None:
        """End the zygote's process, once the socket to it is closed."""
        guard, self._guard = self._guard, None
        if guard is not None:
            if self._running:  # the zygote listens again only when the run is over
                guard.terminate()
            try:
                guard.wait(timeout=5)
            except subprocess.TimeoutExpired:
                log.warning("a guard did not end by itself pid=%d", guard.pid)
                guard.kill()
                guard.wait()

    def close(self) -> None:
        """End the slot for good."""
        if self._number < 0:
            return
        self._stop()
        with contextlib.suppress(OSError):
            self._forget_run()
        with _numbers_lock:
            _free_numbers.append(self._number)
        self._number = -1


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
