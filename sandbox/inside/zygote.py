"""The zygote of a slot: it has imported everything once, and forks one process a run.

It never reads what it forks for: programs, arguments and tests travel in descriptors that only the
child opens, so no later run of the slot can find an earlier one in its memory.

What can be done once is done here, before any fork, and inherited: no_new_privs, most of the
system call filter, the constant limits, the groups. A forked Python pays a page fault for nearly
every line it runs, so the child's own part is kept short.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal itself makes enums of it all
import _socket
import ctypes
import functools
import gc
import importlib
import mmap
import os
import resource
import site
import struct
import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import NoReturn

from sandbox.inside import (
    hooks,
    kernel,
    mounts,
    native,
    restrict,
    runs,
    settings,
    syscall_filter,
    watch,
)
from sandbox.inside.settings import REPLY, REQUEST, STAGE_DONE, Settings

_DESCRIPTORS = 256
_TICK_MOST_S = 0.5
_RIDING_BYTES = _socket.CMSG_SPACE(settings.MOST_FDS * 4)
_FD = struct.Struct("i")
_PLACES = b"".join(map(_FD.pack, range(settings.MOST_FDS)))
_NO_STAGE = bytes(8)
_CHILD_SIGNALS = (_signal.SIGCHLD,)
_SET_UP_MOST_S = 10.0  # a layer that takes longer than this to put on has failed
_WALL = 0x40000000  # wait for children of every kind, the sleeper's too
_LANDLOCK_SCOPES_SIGNALS = 6
_SEPARATE = (
    kernel.CLONE_NEWNS | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS | kernel.CLONE_NEWNET
)  # fmt: skip
_ENGINES = {"python": "drive", "command": "launch", "session": "cells"}


class Zygote:
    """What stays between runs: descriptors, the filter, the sleeping first process."""

    def __init__(self, control: _socket.socket, told: Settings, uid: int) -> None:
        # Ours have higher numbers than those of a run, which come in on the lowest: until all of
        # ours are open, the low ones are held.
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        while null < settings.MOST_FDS:
            null = os.dup(null)
        self.control = _socket.socket(fileno=os.dup(control.fileno()))
        control.detach()
        self.told = told
        self.engine = _engine(told.engine)
        self.uid = uid
        self.namespace = told.kind == "namespace"
        self.unsafe = told.kind == "unsafe"
        self.pauser = kernel.Pauser()
        self.rest: kernel.Filter
        self.install_rest: Callable[[], int]
        self.runs: mounts.Runs
        self.join = -1
        # One shared page tells how far a child came before it let the program start.
        self.page = mmap.mmap(-1, mmap.PAGESIZE)
        self.cores = os.cpu_count() or 1
        self.cpu = -1
        self.rules = -1

    def enter(self) -> None:
        """Go where the slot lives, load what programs will want, and give up what runs need not."""
        told = self.told
        kernel.prctl(kernel.PR_SET_PDEATHSIG, _signal.SIGKILL)
        # The sleeper shares our handlers too: with Python's own, a program could interrupt us both.
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
        # Blocked, so that a child's end is waited for with a time limit in one call.
        _signal.pthread_sigmask(_signal.SIG_BLOCK, _CHILD_SIGNALS)
        if told.cgroup_joins:
            memory, *others = told.cgroup_joins
            self.join = os.open(memory, os.O_WRONLY | os.O_CLOEXEC)
            if told.cpu_file:
                self.cpu = os.open(told.cpu_file, os.O_RDONLY | os.O_CLOEXEC)
            for other in others:  # processes are counted with the zygote, memory without it
                with open(other, "wb") as file:
                    file.write(b"0")
        if self.namespace:
            kernel.unshare(_SEPARATE)
            kernel.set_host_name("box")
            _build_root(told, self.uid)
            self.runs = mounts.Runs(self.uid)
        else:
            kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
            os.chdir(told.work)
        if told.kind == "restricted":
            self.rules = restrict.ruleset(told)
        self._load()
        self._give_up()
        gc.collect()
        gc.freeze()
        native.settle()

    def _load(self) -> None:
        sys.path[:] = [settings.WORK if self.namespace else self.told.work, *self.told.sys_path]
        sys.path_importer_cache.clear()  # what was not there under the host's root is now
        sys.dont_write_bytecode = True
        # Bound symbols save faults in children; what programs start themselves may bind lazily.
        for ours in ("LD_BIND_NOW", "LD_PRELOAD"):
            os.environ.pop(ours, None)
        # Not set before: our own modules would be compiled at every start, and leave a larger heap.
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        site.setquit()
        site.setcopyright()
        site.sethelper()
        for name in self.told.preimport:
            importlib.import_module(name)
        hooks.stop_keeping()
        self.engine.warm_up(sys.path[0])
        # A program may bring a module called `sandbox`: ours must not stand in its way.
        for name in [n for n in sys.modules if n == "sandbox" or n.startswith("sandbox.")]:
            del sys.modules[name]

    def _give_up(self) -> None:
        put = resource.setrlimit
        put(
            resource.RLIMIT_CORE, (1, 1)
        )  # 1, not 0: with 0 a core handler behind a pipe still runs
        put(resource.RLIMIT_NOFILE, (_DESCRIPTORS, _DESCRIPTORS))
        put(resource.RLIMIT_MEMLOCK, (0, 0))
        put(resource.RLIMIT_MSGQUEUE, (0, 0))
        # Not dumpable: no core file, and no core handler of the host is ever started.
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
        if self.unsafe:
            return
        if self.told.uid is not None:
            os.setgroups([])
            os.setresgid(self.uid, self.uid, self.uid)
        # A change of identity clears it: without the guard, nobody would end this process.
        kernel.prctl(kernel.PR_SET_PDEATHSIG, _signal.SIGKILL)
        kernel.drop_capability_bounds()
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
        most, rest = self._filters()
        kernel.Filter(most).install()
        self.rest = kernel.Filter(rest)
        self.install_rest = self.rest.installer()

    def _filters(self) -> tuple[bytes, bytes]:
        restricted = self.told.kind == "restricted"
        owner = restricted and self.told.uid is None
        alone = not owner or kernel.landlock_version() >= _LANDLOCK_SCOPES_SIGNALS
        most = syscall_filter.build(
            memfd=self.told.counts_memory, restricted=restricted, owner=owner
        )
        return most, syscall_filter.build_rest(signals=alone)

    def serve(self) -> None:
        """Answer requests until the supervisor closes the socket."""
        os.closerange(0, settings.MOST_FDS)
        if native.library is not None and self.namespace:
            self._serve_natively(native.library)
            return
        while True:
            raw, riding, _, _ = self.control.recvmsg(REQUEST.size, _RIDING_BYTES)
            if not raw:
                return
            arrived = len(riding[0][2]) // _FD.size
            if riding[0][2] != _PLACES[: arrived * _FD.size]:
                raise RuntimeError("a run's descriptors came in on other numbers")
            self._run(REQUEST.unpack(raw))
            os.closerange(0, settings.MOST_FDS)

    def _serve_natively(self, library: ctypes.PyDLL) -> None:
        """Let the loop in C answer, and do here what it leaves to us."""
        told = self.told
        at = ctypes.addressof(ctypes.c_char.from_buffer(self.page))
        plan = runs.Plan(
            control=self.control.fileno(), join=self.join, uid=self.uid, pids=self.runs.pids,
            mounts=self.runs.mounts, cores=self.cores, limits_data=not told.counts_memory,
            work=settings.WORK.encode(), filter=self.rest.address, page=at,
        )  # fmt: skip
        library.seedcoder_run.restype = ctypes.POINTER(runs.Run)
        run = library.seedcoder_run().contents
        changes_user = ctypes.c_int(told.uid is not None)
        loop = functools.partial(library.seedcoder_serve, ctypes.byref(plan), changes_user)
        while (said := loop()) != runs.CLOSED:
            if said == runs.CHILD:
                mode, *_, size = REQUEST.unpack(run.request)
                self._become(mode, size)
            if said == runs.FAILED:
                kernel.must(-1, run.failed.decode())
            reason, status, cpu_us, largest_kb, sum_kb = self._await(
                run.child, run.sleeper, REQUEST.unpack(run.request), run.began_s
            )
            self._answer(run.began_s, reason, status, cpu_us, largest_kb, sum_kb)
            os.closerange(0, settings.MOST_FDS)
            native.collapse()

    def _run(self, request: tuple[int, ...]) -> None:
        self.page[:8] = _NO_STAGE
        began = time.monotonic()
        sleeper = 0
        if self.namespace:
            self.runs.enter(request[6])
            sleeper = self.pauser.start()
        child = os.fork()
        if child == 0:
            self._child(request)
        # As little as can be until the child is gone: what we touch meanwhile is copied for it.
        self._answer(began, *self._await(child, sleeper, request, began))

    def _answer(
        self, began: float, reason: int, status: int, cpu_us: int, largest_kb: int, sum_kb: int
    ) -> None:
        """Come back from the run that has ended, and say how it did."""
        wall_us = int((time.monotonic() - began) * 1e6)
        if self.namespace:
            self.runs.leave()
        (number,) = _FD.unpack(self.page[4:8])
        self.control.send(
            REPLY.pack(self.page[0], number, status, reason, cpu_us, wall_us, largest_kb, sum_kb)
        )

    def _await(
        self, child: int, sleeper: int, request: tuple[int, ...], began: float
    ) -> tuple[int, int, int, int, int]:
        """Wait for the child, ending it where it must be; then end all that is left of the run.

        Returns the reason, the wait status, CPU microseconds, and the largest RSS of a process and
        of all together in KiB.
        """
        before = None if sleeper else resource.getrusage(resource.RUSAGE_CHILDREN)
        watcher: watch.Watcher | None = None
        tick_s = min(watch.TICK_S, request[2] / self.cores)
        reason, pid = settings.NO_REASON, 0
        look = began + tick_s
        while not pid:
            # Orphans that end all the time (restricted box) must not put off the next look.
            left_s = max(0.0, look - time.monotonic())
            heard = _signal.sigtimedwait(_CHILD_SIGNALS, left_s)
            if heard is None or time.monotonic() >= look:
                if watcher is None:
                    watcher = watch.Watcher(self.told, request, self.cpu)
                now = time.monotonic()
                # Long runs, sessions above all, are looked at less often: 1% late at most.
                look = now + max(watch.TICK_S, min(_TICK_MOST_S, (now - began) / 100))
                reason = watcher.judge()
                if not reason and time.monotonic() >= began + request[3]:
                    reason = settings.WALL
                if reason and (self.page[0] == STAGE_DONE or now >= began + _SET_UP_MOST_S):
                    break  # limits are the program's: what comes before it is ours
                reason = settings.NO_REASON
            # The signal may be an older child's: only the child's own status counts.
            pid, status, used = os.wait4(child, os.WNOHANG)
        if sleeper:
            os.kill(sleeper, _signal.SIGKILL)  # and with it, its whole PID namespace
        elif not pid:
            os.kill(child, _signal.SIGKILL)
        if not pid:
            _, status, used = os.wait4(child, 0)
        cpu_s = used.ru_utime + used.ru_stime
        if before is None:
            _, _, rest = os.wait4(sleeper, _WALL)
            cpu_s += rest.ru_utime + rest.ru_stime
        else:
            restrict.kill_descendants()
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        sum_kb = watcher.largest_sum_kb if watcher else 0
        return reason, status, int(cpu_s * 1e6), used.ru_maxrss, sum_kb

    def _child(self, request: tuple[int, ...]) -> None:
        """Put on the layers that are a run's own, then be the program. Never returns.

        What runs.c does in its place, where that was compiled, is the same.
        """
        mode, flags, cpu_s, _, memory, address, disk, _, processes, size = request
        page = self.page
        try:
            _signal.pthread_sigmask(_signal.SIG_UNBLOCK, _CHILD_SIGNALS)
            if self.join >= 0:
                os.write(self.join, b"0")
            page[0] = 1
            if self.namespace and self.runs.show_processes():
                raise OSError("the run's /proc was refused")
            page[0] = 2
            if flags & settings.HAS_COLLECT:
                _send_work_folder(settings.LINK_FD + (flags & settings.HAS_LINK))
            page[0] = 3
            put = resource.setrlimit
            whole_s = int(-(-cpu_s // 1)) + 1
            # The watchdog ends a run at the exact limit; this stops a process that outruns it.
            put(resource.RLIMIT_CPU, (whole_s, whole_s + 1))
            put(resource.RLIMIT_FSIZE, (disk, disk))
            put(resource.RLIMIT_AS, (address, address))
            if not self.told.counts_memory and address < settings.ANY_ADDRESS:
                put(resource.RLIMIT_DATA, (memory, memory))
            if not self.unsafe:
                put(resource.RLIMIT_NPROC, (processes, processes))
            page[0] = 4
            if self.told.uid is not None:
                os.setresuid(self.uid, self.uid, self.uid)  # all capabilities go with it
            elif not self.unsafe:
                kernel.drop_capabilities()
            page[0] = 5
            if self.rules >= 0:
                kernel.landlock_enforce(self.rules)
            os.closerange(settings.LINK_FD + (flags & settings.HAS_LINK), _DESCRIPTORS)
            if not self.unsafe and self.install_rest():
                raise OSError("the system call filter was refused")
        except OSError as error:
            page[4:8] = struct.pack("i", error.errno or 0)
            os._exit(120)
        self._become(mode, size)

    def _become(self, mode: int, size: int) -> NoReturn:
        """Take the job, and be the program."""
        try:
            job = settings.read_job(settings.PAYLOAD_FD, size)
            self.page[0] = STAGE_DONE
            self.page.close()
        except OSError as error:
            self.page[4:8] = struct.pack("i", error.errno or 0)
            os._exit(120)
        self.engine.be(mode, job)
        raise AssertionError("an engine does not come back")


def _engine(name: str) -> ModuleType:
    """Return the module that is a run: with `warm_up(work)`, and `be(mode, job)`, which ends it.

    Loaded here, while the checkout can still be seen, and no other is: a fork pays for what its
    parent has loaded.
    """
    return importlib.import_module(f"sandbox.inside.{_ENGINES[name]}")


def _build_root(told: Settings, uid: int) -> None:
    """Make the box's root, and forget the modules that this took: every fork would carry them."""
    before = set(sys.modules)
    from sandbox.inside import root

    root.build_root(told, uid=uid, gid=uid)
    for name in set(sys.modules) - before:
        del sys.modules[name]


def _send_work_folder(collector: int) -> None:
    """Hand the work folder's descriptor to the supervisor, which reads files after the end."""
    folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    channel = _socket.socket(fileno=os.dup(collector))
    rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, _FD.pack(folder))
    channel.sendmsg([b"w"], [rights])
    channel.close()
    os.close(folder)


def main(control: _socket.socket, told: Settings, *, uid: int) -> None:
    """Be the zygote until the supervisor hangs up."""
    zygote = Zygote(control, told, uid)
    try:
        zygote.enter()
    except (OSError, ImportError) as error:
        zygote.control.send(f"{type(error).__name__}: {error}".encode())
        return
    in_c = native.library is not None and zygote.namespace
    zygote.control.send(settings.READY_IN_C if in_c else settings.READY)
    zygote.serve()
