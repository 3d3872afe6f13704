"""The queue: overload, those who leave it, and the server's end."""

from __future__ import annotations

import json
import signal
import socket
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow  # each has a server of its own
SLEEP = "import time; time.sleep({})"


def raw_request(port: int, path: str, data: Any) -> socket.socket:
    """Send a request whose answer nobody has read."""
    raw = socket.create_connection(("127.0.0.1", port), timeout=20)
    body = json.dumps(data).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
    raw.sendall(head.encode() + body)
    return raw


@pytest.fixture
def narrow(server_kit: Any) -> Any:
    """A server with one box where two programs may wait."""
    with server_kit.served("--workers", "1", "--queue", "2", "--drain-s", "5") as made:
        made.run("print(1)")  # the box has started
        yield made


def taken(server: Any, count: int) -> bool:
    """Return whether so many programs run or wait."""
    return bool(server.counted("running") + server.counted("queue_depth") == count)


def fill(server: Any, server_kit: Any, seconds: float) -> list[socket.socket]:
    """Keep the box and the queue occupied."""
    body = {"program": {"source": SLEEP.format(seconds)}}
    # One runs, one lies in the pool as its next, two wait.
    held = []
    for count in range(1, 5):
        held.append(raw_request(server.port, "/v1/run", body))
        server_kit.until(partial(taken, server, count))
    return held


def test_overload_is_answered_at_once_as_each_api_tries_again(narrow: Any, server_kit: Any) -> None:
    narrow.client.get("/api/v2/runtimes")  # asked of the machine once, which takes a second
    held = fill(narrow, server_kit, 1.5)
    began = time.monotonic()
    ours = narrow.run("print(1)")
    fusion = narrow.post("/run_code", {"language": "python", "code": "print(1)"})
    piston = narrow.post(
        "/api/v2/execute", {"language": "python", "version": "*", "files": [{"content": "1"}]}
    )
    assert time.monotonic() - began < 1.5
    assert [x.status_code for x in (ours, fusion, piston)] == [429, 504, 504]
    assert all(int(x.headers["retry-after"]) >= 1 for x in (ours, fusion, piston))
    assert ours.json()["error"]["type"] == "QueueFull"
    for raw in held:  # those that were taken are all answered
        assert b" 200 " in raw.recv(100)
        raw.close()
    assert narrow.run("print(1)").status_code == 200


def test_limits_start_when_the_program_starts(narrow: Any, server_kit: Any) -> None:
    thread, _ = server_kit.in_background(lambda: narrow.run(SLEEP.format(2)))
    server_kit.until(lambda: narrow.counted("running") == 1)
    waited = narrow.run("print(1)", limits={"cpu_s": 1, "wall_s": 1})
    assert waited.json()["kind"] == "passed"
    late = narrow.run(SLEEP.format(20), limits={"cpu_s": 1, "wall_s": 1})  # the control
    assert late.json()["kind"] == "timeout"
    thread.join(20)


def test_a_program_whose_client_has_gone_while_it_waited_is_not_run(
    narrow: Any, server_kit: Any
) -> None:
    before = narrow.counted("results_total")
    held = fill(narrow, server_kit, 0.7)
    for raw in held[1:]:  # one of them is the next in the pool already
        raw.close()
    server_kit.until(lambda: narrow.counted("dropped_total") == 3)
    assert narrow.run("print(1)").status_code == 200  # there is room again
    assert b" 200 " in held[0].recv(100)
    assert narrow.counted("results_total") == before + 2


def test_a_run_that_somebody_else_waits_for_goes_on(narrow: Any, server_kit: Any) -> None:
    thread, _ = server_kit.in_background(lambda: narrow.run(SLEEP.format(1)))
    server_kit.until(lambda: narrow.counted("running") == 1)
    body = {"program": {"source": "print('both')"}}
    raw = socket.create_connection(("127.0.0.1", narrow.port), timeout=20)
    text = json.dumps(body, separators=(",", ":"))
    raw.sendall(
        f"POST /v1/run HTTP/1.1\r\nHost: 127.0.0.1\r\nIdempotency-Key: k\r\n"
        f"Content-Length: {len(text)}\r\n\r\n{text}".encode()
    )
    server_kit.until(lambda: narrow.counted("queue_depth") == 1)
    other, answers = server_kit.in_background(
        lambda: narrow.post("/v1/run", body, idempotency_key="k")
    )
    server_kit.until(lambda: narrow.counted("joined_total") == 1)
    raw.close()
    other.join(20)
    thread.join(20)
    assert answers[0].json()["stdout"] == "both\n"
    assert narrow.counted("dropped_total") == 0


def test_a_client_that_leaves_a_batch_takes_its_waiting_lines_along(
    narrow: Any, server_kit: Any
) -> None:
    before = narrow.counted("results_total")
    rows = [{"key": str(i), "program": {"source": SLEEP.format(0.5)}} for i in range(8)]
    body = server_kit.lines_of(*rows)
    raw = socket.create_connection(("127.0.0.1", narrow.port), timeout=20)
    raw.sendall(
        b"POST /v1/batch HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n%b"
        % (len(body), body)
    )
    server_kit.until(lambda: narrow.counted("queue_depth") >= 5)
    raw.close()
    server_kit.until(lambda: narrow.counted("queue_depth") == 0, within_s=3)
    time.sleep(0.8)
    assert narrow.counted("results_total") - before < 4
    assert narrow.run("print(1)").status_code == 200


def test_a_batch_reads_no_more_than_the_boxes_can_do(narrow: Any) -> None:
    line = json.dumps({"key": "k", "program": {"source": SLEEP.format(5) + "#" * 100_000}})
    raw = socket.create_connection(("127.0.0.1", narrow.port), timeout=2)
    raw.sendall(b"POST /v1/batch HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 999999999\r\n\r\n")
    sent = 0
    with pytest.raises(TimeoutError):  # the server's sockets are full, and stay so
        while sent < 200 << 20:
            sent += raw.send(line.encode() + b"\n")
    assert sent < 64 << 20
    raw.close()


def test_a_small_queue_does_not_refuse_a_batch(narrow: Any, server_kit: Any) -> None:
    rows = [{"key": str(i), "program": {"source": "print(1)"}} for i in range(100)]
    text = narrow.client.post("/v1/batch", content=server_kit.lines_of(*rows)).text
    assert sum("outcome" in json.loads(line) for line in text.splitlines()) == 100


def test_sigterm_drains(narrow: Any, server_kit: Any) -> None:
    body = {"program": {"source": SLEEP.format(1) + "; print('done')"}}
    asked = [
        server_kit.in_background(lambda: narrow.client.post("/v1/run", json=body)) for _ in range(3)
    ]
    server_kit.until(lambda: narrow.counted("running") + narrow.counted("queue_depth") == 3)
    narrow.process.send_signal(signal.SIGTERM)
    server_kit.until(lambda: narrow.client.get("/readyz").status_code == 503)
    assert narrow.client.get("/healthz").status_code == 200
    for path, data in (("/v1/run", body), ("/run_code", {"language": "python", "code": "1"}),
                       ("/v1/sessions", {})):  # fmt: skip
        refused = narrow.post(path, data)
        assert (refused.status_code, refused.json()["error"]["type"]) == (503, "Draining")
        assert int(refused.headers["retry-after"]) >= 1
    for thread, _ in asked:
        thread.join(20)
    assert [results[0].json()["stdout"] for _, results in asked] == ["done\n"] * 3
    assert narrow.process.wait(10) == 0


def test_a_drain_ends_in_time_and_tells_whoever_still_waits(server_kit: Any) -> None:
    with server_kit.served("--workers", "1", "--drain-s", "1") as narrow:
        drain_in_time(narrow, server_kit)


def drain_in_time(narrow: Any, server_kit: Any) -> None:
    """Ask for more than can end in time, and for the end."""
    body = {"program": {"source": SLEEP.format(60)}}
    asked = [
        server_kit.in_background(lambda: narrow.client.post("/v1/run", json=body)) for _ in range(2)
    ]
    server_kit.until(lambda: narrow.counted("running") + narrow.counted("queue_depth") == 2)
    zygotes = narrow.zygotes()
    began = time.monotonic()
    narrow.process.send_signal(signal.SIGTERM)
    narrow.process.wait(25)
    assert 0.9 < time.monotonic() - began < 8  # --drain-s 1
    for thread, results in asked:
        thread.join(5)
        assert results[0].status_code == 503
    server_kit.until(lambda: not any(alive(pid) for pid in zygotes))


def test_a_second_sigterm_ends_at_once_and_leaves_nothing(narrow: Any, server_kit: Any) -> None:
    raw_request(narrow.port, "/v1/run", {"program": {"source": SLEEP.format(60)}})
    server_kit.until(lambda: narrow.counted("running") == 1)
    zygotes = narrow.zygotes()
    assert zygotes
    narrow.process.send_signal(signal.SIGTERM)
    server_kit.until(lambda: narrow.client.get("/readyz").status_code == 503)
    began = time.monotonic()
    narrow.process.send_signal(signal.SIGTERM)
    assert narrow.process.wait(5) == 128 + signal.SIGTERM
    assert time.monotonic() - began < 2
    server_kit.until(lambda: not any(alive(pid) for pid in zygotes))


def test_an_idle_server_ends_at_the_first_sigterm(narrow: Any) -> None:
    began = time.monotonic()
    assert narrow.end() == 0
    assert time.monotonic() - began < 5


def alive(pid: int) -> bool:
    """Return whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
