"""Cells that misbehave: each gets a result of its own or ends its session, and nothing hangs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from sandbox import Kind, Limits, SandboxBroken, SandboxUnavailable
from sandbox.session.result import SessionOver
from sandbox.session.session import Session

LIMITS = Limits(cpu_s=60, wall_s=300, memory_mb=256, output_kb=256, disk_mb=64)
# A cell's way to the nonce that it was sent with, and a reply made of it.
FORGE = """
import os, struct, sys
def found():
    frame = sys._getframe()
    while 'nonce' not in frame.f_locals:
        frame = frame.f_back
    return frame.f_locals['nonce']
def reply(nonce, value=b'+forged'):
    parts = [nonce, b'fine', b'', value, b'', b'', b'']
    body = b''.join(struct.pack('<I', len(part)) + part for part in parts)
    return struct.pack('<I', len(body)) + body
"""


@pytest.fixture(scope="module", params=["namespace", "restricted"])
def kept(request: pytest.FixtureRequest) -> Iterator[Session]:
    try:
        session = Session(request.param, limits=LIMITS, cell_s=0.5, cell_wall_s=30)
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    yield session
    session.close()


@pytest.fixture
def session(kept: Session) -> Session:
    kept.restart()
    kept.cell_s, kept.cell_wall_s = 0.5, 30  # a busy machine is no reason to be interrupted
    return kept


def _starts_anew(session: Session) -> None:
    with pytest.raises(SessionOver):
        session.run("1")
    session.restart()
    result = session.run("2 + 2")
    assert (result.kind, result.value) == (Kind.PASSED, "4")


ENDS = {
    "exit code 0": ("os._exit(0)", Kind.CRASHED, "exit code 0"),
    "exit code 3": ("os._exit(3)", Kind.CRASHED, "exit code 3"),
    "kills itself": ("os.kill(os.getpid(), 9)", Kind.CRASHED, "signal 9"),
    "kills its group": ("os.killpg(0, 9)", Kind.CRASHED, "signal 9"),
    "aborts": ("os.abort()", Kind.CRASHED, "signal 6"),
    "null pointer": ("import ctypes; ctypes.string_at(0)", Kind.CRASHED, "signal 11"),
    "closes everything": ("os.closerange(0, 256)", Kind.CRASHED, ""),
    "closes the link": ("os.close(5)", Kind.CRASHED, ""),
    "puts a file on the link": (
        "os.dup2(os.open('x', os.O_RDWR | os.O_CREAT), 5)", Kind.CRASHED, "",
    ),
    "shuts the link": (
        "import socket; socket.socket(fileno=5).shutdown(2)", Kind.CRASHED, "",
    ),
    "another program": ("os.execv('/bin/true', ['true'])", Kind.CRASHED, "exit code 0"),
    "junk on the link": ("os.write(5, bytes(1000))", Kind.CRASHED, "wrote on"),
    "a huge frame": ("os.write(5, bytes([255] * 4))", Kind.CRASHED, "wrote on"),
    "a forged nonce": (FORGE + "os.write(5, reply(b'0' * 32))", Kind.CRASHED, "wrote on"),
    "ignores the interrupt": (
        "import signal\nsignal.signal(2, signal.SIG_IGN)\nwhile 1: pass", Kind.TIMEOUT, "went on",
    ),
    "swallows the interrupt": (
        "def spin():\n    while True: pass\nwhile True:\n    try:\n        spin()\n"
        "    except BaseException:\n        pass",
        Kind.TIMEOUT, "went on",
    ),
    "stops itself": ("os.kill(os.getpid(), 19)", Kind.TIMEOUT, "went on"),
    "half a frame": (
        "os.write(5, bytes([9, 0, 0, 0, 1]))\nimport time\n"
        "while True:\n    try:\n        time.sleep(100)\n    except BaseException: pass",
        Kind.TIMEOUT, "went on",
    ),
    "a process that ends meanwhile": (
        "import threading\nthreading.Thread(target=lambda: os._exit(5)).start()\n"
        "import time; time.sleep(1)", Kind.CRASHED, "exit code 5",
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if kind is Kind.TIMEOUT else ())
        for name, (_, kind, _) in ENDS.items()
    ],
)
def test_a_cell_that_ends_its_session_says_how(session: Session, name: str) -> None:
    source, kind, words = ENDS[name]
    if kind is Kind.TIMEOUT:
        session.cell_wall_s = 1
    began = time.monotonic()
    result = session.run(f"import os\nprint('before', flush=True)\n{source}")
    assert time.monotonic() - began < 20
    assert (result.kind, bool(result.over)) == (kind, True), result
    assert words in result.over and result.error is not None
    assert result.stdout == "before\n" and result.value is None
    session.cell_wall_s = 30
    _starts_anew(session)


def test_a_forbidden_call_is_told_apart(session: Session) -> None:
    result = session.run("import ctypes\nctypes.CDLL(None).mount(b'a', b'/', b'tmpfs', 0, 0)")
    assert result.kind is Kind.FORBIDDEN and result.over
    _starts_anew(session)


@pytest.mark.slow
def test_running_out_of_memory_is_told_apart(session: Session) -> None:
    session.cell_s = 10
    result = session.run("kept = 1\nx = bytearray(10**12)")
    assert result.kind is Kind.MEMORY and not result.over  # refused at once: the state is kept
    assert session.run("kept").value == "1"
    result = session.run("x = [bytes(range(256)) * 4096 for _ in range(10**5)]")
    assert result.kind is Kind.MEMORY
    if result.over:
        _starts_anew(session)


def test_a_cell_without_streams_still_has_a_result(session: Session) -> None:
    result = session.run("import os, sys\nos.close(1); os.close(2)\n5")
    assert (result.kind, result.value) == (Kind.PASSED, "5")
    assert session.run("print('again'); os.write(2, b'too')").stdout == "again\n"
    session.run("sys.stdout.close(); sys.stderr = None")
    result = session.run("print('again'); print('too', file=sys.stderr)")
    assert (result.stdout, result.stderr) == ("again\n", "too\n")


@pytest.mark.slow
def test_a_reply_sent_twice_is_not_taken_for_the_next_cells(session: Session) -> None:
    result = session.run(FORGE + "os.write(5, reply(found()))\n'honest'")
    assert result.value == "forged"  # its own result is the cell's to forge
    try:
        result = session.run("'next'")
    except SessionOver as over:  # the honest reply was there before the next cell
        assert "wrote on" in str(over)
    else:
        assert result.over and result.value is None and "wrote on" in result.over
    session.restart()
    later = (
        "import threading, time\nold = reply(found())\n"
        "threading.Thread(target=lambda: (time.sleep(0.3), os.write(5, old))).start()"
    )
    assert session.run(FORGE + later).kind is Kind.PASSED
    result = session.run("time.sleep(0.9)\n'next'")
    assert result.over and result.value is None and result.kind is Kind.CRASHED
    _starts_anew(session)


def test_children_that_come_back_from_the_cell_do_not_reply_too(session: Session) -> None:
    result = session.run("import os\nchild = os.fork()\n'parent' if child else 'child'")
    assert result.value == "'parent'"
    for number in range(5):
        assert session.run(f"{number}").value == str(number)
    assert session.run("os.waitpid(child, 0)[1]").value == "0"
    result = session.run("child = os.fork()\nif not child: 1 / 0\nos.waitpid(child, 0)[1] >> 8")
    assert result.value == "1" and "ZeroDivisionError" in result.stderr


def test_children_outlive_a_cell_but_not_the_session(session: Session) -> None:
    mark = f"{os.getpid()}{time.time_ns() % 10**6}"
    source = (
        "import os, subprocess, time\n"
        f"subprocess.Popen(['sleep', '1000.{mark}'], start_new_session=True)\n"
        "if os.fork() == 0:\n    os.setsid()\n    time.sleep(1000)\n"
        "'done'"
    )
    began = time.monotonic()
    assert session.run(source).value == "'done'"
    assert time.monotonic() - began < 15
    assert _is_soon(mark, alive=True)  # a process has no command line while exec puts it there
    assert session.run("1").value == "1"
    session.restart()
    assert _is_soon(mark, alive=False)


def _is_soon(mark: str, *, alive: bool) -> bool:
    for _ in range(40):
        if _alive(mark) == alive:
            return True
        time.sleep(0.05)
    return False


def _alive(mark: str) -> bool:
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and mark in (folder / "cmdline").read_text():
                return True
        except (OSError, UnicodeDecodeError):
            continue
    return False


@pytest.mark.slow
def test_what_children_write_later_is_the_later_cells(session: Session) -> None:
    session.run("import subprocess\nsubprocess.Popen(['sh', '-c', 'sleep 0.3; echo late'])")
    assert session.run("import time\ntime.sleep(0.8)").stdout == "late\n"


@pytest.mark.parametrize(
    "source",
    [
        "import sys\nsys.modules.clear()",
        "import builtins\nfor name in list(vars(builtins)): delattr(builtins, name)",
        "import os, sys\nos.write = os.read = None\nsys.settrace(lambda *a: 1 / 0)",
        pytest.param(
            "import sys\nsys.setrecursionlimit(10**6)\ndef f(): f()\nf()", marks=pytest.mark.slow
        ),
        "import sys\nsys._getframe().f_back.f_back.f_locals.clear()\ndel sys.stdout",
        "class E(Exception):\n    def __str__(self): raise E\nraise E",
        "import threading\nwhile True: threading.Thread(target=threading.Event().wait).start()",
        "import os\nwhile True: os.fork()",
        "import linecache, traceback\nlinecache.cache = traceback.format_exception = None\n1 / 0",
        "import gc\n[x.clear() for x in gc.get_objects() if type(x) in (dict, list)]",
    ],
)  # fmt: skip
def test_a_cell_that_wrecks_its_process_has_some_result(session: Session, source: str) -> None:
    began = time.monotonic()
    session.cell_wall_s = 2
    result = session.run(source)
    assert time.monotonic() - began < 20
    assert isinstance(result.kind, Kind)
    session.cell_wall_s = 30
    if result.over:
        _starts_anew(session)
    else:
        try:
            session.run("1")
        except SessionOver:
            _starts_anew(session)


@pytest.mark.slow
def test_budgets_of_the_session_end_it(session: Session) -> None:
    short = Limits(cpu_s=1.5, wall_s=60)
    with Session(session.kind, limits=short, cell_s=1, cell_wall_s=20) as spent:
        first = spent.run("while True: pass")
        assert first.kind is Kind.TIMEOUT and not first.over
        second = spent.run("while True: pass")
        assert second.kind is Kind.TIMEOUT and "budget of 1.5 s" in second.over, second
        with pytest.raises(SessionOver, match="budget"):
            spent.run("1")


@pytest.mark.slow
def test_a_sessions_life_and_idleness_have_an_end(session: Session) -> None:
    with Session(session.kind, limits=Limits(cpu_s=5, wall_s=1), cell_s=5) as brief:
        result = brief.run("import time; time.sleep(20)")
        assert result.kind is Kind.TIMEOUT and "life of 1 s" in result.over, result
    with Session(session.kind, limits=LIMITS, idle_s=0.3) as idle:
        assert idle.run("1").value == "1"
        time.sleep(0.8)
        assert not idle.lives()
        with pytest.raises(SessionOver, match="no cell came for"):
            idle.run("1")


def test_a_broken_box_raises_and_a_restart_mends_it() -> None:
    with Session(limits=LIMITS, cell_s=20) as session:
        assert session.run("1").value == "1"
        children = Path(f"/proc/{session._slot.pid}/task/{session._slot.pid}/children")
        (zygote,) = children.read_text().split()
        os.kill(int(zygote), 9)
        with pytest.raises(SandboxBroken):
            session.run("import time; time.sleep(3)")
        session.restart()
        assert session.run("2").value == "2"


LINKED = "talks to the supervisor by passing descriptors"  # a session is given a socket: its link


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["namespace", "restricted"])
def test_what_a_run_may_not_do_a_cell_may_not_either(kind: str, arena_module: ModuleType) -> None:
    arena = arena_module.Arena(kind)
    tried = []
    try:
        with Session(kind, limits=LIMITS, cell_s=2, cell_wall_s=3) as session:
            for attack in arena_module.attacks():
                held = kind not in attack.get("not_held", {}) and attack["name"] != LINKED
                if attack["subject"] == "resources" or not (held and arena_module.applies(attack)):
                    continue
                result = session.run(arena.source_of(attack))
                broke = [x for x in result.stdout.splitlines() if x.startswith("BROKE")]
                assert not broke, attack["name"]
                tried.append(attack["name"])
                session.restart()
                assert session.run("2 + 3").value == "5", attack["name"]
        after = arena.look()
        assert {name: after[name] for name in arena.before} == arena.before
    finally:
        arena.close()
    assert len(tried) > 50


def test_sessions_see_nothing_of_each_other(session: Session) -> None:
    with Session(session.kind, limits=LIMITS) as other:
        other.put("secret", b"there")
        other.run("open('mine', 'w').write('there')")
        assert session.run("import os; os.listdir()").value == "[]"
        assert session.run("1").kind is Kind.PASSED
