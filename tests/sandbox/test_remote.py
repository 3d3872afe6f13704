"""The remote box: what it makes of every way in which a server can fail it."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
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
    Verdict,
    open_box,
)
from sandbox.program import Limits as _Limits
from sandbox.tests_json import tests_from_json

pytest.importorskip("httpx")

from sandbox.remote import JobRefused, Patience, RemoteBox

LIMITS = Limits(cpu_s=2, wall_s=10, memory_mb=256)
QUICK = Patience(timeout_s=10, attempt_s=0.5, retries=3, backoff_s=0.01, backoff_most_s=0.05)
PROGRAM = Program.python("print(1)")
LOST_BEFORE_IT_RAN = ("cut_unread", "cut_read", "full", "draining", "error")
LOST_AFTER_IT_RAN = ("cut_run", "cut_answer", "hang")

Make = Callable[..., Any]


@pytest.fixture
def serve(faulty_server: ModuleType) -> Iterator[Make]:
    """A function that starts a server."""
    started: list[Any] = []

    def make(**options: Any) -> Any:
        started.append(faulty_server.FaultyServer(**options))
        return started[-1]

    yield make
    for one in started:
        one.stop()


@pytest.fixture
def connect() -> Iterator[Callable[..., RemoteBox]]:
    """A function that opens a box at a server."""
    opened: list[RemoteBox] = []

    def make(server: Any, **options: Any) -> RemoteBox:
        opened.append(RemoteBox(server.url, **{"patience": QUICK, "key": ""} | options))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def test_a_run_without_faults_is_one_request(serve: Make, connect: Make) -> None:
    server = serve()
    box = connect(server)
    assert (box.kind, box.name, box.workers) == ("namespace", server.url, 4)
    assert box.run(PROGRAM, LIMITS).stdout == PROGRAM.source
    assert len(server.posts) == 1
    assert server.ran[PROGRAM.source] == 1


@pytest.mark.slow
@pytest.mark.parametrize("fault", [*LOST_BEFORE_IT_RAN, *LOST_AFTER_IT_RAN])
def test_a_fault_on_the_way_is_overcome_and_the_program_runs_once(
    serve: Make, connect: Make, fault: str
) -> None:
    server = serve()
    box = connect(server)
    server.faults = [fault]
    assert box.run(PROGRAM, LIMITS).stdout == PROGRAM.source
    assert server.ran[PROGRAM.source] == 1
    assert len(server.posts) == 2
    keys = {headers["Idempotency-Key"] for _, headers in server.posts}
    assert len(keys) == 1  # the retry is known by it


def test_two_runs_of_one_program_have_two_keys(serve: Make, connect: Make) -> None:
    server = serve()
    box = connect(server)
    for _ in range(2):
        box.run(PROGRAM, LIMITS)
    assert len({headers["Idempotency-Key"] for _, headers in server.posts}) == 2
    assert server.ran[PROGRAM.source] == 2


def test_faults_one_after_the_other_are_overcome_too(serve: Make, connect: Make) -> None:
    server = serve()
    box = connect(server)
    server.faults = ["full", "cut_unread", "draining", "cut_run", "full", "cut_answer"]
    assert box.run(PROGRAM, LIMITS).stdout == PROGRAM.source
    assert server.ran[PROGRAM.source] == 1


def test_a_server_started_anew_does_not_run_the_program_a_second_time_unseen(
    serve: Make, connect: Make
) -> None:
    server = serve()
    box = connect(server)
    server.faults = ["restart"]
    with pytest.raises(SandboxBroken, match=r"may have run.*started anew"):
        box.run(PROGRAM, LIMITS)
    assert server.ran[PROGRAM.source] == 1
    assert len(server.posts) == 1  # nothing was sent to the new one
    # The caller decides; the new server is known by now.
    assert box.run(PROGRAM, LIMITS).stdout == PROGRAM.source
    assert server.ran[PROGRAM.source] == 2


def test_a_restart_between_the_check_and_the_retry_is_seen_in_the_answer(
    serve: Make, connect: Make
) -> None:
    """Behind the check of the instance another server takes the retry, and really runs it."""
    server = serve()
    box = connect(server)
    server.faults = ["cut_run"]
    real = server.RequestHandlerClass

    class Restarting(real):  # type: ignore[misc, valid-type]
        def do_POST(self) -> None:
            if len(server.posts) == 1:
                server.restart()
            super().do_POST()

    server.RequestHandlerClass = Restarting
    with pytest.raises(SandboxBroken, match=r"may have run.*not the one that answered"):
        box.run(PROGRAM, LIMITS)
    assert server.ran[PROGRAM.source] == 2  # it came to that, and the caller was told


@pytest.mark.parametrize("fault", ["cut_read", "cut_run", "cut_answer", "error"])
def test_a_server_that_cannot_show_who_it_is_gets_no_retry_of_what_may_have_run(
    serve: Make, connect: Make, fault: str
) -> None:
    server = serve(has_instance=False)
    box = connect(server)
    server.faults = [fault]
    with pytest.raises(SandboxBroken, match="may have run"):
        box.run(PROGRAM, LIMITS)
    assert len(server.posts) == 1
    # The control: what surely did not run is tried again there as well.
    server.faults = ["full", "draining"]
    assert box.run(PROGRAM, LIMITS).stdout == PROGRAM.source


@pytest.mark.slow
def test_a_server_that_ends_before_the_program_does_is_no_server_that_refused_it(
    serve: Make, connect: Make
) -> None:
    """Both say 503: the one at once, the other after it took the program in."""
    server = serve(has_instance=False)
    server.hang_s = 3.2
    box = connect(server)
    server.faults = ["drained_out"]
    with pytest.raises(SandboxBroken, match="may have run"):
        box.run(PROGRAM, LIMITS)
    assert len(server.posts) == 1


def test_a_restart_between_two_runs_is_no_failure(serve: Make, connect: Make) -> None:
    server = serve()
    box = connect(server)
    box.run(PROGRAM, LIMITS)
    server.restart()
    assert box.run(PROGRAM, LIMITS).kind is Kind.PASSED


def test_a_server_that_comes_back_with_a_weaker_box_is_refused(serve: Make, connect: Make) -> None:
    server = serve()
    box = connect(server)
    server.restart(kind="unsafe")
    with pytest.raises(SandboxUnavailable, match="was namespace and is unsafe now"):
        box.run(PROGRAM, LIMITS)


def test_a_fault_that_does_not_end_ends_the_retries(serve: Make, connect: Make) -> None:
    server = serve()
    box = connect(server)
    server.faults = ["cut_run"] * 100
    with pytest.raises(SandboxBroken, match=r"may have run.*4 times"):
        box.run(PROGRAM, LIMITS)
    assert len(server.posts) == 4
    assert server.ran[PROGRAM.source] == 1


@pytest.mark.slow
def test_a_full_queue_is_waited_for_until_the_deadline_and_then_named(
    serve: Make, connect: Make
) -> None:
    server = serve()
    box = connect(server, patience=Patience(timeout_s=0.6, backoff_s=0.05, retries=1))
    server.faults = ["full"] * 1000
    began = time.monotonic()
    with pytest.raises(SandboxBroken, match=r"it is QueueFull.*did not run"):
        box.run(PROGRAM, LIMITS)
    assert 0.3 < time.monotonic() - began < 3
    assert len(server.posts) > 2  # more than the failures that are borne
    assert not server.ran


@pytest.mark.slow
def test_the_pause_that_a_server_asks_for_is_kept(serve: Make, connect: Make) -> None:
    server = serve()
    server.retry_after = "1"
    box = connect(server)
    server.faults = ["full"]
    box.run(PROGRAM, LIMITS)
    assert server.posts[1][0] - server.posts[0][0] >= 1.0


@pytest.mark.slow
def test_a_hang_ends_at_the_deadline(serve: Make, connect: Make) -> None:
    server = serve(has_instance=False)
    server.hang_s = 3
    box = connect(server, patience=Patience(timeout_s=0.5))
    server.faults = ["hang"]
    began = time.monotonic()
    with pytest.raises(SandboxBroken, match="silence; the program may have run"):
        box.run(PROGRAM, LIMITS)
    assert time.monotonic() - began < 2.5


@pytest.mark.parametrize(
    ("fault", "error", "says"),
    [
        ("broken", SandboxBroken, "it is SandboxBroken"),
        ("unavailable", SandboxUnavailable, "it is SandboxUnavailable"),
        ("tests_broken", TestsBroken, "it is TestsBroken"),
        ("refused", JobRefused, "refused with 413: it is TooLarge"),
    ],
)
def test_what_the_server_says_of_a_job_is_raised_and_not_asked_again(
    serve: Make, connect: Make, fault: str, error: type[Exception], says: str
) -> None:
    server = serve()
    box = connect(server)
    server.faults = [fault]
    with pytest.raises(error, match=says):
        box.run(PROGRAM, LIMITS)
    assert len(server.posts) == 1


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(SandboxUnavailable, match="refused"):
            RemoteBox(url, key="", patience=QUICK)


def test_a_server_that_went_away_between_runs_is_unavailable(serve: Make, connect: Make) -> None:
    server = serve()
    box = connect(server)
    server.stop()
    with pytest.raises(SandboxUnavailable, match="refused"):
        box.run(PROGRAM, LIMITS)


def test_another_kind_of_web_server_is_told_apart(serve: Make, connect: Make) -> None:
    server = serve()

    class Other(server.RequestHandlerClass):  # type: ignore[misc, name-defined]
        def do_GET(self) -> None:
            self._send(200, b"<html>welcome</html>")

    server.RequestHandlerClass = Other
    with pytest.raises(SandboxUnavailable, match="not that of a seedcoder sandbox server"):
        connect(server)


@pytest.mark.parametrize("answer", [b"[]", b"{}", b'{"kind": "fine"}', b"not json"])
def test_an_answer_that_is_none_is_our_failure_and_no_verdict(
    serve: Make, connect: Make, answer: bytes
) -> None:
    server = serve()

    class Wrong(server.RequestHandlerClass):  # type: ignore[misc, name-defined]
        def _answer(self, body: bytes) -> bytes:
            return answer

    server.RequestHandlerClass = Wrong
    with pytest.raises(SandboxBroken):
        connect(server).run(PROGRAM, LIMITS)


def test_the_key_is_sent_and_a_wrong_one_is_named_but_never_shown(
    serve: Make, connect: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve()
    server.key = "right-key"
    assert connect(server, key="right-key").run(PROGRAM, LIMITS).kind is Kind.PASSED
    with pytest.raises(SandboxUnavailable, match="key is missing or wrong") as caught:
        connect(server, key="wrong-key").run(PROGRAM, LIMITS)
    assert "wrong-key" not in str(caught.value)
    monkeypatch.setenv("SEEDCODER_SANDBOX_KEY", "right-key")
    assert connect(server, key=None).run(PROGRAM, LIMITS).kind is Kind.PASSED
    with pytest.raises(ValueError, match="printable ASCII") as bad:
        connect(server, key="a\nb-secret")
    assert "secret" not in str(bad.value)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://me:hunter2@host:1", "credentials"),
        ("http://hunter2@host", "credentials"),
        ("https://host/?key=hunter2", "must end before"),
        ("http://:80", "must be http"),
        ("http://host:port", "must be http"),
        ("HTTP://me:hunter2@host:1", "got 'HTTP'"),
        ("ftp://me:hunter2@host", "got 'ftp'"),
    ],
)
def test_a_url_that_is_none_or_holds_credentials_is_refused_without_showing_it(
    url: str, says: str
) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        open_box(url)
    assert "hunter2" not in str(caught.value)


def test_a_server_weaker_than_required_is_refused(serve: Make) -> None:
    server = serve(kind="restricted")
    with pytest.raises(SandboxUnavailable, match="weaker than the required namespace"):
        open_box(server.url, require="namespace")
    box = open_box(server.url, require="restricted")
    assert box.kind == "restricted"
    box.close()


def test_a_kind_that_is_not_known_is_refused(serve: Make) -> None:
    server = serve(kind="fortress")
    with pytest.raises(SandboxUnavailable, match="'fortress' is no kind of box"):
        open_box(server.url)


def test_another_version_of_the_judge_is_said_once(
    serve: Make, connect: Make, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve()
    server.version = "0.0.7"
    with caplog.at_level(logging.WARNING, logger="sandbox"):
        for _ in range(3):
            connect(server)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1
    assert "another version" in said[0] and "0.0.7" in said[0]


def _judging(pool: Pool) -> Callable[[str, dict[str, Any]], dict[str, Any]]:
    def work(path: str, job: dict[str, Any]) -> dict[str, Any]:
        program, limits = Program.from_json(job["program"]), _Limits.from_json(job["limits"])
        if path == "/v1/run":
            return pool.submit(
                program, None, limits, collect=tuple(job["collect"])
            ).result().to_json()  # fmt: skip
        return pool.judge(program, tests_from_json(job["tests"]), limits).to_json()

    return work


def test_programs_are_run_and_judged_at_the_other_end(
    serve: Make, connect: Make, pool: Pool
) -> None:
    box = connect(serve(work=_judging(pool)), patience=Patience())
    program = Program.python("open('out.txt', 'w').write(input()[::-1])", stdin="abc\n")
    outcome = box.run(program, LIMITS, ("out.txt",))
    assert outcome.files == {"out.txt": b"cba"}
    echo = Program.python("print(input())")
    assert box.judge(echo, StdioTests.of(("a\n", "a\n")), LIMITS).ok
    assert box.judge(echo, StdioTests.of(("a\n", "b\n")), LIMITS).kind is Kind.WRONG
    calls = CallTests.of("add", ((1, 2), 3))
    adds = Program.python("def add(a, b): return a + b")
    assert box.judge(adds, calls, LIMITS).ok
    asserts = AssertTests(test="assert add(2, 2) == 4", entry_point="add")
    assert box.judge(adds, asserts, LIMITS).passed == 1


@pytest.mark.slow
def test_a_pool_of_64_workers_on_one_server_loses_nothing_and_runs_nothing_twice(
    serve: Make,
) -> None:
    server = serve()
    jobs = [Job(program=Program.python(f"print({n})"), limits=LIMITS) for n in range(640)]
    with Pool(64, box=server.url) as pool:
        assert pool.box_name == server.url
        results = list(pool.map(jobs))
    assert [one.stdout for one in results if isinstance(one, Outcome)] == [
        job.program.source for job in jobs
    ]
    assert set(server.ran.values()) == {1}
    assert len(server.connections) <= 2 * 64  # kept alive


def test_a_pool_over_a_server_that_fails_now_and_then_gets_every_result_once(
    serve: Make, connect: Make
) -> None:
    server = serve()
    # All faults may fall to one request.
    patience = Patience(timeout_s=60, attempt_s=5, retries=50, backoff_s=0.01, backoff_most_s=0.05)
    box = connect(server, patience=patience)
    faults = [*LOST_BEFORE_IT_RAN, "cut_run", "cut_answer"]
    server.faults = [fault for fault in faults for _ in range(6)]
    got: dict[int, str] = {}

    def ask(first: int) -> None:
        for n in range(first, first + 10):
            got[n] = box.run(Program.python(f"print({n})"), LIMITS).stdout

    threads = [threading.Thread(target=ask, args=(10 * n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == {n: f"print({n})" for n in range(160)}
    assert set(server.ran.values()) == {1}


def test_errors_of_a_remote_job_come_as_results_of_a_pool(serve: Make) -> None:
    server = serve()
    server.faults = ["refused"]
    with Pool(1, box=server.url) as pool:
        results = list(pool.map([Job(program=PROGRAM), Job(program=PROGRAM)]))
    assert isinstance(results[0], SandboxError) and isinstance(results[1], Outcome | Verdict)


def test_the_sandbox_loads_no_http_client_before_a_server_is_named() -> None:
    code = "import sandbox, sandbox.cli, sys; sys.exit('httpx' in sys.modules)"
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environ).returncode == 0
