"""The system calls that Python 3.11 does not offer, through ctypes. Errors raise OSError."""

from __future__ import annotations

import ctypes
import functools
import os
import struct
from collections.abc import Callable

CLONE_VM = 0x100
CLONE_NEWNS = 0x20000
CLONE_NEWUTS = 0x4000000
CLONE_NEWIPC = 0x8000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MNT_DETACH = 2

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4

_SECCOMP_SET_MODE_FILTER = 1
_NUMBERS = {  # system calls without a libc wrapper: (x86_64, aarch64)
    "seccomp": (317, 277),
    "mount": (165, 40),
    "unshare": (272, 97),
    "setns": (308, 268),
    "pivot_root": (155, 41),
    "capset": (126, 91),
    "mount_setattr": (442, 442),
    "openat2": (437, 437),
    "landlock_create_ruleset": (444, 444),
    "landlock_add_rule": (445, 445),
    "landlock_restrict_self": (446, 446),
}
_MACHINE = os.uname().machine
_COLUMN = {"x86_64": 0, "aarch64": 1}.get(_MACHINE, 0)

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = [
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_ulong,
    ctypes.c_char_p,
]
_libc.umount2.argtypes = [ctypes.c_char_p, ctypes.c_int]
_libc.unshare.argtypes = [ctypes.c_int]
_libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
_libc.clone.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
_libc.syscall.restype = ctypes.c_long
_libc.sethostname.argtypes = [ctypes.c_char_p, ctypes.c_size_t]

_PAUSE = ctypes.cast(_libc.pause, ctypes.c_void_p).value
_STACK_BYTES = 1 << 16


def _raise(what: str) -> None:
    number = ctypes.get_errno()
    raise OSError(number, f"{what}: {os.strerror(number)}")


def _call(name: str, *arguments: object) -> int:
    result: int = _libc.syscall(ctypes.c_long(_NUMBERS[name][_COLUMN]), *arguments)
    if result < 0:
        _raise(name)
    return result


def machine_is_known() -> bool:
    """Return whether the system call numbers of this processor are in our tables."""
    return _MACHINE in ("x86_64", "aarch64")


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """mount(2)."""
    done = _libc.mount(
        source.encode(), target.encode(), kind.encode(), flags, data.encode() if data else None
    )
    if done < 0:
        _raise(f"mount {kind or 'bind'} on {target}")


def prepared(name: str, *arguments: object) -> Callable[[], int]:
    """Return a system call that is made later: 0 when done, or an error's -1.

    Everything it needs is made now: in a fresh child each new object is a page fault.
    """
    return functools.partial(_libc.syscall, ctypes.c_long(_NUMBERS[name][_COLUMN]), *arguments)


def prepared_mount(source: str, target: str, kind: str, flags: int, data: str) -> Callable[[], int]:
    """Return a mount(2) for later."""
    return prepared(
        "mount",
        ctypes.c_char_p(source.encode()),
        ctypes.c_char_p(target.encode()),
        ctypes.c_char_p(kind.encode()),
        ctypes.c_ulong(flags),
        ctypes.c_char_p(data.encode()),
    )


def prepared_unshare(flags: int) -> Callable[[], int]:
    """Return an unshare(2) for later."""
    return prepared("unshare", ctypes.c_ulong(flags))


def prepared_setns(fd: int, flags: int) -> Callable[[], int]:
    """Return a setns(2) for later."""
    return prepared("setns", ctypes.c_int(fd), ctypes.c_int(flags))


def must(result: int, what: str) -> None:
    """Raise OSError where a prepared call failed."""
    if result:
        _raise(what)


def unmount(target: str) -> None:
    """Detach what is mounted on `target`."""
    if _libc.umount2(target.encode(), MNT_DETACH) < 0:
        _raise(f"umount {target}")


def make_read_only(target: str) -> None:
    """Make a mount and all below it read-only, nosuid and nodev (mount_setattr, Linux 5.12)."""
    attributes = struct.pack("QQQQ", 1 | 2 | 4, 0, 0, 0)
    at_fdcwd, at_recursive = -100, 0x8000
    _call(
        "mount_setattr",
        ctypes.c_int(at_fdcwd),
        ctypes.c_char_p(target.encode()),
        ctypes.c_uint(at_recursive),
        ctypes.c_char_p(attributes),
        ctypes.c_size_t(len(attributes)),
    )


def pivot_root_here() -> None:
    """Make the current folder the root, and let go of the old one."""
    _call("pivot_root", ctypes.c_char_p(b"."), ctypes.c_char_p(b"."))
    unmount(".")


def unshare(flags: int) -> None:
    """unshare(2)."""
    if _libc.unshare(flags) < 0:
        _raise("unshare")


def set_host_name(name: str) -> None:
    """sethostname(2)."""
    if _libc.sethostname(name.encode(), len(name)) < 0:
        _raise("sethostname")


def prctl(option: int, argument: int, second: int = 0) -> None:
    """prctl(2)."""
    if _libc.prctl(option, argument, second, 0, 0) < 0:
        _raise(f"prctl {option}")


def drop_capability_bounds() -> None:
    """Empty the bounding and ambient sets, so that no later exec can give a capability back."""
    for capability in range(64):
        if _libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0:
            break
    _libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)


def drop_capabilities() -> None:
    """Empty the effective, permitted and inheritable sets."""
    header = struct.pack("Ii", 0x20080522, 0)
    _call("capset", ctypes.c_char_p(header), ctypes.c_char_p(bytes(24)))


class Pauser:
    """Starts processes that only sleep, sharing this process's memory: about 30 us each.

    A PID namespace ends with its first process. Were the program under test that process, signals
    that it sends to itself would be ignored; a forked sleeper costs ten times as much.
    """

    def __init__(self) -> None:
        self._stack = ctypes.create_string_buffer(_STACK_BYTES)
        self._top = (ctypes.addressof(self._stack) + _STACK_BYTES) & ~0xF

    def start(self) -> int:
        """Return the pid of a new sleeper, which ends without a signal (wait with __WALL).

        Only one may be alive: they share a stack.
        """
        pid: int = _libc.clone(_PAUSE, self._top, CLONE_VM, None)
        if pid < 0:
            _raise("clone")
        return pid


class Filter:
    """A seccomp program, kept in memory so that installing it costs one system call."""

    def __init__(self, instructions: bytes) -> None:
        self._code = ctypes.create_string_buffer(instructions, len(instructions))
        count = len(instructions) // 8
        self._head = ctypes.create_string_buffer(
            struct.pack("HxxxxxxP", count, ctypes.addressof(self._code)), 16
        )

    @property
    def address(self) -> int:
        """Where its `struct sock_fprog` lies."""
        return ctypes.addressof(self._head)

    def installer(self) -> Callable[[], int]:
        """Return what installs it on the calling process for ever. Needs no_new_privs."""
        return prepared(
            "seccomp", ctypes.c_uint(_SECCOMP_SET_MODE_FILTER), ctypes.c_uint(0), self._head
        )

    def install(self) -> None:
        """Install it now. Raises OSError."""
        if self.installer()():
            _raise("seccomp")


def open_beneath(folder: int, path: str) -> int:
    """Return a descriptor of a file under the folder descriptor, following no link whatever.

    The file may belong to a hostile program: it is opened without waiting (a fifo), and whoever
    reads it must still check that it is a regular file.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    no_magic_links, no_symlinks, beneath = 0x02, 0x04, 0x08
    how = struct.pack("QQQ", flags, 0, no_magic_links | no_symlinks | beneath)
    return _call(
        "openat2",
        ctypes.c_int(folder),
        ctypes.c_char_p(os.fsencode(path)),
        ctypes.c_char_p(how),
        ctypes.c_size_t(len(how)),
    )


def landlock_version() -> int:
    """Return the kernel's Landlock ABI; 0 without Landlock."""
    try:
        return _call(
            "landlock_create_ruleset", ctypes.c_void_p(None), ctypes.c_size_t(0), ctypes.c_uint(1)
        )
    except OSError:
        return 0


def landlock_ruleset(attributes: bytes) -> int:
    """Return the descriptor of a new ruleset."""
    return _call(
        "landlock_create_ruleset",
        ctypes.c_char_p(attributes),
        ctypes.c_size_t(len(attributes)),
        ctypes.c_uint(0),
    )


def landlock_allow(ruleset: int, folder: int, access: int) -> None:
    """Allow `access` beneath the folder descriptor."""
    rule = struct.pack("=Qi", access, folder)
    _call(
        "landlock_add_rule",
        ctypes.c_int(ruleset),
        ctypes.c_int(1),
        ctypes.c_char_p(rule),
        ctypes.c_uint(0),
    )


def landlock_enforce(ruleset: int) -> None:
    """Restrict this process and all its children for ever. Needs no_new_privs."""
    _call("landlock_restrict_self", ctypes.c_int(ruleset), ctypes.c_uint(0))
