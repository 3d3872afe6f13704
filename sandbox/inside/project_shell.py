"""Run one command of a shell in a work copy of a project, inside a box; tell what it changed.

Sent into boxes and images as text, with its neighbours: Python 3.6 and the standard library will do
for it. On stdin come 8 bytes of length, a JSON job, and the project as a tar (none where the image
has it already). On stdout goes the report: JSON between two markers.
"""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import signal
import stat
import subprocess
import tarfile
import zlib
from typing import Any

from sandbox.inside.project_arrange import make_repository
from sandbox.inside.project_driver import kill_descendants, listen, say
from sandbox.inside.project_tree import Stop, Tree, strip_history, unpack

# What a command leaves without meaning to.
_PASSED_BY = frozenset(
    (".git", "__pycache__", ".pytest_cache", ".hypothesis", ".mypy_cache", ".ruff_cache", ".tox",
     ".eggs", "build", "dist", "node_modules")
)  # fmt: skip


def passed_by(name: str) -> bool:
    """Return whether changes of this file are not looked at."""
    parts = name.split("/")
    return (
        bool(_PASSED_BY.intersection(parts))
        or parts[-1].endswith((".pyc", ".pyo", ".so", ".o"))
        or any(part.endswith((".egg-info", ".dist-info")) for part in parts)
    )


def listed(tree: Tree) -> dict[str, tuple[int, ...]]:
    """Return the files and links that are looked at, with what changes when they do."""
    return {
        name: facts
        for name, facts in tree.facts().items()
        if not passed_by(name) and not stat.S_ISDIR(facts[0])
    }


def lay(changes: dict[str, Any], tree: Tree) -> None:
    """Bring a fresh copy to where the last command left it."""
    for name, change in sorted(changes.items()):
        if change is None:
            tree.remove(name)
        else:
            mode = 0o755 if change["executable"] else 0o644
            tree.put(name, stat.S_IFREG | mode, base64.b64decode(change["content"]))


def changed(
    tree: Tree, before: dict[str, tuple[int, ...]], most: int
) -> tuple[dict[str, Any], list[str]]:
    """Return the files that changed, and the names of those that cannot be kept.

    most: bytes of one file; all together have eight times as many.
    """
    after = listed(tree)
    found: dict[str, Any] = {}
    out = []
    room = 8 * most
    for name in sorted(set(before) | set(after)):
        if before.get(name) == after.get(name):
            continue
        if name not in after:
            found[name] = None
            continue
        facts = os.lstat(tree.path(name))
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > min(most, room):
            out.append(name)
            continue
        with open(tree.path(name), "rb") as file:
            content = file.read(most)
        room -= len(content)
        found[name] = {
            "executable": bool(facts.st_mode & 0o100),
            "content": base64.b64encode(content).decode(),
        }
    return found, out[:100]


def texts(tree: Tree, most: int) -> str:
    """Return the files of the project that are text, as a packed tar in base64."""
    packing = io.BytesIO()
    with tarfile.open(fileobj=packing, mode="w") as tar:
        for name, facts in sorted(listed(tree).items()):
            path = tree.path(name)
            if not stat.S_ISREG(facts[0]) or os.lstat(path).st_size > most:
                continue
            with open(path, "rb") as file:
                content = file.read()
            if b"\0" in content:
                continue
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = 0o755 if os.lstat(path).st_mode & 0o100 else 0o644
            tar.addfile(member, io.BytesIO(content))
    return base64.b64encode(zlib.compress(packing.getvalue(), 1)).decode()


def run(job: dict[str, Any], tree: Tree, env: dict[str, str]) -> dict[str, Any]:
    """Run the command; a limit of wall time ends it and all that it started."""
    before = listed(tree)
    shell = shutil.which("bash", path=env["PATH"]) or "/bin/sh"
    log_read, log_write = os.pipe()
    nothing_read, nothing_write = os.pipe()
    child = subprocess.Popen(
        [shell, "-c", job["command"]], stdin=subprocess.DEVNULL, stdout=log_write,
        stderr=log_write, cwd=tree.root, env=env, start_new_session=True,
    )  # fmt: skip
    os.close(log_write)
    os.close(nothing_write)
    late = []

    def end(number: int, frame: Any) -> None:
        late.append(number)
        os.killpg(child.pid, signal.SIGKILL)

    signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, job["timeout_s"])
    log, _ = listen(child, log_read, nothing_read, job["log_kb"] * 1024)
    signal.setitimer(signal.ITIMER_REAL, 0)
    kill_descendants()
    changes, out = changed(tree, before, job["file_kb"] * 1024)
    return {
        "exit_code": child.returncode,
        "timed_out": bool(late),
        "output": log.decode("utf-8", "replace"),
        "changes": changes,
        "left_out": out,
    }


def main() -> int:
    """Do the job on stdin."""
    stream = os.fdopen(0, "rb", closefd=False)
    job = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    here = os.path.abspath(job["scratch"] or os.getcwd())
    tree = Tree(os.path.join(here, job["tree"]), {})
    places = {name: os.path.join(here, name) for name in ("home", "tmp")}
    for place in places.values():
        os.makedirs(place, exist_ok=True)
    env = dict(job["env"], HOME=places["home"], TMPDIR=places["tmp"])
    env["PATH"] = env.get("PATH") or os.environ.get("PATH") or os.defpath
    paths = [os.path.normpath(tree.path(name)) for name in job["pythonpath"]]
    env["PYTHONPATH"] = os.pathsep.join(paths + job["packages"])
    quiet = dict(env, LC_ALL="C", GIT_CONFIG_NOSYSTEM="1", GIT_CEILING_DIRECTORIES=here)
    report: dict[str, Any] = {"why": ""}
    try:
        if job["archive"]:
            unpack(stream, tree)
        strip_history(tree)
        if job["command"] is None:
            report["files"] = texts(tree, job["file_kb"] * 1024)
        else:
            if shutil.which("git", path=env["PATH"]):
                make_repository(tree, quiet)
            lay(job["changes"], tree)
            report.update(run(job, tree, env))
    except (OSError, Stop) as error:
        report["why"] = str(error)
    begin, end = job["markers"]
    say(begin + "\n" + json.dumps(report) + "\n" + end + "\n")
    return 0
