"""The restricted box: Landlock and rlimits where the kernel refuses namespaces.

Holds: files (only the toolchain can be read, only the work folder written), TCP (Landlock 4),
signals and abstract sockets of others (Landlock 6), and with the seccomp filter every layer that
is made of system calls.
Does not hold: memory summed over processes (a watchdog looks every 50 ms), disk used in the work
folder (each file is capped, their number is not), the host's name and its list of processes.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal itself makes enums of it all
import contextlib
import os
import struct
import time

from sandbox.inside import kernel, watch
from sandbox.inside.settings import Settings

# Landlock access rights, include/uapi/linux/landlock.h
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_ALL_V1 = (1 << 13) - 1
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_NET_BIND, _NET_CONNECT = 1, 2
_SCOPE_ABSTRACT, _SCOPE_SIGNAL = 1, 2
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


def ruleset(told: Settings) -> int:
    """Return the descriptor of the Landlock rules that every run of a slot takes on."""
    version = kernel.landlock_version()
    if not version:
        raise OSError(95, "Landlock is not offered by this kernel")
    handled = _handled(version)
    network = _NET_BIND | _NET_CONNECT if version >= 4 else 0
    scoped = _SCOPE_ABSTRACT | _SCOPE_SIGNAL if version >= 6 else 0
    attributes = struct.pack("QQQ", handled, network, scoped)
    rules = kernel.landlock_ruleset(attributes[: 24 if version >= 6 else 16])
    for tree in told.trees:
        _allow_around(rules, tree, told.hidden)
    for package in told.packages:
        _allow(rules, package, _READ if os.path.isdir(package) else _READ_FILE)
    for device in _DEVICES:
        _allow(rules, device, _READ_FILE | _WRITE_FILE)
    _allow(rules, "/etc/ld.so.cache", _READ_FILE)
    _allow(rules, told.work, handled)
    return rules


def _handled(version: int) -> int:
    handled = _ALL_V1
    handled |= _REFER if version >= 2 else 0
    handled |= _TRUNCATE if version >= 3 else 0
    return handled | (_IOCTL_DEV if version >= 5 else 0)


def allow_all(rules: int, folder: str) -> None:
    """Allow a program to do in one more folder what it may do in the work folder."""
    _allow(rules, folder, _handled(kernel.landlock_version()))


def _allow_around(rules: int, tree: str, hidden: tuple[str, ...]) -> None:
    """Allow reading a tree but for its hidden folders, of which only names can be seen.

    Landlock rules only add rights, so a hidden folder is left out by naming what is beside it.
    """
    if tree in hidden:
        return
    if not any(place.startswith(f"{tree}/") for place in hidden):
        _allow(rules, tree, _READ if os.path.isdir(tree) else _EXECUTE | _READ_FILE)
        return
    _allow(rules, tree, _READ_DIR)
    for entry in os.scandir(tree):
        if not entry.is_symlink():
            _allow_around(rules, entry.path, hidden)


def _allow(rules: int, path: str, access: int) -> None:
    try:
        folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        kernel.landlock_allow(rules, folder, access)
    finally:
        os.close(folder)


def kill_descendants() -> None:
    """Kill and reap every process a run left behind, until none is there.

    Orphans come to the zygote, which is their subreaper; a fork bomb is outrun by stopping all of
    it before killing it.
    """
    me = os.getpid()
    while True:
        left = [int(pid) for pid in watch.descendants(me)]
        if not left:
            break
        for number in (_signal.SIGSTOP, _signal.SIGKILL):
            for pid in left:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.001)
