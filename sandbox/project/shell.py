"""A shell in a project: each command runs in a fresh box, in the work copy as the last one left it.

Between two commands only the project's files are kept, as a few changes to its base: no process, no
variable, no file elsewhere. So a conversation with a shell can be kept as data, go on after a kill
and be played again. Where the box has git, the copy is a repository of one commit, the base; the
project's own history is not in it.

Stops: what the box stops; commands that run too long (their changes up to then are kept). Changes
come from the box: names are checked, contents are only data.
Does not keep: links, files beyond `FILE_KB`, compiled files, caches of tools, `build` and `dist`.
Does not judge anything: a command can print what it likes.
"""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import secrets
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from sandbox import reasons
from sandbox.errors import SandboxBroken, SandboxUnavailable, TestsBroken
from sandbox.inside import settings
from sandbox.outcome import Kind, Outcome
from sandbox.program import Limits
from sandbox.project.archive import packed
from sandbox.project.environment import environment
from sandbox.project.plan import bundle
from sandbox.project.snapshot import Snapshot

# Ours. The report comes by stdout; a project's text files may be many.
SHELL_LIMITS = Limits(
    cpu_s=300, wall_s=600, memory_mb=2048, processes=256, disk_mb=1024, output_kb=192 << 10
)
FILE_KB = 1024  # of one changed file; all changes together: eight times as much
LOG_KB = 128
_NAMES = (
    "project_tree", "project_patch", "project_arrange", "project_driver", "project_shell",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What became of a file: its content now."""

    content: bytes
    executable: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`; the content becomes base64."""
        return {
            "content": base64.b64encode(self.content).decode(),
            "executable": self.executable,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Change:
        """Return the change that `to_json` wrote."""
        return cls(content=base64.b64decode(data["content"]), executable=bool(data["executable"]))


# By name beneath the project's top; None where the file was removed.
Changes = Mapping[str, Change | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """A project, and where commands run in it.

    box: "auto" or "namespace"; with a snapshot in an image it is docker, whatever this says.
    packages_dir, pythonpath: as for `ProjectTests`. setup: put before each command (to activate an
    environment of the image).
    """

    snapshot: Snapshot
    box: str = "auto"
    packages_dir: str = ""
    pythonpath: tuple[str, ...] = (".",)
    setup: str = ""
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellResult:
    """What a command did.

    output: the end of stdout and stderr, as they came. exit_code: below 0 for a signal.
    timed_out: it was ended at its limit. ended: why the box ended it, and with it its changes; ""
    for none. changes: all changes to the base so far. left_out: changed files that are not kept.
    """

    output: str
    exit_code: int | None
    changes: Changes
    timed_out: bool = False
    ended: str = ""
    left_out: tuple[str, ...] = ()


def read_project(workshop: Workshop) -> dict[str, Change]:
    """Return the project's text files, up to FILE_KB each, by name.

    Raises TestsBroken where the snapshot cannot be had, SandboxUnavailable without its box.
    """
    if workshop.snapshot.kind == "image":
        report, outcome = _carried(workshop, None, {}, SHELL_LIMITS, 60.0)
        if report is None:
            raise SandboxBroken(f"the project cannot be read: {reasons.why(outcome)}")
        raw = zlib.decompress(base64.b64decode(report["files"]))
    else:
        raw = packed(workshop.snapshot)
    found = {}
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isreg() else None
            if content is None or member.size > FILE_KB * 1024:
                continue
            text = content.read()
            if b"\0" not in text:
                found[member.name] = Change(content=text, executable=bool(member.mode & 0o100))
    return found


def run_command(
    workshop: Workshop,
    command: str,
    changes: Changes,
    base: Mapping[str, Change],
    *,
    timeout_s: float = 60.0,
    limits: Limits = SHELL_LIMITS,
) -> ShellResult:
    """Run a command in the work copy that `changes` make of the base.

    base: what `read_project` returned: changes that lead back to it are none.
    timeout_s: wall seconds of the command. Raises SandboxUnavailable without a box, SandboxBroken
    where it failed.
    """
    report, outcome = _carried(workshop, command, changes, limits, timeout_s)
    if report is None:
        return ShellResult(
            output=outcome.stderr[-LOG_KB * 1024 :],
            exit_code=None,
            changes=changes,
            timed_out=outcome.kind is Kind.TIMEOUT,
            ended=reasons.why(outcome),
        )
    new = dict(changes)
    for name, said in report["changes"].items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\0" in name:
            continue
        new[name] = Change.from_json(said) if said is not None else None
    return ShellResult(
        output=report["output"],
        exit_code=report["exit_code"],
        timed_out=report["timed_out"],
        changes={name: change for name, change in sorted(new.items()) if base.get(name) != change},
        left_out=tuple(map(str, report["left_out"])),
    )


def _carried(
    workshop: Workshop, command: str | None, changes: Changes, limits: Limits, timeout_s: float
) -> tuple[dict[str, Any] | None, Outcome]:
    """Run the driver and return its report, None where the box ended it before it could."""
    in_image = workshop.snapshot.kind == "image"
    markers = (f"begin-{secrets.token_hex(16)}", f"end-{secrets.token_hex(16)}")
    if command is not None and workshop.setup:
        command = f"{workshop.setup}\n{command}"
    job = {
        "markers": markers,
        "tree": workshop.snapshot.path if in_image else "testbed",
        "archive": not in_image,
        "scratch": "",
        "command": command,
        "changes": {name: change and change.to_json() for name, change in changes.items()},
        "pythonpath": list(workshop.pythonpath),
        "packages": [],
        "env": {"LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1", **workshop.env},
        "timeout_s": timeout_s,
        "log_kb": LOG_KB,
        "file_kb": FILE_KB,
    }
    limits = dataclasses.replace(
        limits, wall_s=max(limits.wall_s, 2 * timeout_s + 60), output_kb=SHELL_LIMITS.output_kb
    )
    outcome = _in_image(workshop, job, limits) if in_image else _here(workshop, job, limits)
    lines = outcome.stdout.split("\n")
    if len(lines) == 4 and (lines[0], lines[2]) == markers:
        report: dict[str, Any] = json.loads(lines[1])
        if report["why"]:
            raise TestsBroken(f"the project cannot be laid out: {report['why'][:400]}")
        return report, outcome
    if outcome.kind in (Kind.PASSED, Kind.CRASHED) and outcome.exit_code:
        words = " ".join(outcome.stderr.split())[-400:]
        raise SandboxBroken(f"the driver of a shell failed: {words}")
    return None, outcome


def _packed(job: Mapping[str, Any]) -> bytes:
    head = json.dumps(job).encode()
    return len(head).to_bytes(8, "little") + head


def _here(workshop: Workshop, job: dict[str, Any], limits: Limits) -> Outcome:
    from sandbox.slot import Slot

    if workshop.box not in ("auto", "namespace"):
        raise SandboxUnavailable(
            f"a shell in a project runs in the namespace box, not in {workshop.box!r}"
        )
    folder = environment(workshop.packages_dir)
    slot = Slot("namespace", (folder,) if folder else (), ())
    try:
        if folder:
            job["packages"] = [f"{settings.SHELF}/{folder.rpartition('/')[2]}"]
        told = {"source": bundle(_NAMES), "argv": (), "files": {}}
        stdin = _packed(job) + packed(workshop.snapshot)
        slot.begin(settings.SCRIPT, told, limits, stdin=stdin)
        return slot.finish().outcome
    finally:
        slot.close()


def _in_image(workshop: Workshop, job: dict[str, Any], limits: Limits) -> Outcome:
    from sandbox.containers import options
    from sandbox.containers.docker_box import commands_in

    job["scratch"] = options.WORK
    with commands_in(workshop.snapshot.name) as slot:
        return slot.execute(
            ("python3", "-I", f"{options.WORK}/driver.py"), limits, stdin=_packed(job),
            files={"driver.py": bundle(_NAMES).encode()}, writable=True,
        ).outcome  # fmt: skip
