"""Our system call filter as the JSON that container engines take, from the lists of our own.

Every call that Linux had when `inside.syscall_filter` was written is let through by name, but for
those that it kills, refuses or hides; what is younger gets the error for calls that do not exist.
Does not stop: ioctl commands hidden in the upper half of their number. They are those of a
terminal, and no container of ours has one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sandbox.inside import syscall_filter as ours

# Every call of x86_64 and aarch64 up to Linux 6.14, in the order of their numbers (asm/unistd.h).
_ALL = """
read write open close stat fstat lstat poll lseek mmap mprotect munmap brk rt_sigaction
rt_sigprocmask rt_sigreturn ioctl pread64 pwrite64 readv writev access pipe select sched_yield
mremap msync mincore madvise shmget shmat shmctl dup dup2 pause nanosleep getitimer alarm setitimer
getpid sendfile socket connect accept sendto recvfrom sendmsg recvmsg shutdown bind listen
getsockname getpeername socketpair setsockopt getsockopt clone fork vfork execve exit wait4 kill
uname semget semop semctl shmdt msgget msgsnd msgrcv msgctl fcntl flock fsync fdatasync truncate
ftruncate getdents getcwd chdir fchdir rename mkdir rmdir creat link unlink symlink readlink chmod
fchmod chown fchown lchown umask gettimeofday getrlimit getrusage sysinfo times ptrace getuid
syslog getgid setuid setgid geteuid getegid setpgid getppid getpgrp setsid setreuid setregid
getgroups setgroups setresuid getresuid setresgid getresgid getpgid setfsuid setfsgid getsid capget
capset rt_sigpending rt_sigtimedwait rt_sigqueueinfo rt_sigsuspend sigaltstack utime mknod
personality ustat statfs fstatfs getpriority setpriority sched_setparam sched_getparam
sched_setscheduler sched_getscheduler sched_get_priority_max sched_get_priority_min
sched_rr_get_interval mlock munlock mlockall munlockall vhangup modify_ldt pivot_root _sysctl prctl
arch_prctl adjtimex setrlimit chroot sync acct settimeofday mount umount2 swapon swapoff reboot
sethostname setdomainname iopl ioperm create_module init_module delete_module get_kernel_syms
query_module quotactl nfsservctl gettid readahead
setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr
removexattr lremovexattr fremovexattr tkill time futex sched_setaffinity sched_getaffinity
set_thread_area io_setup io_destroy io_getevents io_submit io_cancel get_thread_area
epoll_create remap_file_pages getdents64 set_tid_address
restart_syscall semtimedop fadvise64 timer_create timer_settime timer_gettime timer_getoverrun
timer_delete clock_settime clock_gettime clock_getres clock_nanosleep exit_group epoll_wait
epoll_ctl tgkill utimes mbind set_mempolicy get_mempolicy mq_open mq_unlink mq_timedsend
mq_timedreceive mq_notify mq_getsetattr kexec_load waitid add_key request_key keyctl ioprio_set
ioprio_get inotify_init inotify_add_watch inotify_rm_watch migrate_pages openat mkdirat mknodat
fchownat futimesat newfstatat unlinkat renameat linkat symlinkat readlinkat fchmodat faccessat
pselect6 ppoll unshare set_robust_list get_robust_list splice tee sync_file_range vmsplice
move_pages utimensat epoll_pwait signalfd timerfd_create eventfd fallocate timerfd_settime
timerfd_gettime accept4 signalfd4 eventfd2 epoll_create1 dup3 pipe2 inotify_init1 preadv pwritev
rt_tgsigqueueinfo perf_event_open recvmmsg fanotify_init fanotify_mark prlimit64 name_to_handle_at
open_by_handle_at clock_adjtime syncfs sendmmsg setns getcpu process_vm_readv process_vm_writev
kcmp finit_module sched_setattr sched_getattr renameat2 seccomp getrandom memfd_create
kexec_file_load bpf execveat userfaultfd membarrier mlock2 copy_file_range preadv2 pwritev2
pkey_mprotect pkey_alloc pkey_free statx io_pgetevents rseq pidfd_send_signal io_uring_setup
io_uring_enter io_uring_register open_tree move_mount fsopen fsconfig fsmount fspick pidfd_open
clone3 close_range openat2 pidfd_getfd faccessat2 process_madvise epoll_pwait2 mount_setattr
quotactl_fd landlock_create_ruleset landlock_add_rule landlock_restrict_self memfd_secret
process_mrelease futex_waitv set_mempolicy_home_node cachestat fchmodat2 map_shadow_stack futex_wake
futex_wait futex_requeue statmount listmount lsm_get_self_attr lsm_set_self_attr lsm_list_modules
mseal setxattrat getxattrat listxattrat removexattrat
"""
# Nothing that a judged program has a use for, and with a long record of faults.
_NEEDLESS = ("fanotify_init", "name_to_handle_at", "open_by_handle_at", "remap_file_pages")
_EPERM, _ENOSYS, _EAFNOSUPPORT = 1, 38, 97
_ARCHITECTURES = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}
_CONDITIONED = ("socket", "socketpair", "clone", "ioctl", "setpriority")


def profile(machine: str) -> dict[str, Any]:
    """Return the profile for a processor ("x86_64" or "aarch64"). Raises ValueError for others."""
    if machine not in _ARCHITECTURES:
        raise ValueError(f"no system call profile for {machine}, only x86_64 and aarch64")
    killed = {*ours.KILLED, *ours.ZYGOTE_KILLED}
    refused = {*ours.REFUSED, *ours.ZYGOTE_REFUSED, *_NEEDLESS}
    absent = set(ours.ABSENT)
    special = {*_CONDITIONED, *ours.OF_ITSELF}
    plain = [x for x in _ALL.split() if x not in killed | refused | absent | special]
    itself = sorted(ours.OF_ITSELF)
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": _ENOSYS,
        "architectures": [_ARCHITECTURES[machine]],
        "syscalls": [
            _rule("SCMP_ACT_ALLOW", plain),
            _rule("SCMP_ACT_KILL_PROCESS", sorted(killed)),
            _rule("SCMP_ACT_ERRNO", sorted(refused), errno=_EPERM),
            _rule("SCMP_ACT_ERRNO", sorted(absent), errno=_ENOSYS),
            *_only(["socket", "socketpair"], 0, ours.AF_UNIX, errno=_EAFNOSUPPORT),
            *_only(itself, 0, 0, errno=_EPERM),
            *_clone(),
            *_but_for(["ioctl"], 1, (ours.TIOCSTI, ours.TIOCLINUX)),
            _rule("SCMP_ACT_ALLOW", ["setpriority"], [_is(0, 0), _is(1, 0)]),
            _rule("SCMP_ACT_ERRNO", ["setpriority"], [_is(0, 0, "NE")], errno=_EPERM),
            _rule("SCMP_ACT_ERRNO", ["setpriority"], [_is(0, 0), _is(1, 0, "NE")], errno=_EPERM),
        ],
    }


def _rule(
    action: str,
    names: Iterable[str],
    conditions: list[dict[str, Any]] | None = None,
    errno: int | None = None,
) -> dict[str, Any]:
    made: dict[str, Any] = {"names": list(names), "action": action, "args": conditions or []}
    if errno is not None:
        made["errnoRet"] = errno
    return made


def _is(index: int, value: int, how: str = "EQ") -> dict[str, Any]:
    return {"index": index, "value": value, "op": f"SCMP_CMP_{how}"}


def _only(names: list[str], index: int, value: int, errno: int) -> list[dict[str, Any]]:
    """Let calls through when an argument has one value."""
    return [
        _rule("SCMP_ACT_ALLOW", names, [_is(index, value)]),
        _rule("SCMP_ACT_ERRNO", names, [_is(index, value, "NE")], errno=errno),
    ]


def _clone() -> list[dict[str, Any]]:
    """Let clone through without any of the flags that make namespaces."""
    flags = ours.NOT_TO_CLONE
    none = {"index": 0, "value": flags, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}
    rules = [_rule("SCMP_ACT_ALLOW", ["clone"], [none])]
    for bit in (1 << number for number in range(32) if flags >> number & 1):
        one = {"index": 0, "value": bit, "valueTwo": bit, "op": "SCMP_CMP_MASKED_EQ"}
        rules.append(_rule("SCMP_ACT_ERRNO", ["clone"], [one], errno=_EPERM))
    return rules


def _but_for(names: list[str], index: int, values: tuple[int, ...]) -> list[dict[str, Any]]:
    """Let calls through unless an argument has one of a few values, which lie close together.

    Two conditions on one argument are alternatives to an engine, so each value between is named.
    """
    low, high = min(values), max(values)
    between = [value for value in range(low + 1, high) if value not in values]
    return [
        _rule("SCMP_ACT_ALLOW", names, [_is(index, low, "LT")]),
        _rule("SCMP_ACT_ALLOW", names, [_is(index, high, "GT")]),
        *(_rule("SCMP_ACT_ALLOW", names, [_is(index, value)]) for value in between),
        *(_rule("SCMP_ACT_ERRNO", names, [_is(index, v)], errno=_EPERM) for v in values),
    ]
