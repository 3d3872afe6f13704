"""Sessions: what notebooks do, in a box. Each check runs in every kind of box."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox import Kind, Limits, SandboxUnavailable
from sandbox.session.many import run_cells
from sandbox.session.result import CellResult, SessionOver
from sandbox.session.session import Session

LIMITS = Limits(cpu_s=60, wall_s=300, memory_mb=512, output_kb=256, disk_mb=16)


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
    """A session without state, in each kind of box."""
    kept.restart()
    kept.cell_wall_s = 30  # a busy machine is no reason to be interrupted
    return kept


def _still_works(session: Session) -> None:
    result = session.run("print('still'); 6 * 7")
    assert (result.kind, result.stdout, result.value) == (Kind.PASSED, "still\n", "42")


def test_state_is_kept_and_the_last_value_shown(session: Session) -> None:
    assert session.run("x = 41").value is None
    assert session.run("def f(n):\n    return n + 1").value is None
    result = session.run("print('hello')\nf(x)")
    assert (result.kind, result.stdout, result.stderr) == (Kind.PASSED, "hello\n", "")
    assert (result.value, result.error, result.number, result.over) == ("42", None, 3, "")
    assert session.run("None").value is None
    assert session.run("x;").value is None
    assert 0 < session.run("sum(range(10**6))").cpu_s < 1


def test_output_of_processes_that_a_cell_starts_is_the_cells(session: Session) -> None:
    source = (
        "import os, subprocess, sys\n"
        "print('first'); os.write(1, b'second\\n')\n"
        "subprocess.run(['sh', '-c', 'echo third; echo aside >&2'])\n"
        "print('last'); print('too', file=sys.stderr)"
    )
    result = session.run(source)
    assert result.stdout == "first\nsecond\nthird\nlast\n"
    assert result.stderr == "aside\ntoo\n"
    assert session.run("1").stdout == ""


def test_a_traceback_begins_in_the_cell_and_names_it(session: Session) -> None:
    session.run("def f(x):\n    return 1 / x")
    result = session.run("a = 0\nf(a)")
    assert result.kind is Kind.CRASHED and result.error is not None
    assert (result.error.name, result.error.message) == ("ZeroDivisionError", "division by zero")
    lines = result.error.traceback.splitlines()
    assert lines[:3] == ["Traceback (most recent call last):", "  Cell [2], line 2, in <module>",
                         "    f(a)"]  # fmt: skip
    assert "  Cell [1], line 2, in f" in lines
    assert "cells.py" not in result.error.traceback
    _still_works(session)


def test_a_cell_that_is_no_python_says_where(session: Session) -> None:
    result = session.run("x = 1\ny = (")
    assert result.kind is Kind.COMPILE_ERROR and result.error is not None
    assert "Cell [1], line 2" in result.error.traceback
    assert session.run("x").kind is Kind.CRASHED  # none of it was run
    for source in ("!ls", "%time 1", "%%bash\nls", "files = !ls", "print?", "a = 1\n%pylab"):
        error = session.run(source).error
        assert error is not None and "IPython's" in error.message, source
    error = session.run("5 +").error
    assert error is not None and "IPython" not in error.message
    assert session.run("7\n% 4\n").kind is Kind.COMPILE_ERROR
    assert session.run("(7\n% 4)\n").value == "3"


@pytest.mark.slow
def test_a_cell_may_await_and_the_loop_is_kept(session: Session) -> None:
    result = session.run(
        "import asyncio\nqueue = asyncio.Queue()\n"
        "async def put():\n    await asyncio.sleep(0)\n    await queue.put(5)\n"
        "task = asyncio.create_task(put())\nawait queue.get()"
    )
    assert result.value == "5", result
    locked = "async with asyncio.Lock():\n    await queue.put(1)\nqueue.qsize()"
    assert session.run(locked).value == "1"
    assert session.run("asyncio.run(asyncio.sleep(0, 3))").value == "3"
    session.cell_wall_s = 1
    stopped = session.run("await asyncio.sleep(100)")
    session.cell_wall_s = 30
    assert stopped.kind is Kind.TIMEOUT
    _still_works(session)


def test_input_has_nothing_to_read(session: Session) -> None:
    error = session.run("input('name? ')").error
    assert error is not None and error.name == "EOFError"


def test_futures_and_classes_hold_over_cells(session: Session) -> None:
    session.run("from __future__ import annotations")
    annotated = "def f(x: Missing) -> None: ...\nf.__annotations__['x']"
    assert session.run(annotated).value == "'Missing'"
    source = "import pickle\nclass A:\n    pass\ntype(pickle.loads(pickle.dumps(A()))) is A"
    assert session.run(source).value == "True"
    assert session.run("import inspect\ninspect.getsource(f)").value is not None
    assert session.run("__name__").value == "'__main__'"


def test_richer_forms_are_shown_and_bounded(session: Session) -> None:
    session.run(
        "class Rich:\n"
        "    def __init__(self, size=3): self.size = size\n"
        "    def __repr__(self): return 'rich'\n"
        "    def _repr_html_(self): return '<b>x</b>'\n"
        "    def _repr_png_(self): return b'p' * self.size\n"
        "    def _repr_svg_(self): raise ValueError\n"
    )
    result = session.run("display(1)\nRich()")
    assert result.value == "rich"
    png = base64.b64encode(b"ppp").decode()
    rich = {"text/plain": "rich", "text/html": "<b>x</b>", "image/png": png}
    assert result.displays == ({"text/plain": "1"}, rich)
    large = session.run("Rich(8 << 20)")
    assert large.kind is Kind.PASSED
    assert "too much to show" in large.displays[0]["text/plain"]
    assert "image/png" not in large.displays[0]
    many = session.run("display(*range(20_000))")
    assert many.kind is Kind.PASSED and 0 < len(many.displays) <= 1000
    long = session.run("'z' * 10**6")
    assert long.truncated and long.value is not None and len(long.value) <= 1 << 16
    assert session.run("Rich").displays == ()
    failed = session.run("class B:\n    def __repr__(self): return 1 / 0\nB()")
    assert failed.error is not None and failed.error.name == "ZeroDivisionError"


def test_matplotlibs_figures_are_shown(session: Session) -> None:
    # matplotlib itself is large; what is asked of it is little.
    fake = (
        "import sys, types\n"
        "class Figure:\n    def savefig(self, file, **how): file.write(b'png')\n"
        "plot = types.ModuleType('matplotlib.pyplot')\n"
        "figures = [1]\n"
        "plot.get_fignums = lambda: list(figures)\nplot.figure = lambda n: Figure()\n"
        "plot.close = lambda what: figures.clear()\n"
        "sys.modules['matplotlib.pyplot'] = plot\n"
    )
    (display,) = session.run(fake).displays
    assert base64.b64decode(display["image/png"]) == b"png"
    assert session.run("1").displays == ()


@pytest.mark.slow
def test_an_endless_cell_is_interrupted_and_the_state_kept(session: Session) -> None:
    session.run("kept = 'yes'")
    result = session.run("n = 0\nwhile True:\n    n += 1")
    assert result.kind is Kind.TIMEOUT and result.error is not None and not result.over
    assert result.error.message == "interrupted at the limit of 0.5 CPU s"
    assert 0.4 < result.cpu_s < 3
    assert session.run("kept, n > 1000").value == "('yes', True)"


@pytest.mark.slow
def test_a_sleeping_cell_is_interrupted_by_the_wall_clock(session: Session) -> None:
    session.cell_wall_s = 1
    result = session.run("import time\ntry:\n    time.sleep(100)\nfinally:\n    print('put away')")
    assert result.kind is Kind.TIMEOUT and result.stdout == "put away\n"
    assert 1 <= result.wall_s < 20
    session.cell_wall_s = 30
    _still_works(session)


@pytest.mark.slow
def test_a_waiting_cells_child_goes_with_the_interrupt(session: Session) -> None:
    session.cell_wall_s = 1
    result = session.run("import subprocess\nsubprocess.run(['sleep', '1000'])")
    session.cell_wall_s = 30
    assert result.kind is Kind.TIMEOUT and not result.over
    _still_works(session)


def test_a_flood_is_cut_and_the_state_kept(session: Session) -> None:
    result = session.run("kept = 5\nwhile True:\n    print('y' * 1000)")
    assert result.kind is Kind.OUTPUT and result.truncated and not result.over
    assert len(result.stdout) == 256 * 1024
    assert session.run("kept").value == "5"
    once = session.run("print('z' * 10**6)")
    assert once.kind is Kind.OUTPUT and once.error is not None
    assert once.error.name in ("OverLimit", "KeyboardInterrupt")
    assert session.run("print('z' * 1000)").kind is Kind.PASSED


def test_a_user_may_interrupt_a_cell(session: Session) -> None:
    ended = threading.Event()

    def stop() -> None:
        while not ended.wait(0.2):  # the first may come before the cell has begun
            session.interrupt()

    thread = threading.Thread(target=stop)
    thread.start()
    result = session.run("import time\ntime.sleep(100)")
    ended.set()
    thread.join()
    assert result.kind is Kind.CRASHED and result.error is not None
    assert result.error.name == "KeyboardInterrupt" and result.wall_s < 20
    session.interrupt()  # nothing runs: nothing happens
    _still_works(session)


def test_exit_ends_the_cell_only(session: Session) -> None:
    assert session.run("import sys\nprint('a')\nsys.exit()\nprint('b')").stdout == "a\n"
    assert session.run("sys.exit(3)").kind is Kind.CRASHED
    assert session.run("quit()").kind is Kind.PASSED
    _still_works(session)


def test_running_out_of_disk_is_an_error_of_the_cell(session: Session) -> None:
    source = (
        "for n in range(40):\n    with open(f'f{n}', 'wb') as f:\n        f.write(bytes(1 << 20))"
    )
    result = session.run(source)
    if session.kind == "namespace":  # elsewhere each file is bounded, not all together
        assert result.error is not None and "No space left" in result.error.message
    single = session.run("open('g', 'wb').write(bytes(20 << 20))")
    assert single.kind is Kind.CRASHED and single.error is not None
    _still_works(session)


def test_files_go_in_and_come_out(session: Session) -> None:
    session.put("data/in.bin", b"\x00\xff" * 1000)
    assert session.run("len(open('data/in.bin', 'rb').read())").value == "2000"
    session.run("import os\nopen('out.txt', 'w').write('done')\nos.mkfifo('pipe')")
    session.run("os.symlink('/etc/passwd', 'link'); os.symlink('/etc', 'folder')")
    assert session.files == {"data/in.bin": 2000, "out.txt": 4}
    assert session.get("out.txt") == b"done"
    outside = ("link", "folder/passwd", "../etc/passwd", "/etc/passwd")
    for name in (*outside, "pipe", "data", "none", "a\0b"):
        with pytest.raises(FileNotFoundError):
            session.get(name)
    for name in ("../up", "/etc/x", "", "a/../../b", "a\0b"):
        with pytest.raises(ValueError, match="work folder"):
            session.put(name, b"")
    with pytest.raises(OSError, match=r"(?i)too large|no space"):
        session.put("huge", bytes(20 << 20))
    assert "huge" not in session.files
    with pytest.raises(IsADirectoryError):
        session.put("data", b"")
    session.restart()
    assert session.files == {}


def test_a_restart_forgets_everything(session: Session) -> None:
    session.run("x = 1\nimport os\nos._exit(0)")
    session.restart()
    result = session.run("x")
    assert result.kind is Kind.CRASHED and result.number == 1
    _still_works(session)


def test_cells_of_several_threads_wait_their_turn(session: Session) -> None:
    session.run("n = 0")
    results: list[CellResult] = []

    def add() -> None:
        results.append(session.run("m = n\nfor _ in range(10**5): pass\nn = m + 1\nn"))

    threads = [threading.Thread(target=add) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result.value or "" for result in results) == list("123456")


def test_results_survive_json(session: Session) -> None:
    for source in ("print(1)\n2", "1 / 0", "display(3)"):
        result = session.run(source)
        assert CellResult.from_json(json.loads(json.dumps(result.to_json()))) == result


def test_lone_surrogates_reach_the_cell_and_come_back_readable(session: Session) -> None:
    result = session.run("s = '\ud800'\nprint(s)\ns")
    assert result.kind in (Kind.PASSED, Kind.COMPILE_ERROR)
    json.dumps(result.to_json()).encode()
    result = session.run("print('\\ud800'); raise ValueError('\\ud800')")
    assert result.stdout == "\\ud800\n" and result.error is not None
    assert result.error.message == "\\ud800"


def test_cells_in_a_row_end_with_the_one_that_ended_the_session() -> None:
    cells = ["a = open('in').read()", "1 / 0", "print(a); a", "import os; os._exit(4)", "1"]
    results = run_cells(cells, {"in": b"text"}, limits=LIMITS)
    assert [result.kind for result in results] == [
        Kind.PASSED, Kind.CRASHED, Kind.PASSED, Kind.CRASHED,
    ]  # fmt: skip
    assert results[2].value == "'text'" and "exit code 4" in results[3].over
    stopped = run_cells(cells, {"in": b"text"}, limits=LIMITS, stop_at_error=True)
    assert len(stopped) == 2


def test_the_event_loop_runs_on_beside_a_cell() -> None:
    async def both() -> tuple[CellResult, int]:
        async with Session(limits=LIMITS, cell_s=5) as session:
            cell = asyncio.ensure_future(session.arun("import time; time.sleep(0.3); 'done'"))
            turns = 0
            while not cell.done():
                await asyncio.sleep(0.01)
                turns += 1
            return cell.result(), turns

    result, turns = asyncio.run(both())
    assert result.value == "'done'" and turns > 5


@pytest.mark.slow
def test_a_cell_that_nobody_waits_for_any_more_is_interrupted(session: Session) -> None:
    async def give_up() -> float:
        session.run("kept = 1")
        cell = asyncio.ensure_future(session.arun("import time; time.sleep(100)"))
        await asyncio.sleep(0.3)
        cell.cancel()
        began = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await cell
        assert (await session.arun("kept")).value == "1"
        return time.monotonic() - began

    assert asyncio.run(give_up()) < 20  # its limit is further away


def test_wrong_arguments_are_refused() -> None:
    negative: list[dict[str, Any]] = [{"cell_s": 0}, {"cell_wall_s": -1}, {"idle_s": 0}]
    for wrong in (*negative, {"box": "docker"}, {"require": "x"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Session(**wrong)
    with pytest.raises(SandboxUnavailable):
        Session("restricted", require="namespace")


def test_a_closed_session_says_so(session: Session) -> None:
    with Session(session.kind, limits=LIMITS) as other:
        other.run("1")
    with pytest.raises(SessionOver, match="closed"):
        other.run("1")
    with pytest.raises(SessionOver, match="closed"):
        other.restart()
    other.close()


@pytest.mark.slow
def test_closing_ends_a_running_cell() -> None:
    session = Session(limits=LIMITS, cell_s=30)
    timer = threading.Timer(0.5, session.close)
    timer.start()
    began = time.monotonic()
    result = session.run("while True: pass")
    timer.join()
    assert result.over and time.monotonic() - began < 5
