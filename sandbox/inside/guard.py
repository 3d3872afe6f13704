"""The first process of a slot: it makes the namespaces, starts the zygote, and outlives it.

It watches the supervisor through a pidfd, so that however the supervisor dies (SIGKILL too) the
zygote, its PID namespace and all that runs in there die with it, and the slot's cgroups go.
Without a PID namespace it ends what runs itself, and so must not be killed before the supervisor.
Started as `python -c BOOTSTRAP FOLDER N` with the control socket as descriptor N.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal itself makes enums of it all
import _socket
import contextlib
import os
import sys
import time

from sandbox.inside import kernel, workplace, zygote
from sandbox.inside.settings import Settings

INSIDE_UID = 1000  # what an unprivileged user is called inside its own user namespace


def main() -> None:
    """Start a zygote as the settings on the control socket say, and stay until it has ended."""
    _forget_signals()
    control = _socket.socket(fileno=int(sys.argv[2]))
    settings = Settings.from_bytes(control.recv(1 << 16))
    try:
        supervisor = os.pidfd_open(settings.supervisor_pid)
    except ProcessLookupError:
        return
    try:
        inner = _separate(settings)
        child = os.fork()
    except OSError as error:
        control.send(str(error).encode())
        return
    if child == 0:
        os.close(supervisor)
        zygote.main(control, settings, uid=inner)
        return
    control.close()
    if settings.kind != "namespace":
        # No PID namespace ends with the zygote: its runs come to us instead, and are ended here.
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    _watch(supervisor, child)
    if settings.kind != "namespace":
        from sandbox.inside import restrict  # here, as the zygote should not carry it

        restrict.kill_descendants()
    _remove(settings.cgroup_folders)
    if settings.work:
        with contextlib.suppress(OSError):
            workplace.empty(settings.work)
            os.rmdir(settings.work)


def _forget_signals() -> None:
    """Treat signals as a program of its own does: nohup and some services ignore or block some,
    and what is ignored or blocked is passed on to every program that is started."""
    for number in _signal.valid_signals() - {_signal.SIGPIPE, _signal.SIGXFSZ}:
        if _signal.getsignal(number) == _signal.SIG_IGN:  # those two are Python's own
            _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())


def _separate(settings: Settings) -> int:
    """Enter a user namespace if need be, and let the next child be first in a PID namespace.

    The other namespaces are the zygote's: this process must keep the host's root to tidy up.
    Returns the uid that programs will have inside.
    """
    if settings.kind != "namespace":
        return os.getuid() if settings.uid is None else settings.uid
    if settings.uid is not None:
        kernel.unshare(kernel.CLONE_NEWPID)
        return settings.uid
    uid, gid = os.getuid(), os.getgid()
    kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWPID)
    maps = (("setgroups", "deny"), ("uid_map", f"{INSIDE_UID} {uid} 1"))
    for name, text in (*maps, ("gid_map", f"{INSIDE_UID} {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    return INSIDE_UID


def _watch(supervisor: int, child: int) -> None:
    """Return when the zygote has ended, ending it when the supervisor has, or says so (SIGTERM)."""
    import select  # here, not above: the zygote was forked without it

    zygote_fd = os.pidfd_open(child)

    def end(*_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            _signal.pidfd_send_signal(zygote_fd, _signal.SIGKILL)

    _signal.signal(_signal.SIGTERM, end)
    poll = select.poll()
    poll.register(supervisor, select.POLLIN)
    poll.register(zygote_fd, select.POLLIN)
    ready = [fd for fd, _ in poll.poll()]
    if zygote_fd not in ready:
        end()
    os.waitpid(child, 0)


def _remove(folders: tuple[str, ...]) -> None:
    for folder in folders:
        for _ in range(50):  # the kernel counts a dead process for a moment longer
            try:
                os.rmdir(folder)
                break
            except FileNotFoundError:
                break
            except OSError:
                time.sleep(0.02)
