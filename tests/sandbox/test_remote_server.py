"""The remote box at a real server: the same answers as a box here, and honesty when it dies."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from sandbox import (
    AssertTests,
    CallTests,
    Job,
    Kind,
    Limits,
    Outcome,
    Pool,
    Program,
    SandboxBroken,
    SandboxError,
    SandboxUnavailable,
    StdioTests,
    TestsBroken,
)

pytest.importorskip("httpx")
pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

from sandbox.remote import JobRefused, Patience, RemoteBox

pytestmark = pytest.mark.slow
LIMITS = Limits(cpu_s=2, wall_s=20, memory_mb=256)


def test_a_server_answers_as_a_box_here_does(server: Any) -> None:
    box = RemoteBox(server.url, key="")
    assert box.workers == 2
    bytes_in_text = Program(
        source="import sys\nsys.stdout.buffer.write(open('in', 'rb').read()); open('o', 'w')",
        files={"in": b"\x00a"},
    )
    outcome = box.run(bytes_in_text, LIMITS, ("o",))
    assert (outcome.stdout, outcome.files) == ("\x00a", {"o": b""})
    assert box.run(Program.python("print(ascii(input()))", stdin="\udcff"), LIMITS).kind in (
        Kind.PASSED,
        Kind.CRASHED,
    )
    assert box.run(Program.python("while True: pass"), Limits(cpu_s=0.2)).kind is Kind.TIMEOUT
    echo = Program.python("print(input())")
    assert box.judge(echo, StdioTests.of(("a\n", "a\n")), LIMITS).ok
    assert box.judge(echo, StdioTests.of(("a\n", "b\n")), LIMITS).kind is Kind.WRONG
    add = Program.python("def add(a, b): return a + b")
    assert box.judge(add, CallTests.of("add", ((1, 2), 3), (([1], [2.5]), [1, 2.5])), LIMITS).ok
    assert box.judge(add, AssertTests(test="assert add(1, 1) == 2", entry_point="add"), LIMITS).ok
    with pytest.raises(TestsBroken):
        box.judge(add, AssertTests(test="not python at all", entry_point="add"), LIMITS)
    with pytest.raises(JobRefused, match="cpu_s"):
        box.run(add, Limits(cpu_s=100_000))
    box.close()


def test_a_pool_of_64_on_one_server_gets_every_result_once(server: Any) -> None:
    jobs = [Job(program=Program.python(f"print({n})"), limits=LIMITS) for n in range(300)]
    with Pool(64, box=server.url) as pool:
        assert pool.box_kind in ("namespace", "restricted")
        results = list(pool.map(jobs))
    assert [one.stdout for one in results if isinstance(one, Outcome)] == [
        f"{n}\n" for n in range(300)
    ]


def test_a_key_opens_a_server_that_asks_for_one(
    server_kit: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sandbox.server.keys import new_key

    made = new_key("tester")
    key, line = made
    keys = tmp_path / "keys"
    keys.write_text(line + "\n")
    with server_kit.served("--workers", "1", "--keys", str(keys)) as server:
        monkeypatch.setenv("SEEDCODER_SANDBOX_KEY", key)
        with Pool(2, box=server.url) as pool:
            assert pool.run(Program.python("print(1)"), LIMITS).stdout == "1\n"
        with pytest.raises(SandboxUnavailable, match="key is missing or wrong"):
            RemoteBox(server.url, key="").run(Program.python("1"), LIMITS)


def test_a_server_killed_in_the_middle_makes_no_verdicts_and_hangs_nobody(
    server_kit: ModuleType,
) -> None:
    patience = Patience(retries=3, backoff_s=0.05)
    with server_kit.served("--workers", "2") as server:
        box = RemoteBox(server.url, key="", patience=patience)
        results: list[Outcome | SandboxError] = []

        def ask(n: int) -> None:
            program = Program.python(f"import time\ntime.sleep(0.05)\nprint({n})")
            try:
                results.append(box.run(program, LIMITS))
            except SandboxError as error:
                results.append(error)

        threads = [threading.Thread(target=ask, args=(n,)) for n in range(40)]
        for thread in threads:
            thread.start()
        server_kit.until(lambda: len(results) >= 5)
        os.kill(server.process.pid, signal.SIGKILL)
        began = time.monotonic()
        for thread in threads:
            thread.join()
        assert time.monotonic() - began < 15
    assert len(results) == 40
    kinds = Counter(type(one) for one in results)
    assert kinds[Outcome] >= 5
    assert set(kinds) <= {Outcome, SandboxBroken, SandboxUnavailable}
    broken = [str(one) for one in results if isinstance(one, SandboxBroken)]
    assert broken and all("may have run" in one for one in broken)
    assert all(one.kind is Kind.PASSED for one in results if isinstance(one, Outcome))


def test_a_server_that_drains_ends_what_it_has_and_the_next_one_takes_over(
    server_kit: ModuleType,
) -> None:
    patience = Patience(timeout_s=60, retries=40, backoff_s=0.1, backoff_most_s=0.5)
    with server_kit.served("--workers", "1") as server:
        box = RemoteBox(server.url, key="", patience=patience)
        slow = Program.python("import time\ntime.sleep(1)\nprint('slow')")
        thread, results = server_kit.in_background(lambda: box.run(slow, LIMITS))
        server_kit.until(lambda: server.counted("running") == 1)
        server.process.send_signal(signal.SIGTERM)
        late, later = server_kit.in_background(
            lambda: box.run(Program.python("print('late')"), LIMITS)
        )
        thread.join()
        assert results[0].stdout == "slow\n"
        server.process.wait(20)
        with server_kit.served("--workers", "1", "--port", str(server.port)):
            late.join(30)
        assert later[0].stdout == "late\n"


def test_a_silent_run_is_joined_by_its_key_and_runs_once(server: Any) -> None:
    before = server.counted("joined_total")
    box = RemoteBox(server.url, key="", patience=Patience(attempt_s=0.4))
    program = Program.python("import time\ntime.sleep(1.5)\nprint('once')")
    assert box.run(program, LIMITS).stdout == "once\n"
    assert server.counted("joined_total") - before >= 2
