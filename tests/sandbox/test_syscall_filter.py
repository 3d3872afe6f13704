"""The system call filter, put on a process of its own: what each of its parts refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.inside import kernel, syscall_filter

CHECKOUT = Path(__file__).resolve().parents[2]
TRY = """
import os, resource, signal, socket, sys, tempfile
from sandbox.inside import kernel, syscall_filter
file = tempfile.NamedTemporaryFile()
kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
{install}
def word(name, work):
    try:
        work()
        print(name, "ok")
    except OSError as error:
        print(name, error.errno)
word("kill", lambda: os.kill(os.getpid(), 0))
word("chmod", lambda: os.chmod(file.name, 0o600))
word("utime", lambda: os.utime(file.name))
word("socket", lambda: socket.socket(socket.AF_UNIX).close())
word("inet", lambda: socket.socket(socket.AF_INET).close())
word("pair", lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM))
word("datagrams", lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM))
word("own limit", lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)))
word("parent's limit", lambda: resource.prlimit(os.getppid(), resource.RLIMIT_CORE))
word("nice", lambda: os.nice(1))
word("nice of a user", lambda: os.setpriority(os.PRIO_USER, os.getuid(), 19))
word("memfd", lambda: os.close(os.memfd_create("x")))
word("fork", lambda: os.fork() or os._exit(0))
"""
OPEN = {"kill": "ok", "chmod": "ok", "utime": "ok", "pair": "ok", "own limit": "ok", "nice": "ok",
        "socket": "ok", "datagrams": "ok", "memfd": "ok", "fork": "ok"}  # fmt: skip
ALWAYS = {"inet": "97", "parent's limit": "1", "nice of a user": "1"}


@pytest.mark.slow
@pytest.mark.skipif(not kernel.machine_is_known(), reason="the tables know x86_64 and aarch64")
@pytest.mark.parametrize(
    ("most", "rest", "refused"),
    [
        ("memfd=True", "", {}),
        ("memfd=False", "", {"memfd": "38"}),
        ("memfd=True, restricted=True", "", {"inet": "1", "socket": "1", "datagrams": "1"}),
        (
            "memfd=True, restricted=True, owner=True",
            "",
            {"inet": "1", "socket": "1", "datagrams": "1", "chmod": "1", "utime": "1"},
        ),
        ("memfd=True", "signals=False", {"kill": "1"}),
    ],
)
def test_each_part_of_the_filter_refuses_what_it_names(
    most: str, rest: str, refused: dict[str, str]
) -> None:
    install = (
        f"kernel.Filter(syscall_filter.build({most})).install()\n"
        f"kernel.Filter(syscall_filter.build_rest({rest})).install()"
    )
    done = subprocess.run(
        [sys.executable, "-c", TRY.format(install=install)],
        env={"PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    seen = dict(line.rsplit(" ", 1) for line in done.stdout.splitlines())
    assert seen == {**OPEN, **ALWAYS, **refused}


def test_the_filter_fits_the_jumps_of_its_language() -> None:
    for memfd in (False, True):
        for restricted in (False, True):
            for owner in (False, True):
                code = syscall_filter.build(memfd=memfd, restricted=restricted, owner=owner)
                assert len(code) % 8 == 0
                assert len(code) // 8 < 1024
