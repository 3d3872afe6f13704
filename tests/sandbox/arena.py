"""Where attacks are tried: victims on this machine, a box, and a look at the victims afterwards.

Run as a program (`python arena.py BOX FOLDER`) it tries every attack as the user it runs as, and
prints what came of them as JSON; the tests do that for users other than their own.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import select
import socket
import stat
import subprocess
import sys
import sysconfig
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sandbox import Kind, Limits, Program, SandboxError
from sandbox.slot import Slot

ATTACKS = Path(__file__).parent / "attacks"
CANARY = "CANARY-7f3a91"
CHECKOUT = Path(__file__).resolve().parents[2]


def attacks() -> list[dict[str, Any]]:
    """Return the table of attacks, of all files."""
    found: list[dict[str, Any]] = []
    for path in sorted(ATTACKS.glob("*.toml")):
        found += [
            {**one, "subject": path.stem} for one in tomllib.loads(path.read_text())["attack"]
        ]
    return found


class Arena:
    """A box of one kind and its victims. Every victim belongs to the user who runs this."""

    def __init__(self, kind: str, start: Callable[[], Slot] | None = None) -> None:
        os.environ["SEEDCODER_CANARY"] = CANARY
        self.kind = kind
        self.folder = Path(tempfile.mkdtemp(prefix="seedcoder-arena-"))
        self.folder.chmod(0o755)
        self.secret = self.folder / "secret"
        self.secret.write_text(CANARY)
        self.secret.chmod(0o600)
        self.public = self.folder / "public"
        self.public.write_text(CANARY)
        self.public.chmod(0o644)
        self.escape = f"escape-{os.getpid()}-{kind}"
        self.victim = subprocess.Popen(["sleep", "1000"], env={"CANARY": CANARY})
        self.listeners = {"tcp": socket.create_server(("127.0.0.1", 0))}
        udp = self.listeners["udp"] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        self.abstract = f"seedcoder-arena-{os.getpid()}-{kind}"
        for name, address, type_ in (
            ("abstract", f"\0{self.abstract}", socket.SOCK_STREAM),
            ("abstract datagrams", f"\0{self.abstract}-d", socket.SOCK_DGRAM),
            ("door", str(self.folder / "door"), socket.SOCK_STREAM),
            ("door for datagrams", str(self.folder / "door-d"), socket.SOCK_DGRAM),
        ):
            link = self.listeners[name] = socket.socket(socket.AF_UNIX, type_)
            link.bind(address)
            if type_ == socket.SOCK_STREAM:
                link.listen()
            if not address.startswith("\0"):
                Path(address).chmod(0o777)
        self.slot = start() if start else Slot(kind)
        self.before = self.look()

    def close(self) -> None:
        """End the box and the victims."""
        self.slot.close()
        self.victim.kill()
        self.victim.wait()
        for link in self.listeners.values():
            link.close()
        for path in self.folder.iterdir():
            path.unlink()
        self.folder.rmdir()

    def look(self) -> dict[str, Any]:
        """Return the state of everything that no attack may change."""
        pid = self.victim.pid
        seen = {
            "victim": self.victim.poll(),
            "victim's nice": os.getpriority(os.PRIO_PROCESS, pid)
            if self.victim.poll() is None
            else 0,
            "our nice": os.getpriority(os.PRIO_PROCESS, 0),
            "our limits": Path("/proc/self/limits").read_text(),
            "victim's limits": Path(f"/proc/{pid}/limits").read_text(),
            "our cores": sorted(os.sched_getaffinity(0)),
            "victim's cores": sorted(os.sched_getaffinity(pid)),
            "mounts": sum(
                "/seedcoder-engine-" not in line  # an engine of the tests mounts its containers
                for line in Path("/proc/self/mounts").read_text().splitlines()
            ),
            "host": os.uname().nodename,
            "folder": sorted(path.name for path in self.folder.iterdir()),
            "files": [_facts(path) for path in (self.folder, self.secret, self.public)],
            "text": [self.secret.read_text(), self.public.read_text()],
            "others": [
                _facts(Path(path)) for path in ("/etc/passwd", "/usr/bin/env", sys.executable)
            ],
            "escaped": [
                folder
                for folder in ("/", "/tmp", "/var/tmp", "/dev/shm", "/etc", "/usr", str(CHECKOUT))
                if Path(folder, self.escape).exists()
            ],
            "system v": [
                len(Path(f"/proc/sysvipc/{name}").read_text().splitlines())
                for name in ("shm", "msg", "sem")
                if Path(f"/proc/sysvipc/{name}").exists()
            ],
        }
        seen["called"] = [
            name
            for name, link in self.listeners.items()
            if select.select([link], [], [], 0)[0] and _drop_callers(link)
        ]
        return seen

    def source_of(self, attack: dict[str, Any]) -> str:
        """Return the attack as a whole program."""
        prelude = (ATTACKS / "prelude.py.txt").read_text()
        names = {
            "SECRET": str(self.secret),
            "PUBLIC": str(self.public),
            "FOLDER": str(self.folder),
            "DOOR": str(self.folder / "door"),
            "CHECKOUT": str(CHECKOUT),
            "ESCAPE": self.escape,
            "VICTIM": str(self.victim.pid),
            "SUPERVISOR": str(os.getpid()),
            "CANARY": CANARY,
            "HOST": os.uname().nodename,
            "ABSTRACT": self.abstract,
            "PORT": str(self.listeners["tcp"].getsockname()[1]),
            "UDP_PORT": str(self.listeners["udp"].getsockname()[1]),
            "NAMESPACE": str(self.kind in ("namespace", "docker")),
            # Itself and the sleeper that holds its namespace; or a container's keeper and zygote.
            "OWN_PROCESSES": "3" if self.kind == "docker" else "2",
            "SITE_FOLDERS": repr(_site_folders()),
        }
        text = attack["source"]
        for name, value in names.items():
            text = text.replace("{{" + name + "}}", value)
        return f"{prelude}\n{text}\nprint('tried', flush=True)\n"

    def limits_of(self, attack: dict[str, Any]) -> Limits:
        """Return the limits of an attack."""
        return Limits(**{"cpu_s": 2, "wall_s": 8, "memory_mb": 256, **attack.get("limits", {})})

    def attack(self, attack: dict[str, Any]) -> dict[str, Any]:
        """Try one attack and two harmless programs after it; return all that was seen, as data."""
        record: dict[str, Any] = {"name": attack["name"], "raised": "", "kind": ""}
        began = time.monotonic()
        try:
            outcome = self.slot.run(Program.python(self.source_of(attack)), self.limits_of(attack))
        except (SandboxError, OSError, ValueError, RuntimeError) as error:
            record["raised"] = f"{type(error).__name__}: {error}"
        else:
            record |= {
                "kind": outcome.kind.value,
                "said": outcome.stdout.splitlines()[-1:],
                "broke": [x for x in outcome.stdout.splitlines() if x.startswith("BROKE")][:10],
                "stdout": outcome.stdout[-1500:],
                "stderr": outcome.stderr[-1500:],
            }
        record["seconds"] = time.monotonic() - began
        after = self.look()
        record["changed"] = {
            name: [before, after[name]]
            for name, before in self.before.items()
            if before != after[name]
        }
        record["left"] = self.left_behind()
        record["control"] = self.control()
        return record

    def control(self) -> list[str]:
        """Return what the same box does wrong with two harmless programs; nothing is right."""
        problems = []
        try:
            right = self.slot.run(Program.python("print(2 + 3)"), Limits(cpu_s=2, wall_s=8))
            if (right.kind, right.stdout) != (Kind.PASSED, "5\n"):
                problems.append(f"a correct program: {right}")
            wrong = self.slot.run(Program.python("print(2 + 3)\n1 / 0"), Limits(cpu_s=2, wall_s=8))
            if wrong.kind is not Kind.CRASHED:
                problems.append(f"a program that fails: {wrong}")
        except SandboxError as error:
            problems.append(f"{type(error).__name__}: {error}")
        return problems

    def left_behind(self) -> list[str]:
        """Return processes below the box other than its own two, and orphans that were in one."""
        for _ in range(20):
            root = self.slot.pid
            found = [pid for pid in _below(root) if not _is_zygote(pid, root)]
            if not found:
                return []
            time.sleep(0.05)
        return [f"{pid}: {_read(f'/proc/{pid}/stat')[:60]}" for pid in found]


def _facts(path: Path) -> list[int]:
    facts = path.stat()
    return [stat.S_IMODE(facts.st_mode), facts.st_uid, facts.st_size, facts.st_mtime_ns]


def _site_folders() -> list[str]:
    folders = {sysconfig.get_path("purelib"), "/usr/lib/python3/dist-packages"}
    folders |= {path for path in sys.path if path.endswith("-packages")}
    base = f"{sys.base_prefix}/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    return sorted({*folders, base})


def _drop_callers(link: socket.socket) -> bool:
    with contextlib.suppress(OSError):
        if link.type == socket.SOCK_STREAM:
            link.accept()[0].close()
        else:
            link.recv(100)
    return True


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def _parents() -> Iterator[tuple[int, int]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (text := _read(f"{folder}/stat")):
            yield int(folder.name), int(text.rpartition(")")[2].split()[1])


def _below(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for pid, parent in _parents():
        children.setdefault(parent, []).append(pid)
    found, queue = [], [root]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


def _is_zygote(pid: int, guard: int) -> bool:
    return int(_read(f"/proc/{pid}/stat").rpartition(")")[2].split()[1]) == guard


def applies(attack: dict[str, Any]) -> bool:
    """Return whether the attack is one for this processor."""
    return attack.get("machine", platform.machine()) == platform.machine()


def main() -> None:
    """Try every attack and print the records."""
    arena = Arena(sys.argv[1])
    try:
        records = [arena.attack(one) for one in attacks() if applies(one)]
        facts = {
            "counts_memory": arena.slot.counts_memory,
            "python": sys.version,
            "uid": os.getuid(),
        }
        sys.stdout.write(json.dumps({"facts": facts, "records": records}))
    finally:
        arena.close()


if __name__ == "__main__":
    main()
