"""The gateway when too many come, clients leave, engines die, and it is told to end."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

MESSAGES = [{"role": "user", "content": "hi"}]
SLOW = {"model": "slow", "messages": MESSAGES, "max_tokens": 4000}


@pytest.fixture(scope="module")
def slow(gateway_kit: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two streams at once, one that may wait, ten tokens a second."""
    folder = tmp_path_factory.mktemp("slow")
    models = {"slow": {"tokens_per_s": 10}, "other": {}}
    with gateway_kit.gateway(folder, models, {"streams": 2, "queue": 1}) as up:
        yield up


def engine_load(up: Any) -> int:
    """Return how many replies the slow model's engine has under way, as it says itself."""
    (path,) = up.sockets.glob("*/slow*.sock")
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
        state = client.get("http://engine/health").json()
    return int(state["running"] + state["waiting"])


def begin(up: Any, body: dict[str, Any], kit: Any) -> socket.socket:
    """Send a request on a connection of its own."""
    connection = up.connect()
    connection.sendall(kit.request_of("/v1/chat/completions", body))
    return connection


@pytest.mark.slow
@pytest.mark.parametrize("is_stream", [True, False])
def test_a_client_that_leaves_frees_its_engine_within_two_seconds(
    slow: Any, gateway_kit: Any, is_stream: bool
) -> None:
    gone = slow.counted("clients_gone_total")
    connection = begin(slow, {**SLOW, "stream": is_stream}, gateway_kit)
    gateway_kit.until(lambda: engine_load(slow) == 1)
    if is_stream:
        assert b"200 OK" in connection.recv(1000)
    connection.close()
    gateway_kit.until(lambda: engine_load(slow) == 0, within_s=2)
    gateway_kit.until(lambda: slow.counted("clients_gone_total") == gone + 1)
    assert slow.counted("running", model="slow") == 0


@pytest.mark.slow
def test_those_beyond_the_queue_are_told_when_to_come_again(slow: Any, gateway_kit: Any) -> None:
    running = [begin(slow, SLOW, gateway_kit) for _ in range(2)]
    gateway_kit.until(lambda: slow.counted("running", model="slow") == 2)
    waiting = begin(slow, SLOW, gateway_kit)
    gateway_kit.until(lambda: slow.counted("queue_depth", model="slow") == 1)
    answer = slow.chat("slow")
    error = gateway_kit.refused(answer, 429)
    assert error["code"] == "queue_full" and int(answer.headers["retry-after"]) >= 1
    assert slow.chat("other", max_tokens=1).status_code == 200  # another model's queue is its own
    waiting.close()
    gateway_kit.until(lambda: slow.counted("queue_depth", model="slow") == 0)
    assert engine_load(slow) == 2
    last = begin(slow, {**SLOW, "max_tokens": 1}, gateway_kit)
    gateway_kit.until(lambda: slow.counted("queue_depth", model="slow") == 1)
    running.pop().close()
    assert b"200 OK" in last.recv(1000)  # it had the place of the one that left
    last.close()
    running.pop().close()
    gateway_kit.until(lambda: engine_load(slow) == 0)


def test_idle_connections_stop_nobody(slow: Any) -> None:
    idle = [slow.connect() for _ in range(1000)]
    half = slow.connect()
    half.sendall(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"
    )
    assert slow.chat("other", max_tokens=1).status_code == 200
    for connection in (*idle, half):
        connection.close()


@pytest.mark.slow
def test_a_killed_engine_is_a_503_for_its_own_requests_only(
    gateway_kit: Any, tmp_path: Path
) -> None:
    models = {"slow": {"tokens_per_s": 10}, "other": {"tokens_per_s": 1000}}
    with gateway_kit.gateway(tmp_path, models) as up:
        connection = begin(up, {**SLOW, "stream": True}, gateway_kit)
        assert b"200 OK" in connection.recv(1000)
        victim = next(
            int(entry.name)
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit() and _is_engine(entry, up.process.pid, "slow")
        )
        os.kill(victim, signal.SIGKILL)
        rest = b""
        while piece := connection.recv(65536):
            rest += piece
            if b'"error"' in rest:
                break
        assert b"engine_died" in rest and b"[DONE]" not in rest
        connection.close()
        answer = up.chat("slow", max_tokens=1)
        if answer.status_code != 200:  # it may be back already
            error = gateway_kit.refused(answer, 503)
            assert error["code"] in ("model_not_ready", "engine_died")
            assert int(answer.headers["retry-after"]) >= 1
        assert up.chat("other", max_tokens=5).status_code == 200
        gateway_kit.until(lambda: up.chat("slow", max_tokens=1).status_code == 200)
        assert up.counted("engine_restarts_total", model="slow") == 1
        assert up.counted("engine_restarts_total", model="other") == 0


def _is_engine(entry: Path, gateway: int, name: str) -> bool:
    try:
        words = (entry / "cmdline").read_bytes().split(b"\0")
        if b"serve.engines.own" not in words or name.encode() not in words:
            return False
        pid = int(entry.name)
        while pid > 1:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            pid = int(fields[1])
            if pid == gateway:
                return True
    except (FileNotFoundError, ProcessLookupError):
        pass
    return False


@pytest.mark.slow
def test_a_client_that_reads_nothing_is_cut_off(gateway_kit: Any, tmp_path: Path) -> None:
    models = {"slow": {"context_tokens": 2_000_000, "tokens": 1_000_000}}
    with gateway_kit.gateway(tmp_path, models, {"stall_s": 1.5}) as up:
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", up.port))
        body = {**SLOW, "stream": True, "max_tokens": 1_000_000}
        connection.sendall(gateway_kit.request_of("/v1/chat/completions", body))
        gateway_kit.until(lambda: up.counted("running", model="slow") == 1)
        gateway_kit.until(lambda: up.counted("running", model="slow") == 0, within_s=60)
        connection.close()
        assert up.chat("slow", max_tokens=1).status_code == 200


@pytest.mark.slow
def test_answers_under_way_are_ended_before_the_gateway_ends(
    gateway_kit: Any, tmp_path: Path
) -> None:
    with gateway_kit.gateway(tmp_path, {"slow": {"tokens_per_s": 20}}) as up:
        results: list[httpx.Response] = []
        asking = threading.Thread(target=lambda: results.append(up.chat("slow", max_tokens=30)))
        asking.start()
        gateway_kit.until(lambda: up.counted("running", model="slow") == 1)
        with httpx.Client(base_url=up.url) as late:
            up.process.send_signal(signal.SIGTERM)
            gateway_kit.until(lambda: late.get("/ready").json()["status"] == "draining")
            body = {"model": "slow", "messages": MESSAGES}
            error = gateway_kit.refused(late.post("/v1/chat/completions", json=body), 503)
            assert error["code"] == "draining"
        asking.join(30)
        assert results[0].json()["usage"]["completion_tokens"] == 30
        assert up.process.wait(30) == 0


@pytest.mark.slow
def test_answers_that_do_not_end_in_time_are_cut(gateway_kit: Any, tmp_path: Path) -> None:
    with gateway_kit.gateway(tmp_path, {"slow": {"tokens_per_s": 5}}, {"drain_s": 0.5}) as up:
        connection = begin(up, {**SLOW, "stream": True}, gateway_kit)
        assert b"200 OK" in connection.recv(1000)
        began_s = time.monotonic()
        assert up.end() == 0
        assert time.monotonic() - began_s < 30
        rest = b""
        while piece := connection.recv(65536):
            rest += piece
        assert b"[DONE]" not in rest
        connection.close()
