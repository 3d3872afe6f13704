"""Who may use a server; and what its command says when it cannot start."""

from __future__ import annotations

import hashlib
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.server.keys import Keys, KeysFileError, presented


def cli(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `seedcoder sandbox`."""
    return subprocess.run(
        [sys.executable, "-m", "seedcoder", "sandbox", *words],
        capture_output=True, text=True, timeout=60, env={**os.environ, **environment},
    )  # fmt: skip


@pytest.fixture(scope="module")
def keyed(server_kit: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, str]]:
    """A server that asks for keys, named by its environment, and one that is known there."""
    path = tmp_path_factory.mktemp("keys") / "keys"
    key = cli("key", "new", "--name", "alice", "--keys", str(path)).stdout.strip()
    named = {"SEEDCODER_SANDBOX_KEYS_FILE": str(path)}
    with server_kit.served("--workers", "1", environment=named) as made:
        yield made, key


def test_a_new_key_is_printed_once_and_only_its_digest_kept(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    key = cli("key", "new", "--name", "bob", "--keys", str(path)).stdout.strip()
    text = path.read_text()
    assert key not in text
    assert text == f"{hashlib.sha256(key.encode()).hexdigest()} bob\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    keys = Keys.read(path)
    assert (keys.owner(key), keys.owner(key[:-1]), keys.owner("")) == ("bob", None, None)


@pytest.mark.slow
def test_a_request_with_a_known_key_is_served_however_it_carries_it(keyed: Any) -> None:
    server, key = keyed
    body = {"program": {"source": "print(1)"}}
    assert server.post("/v1/run", body, authorization=f"Bearer {key}").status_code == 200
    assert server.post("/v1/run", body, x_api_key=key).status_code == 200
    url = server.url.replace("http://", f"http://any:{key}@")
    assert server.client.post(f"{url}/v1/run", json=body).status_code == 200
    assert any("key=alice" in line for line in server.log)
    assert key not in "".join(server.log)


@pytest.mark.slow
@pytest.mark.parametrize("value", ["", "Bearer", "Bearer sbx_wrong", "Basic ?", "Bearer \xff"])
def test_a_request_without_a_known_key_is_401(keyed: Any, value: str) -> None:
    server, _ = keyed
    headers = {b"authorization": value.encode("latin-1")} if value else {}
    for method, path in (("POST", "/v1/run"), ("POST", "/run_code"), ("GET", "/metrics"),
                         ("GET", "/openapi.json"), ("GET", "/nothing"),
                         ("DELETE", "/v1/sessions/x")):  # fmt: skip
        response = server.client.request(method, path, headers=headers)
        assert response.status_code == 401, path
        assert response.headers["www-authenticate"] == "Bearer"


def test_probes_need_no_key(keyed: Any) -> None:
    server, _ = keyed
    for path in ("/healthz", "/readyz", "/v1/ping"):
        assert server.client.get(path).status_code == 200


@pytest.mark.slow
def test_an_idempotency_key_of_one_owner_means_nothing_to_another(
    server_kit: Any, tmp_path: Path
) -> None:
    path = tmp_path / "keys"
    keys = [cli("key", "new", "--name", name, "--keys", str(path)).stdout.strip() for name in "ab"]
    body = {"program": {"source": server_kit.TOKEN}}
    with server_kit.served("--workers", "1", "--keys", str(path)) as server:
        tokens = [
            server.post("/v1/run", body, x_api_key=key, idempotency_key="k").json()["stdout"]
            for key in (*keys, keys[0])
        ]
    assert tokens[0] == tokens[2] != tokens[1]


def test_pages_of_strangers_in_a_browser_cannot_use_a_server_without_keys(server: Any) -> None:
    body = {"program": {"source": "print(1)"}}
    assert server.post("/v1/run", body, origin="https://elsewhere.example").status_code == 403
    assert server.post("/v1/run", body, origin="null").status_code == 403
    assert server.post("/v1/run", body, host="rebound.example").status_code == 403
    assert server.post("/v1/run", body, origin="http://localhost:3000").status_code == 200


def test_a_key_is_found_where_a_request_carries_it() -> None:
    assert presented("Bearer k", "") == "k"
    assert presented("bearer  k ", "") == "k"
    assert presented("Basic YTpr", "") == "k"
    assert presented("", "k") == "k"
    assert presented("Other k", "") == ""


@pytest.mark.parametrize("text", ["", "# only this\n", "abc\n", "g" * 64, "a" * 64 + " two words"])
def test_a_file_of_keys_that_is_none_says_where(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys"
    path.write_text(text)
    with pytest.raises(KeysFileError, match=str(path)):
        Keys.read(path)


@pytest.mark.slow
def test_what_keeps_a_server_from_starting_is_one_line(tmp_path: Path) -> None:
    bad_keys, bad_rows = tmp_path / "keys", tmp_path / "sets"
    bad_keys.write_text("nothing\n")
    bad_rows.mkdir()
    (bad_rows / "a.jsonl").write_text('{"id": 1, "prompt": "", "tests": {"kind": "nothing"}}\n')
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for words, code, says in (
            (("--host", "0.0.0.0", "--port", "0"), 2, "--open"),
            (("--keys", str(bad_keys)), 2, f"{bad_keys}:1"),
            (("--keys", str(tmp_path / "none")), 2, "cannot read the keys"),
            (("--datasets", str(bad_rows), "--port", "0"), 2, "a.jsonl:1"),
            (("--port", str(taken.getsockname()[1])), 3, "Address already in use"),
            (("--box", "nothing", "--port", "0"), 2, "box must be"),
            (("--queue", "0"), 2, "queue must be positive"),
        ):
            done = cli("serve", *words)
            assert (done.returncode, len(done.stderr.splitlines())) == (code, 1), done.stderr
            assert says in done.stderr


def test_a_missing_extra_is_one_line(tmp_path: Path) -> None:
    # A package that cannot be imported stands before the real one.
    (tmp_path / "fastapi.py").write_text("raise ModuleNotFoundError('no', name='fastapi')")
    done = cli("serve", "--port", "0", PYTHONPATH=str(tmp_path))
    assert done.returncode == 3
    assert "'server' extra" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_without_serving_no_web_framework_is_loaded() -> None:
    code = (
        "import sys, sandbox, sandbox.cli, sandbox.server\n"
        "print([x for x in ('fastapi', 'uvicorn', 'starlette', 'prometheus_client')"
        " if x in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
