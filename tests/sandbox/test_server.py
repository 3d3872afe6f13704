"""Our own routes over HTTP: a real server, real requests."""

from __future__ import annotations

import base64
import json
import re
import socket
from typing import Any

import pytest

from sandbox import Limits, Outcome, Program, Verdict
from sandbox.cases import StdioTests
from sandbox.tests_json import tests_to_json


@pytest.mark.slow
def test_a_program_is_run_and_its_outcome_comes_back_whole(server: Any) -> None:
    program = Program(
        source="import sys; print(open('a/b').read(), sys.argv[1], input())",
        files={"a/b": b"file"}, argv=("word",), stdin="line",
    )  # fmt: skip
    response = server.post(
        "/v1/run",
        {"program": program.to_json(), "limits": Limits(cpu_s=2).to_json(), "collect": ["a/b"]},
    )
    assert response.status_code == 200
    outcome = Outcome.from_json(response.json())
    assert (outcome.kind, outcome.stdout) == ("passed", "file word line\n")
    assert outcome.files == {"a/b": b"file"}


@pytest.mark.slow
@pytest.mark.parametrize(("source", "kind"), [("print(5)", "passed"), ("print(6)", "wrong")])
def test_a_program_is_judged(server: Any, source: str, kind: str) -> None:
    tests = tests_to_json(StdioTests.of(("", "5")))
    response = server.post("/v1/judge", {"program": {"source": source}, "tests": tests})
    assert Verdict.from_json(response.json()).kind == kind


def test_lone_surrogates_of_stdin_reach_the_program_as_bytes(server: Any) -> None:
    source = "import sys; print(sys.stdin.buffer.read())"
    body = json.dumps({"program": {"source": source, "stdin": "\udcff"}})
    response = server.client.post("/v1/run", content=body)
    assert response.json()["stdout"] == "b'\\xff'\n"


def test_a_batch_answers_each_line_once_under_its_key(server: Any, server_kit: Any) -> None:
    rows = [{"key": f"r{i}", "program": {"source": f"print({i})"}} for i in range(60)]
    rows += [
        {"key": f"j{i}", "program": {"source": server_kit.SUM}, "tests": server_kit.STDIO}
        for i in range(20)
    ]
    response = server.client.post("/v1/batch", content=server_kit.lines_of(*rows))
    assert response.headers["content-type"] == "application/x-ndjson"
    answers = [json.loads(line) for line in response.text.splitlines()]
    found = {answer["key"]: answer for answer in answers}
    assert len(answers) == len(found) == 80
    assert all(found[f"r{i}"]["outcome"]["stdout"] == f"{i}\n" for i in range(60))
    assert all(found[f"j{i}"]["verdict"]["kind"] == "passed" for i in range(20))


def test_a_bad_line_of_a_batch_spoils_no_other(server: Any, server_kit: Any) -> None:
    good = server_kit.lines_of({"key": "good", "program": {"source": "print(1)"}})
    bad = server_kit.lines_of(
        {"key": "tests", "program": {"source": ""}, "tests": {"kind": "nothing"}},
        {"key": "path", "program": {"source": "", "files": {"../x": ""}}},
        {"program": {"source": ""}},
        ["no object"],
    )
    content = b"no json\n\n" + bad + good[:-1]  # the last line may lack its end
    answers = [
        json.loads(line)
        for line in server.client.post("/v1/batch", content=content).text.splitlines()
    ]
    assert [x["outcome"]["stdout"] for x in answers if "outcome" in x] == ["1\n"]
    errors = [(x["key"], x["error"]["type"]) for x in answers if "error" in x]
    assert sorted(errors, key=str) == [
        ("path", "InvalidRequest"), ("tests", "InvalidRequest"), (None, "InvalidJson"),
        (None, "InvalidRequest"), (None, "InvalidRequest"),
    ]  # fmt: skip


def test_answers_of_a_batch_come_before_all_of_it_is_sent(server: Any, server_kit: Any) -> None:
    def chunk(key: str) -> bytes:
        line: bytes = server_kit.lines_of({"key": key, "program": {"source": "print(1)"}})
        return b"%x\r\n%b\r\n" % (len(line), line)

    def read_to(word: bytes) -> None:
        seen = b""
        while word not in seen:
            more = raw.recv(65536)
            assert more, seen
            seen += more

    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as raw:
        head = "POST /v1/batch HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        raw.sendall(head.encode() + chunk("first"))
        read_to(b'"first"')
        raw.sendall(chunk("second") + b"0\r\n\r\n")
        read_to(b'"second"')


def test_a_failure_of_tests_is_the_clients_to_mend_and_no_verdict(server: Any) -> None:
    tests = {"kind": "calls", "entry_point": "f", "calls": [{}]}
    response = server.post(
        "/v1/judge", {"program": {"source": "main(){}", "language": "c"}, "tests": tests}
    )
    assert response.status_code == 422
    assert response.json()["error"]["type"] == "TestsBroken"


def test_our_failure_is_503_with_its_type(server: Any) -> None:
    from sandbox.languages import found

    missing = next((x.language for x in found() if not x.there), None)
    if missing is None:
        pytest.skip("every language's tools are on this machine")
    response = server.post("/v1/run", {"program": {"source": "x", "language": missing}})
    assert response.status_code == 503
    assert response.json()["error"]["type"] == "SandboxUnavailable"
    assert "retry-after" in response.headers


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"", 400, "no JSON"),
        (b"{", 400, "no JSON"),
        (b"\xff", 400, "no JSON"),
        (b"[" * 100_000, 400, "nests too deep"),
        (b'{"program": {"source": NaN}}', 400, "NaN is not JSON"),
        (b"1" * 5000, 400, "no JSON"),
        (b"[]", 422, "the body"),
        (b"{}", 422, "program"),
        (b'{"program": {"source": 1}}', 422, "program.source: Value error, must be a text"),
        (b'{"program": {"source": "", "x": 1}}', 422, "program.x"),
        (b'{"program": {"source": "", "language": "klingon"}}', 422, "language must be one of"),
        (b'{"program": {"source": "", "language": "diff"}}', 422, "a patch is judged"),
        (b'{"program": {"source": ""}, "limits": {"cpu_s": 1e999}}', 422, "limits.cpu_s"),
        (b'{"program": {"source": ""}, "limits": {"cpu_s": -1}}', 422, "must be positive"),
        (b'{"program": {"source": ""}, "limits": {"cpu_s": 1e6}}', 422, "the most here"),
        (b'{"program": {"source": ""}, "limits": {"memory_mb": 1.5}}', 422, "limits.memory_mb"),
        (b'{"program": {"source": ""}, "limits": {"network": true}}', 422, "network"),
        (b'{"program": {"source": "", "files": {"a": "?"}}}', 422, "holds no base64"),
        (b'{"program": {"source": "", "argv": ["a\\u0000"]}}', 422, "NUL"),
    ],
)
def test_a_bad_request_is_refused_in_one_line_that_says_where(
    server: Any, body: bytes, status: int, says: str
) -> None:
    response = server.client.post("/v1/run", content=body)
    assert response.status_code == status
    message = response.json()["error"]["message"]
    assert says in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "name", ["../x", "/etc/x", "a/../../x", "", ".", "a\0b", "a" * 256, "d/" * 600, "\ud800"]
)
def test_names_that_lead_out_of_the_work_folder_are_refused(server: Any, name: str) -> None:
    for field in ("files", "collect"):
        body: dict[str, Any] = {"program": {"source": "print(1)"}}
        if field == "files":
            body["program"]["files"] = {name: ""}
        else:
            body["collect"] = [name]
        response = server.client.post("/v1/run", content=json.dumps(body))
        assert response.status_code == 422, field
    body = {"program": {"source": "print(1)", "files": {"a/x": ""}}, "collect": ["a/x"]}
    assert server.post("/v1/run", body).status_code == 200  # the control


def test_a_name_that_is_file_and_folder_is_refused(server: Any) -> None:
    files = {"a": "", "a/b": ""}
    assert server.post("/v1/run", {"program": {"source": "", "files": files}}).status_code == 422


def test_a_link_that_a_program_leaves_is_not_followed(server: Any) -> None:
    source = "import os; os.symlink('/etc/passwd', 'link'); open('plain', 'w').write('x')"
    found = server.run(source, collect=["link", "plain"]).json()["files"]
    assert found == {"plain": base64.b64encode(b"x").decode()}


def test_too_many_and_too_large_files_are_refused(server: Any) -> None:
    many = {f"f{i}": "" for i in range(257)}
    large = {"f": base64.b64encode(bytes((8 << 20) + 1)).decode()}
    for files in (many, large):
        response = server.post("/v1/run", {"program": {"source": "", "files": files}})
        assert response.status_code == 422
        assert "files" in response.json()["error"]["message"]


def test_the_cap_on_bodies_counts_what_comes_and_not_what_is_declared(server: Any) -> None:
    def pieces() -> Any:
        for _ in range(20):
            yield b" " * (1 << 20)

    chunked = server.client.post("/v1/run", content=pieces())  # without a Content-Length
    declared = server.client.post("/v1/run", content=b" " * (20 << 20))
    assert chunked.status_code == declared.status_code == 413
    assert chunked.json()["error"]["type"] == "TooLarge"
    assert server.run("print(1)").status_code == 200


def test_a_compressed_body_is_refused(server: Any) -> None:
    response = server.client.post("/v1/run", content=b"", headers={"Content-Encoding": "gzip"})
    assert response.status_code == 415


def test_a_repeated_key_gets_the_answer_of_the_first_run(server: Any, server_kit: Any) -> None:
    before = server.counted("results_total")
    body = {"program": {"source": server_kit.TOKEN}}
    first = server.post("/v1/run", body, idempotency_key="again-1")
    second = server.post("/v1/run", body, idempotency_key="again-1")
    assert first.json()["stdout"] == second.json()["stdout"]
    assert server.counted("results_total") == before + 1
    other = server.post("/v1/run", body, idempotency_key="again-2")  # the controls
    none = server.post("/v1/run", body)
    assert len({x.json()["stdout"] for x in (first, other, none)}) == 3


@pytest.mark.slow
def test_the_same_key_at_the_same_time_runs_once(server: Any, server_kit: Any) -> None:
    before = server.counted("results_total")
    body = {"program": {"source": "import time; time.sleep(0.5); " + server_kit.TOKEN}}

    def ask() -> str:
        text: str = server.post("/v1/run", body, idempotency_key="at-once").json()["stdout"]
        return text

    asked = [server_kit.in_background(ask) for _ in range(5)]
    for thread, _ in asked:
        thread.join(30)
    assert len({results[0] for _, results in asked}) == 1
    assert server.counted("results_total") == before + 1


def test_a_repeated_key_with_another_body_is_refused(server: Any) -> None:
    server.post("/v1/run", {"program": {"source": "print(1)"}}, idempotency_key="other")
    response = server.post("/v1/run", {"program": {"source": "print(2)"}}, idempotency_key="other")
    assert response.status_code == 422
    assert response.json()["error"]["type"] == "IdempotencyKeyReused"


def test_a_batch_sent_again_under_its_key_runs_nothing_again(server: Any, server_kit: Any) -> None:
    rows = [{"key": str(i), "program": {"source": server_kit.TOKEN}} for i in range(5)]
    content = server_kit.lines_of(*rows, rows[0])  # a line twice in one batch, too

    def ask() -> list[str]:
        headers = {"Idempotency-Key": "batch"}
        text = server.client.post("/v1/batch", content=content, headers=headers).text
        answers = [json.loads(line) for line in text.splitlines()]
        assert len(answers) == 6
        return sorted(x["outcome"]["stdout"] for x in answers)

    before = server.counted("results_total")
    assert ask() == ask()
    assert server.counted("results_total") == before + 5


def test_sessions_keep_their_state_and_end(server: Any) -> None:
    name = server.post("/v1/sessions", {"cell_s": 5}).json()["id"]
    cells = f"/v1/sessions/{name}/cells"
    assert server.post(cells, {"source": "a = 20"}).json()["kind"] == "passed"
    assert server.post(cells, {"source": "a + 1"}).json()["value"] == "21"
    assert server.post(cells, {"source": "a +"}).json()["kind"] == "compile_error"
    assert server.client.delete(f"/v1/sessions/{name}").status_code == 204
    gone = server.post(cells, {"source": "a"})
    assert (gone.status_code, gone.json()["error"]["type"]) == (404, "UnknownSession")


def test_languages_and_health_are_told(server: Any) -> None:
    rows = server.client.get("/v1/languages").json()["languages"]
    assert {"python", "cpp"} <= {row["language"] for row in rows}
    health = server.client.get("/healthz").json()
    assert (health["box"], health["kind"], health["workers"]) == (health["kind"],) * 2 + (2,)
    assert server.client.get("/readyz").json() == {"ready": True}


def test_a_request_meant_for_another_start_of_the_server_is_not_run(server: Any) -> None:
    response = server.client.get("/healthz")
    instance = response.json()["instance"]
    assert response.headers["sandbox-instance"] == instance
    body = {"program": {"source": "print(1)"}}
    assert server.post("/v1/run", body, sandbox_instance=instance).status_code == 200
    other = server.post("/v1/run", body, sandbox_instance="0" * 16)
    assert (other.status_code, other.json()["error"]["type"]) == (412, "OtherInstance")
    assert other.headers["sandbox-instance"] == instance


def test_metrics_are_what_prometheus_reads(server: Any) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    server.run("print(1)")
    response = server.client.get("/metrics")
    found = {family.name for family in text_string_to_metric_families(response.text)}
    wanted = ("queue_depth", "wait_seconds", "run_seconds", "results", "box_restarts", "failures")
    assert {f"seedcoder_sandbox_{name}" for name in (*wanted, "http_requests")} <= found
    server.client.get("/no/such/route")
    assert 'route="other"' in server.client.get("/metrics").text
    assert "no/such" not in server.client.get("/metrics").text


def test_openapi_documents_every_route_with_schemas_that_are_there(server: Any) -> None:
    document = server.client.get("/openapi.json").json()
    wanted = {"/v1/run", "/v1/judge", "/v1/batch", "/v1/sessions", "/run_code", "/api/v2/execute"}
    assert wanted <= set(document["paths"])
    references = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert {"RunBody", "Outcome", "Verdict"} <= references <= set(document["components"]["schemas"])


def test_what_is_not_there_is_said_as_json(server: Any) -> None:
    assert server.client.get("/nothing").json()["error"]["type"] == "NotFound"
    response = server.client.get("/v1/run")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


def test_the_access_log_has_the_requests_id_and_nothing_of_the_program(
    server: Any, server_kit: Any
) -> None:
    body = {"program": {"source": "print('s3cret')", "stdin": "s3cret"}}
    response = server.post("/v1/run", body, x_request_id="mine-1")
    assert response.headers["x-request-id"] == "mine-1"
    odd = server.post("/v1/run", body, x_request_id="a b\tc")
    assert re.fullmatch("[0-9a-f]{16}", odd.headers["x-request-id"])
    server_kit.until(lambda: any("id=mine-1 " in line for line in server.log))
    line = next(line for line in server.log if "id=mine-1 " in line)
    assert "route=/v1/run status=200" in line
    assert "s3cret" not in "".join(server.log)
