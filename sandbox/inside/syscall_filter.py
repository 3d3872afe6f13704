"""The seccomp filter of every box: a program in classic BPF, searched as a binary tree.

Stops: sockets other than AF_UNIX (AF_VSOCK reaches the host from every namespace), new namespaces,
mounts, io_uring, bpf, ptrace, keyrings, kernel modules, clocks, and calls younger than this table.
Does not stop: bugs in the calls that it lets through. It is one layer of several.

What honest runtimes probe at start is answered with an error they know how to take (ENOSYS, EPERM,
EAFNOSUPPORT). What no judged program has a use for ends the process: the verdict FORBIDDEN.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from typing import NamedTuple

_ALLOW = 0x7FFF0000
_KILL = 0x80000000
_ERRNO = 0x00050000
_EPERM, _ENOSYS, _EAFNOSUPPORT = 1, 38, 97

_LD_ABS, _JEQ, _JGE, _JSET, _RET = 0x20, 0x15, 0x35, 0x45, 0x06
_NR, _ARCH, _ARG0, _ARG1 = 0, 4, 16, 24
AF_UNIX = 1
_DATAGRAMS = 2  # a bit of SOCK_DGRAM and SOCK_RAW, not of SOCK_STREAM and SOCK_SEQPACKET
TIOCSTI, TIOCLINUX = 0x5412, 0x541C
# CLONE_NEWNS NEWCGROUP NEWUTS NEWIPC NEWUSER NEWPID NEWNET, and CLONE_PARENT: the new process would
# be a child of the zygote, which would wait for ever for the namespace to become empty.
NOT_TO_CLONE = 0x7E020000 | 0x8000

# name: (x86_64, aarch64); None where the processor has no such call. What the kernel refuses anyway
# to a process without capabilities is named only where it fills a gap: short filters are cheap.
KILLED = {
    "vhangup": (153, 58),
    "modify_ldt": (154, None),
    "pivot_root": (155, 41),
    "_sysctl": (156, None),
    "acct": (163, 89),
    "settimeofday": (164, 170),
    "umount2": (166, 39),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "iopl": (172, None),
    "ioperm": (173, None),
    "create_module": (174, None),
    "init_module": (175, 105),
    "delete_module": (176, 106),
    "get_kernel_syms": (177, None),
    "query_module": (178, None),
    "quotactl": (179, 60),
    "nfsservctl": (180, 42),
    "kexec_load": (246, 104),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "finit_module": (313, 273),
    "kexec_file_load": (320, 294),
    "bpf": (321, 280),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "pidfd_getfd": (438, 438),
    "mount_setattr": (442, 442),
    "quotactl_fd": (443, 443),
}
REFUSED = {  # EPERM: sanitizers, JVMs and profilers ask, and live without
    "ptrace": (101, 117),
    "syslog": (103, 116),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "memfd_secret": (447, 447),
    "ioprio_set": (251, 30),
    # System V objects and message queues outlive their process: one run would leave them to the
    # next. No rlimit counts them, and outside a namespace they are the host's.
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "shmdt": (67, 197),
    "semget": (64, 190),
    "semop": (65, 193),
    "semctl": (66, 191),
    "semtimedop": (220, 192),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
}
OF_ITSELF = {  # with another pid than 0 they reach every process of the same user: EPERM
    "prlimit64": (302, 261),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
}
_SETPRIORITY = (141, 140)
_OWNERS = {  # what Landlock does not govern and a file's owner may do to it wherever it lies
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "setxattrat": (463, 463),
    "removexattrat": (466, 466),
}
ABSENT = {  # ENOSYS: libc and libuv then take the older way
    "clone3": (435, 435),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
}
ZYGOTE_KILLED = {"mount": (165, 40), "setns": (308, 268)}
ZYGOTE_REFUSED = {"unshare": (272, 97)}
_SIGNALS = {
    "kill": (62, 129),
    "tkill": (200, 130),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_send_signal": (424, 424),
}
_SOCKETS = {"socket": (41, 198), "socketpair": (53, 199)}
_CLONE = (56, 220)
_IOCTL = (16, 29)
_MEMFD_CREATE = (319, 279)
_FIRST_UNKNOWN = 467  # open_tree_attr, Linux 6.15; what is younger was not looked at
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT = 0x40000000


class _Interval(NamedTuple):
    start: int
    body: tuple[bytes, ...]


def _ins(code: int, k: int, jt: int = 0, jf: int = 0) -> bytes:
    return struct.pack("HBBI", code, jt, jf, k)


def _ret(action: int) -> bytes:
    return _ins(_RET, action)


def build(*, memfd: bool, restricted: bool = False, owner: bool = False) -> bytes:
    """Return the filter that a zygote takes on, and all its runs with it; 8 bytes an instruction.

    It leaves out the three calls by which a zygote separates its runs; `build_rest` has them.
    memfd: whether memfd_create is let through; without a memory cgroup its pages are counted
        nowhere, so there it is absent.
    restricted: whether programs see the host's files and Landlock guards them. It does not guard
        sockets that have a path (a container engine's, the session bus): only connected pairs are
        let through.
    owner: whether, moreover, programs run as a user who owns files: calls on modes, times and
        attributes of files are refused.
    """
    column = list(_AUDIT_ARCH).index(os.uname().machine)
    bodies: dict[int, tuple[bytes, ...]] = {}

    def put(calls: Mapping[str, tuple[int | None, int | None]], body: tuple[bytes, ...]) -> None:
        for numbers in calls.values():
            number = numbers[column]
            if number is not None:
                bodies[number] = body

    put(KILLED, (_ret(_KILL),))
    refused = (_ret(_ERRNO | _EPERM),)
    put(REFUSED, refused)
    put(OF_ITSELF, (_ins(_LD_ABS, _ARG0), _ins(_JEQ, 0, 0, 1), _ret(_ALLOW), *refused))
    bodies[_SETPRIORITY[column]] = (
        _ins(_LD_ABS, _ARG0),
        _ins(_JEQ, 0, 0, 3),
        _ins(_LD_ABS, _ARG1),
        _ins(_JEQ, 0, 0, 1),
        _ret(_ALLOW),
        *refused,
    )
    put(ABSENT, (_ret(_ERRNO | _ENOSYS),))
    put(
        _SOCKETS,
        (
            _ins(_LD_ABS, _ARG0),
            _ins(_JEQ, AF_UNIX, 0, 1),
            _ret(_ALLOW),
            _ret(_ERRNO | _EAFNOSUPPORT),
        ),
    )
    if restricted:
        bodies[_SOCKETS["socket"][column]] = refused
        bodies[_SOCKETS["socketpair"][column]] = (
            _ins(_LD_ABS, _ARG1),
            _ins(_JSET, _DATAGRAMS, 0, 1),
            *refused,
            _ins(_LD_ABS, _ARG0),
            _ins(_JEQ, AF_UNIX, 0, 1),
            _ret(_ALLOW),
            _ret(_ERRNO | _EAFNOSUPPORT),
        )
    if owner:
        put(_OWNERS, refused)
    bodies[_CLONE[column]] = (
        _ins(_LD_ABS, _ARG0),
        _ins(_JSET, NOT_TO_CLONE, 0, 1),
        _ret(_ERRNO | _EPERM),
        _ret(_ALLOW),
    )
    bodies[_IOCTL[column]] = (
        _ins(_LD_ABS, _ARG1),
        _ins(_JEQ, TIOCSTI, 1, 0),
        _ins(_JEQ, TIOCLINUX, 0, 1),
        _ret(_ERRNO | _EPERM),
        _ret(_ALLOW),
    )
    if not memfd:
        bodies[_MEMFD_CREATE[column]] = (_ret(_ERRNO | _ENOSYS),)
    return _program(bodies, _FIRST_UNKNOWN)


def build_rest(*, signals: bool = True) -> bytes:
    """Return the filter that each run adds: no mount, no unshare, no setns.

    signals: whether signals may be sent; refuse them where nothing else keeps a program from
        signalling other processes of its user (without namespaces, Landlock before version 6).
    """
    column = list(_AUDIT_ARCH).index(os.uname().machine)
    refused = ZYGOTE_REFUSED if signals else {**ZYGOTE_REFUSED, **_SIGNALS}
    bodies = {numbers[column]: (_ret(_KILL),) for numbers in ZYGOTE_KILLED.values()}
    bodies |= {numbers[column]: (_ret(_ERRNO | _EPERM),) for numbers in refused.values()}
    lines = [_ins(_LD_ABS, _NR)]
    for number, body in bodies.items():
        lines += [_ins(_JEQ, number, 0, 1), *body]
    return b"".join([*lines, _ret(_ALLOW)])


def _program(bodies: Mapping[int, tuple[bytes, ...]], first_unknown: int) -> bytes:
    allow = (_ret(_ALLOW),)
    intervals = [_Interval(0, allow)]

    def begin(start: int, body: tuple[bytes, ...]) -> None:
        if intervals[-1].start == start:
            intervals.pop()
        if intervals[-1].body != body:
            intervals.append(_Interval(start, body))

    for number in sorted(bodies):
        begin(number, bodies[number])
        begin(number + 1, allow)
    begin(first_unknown, (_ret(_ERRNO | _ENOSYS),))
    begin(_X32_BIT, (_ret(_KILL),))
    head = [
        _ins(_LD_ABS, _ARCH),
        _ins(_JEQ, _AUDIT_ARCH[os.uname().machine], 1, 0),
        _ret(_KILL),
        _ins(_LD_ABS, _NR),
    ]
    return b"".join(head + _tree(intervals))


def _tree(intervals: list[_Interval]) -> list[bytes]:
    if len(intervals) == 1:
        return list(intervals[0].body)
    middle = len(intervals) // 2
    low, high = _tree(intervals[:middle]), _tree(intervals[middle:])
    if len(low) > 255:
        # A conditional jump spans 255 instructions at most; the tree has about 250 in all.
        raise OverflowError("the filter's tree is too wide for one jump")
    return [_ins(_JGE, intervals[middle].start, len(low), 0), *low, *high]
