"""What a run of another language is once every layer is on: its files, then the command by exec.

Nothing of this process is left in the program: the memory goes with exec, and every descriptor
but the three streams is closed by it. Before exec nothing of the program's own has run, so what
this reports of a failed exec is true.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal's own wrappers make enums
import os
import resource
from typing import Any, NoReturn

from sandbox.inside.settings import ANSWERS_FD, LINK_FD

# What a compiler left, in one file: a line with two sizes, a name and its bytes, again and again.
PACKED = ".packed"
# A line among the answers: the command itself could not be started.
UNSTARTED = "E"
_OF_ARGUMENTS = (7, 12)  # E2BIG, ENOMEM: of what the program is given, or may use


def be(mode: int, job: dict[str, Any]) -> NoReturn:
    """Be the command.

    files, program: names and contents, the latter laid last. command: path and arguments; argv:
    more arguments. by_link: the link's descriptor is executed, not the path. environment. stack:
    bytes, 0 to leave it. packs: patterns of the files of the work folder that are packed into one
    when the command has ended well.
    """
    os.setsid()  # kill(0, ...) must not reach the zygote, which may be of the same user
    os.set_inheritable(ANSWERS_FD, False)
    try:
        for files in (job["files"], job["program"]):
            if files:
                _write(files)
        if job["stack"]:
            _grow_stack(job["stack"])
        if job["packs"]:
            _pack_after(job)
        _execute(job)
    except (OSError, ValueError, MemoryError) as error:  # a full work folder, say
        os.write(2, f"{error}\n".encode("utf-8", "backslashreplace"))
    os._exit(127)


def _execute(job: dict[str, Any]) -> NoReturn:
    home = os.environ["HOME"]
    environment = {"HOME": home, "TMPDIR": home, **job["environment"]}
    command = (*job["command"], *job["argv"])
    try:
        if job["by_link"]:
            os.set_inheritable(LINK_FD, False)
            os.execve(LINK_FD, command, environment)
        os.execve(command[0], command, environment)
    except OSError as error:
        if error.errno not in _OF_ARGUMENTS:
            os.write(ANSWERS_FD, f"{UNSTARTED}\n".encode())
        raise


def _write(files: dict[str, bytes]) -> None:
    for name, content in files.items():
        folder = os.path.dirname(name)
        if folder:
            os.makedirs(folder, exist_ok=True)
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o755)
        view = memoryview(content)
        while view:
            view = view[os.write(fd, view) :]
        os.close(fd)


def _grow_stack(size: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_STACK)
    if hard != resource.RLIM_INFINITY:
        size = min(size, hard)
    resource.setrlimit(resource.RLIMIT_STACK, (size, hard))


def _pack_after(job: dict[str, Any]) -> None:
    """Return in a child, which is to be the command; here, pack what it left and end as it does."""
    child = os.fork()
    if child == 0:
        return
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        os.kill(os.getpid(), -code)
    if code == 0:
        _pack(job["packs"])
    os._exit(code)


def _pack(patterns: tuple[str, ...]) -> None:
    with open(PACKED, "wb") as packed:
        for folder, _, names in os.walk("."):
            for name in names:
                if any(name.endswith(pattern) for pattern in patterns):
                    path = os.path.join(folder, name)[2:].encode()
                    with open(path, "rb") as file:
                        content = file.read()
                    packed.write(b"%d %d\n%b%b" % (len(path), len(content), path, content))


def warm_up(work: str) -> None:
    """Give up what the interpreter ignores, before any fork: exec would pass it on."""
    for number in (_signal.SIGPIPE, _signal.SIGXFSZ):
        _signal.signal(number, _signal.SIG_DFL)
