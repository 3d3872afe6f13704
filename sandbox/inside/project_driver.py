"""Judge a patch to a project, inside a box: lay it out, apply the patch, run the tests, report.

Its text is sent, with those of its two neighbours, into boxes and images where nothing of this
checkout exists: Python 3.6 and the standard library will do for it. On stdin come 8 bytes of
length, a JSON job, and the project as a tar (none where the image has it already). On stdout go
three lines: a marker, the report, a marker. The program's own output goes to stderr, through us: it
holds no descriptor of ours.

This process is not dumpable, so programs of the same user read neither its memory nor its
descriptors, where the job and the markers are. They can kill it; then there is no report.
"""

from __future__ import annotations

import base64
import ctypes
import hashlib
import json
import os
import selectors
import signal
import stat
import subprocess
import sys
import time
import zlib
from typing import Any

from sandbox.inside.project_arrange import arrange, make_repository
from sandbox.inside.project_tree import Stop, Tree, strip_history, unpack

_DUMPABLE, _SUBREAPER = 4, 36  # include/uapi/linux/prctl.h
_CHUNK = 1 << 16
_CHANNEL_MOST = 32 << 20  # bytes; 100,000 tests take about half


def run(
    job: dict[str, Any], tree: Tree, env: dict[str, str], places: dict[str, str]
) -> dict[str, Any]:
    """Run the command and return what it left."""
    xml = os.path.join(places["out"], "junit.xml")
    log_read, log_write = os.pipe()
    channel_read, channel_write = os.pipe()
    handed = [channel_write]
    command = [part.replace("{junit}", xml).replace("{tree}", tree.root) for part in job["command"]]
    if job["launcher"] is not None:
        told = dict(job["launcher"], xml=xml, tree=tree.root, channel=channel_write)
        told["packages"] = job["packages"]
        told["own"] = sorted(
            {n.split("/")[-1].split(".")[0] for r in job["import_roots"] for n in _listed(tree, r)}
        )
        source = job["source"]
        flags = ["-I", "-B"] if job["site"] else ["-I", "-S", "-B"]
        handed.append(unnamed(places["out"], json.dumps(told).encode()))
        command = [job["python"] or sys.executable, *flags, "-c", source, str(handed[-1])]
    try:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log_write, stderr=log_write,
            cwd=tree.root, env=env, pass_fds=handed, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise Stop("start", f"{command[0]}: {error}") from None
    for fd in [log_write, *handed]:
        os.close(fd)
    log, lines = listen(child, log_read, channel_read, job["log_kb"] * 1024)
    code = child.returncode
    content = read_regular(xml, job["xml_kb"] * 1024)
    return {
        "exit_code": code if code >= 0 else None,
        "signal": -code if code < 0 else None,
        "log": log.decode("utf-8", "replace"),
        "channel": lines.decode("utf-8", "replace"),
        "xml": None if content is None else base64.b64encode(zlib.compress(content)).decode(),
        "xml_sha256": None if content is None else hashlib.sha256(content).hexdigest(),
    }


def unnamed(folder: str, content: bytes) -> int:
    """Return a descriptor at the start of a file that has no name any more."""
    path = os.path.join(folder, "told")
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    os.unlink(path)
    while content:
        content = content[os.write(fd, content) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _listed(tree: Tree, folder: str) -> list[str]:
    path = tree.path(folder)
    return os.listdir(path) if os.path.isdir(path) else []


def listen(child: Any, log_fd: int, channel_fd: int, log_most: int) -> tuple[bytes, bytes]:
    """Pass the command's words on until it has ended, and with it all that it started."""
    log, channel, passed = bytearray(), bytearray(), 0
    chooser = selectors.DefaultSelector()
    for fd in (log_fd, channel_fd):
        os.set_blocking(fd, False)
        chooser.register(fd, selectors.EVENT_READ)
    ended = False
    while chooser.get_map():
        ready = chooser.select(0 if ended else 0.05)
        if ended and not ready:
            break
        for key, _ in ready:
            part = os.read(key.fd, _CHUNK)
            if not part:
                chooser.unregister(key.fd)
            elif key.fd == channel_fd:
                channel += part[: max(0, _CHANNEL_MOST - len(channel))]
            else:
                log += part
                if passed < log_most:  # seen even where the box ends all of this early
                    passed += os.write(2, part[: log_most - passed])
                if len(log) > 2 * log_most:
                    del log[: len(log) - log_most]
        if not ended and child.poll() is not None:
            ended = True
            kill_descendants()
    child.wait()
    kill_descendants()
    return bytes(log[-log_most:]), bytes(channel)


def read_regular(path: str, most: int) -> bytes | None:
    """Return a regular file's content; None where there is none, or more than `most` bytes."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with open(fd, "rb") as file:
        facts = os.fstat(fd)
        return file.read() if stat.S_ISREG(facts.st_mode) and facts.st_size <= most else None


def kill_descendants() -> None:
    """Kill and reap all that the command left behind: orphans come to us, their subreaper."""
    while True:
        parents = {}
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    with open(f"/proc/{name}/stat", "rb") as file:
                        fields = file.read().rpartition(b")")[2].split()
                except OSError:
                    continue
                if fields[0] not in (b"Z", b"X"):
                    parents[int(name)] = int(fields[1])
        mine, grew = {os.getpid()}, True
        while grew:
            more = {pid for pid, parent in parents.items() if parent in mine} - mine
            mine |= more
            grew = bool(more)
        mine.discard(os.getpid())
        if not mine:
            return
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in mine:
                try:
                    os.kill(pid, number)
                except OSError:
                    continue
        time.sleep(0.002)
        for pid in mine:
            try:
                os.waitpid(pid, os.WNOHANG)
            except OSError:
                continue


def main() -> int:
    """Do the job on stdin."""
    libc = ctypes.CDLL(None)
    libc.prctl(_DUMPABLE, 0, 0, 0, 0)
    libc.prctl(_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # whoever interrupts us ends us: no error of ours
    stream = os.fdopen(0, "rb", closefd=False)
    job = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    here = os.path.abspath(job["scratch"] or os.getcwd())
    places = {name: os.path.join(here, name) for name in ("home", "tmp", job["out"])}
    for place in places.values():
        os.makedirs(place, exist_ok=True)
    places["out"] = places.pop(job["out"])
    tree = Tree(os.path.join(here, job["tree"]), job["rules"])
    env = dict(job["env"], HOME=places["home"], TMPDIR=places["tmp"])
    env["PATH"] = env.get("PATH") or os.environ.get("PATH") or os.defpath
    quiet = dict(env, LC_ALL="C", GIT_CONFIG_NOSYSTEM="1", GIT_CEILING_DIRECTORIES=here)
    paths = [os.path.normpath(tree.path(name)) for name in job["pythonpath"]]
    env["PYTHONPATH"] = os.pathsep.join(paths + job["packages"])
    report: dict[str, Any] = {"stage": "run", "why": "", "applied": "", "undone": []}
    begin, end = job["markers"]
    say(begin + "\n")
    try:
        try:
            if job["archive"]:
                unpack(stream, tree)
            strip_history(tree)
        except OSError as error:  # no room, or a name that this file system does not take
            raise Stop("unpack", str(error)) from None
        arrange(job, tree, quiet, report)
        kill_descendants()
        if job["git"]:
            make_repository(tree, quiet)
        report.update(run(job, tree, env, places))
    except Stop as stop:
        report.update(stage=stop.stage, why=stop.why)
    say(json.dumps(report) + "\n" + end + "\n")
    return 0


def say(text: str) -> None:
    """Write to stdout, which nobody else holds."""
    raw = text.encode("utf-8", "backslashreplace")
    while raw:
        raw = raw[os.write(1, raw) :]
