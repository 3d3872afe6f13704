"""Whatever comes in, the server neither fails nor stops serving."""

from __future__ import annotations

import errno
import json
import socket
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

ODD = ["", "\x00", "\ud800", "../x", "a" * 300, "YQ==", "python", "1", "𝒳"]
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(10**300, 10**400), st.floats(),
    st.text(max_size=8), st.sampled_from(ODD),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5) | st.sampled_from(ODD), inner, max_size=3)
    ),
    max_leaves=6,
)
FIELDS = {
    "/v1/run": ("program", "limits", "collect"),
    "/v1/judge": ("program", "tests", "limits"),
    "/v1/batch": ("key", "program", "tests", "limits", "collect"),
    "/v1/sessions": ("limits", "cell_s", "cell_wall_s", "language"),
    "/v1/sessions/none/cells": ("source",),
    "/run_code": ("code", "language", "compile_timeout", "run_timeout", "memory_limit_MB",
                  "stdin", "files", "fetch_files", "args"),
    "/run_jupyter": ("cells", "cell_timeout", "total_timeout", "files", "fetch_files", "kernel"),
    "/submit": ("dataset", "id", "completion", "config"),
    "/get_prompts": ("dataset", "config", "offset", "limit"),
    "/get_metrics": ("dataset", "config", "results"),
    "/api/v2/execute": ("language", "version", "files", "stdin", "args", "run_timeout",
                        "compile_timeout", "run_memory_limit"),
}  # fmt: skip
# Bodies that are good but for one field, which the fuzz chooses.
GOOD: dict[str, dict[str, Any]] = {
    "/v1/run": {"program": {"source": "print(1)"}},
    "/v1/judge": {
        "program": {"source": "print(1)"},
        "tests": {"kind": "stdio", "cases": [{"stdin": "", "stdout": "1"}]},
    },
    "/v1/batch": {"key": "k", "program": {"source": "print(1)"}},
    "/run_code": {"code": "print(1)", "language": "python"},
    "/submit": {"dataset": "sums", "id": 1, "completion": "print(5)", "config": {}},
    "/get_prompts": {"dataset": "sums", "config": {}},
    "/get_metrics": {"dataset": "sums", "config": {}, "results": []},
    "/api/v2/execute": {"language": "python", "version": "*", "files": [{"content": "print(1)"}]},
    "/v1/sessions/none/cells": {"source": ""},
}


def check(server: Any, path: str, content: bytes) -> None:
    """Send a body and look at what comes back."""
    response = server.client.post(path, content=content)
    assert response.status_code < 500, (path, content, response.text)
    if path == "/v1/batch":
        for line in response.text.splitlines():
            answer = json.loads(line)
            kind = answer.get("error", {}).get("type", "")
            assert kind not in ("SandboxBroken", "InternalError"), (content, answer)
    else:
        assert "SandboxBroken" not in response.text, (content, response.text)
        assert response.json() is not None


@pytest.mark.slow
@settings(max_examples=400)
@given(data=st.data())
def test_no_body_makes_the_server_fail(server: Any, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(FIELDS)))
    body = dict(GOOD.get(path, {}))
    chosen = data.draw(st.dictionaries(st.sampled_from(FIELDS[path]), VALUES, max_size=2))
    check(server, path, json.dumps(body | chosen).encode())


PROGRAM = st.fixed_dictionaries(
    {"source": st.sampled_from(["print(1)", "", "\ud800", "\x00", "1/0"]) | VALUES},
    optional={
        "files": st.dictionaries(st.text(max_size=4) | st.sampled_from(ODD),
                                 st.sampled_from(["", "YQ==", "?"]), max_size=3) | VALUES,
        "argv": st.lists(st.text(max_size=5), max_size=3) | VALUES,
        "stdin": st.text(max_size=5) | VALUES,
        "language": st.sampled_from(["python", "c", "diff", "x"]),
    },
)  # fmt: skip
LIMITS = st.dictionaries(
    st.sampled_from(
        ["cpu_s", "wall_s", "memory_mb", "processes", "output_kb", "disk_mb", "network",
         "compile_cpu_s", "x"]
    ),
    st.sampled_from([1, 0, -1, 1.5, 1e-300, 1e308, 2**63, True, "1", None, 5e-324, 0.1]),
    max_size=3,
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=150)
@given(program=PROGRAM, limits=LIMITS)
@example(program={"source": "print(1)", "files": {"main.py": "eA=="}}, limits={})
@example(program={"source": "print(1)", "files": {"x" * 255: ""}}, limits={})
@example(program={"source": "print(1)", "argv": ["a" * 60_000]}, limits={})
@example(program={"source": "print(1)"}, limits={"cpu_s": 5e-324, "wall_s": 5e-324})
@example(program={"source": "print(1)"}, limits={"memory_mb": 1})
@example(program={"source": "print(1)"}, limits={"processes": 1})
@example(program={"source": "print(1)"}, limits={"disk_mb": 1, "output_kb": 1})
@example(program={"source": "#" * 2_000_000}, limits={"disk_mb": 1})
@example(program={"source": "", "files": {"a" * 5 + "/" + "b/" * 100 + "c": ""}}, limits={})
def test_no_program_and_no_limits_make_a_box_fail(
    server: Any, program: dict[str, Any], limits: dict[str, Any]
) -> None:
    check(server, "/v1/run", json.dumps({"program": program, "limits": limits}).encode())


@settings(max_examples=60)
@given(
    content=st.binary(max_size=60) | st.text(max_size=40).map(lambda x: x.encode("utf-8", "ignore"))
)
@example(content=b"[" * 200_000)
@example(content=b'{"program": ' * 50_000)
@example(content=b"\xef\xbb\xbf{}")
@example(content=b"1" * 10_000)
def test_no_bytes_make_the_server_fail(server: Any, content: bytes) -> None:
    for path in ("/v1/run", "/v1/batch", "/run_code"):
        check(server, path, content)


@pytest.mark.parametrize(
    "head",
    [
        b"\x00\x01\x02\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"POST /v1/run HTTP/1.1\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n", b"A" * 200_000,
        b"POST /v1/run HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/run HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
        b"Content-Length: 6\r\n\r\n",
        b"POST /v1/run HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /v1/run HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: a\x01\r\n\r\n",
    ],
    ids=range(9),
)  # fmt: skip
def test_what_is_no_http_ends_its_connection_only(server: Any, head: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:
        try:
            raw.sendall(head)
            raw.shutdown(socket.SHUT_WR)
            answer = raw.recv(200)
        except OSError as error:  # it may be gone before all was sent
            assert error.errno in (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN), error
            answer = b""
    assert not answer or answer[9:10] == b"4", answer
    assert server.run("print(1)").json()["kind"] == "passed"
