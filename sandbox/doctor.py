"""Which box this machine gets, what each of its layers holds, and how to get a stronger one.

Every line is tried on a running box, not read off a version: a probe program inside reports what
it could reach.
"""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass
from typing import Any

from sandbox.errors import SandboxBroken, SandboxUnavailable
from sandbox.inside import kernel
from sandbox.outcome import Kind
from sandbox.program import Limits, Program
from sandbox.slot import Slot

_HEAD = r"""
import json, os, socket

def attempt(work):
    try:
        work()
        return True
    except (OSError, ValueError):
        return False

def write(path):
    with open(path, "w") as file:
        file.write("x")

seen = {
    "uid": os.getuid(),
    "write_work": attempt(lambda: write("probe")),
    "write_usr": attempt(lambda: write("/usr/probe")),
    "vsock": attempt(lambda: socket.socket(40, socket.SOCK_STREAM).close()),
    "inet": attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).close()),
    "read_etc": attempt(lambda: open("/etc/passwd").close()),
}
"""
_PROBE = (
    _HEAD
    + r"""
with open("/proc/self/status") as file:
    status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
seen |= {
    "pid": os.getpid(),
    "pids": sum(name.isdigit() for name in os.listdir("/proc")),
    "capabilities": int(status["CapEff"], 16),
    "seccomp": status["Seccomp"].strip() == "2",
    "hostname": os.uname().nodename,
    "home": os.path.exists("/home") or os.path.exists("/boot"),
}
print(json.dumps(seen))
"""
)
# Without a /proc of its own a restricted program cannot say the rest.
_RESTRICTED_PROBE = _HEAD + "print(json.dumps(seen))\n"


_ENGINE_S = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer of the box: does it hold here, what does it do, and what would mend it."""

    name: str
    held: bool
    detail: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What this machine gets.

    box: the name of the strongest box that starts. stronger: how to get a stronger one; empty when
    this is the strongest. containers: whether the docker box can be had, or how to get it.
    """

    box: str
    layers: tuple[Layer, ...]
    stronger: str
    containers: str = ""


def examine() -> Examination:
    """Start the strongest box of this machine and try its layers.

    Raises SandboxUnavailable when none starts; its message says why.
    """
    reasons: list[str] = []
    for kind in ("namespace", "restricted"):
        try:
            slot = Slot(kind, ())
        except SandboxUnavailable as error:
            reasons.append(str(error))
            continue
        try:
            layers = _namespace(slot) if kind == "namespace" else _restricted(slot)
        finally:
            slot.close()
        return Examination(
            box=kind,
            layers=layers,
            stronger=_stronger(kind, reasons),
            containers=container_engine(),
        )
    raise SandboxUnavailable("; ".join(reasons))


def _report(slot: Slot, probe: str) -> dict[str, Any]:
    outcome = slot.run(Program.python(probe), Limits(cpu_s=5))
    if outcome.kind is not Kind.PASSED:
        raise SandboxUnavailable(f"the probe ended as {outcome.kind}: {outcome.stderr[-300:]}")
    found: dict[str, Any] = json.loads(outcome.stdout)
    return found


def _namespace(slot: Slot) -> tuple[Layer, ...]:
    seen = _report(slot, _PROBE)
    return (
        Layer(
            name="processes",
            held=seen["pid"] == 2 and seen["pids"] <= 2,
            detail="a PID namespace a run: a program sees and signals none but its own, and its end"
            " ends all it started",
        ),
        Layer(
            name="files",
            held=bool(seen["write_work"] and not seen["write_usr"] and not seen["home"]),
            detail="a read-only root that holds the toolchain and nothing else of the host; the"
            " toolchain itself can be read",
        ),
        Layer(
            name="work folder",
            held=bool(seen["write_work"]),
            detail="a fresh size-capped tmpfs a run, /tmp and /dev/shm lie in it",
        ),
        Layer(
            name="network",
            held=not seen["inet"] and not seen["vsock"],
            detail="an empty network namespace, and only AF_UNIX sockets can be made",
        ),
        Layer(
            name="privileges",
            held=seen["capabilities"] == 0,
            detail=f"uid {seen['uid']}, no capabilities, no_new_privs, not dumpable",
        ),
        Layer(
            name="system calls",
            held=bool(seen["seccomp"]),
            detail="seccomp refuses namespaces, mounts, io_uring, bpf, ptrace, keyrings, modules;"
            " bugs in what it lets through remain",
        ),
        Layer(
            name="host name",
            held=seen["hostname"] == "box",
            detail="the host's name and environment are not there",
        ),
        _memory(slot),
        _cpu(slot),
    )


def _restricted(slot: Slot) -> tuple[Layer, ...]:
    seen = _report(slot, _RESTRICTED_PROBE)
    version = kernel.landlock_version()
    return (
        Layer(
            name="files",
            held=bool(seen["write_work"] and not seen["write_usr"] and not seen["read_etc"]),
            detail=f"Landlock {version}: the toolchain can be read, the work folder written",
        ),
        Layer(
            name="network",
            held=not seen["inet"] and not seen["vsock"],
            detail="only pairs of AF_UNIX sockets can be made",
        ),
        Layer(
            name="signals",
            held=True,
            detail="Landlock keeps signals inside"
            if version >= 6
            else "sending signals is refused, to a program's own children too",
        ),
        Layer(
            name="processes",
            held=False,
            detail="leftovers are hunted down after a run; the host's list of processes is hidden"
            " by Landlock, but there is no namespace",
            remedy="allow user namespaces",
        ),
        Layer(
            name="work folder",
            held=False,
            detail="each file is capped at disk_mb, their number is not",
            remedy="allow user namespaces",
        ),
        _memory(slot),
        _cpu(slot),
    )


def _memory(slot: Slot) -> Layer:
    if slot.counts_memory:
        return Layer(
            name="memory",
            held=True,
            detail=f"cgroup v{slot.cgroup_version} bounds and measures all processes of a run"
            " together",
        )
    return Layer(
        name="memory",
        held=False,
        detail="no cgroup can be written: each process is bounded by rlimits, their sum is looked"
        " at every 50 ms",
        remedy="run as root, or under `systemd-run --user --scope -p Delegate=yes`",
    )


def _cpu(slot: Slot) -> Layer:
    return Layer(
        name="CPU time",
        held=True,
        detail="summed over all processes of a run, "
        + ("by its cgroup" if slot.counts_cpu else "every 50 ms; children shorter than that may")
        + ("" if slot.counts_cpu else " hide from it until the wall limit"),
    )


def container_engine() -> str:
    """Say in a line whether an engine for the docker box answers, with what, or how to get one."""
    from sandbox.containers import engine  # the SDK itself is loaded only where it is installed

    try:
        client = engine.connect(timeout_s=_ENGINE_S)
    except SandboxUnavailable as error:
        return str(error)
    try:
        runtimes = engine.runtimes(client)
    except SandboxBroken as error:
        return str(error)
    finally:
        client.close()
    gvisor = "gVisor (runsc) is used" if engine.GVISOR in runtimes else "no gVisor (runsc)"
    return f"an engine answers, with the runtimes {', '.join(runtimes)}; {gvisor}"


def _stronger(kind: str, reasons: list[str]) -> str:
    if kind == "namespace":
        return ""
    hints = {
        "sysctl": "sysctl kernel.unprivileged_userns_clone=1 (Debian)",
        "apparmor": "sysctl kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu 24.04)",
        "docker": "in Docker: --security-opt seccomp=unconfined, or --cap-add SYS_ADMIN",
    }
    why = "; ".join(reasons)
    return f"{why}. On Linux {platform.release()} try: " + ", or ".join(hints.values())
