"""Piston's routes, in the shapes that it documents and open-r1 reads."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from sandbox.server.piston import fits


def execute(server: Any, *files: dict[str, Any], **fields: Any) -> Any:
    """Ask for a run."""
    body = {"language": "python", "version": "*", "files": list(files), **fields}
    return server.post("/api/v2/execute", body)


def test_a_program_runs_with_its_words_and_stdin(server: Any) -> None:
    code = "import sys; print(sys.argv[1], input()); sys.stderr.write('e')"
    answer = execute(server, {"name": "a.py", "content": code}, args=["word"], stdin="line").json()
    assert (answer["language"], answer["version"][:2]) == ("python", "3.")
    run = answer["run"]
    assert (run["stdout"], run["stderr"], run["output"]) == ("word line\n", "e", "word line\ne")
    assert (run["code"], run["signal"]) == (0, None)
    assert "compile" not in answer


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "exit_code", "signal", "status"),
    [
        ("raise SystemExit(3)", 3, None, "RE"),
        ("import os; os.abort()", None, "SIGABRT", "SG"),
        ("while True: pass", None, "SIGKILL", "TO"),
    ],
)
def test_each_way_to_end_is_told_as_piston_tells_it(
    server: Any, code: str, exit_code: int | None, signal: str | None, status: str
) -> None:
    run = execute(server, {"content": code}, run_timeout=500).json()["run"]
    assert (run["code"], run["signal"], run["status"]) == (exit_code, signal, status)


def test_a_compiled_language_has_both_stages(server: Any) -> None:
    good = execute(server, {"content": "int main() { return 4; }"}, language="c++").json()
    assert (good["compile"]["code"], good["run"]["code"]) == (0, 4)
    bad = execute(server, {"content": "int main() { return x; }"}, language="c++").json()
    assert bad["compile"]["code"] != 0
    assert "x" in bad["compile"]["stderr"]
    assert bad["run"]["code"] is None


def test_more_files_lie_beside_the_first_in_their_encodings(server: Any) -> None:
    code = "import b; print(b.x, open('c').read(), open('file3.code').read())"
    files = (
        {"name": "main.py", "content": code},
        {"name": "b.py", "content": base64.b64encode(b"x = 1").decode(), "encoding": "base64"},
        {"name": "c", "content": b"hex".hex(), "encoding": "hex"},
        {"content": "nameless"},
    )
    assert execute(server, *files).json()["run"]["stdout"] == "1 hex nameless\n"


@pytest.mark.parametrize(
    "fields",
    [
        {"language": "klingon"}, {"version": "2"}, {"files": []}, {"files": "x"},
        {"run_timeout": 10**9}, {"files": [{"content": "x", "encoding": "hex"}]},
        {"files": [{"content": ""}, {"name": "../x", "content": ""}]},
    ],
)  # fmt: skip
def test_a_bad_request_is_400_with_a_message(server: Any, fields: dict[str, Any]) -> None:
    response = execute(server, {"content": "print(1)"}, **fields)
    assert response.status_code == 400
    assert response.json()["message"]


def test_memory_is_limited_in_bytes(server: Any) -> None:
    file = {"content": "x = bytearray(300 << 20); print(len(x))"}
    over = execute(server, file, run_memory_limit=64 << 20).json()["run"]
    assert (over["message"], over["code"] == 0) == ("memory", False)
    assert execute(server, file, run_memory_limit=-1).json()["run"]["code"] == 0


def test_runtimes_and_packages_are_listed(server: Any) -> None:
    runtimes = {x["language"]: x for x in server.client.get("/api/v2/runtimes").json()}
    assert "py" in runtimes["python"]["aliases"]
    assert runtimes["python"]["version"][:2] == "3."
    packages = server.client.get("/api/v2/packages").json()
    assert {"language": "python", "language_version": runtimes["python"]["version"],
            "installed": True} in packages  # fmt: skip


@pytest.mark.parametrize(
    ("selector", "is_meant"),
    [("*", True), ("3", True), ("3.11", True), ("3.x", True), ("3.11.*", True), ("^3.10", True),
     (">=3.9", True), ("<4", True), ("~3.11", True), ("2", False), ("3.1", False),
     ("^4", False), (">3.11", False), ("~3.10", False), ("nothing", False), ("", False)],
)  # fmt: skip
def test_version_selectors(selector: str, is_meant: bool) -> None:
    assert fits("3.11.7", selector) is is_meant
