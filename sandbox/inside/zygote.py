"""The zygote of a slot: it has imported everything once, and forks one process a run.

It never reads what it forks for: programs, arguments and tests travel in descriptors that only the
child opens, so no later run of the slot can find an earlier one in its memory.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import mmap
import os
import resource
import select
import signal
import site
import socket
import struct
import sys
import time

from sandbox.inside import drive, kernel, mounts, restrict, settings, syscall_filter, watch
from sandbox.inside.drive import ANSWERS_FD, LINK_FD
from sandbox.inside.settings import REPLY, REQUEST, STAGE_DONE, Settings

# Descriptors of a run, after the standard three.
_PAYLOAD_FD, _COLLECT_FD, _RULES_FD = 5, 6, 7
_FIRST_COMING_IN = 10


class Zygote:
    """What stays between runs: descriptors, the filter, the sleeping first process."""

    def __init__(self, control: socket.socket, told: Settings, uid: int) -> None:
        _hold_low_numbers()
        self.control = control
        self.told = told
        self.uid = uid
        self.namespace = told.kind == "namespace"
        self.pauser = kernel.Pauser()
        self.filter = (
            None
            if told.kind == "unsafe"
            else kernel.Filter(syscall_filter.build(memfd=told.counts_memory))
        )
        self.joins = [os.open(path, os.O_WRONLY | os.O_CLOEXEC) for path in told.cgroup_joins]
        # One shared page tells how far a child came before it let the program start.
        self.page = mmap.mmap(-1, mmap.PAGESIZE)
        self.poll = select.poll()
        self.poll.register(control.fileno(), select.POLLIN)
        self.own_pids = -1
        self.landlock = restrict.Landlock(told) if told.kind == "restricted" else None

    def enter(self) -> None:
        """Go where the slot lives, and load what programs will want."""
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        if self.namespace:
            kernel.set_host_name("box")
            mounts.build_root(self.told, uid=self.uid, gid=self.uid)
            self.own_pids = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        else:
            kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
        if self.told.kind != "unsafe":
            kernel.drop_capability_bounds()
        sys.path[:] = self.told.sys_path
        sys.dont_write_bytecode = True
        site.setquit()
        site.setcopyright()
        site.sethelper()
        for name in self.told.preimport:
            importlib.import_module(name)
        drive.warm_up()
        # A program may bring a module called `sandbox`: ours must not stand in its way.
        for name in [n for n in sys.modules if n == "sandbox" or n.startswith("sandbox.")]:
            del sys.modules[name]
        gc.collect()
        gc.freeze()

    def serve(self) -> None:
        """Answer requests until the supervisor closes the socket."""
        while True:
            raw, fds, _, _ = socket.recv_fds(self.control, REQUEST.size, 8)
            if not raw:
                return
            self.control.send(self._run(raw, fds))

    def _run(self, raw: bytes, fds: list[int]) -> bytes:
        request = REQUEST.unpack(raw)
        self.page[:8] = bytes(8)
        began = time.monotonic()
        sleeper = 0
        if self.namespace:
            kernel.unshare(kernel.CLONE_NEWPID)
            sleeper = self.pauser.start()
        child = os.fork()
        if child == 0:
            self._child(request, fds)
        if self.namespace:
            kernel.setns(self.own_pids, kernel.CLONE_NEWPID)
        watcher = watch.Watcher(self.told, request, fds, child, sleeper)
        try:
            reason = watcher.wait(self.poll, self.control.fileno(), began)
            wall_us = int((time.monotonic() - began) * 1e6)
        finally:
            usage = self._end(child, sleeper)
        for fd in fds:
            os.close(fd)
        status, cpu_us, largest_kb = usage
        stage, number = self.page[0], struct.unpack("i", self.page[4:8])[0]
        return REPLY.pack(
            stage, number, status, reason, cpu_us, wall_us, largest_kb, watcher.largest_sum_kb
        )

    def _end(self, child: int, sleeper: int) -> tuple[int, int, int]:
        """Kill all that is left of a run; return its status, CPU microseconds and largest RSS."""
        if sleeper:
            os.kill(sleeper, signal.SIGKILL)
            _, status, used = os.wait4(child, 0)
            _, _, rest = os.wait4(sleeper, 0)
            cpu_s = used.ru_utime + used.ru_stime + rest.ru_utime + rest.ru_stime
            # The sleeper shares our memory, so its own RSS says nothing of the run's.
            return status, int(cpu_s * 1e6), used.ru_maxrss
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        _, status, used = os.wait4(child, 0)
        restrict.kill_descendants()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return status, int(cpu_s * 1e6), used.ru_maxrss

    def _child(self, request: tuple[int, ...], fds: list[int]) -> None:
        """Put on every layer, then be the program. Never returns."""
        mode, flags, cpu_s, _, memory, address, disk, _, processes = request
        page = self.page
        try:
            page[0] = 1
            for join in self.joins:
                os.write(join, b"0")
            page[0] = 2
            if self.namespace:
                mounts.enter_run(uid=self.uid, disk_bytes=disk)
            page[0] = 3
            rules = self.landlock.ruleset if self.landlock is not None else -1
            collector = _arrange(fds, flags, rules)
            page[0] = 4
            _limit(self.told, cpu_s, memory, address, disk, processes)
            page[0] = 5
            if collector:
                _send_work_folder(self.told.work or "/box")
            if self.told.uid is not None:
                os.setgroups([])
                os.setresgid(self.uid, self.uid, self.uid)
                os.setresuid(self.uid, self.uid, self.uid)
            page[0] = 6
            if self.namespace:
                mounts.make_work_place()
            else:
                restrict.enter_work_place(self.told.work)
            if self.told.kind != "unsafe":
                kernel.drop_capabilities()
            page[0] = 7
            # Not dumpable: no core file, and no core handler of the host is ever started.
            kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
            kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
            if rules >= 0:
                kernel.landlock_enforce(_RULES_FD)
                os.close(_RULES_FD)
            page[0] = 8
            if self.filter is not None:
                self.filter.install()
            job = drive.read_job(_PAYLOAD_FD)
            page[0] = STAGE_DONE
            page.close()
        except OSError as error:
            page[4:8] = struct.pack("i", error.errno or 0)
            os._exit(120)
        drive.be(mode, job)


def _hold_low_numbers() -> None:
    """Occupy the descriptors that a run's own will be put on, so that none comes in on them."""
    while os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC) < _FIRST_COMING_IN - 1:
        pass


def _arrange(fds: list[int], flags: int, rules: int) -> bool:
    """Put the run's descriptors in their places and close all others.

    What came in has numbers above these places: the zygote holds them (see _hold_low_numbers).
    Returns whether there is a collector to send the work folder to.
    """
    payload, out, err, answers, *more = fds
    places = {1: out, 2: err, ANSWERS_FD: answers, _PAYLOAD_FD: payload}
    if flags & settings.HAS_STDIN:
        places[0] = more.pop(0)
    if flags & settings.HAS_LINK:
        places[LINK_FD] = more.pop(0)
    if flags & settings.HAS_COLLECT:
        places[_COLLECT_FD] = more.pop(0)
    if rules >= 0:
        places[_RULES_FD] = rules
    for place, fd in places.items():
        os.dup2(fd, place, inheritable=place <= 2)
    for place in range(ANSWERS_FD, _RULES_FD + 1):
        if place not in places:
            os.close(place)
    os.closerange(_RULES_FD + 1, 1 << 16)
    return _COLLECT_FD in places


def _send_work_folder(path: str) -> None:
    """Hand the work folder's descriptor to the supervisor, which reads files after the end."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with socket.socket(fileno=_COLLECT_FD) as channel:
        socket.send_fds(channel, [b"w"], [folder])
    os.close(folder)


def _limit(
    told: Settings, cpu_s: float, memory: int, address: int, disk: int, processes: int
) -> None:
    put = resource.setrlimit
    whole_s = max(1, int(-(-cpu_s // 1)))
    # The watchdog ends a run at the exact limit; these stop a single process that outruns it.
    put(resource.RLIMIT_CPU, (whole_s + 1, whole_s + 2))
    put(resource.RLIMIT_FSIZE, (disk, disk))
    put(resource.RLIMIT_CORE, (1, 1))  # 1, not 0: with 0 a core handler behind a pipe still runs
    put(resource.RLIMIT_NOFILE, (256, 256))
    put(resource.RLIMIT_AS, (address, address))
    if not told.counts_memory:
        put(resource.RLIMIT_DATA, (memory, memory))
    put(resource.RLIMIT_MEMLOCK, (0, 0))
    put(resource.RLIMIT_MSGQUEUE, (0, 0))
    if told.kind != "unsafe":
        put(resource.RLIMIT_NPROC, (processes, processes))


def main(control: socket.socket, told: Settings, *, uid: int) -> None:
    """Be the zygote until the supervisor hangs up."""
    zygote = Zygote(control, told, uid)
    try:
        zygote.enter()
    except (OSError, ImportError) as error:
        control.send(f"{type(error).__name__}: {error}".encode())
        return
    control.send(settings.READY)
    zygote.serve()
