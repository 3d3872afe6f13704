"""SandboxFusion's routes, asked by its own client, and as verl asks."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from typing import Any

import pytest
import requests

sandbox_fusion = pytest.importorskip("sandbox_fusion", reason="needs the sandbox-fusion client")

from sandbox_fusion import models  # noqa: E402 - after the check that it is there


@pytest.fixture
def url(server: Any) -> Iterator[str]:
    """The server's URL, known to the client too."""
    sandbox_fusion.set_endpoint(server.url)
    yield server.url


def ask(**fields: Any) -> Any:
    """Ask through the client, once."""
    request = sandbox_fusion.RunCodeRequest(**{"language": "python", **fields})
    return sandbox_fusion.run_code(request, max_attempts=1)


def test_a_program_that_ends_well_is_a_success(url: str) -> None:
    answer = ask(code="print(input())", stdin="hello")
    assert answer.status == models.RunStatus.Success
    assert (answer.run_result.return_code, answer.run_result.stdout) == (0, "hello\n")
    assert answer.compile_result is None
    assert sandbox_fusion.summary_run_code_result(answer, models.SummaryMapping()) == "Success"


def test_a_program_that_fails_is_failed_with_its_code_and_words(url: str) -> None:
    answer = ask(code="import sys; print('out'); sys.exit('words')")
    assert answer.status == models.RunStatus.Failed
    assert answer.run_result.return_code == 1
    assert (answer.run_result.stdout, answer.run_result.stderr) == ("out\n", "words\n")
    assert ask(code="import os; os.kill(os.getpid(), 9)").run_result.return_code == -9


@pytest.mark.slow
@pytest.mark.parametrize("code", ["while True: pass", "import time; time.sleep(60)"])
def test_a_time_out_has_no_return_code_and_keeps_what_was_printed(url: str, code: str) -> None:
    answer = ask(code=f"print('partial', flush=True)\n{code}", run_timeout=0.5)
    assert answer.status == models.RunStatus.Failed
    assert answer.run_result.status == models.CommandRunStatus.TimeLimitExceeded
    assert answer.run_result.return_code is None
    assert answer.run_result.stdout == "partial\n"
    mapping = models.SummaryMapping(RunTimeout="late")
    assert sandbox_fusion.summary_run_code_result(answer, mapping) == "late"


def test_a_compiler_that_refuses_leaves_no_run(url: str) -> None:
    answer = ask(language="cpp", code="int main() { return x; }")
    assert (answer.status, answer.run_result) == (models.RunStatus.Failed, None)
    assert answer.compile_result.return_code != 0
    assert "x" in answer.compile_result.stderr
    good = ask(language="cpp", code='#include <cstdio>\nint main() { puts("hi"); }')
    assert (good.compile_result.return_code, good.run_result.stdout) == (0, "hi\n")


def test_files_go_in_and_come_out(url: str) -> None:
    files = {"in/a.txt": base64.b64encode(b"abc").decode(), "none": None}
    answer = ask(
        code="open('b.txt', 'w').write(open('in/a.txt').read()[::-1])",
        files=files, fetch_files=["b.txt", "absent"],
    )  # fmt: skip
    assert answer.files == {"b.txt": base64.b64encode(b"cba").decode()}


@pytest.mark.parametrize(
    "fields", [{"files": {"../a": "YQ=="}}, {"fetch_files": ["../../etc/passwd"]},
               {"files": {"/tmp/a": "YQ=="}}, {"fetch_files": ["/etc/passwd"]}]
)  # fmt: skip
def test_paths_that_lead_out_are_bad_fields(url: str, fields: dict[str, Any]) -> None:
    body = {"language": "python", "code": "print(1)"}
    assert requests.post(f"{url}/run_code", json=body | fields, timeout=20).status_code == 422
    assert requests.post(f"{url}/run_code", json=body, timeout=20).status_code == 200


@pytest.mark.parametrize(
    "body", [{}, {"code": "x"}, {"code": 1, "language": "python"},
             {"code": "", "language": "klingon"},
             {"code": "", "language": "python", "run_timeout": -1},
             {"code": "", "language": "python", "files": {"a": "?"}}]
)  # fmt: skip
def test_bad_fields_are_422_with_a_detail(url: str, body: dict[str, Any]) -> None:
    response = requests.post(f"{url}/run_code", json=body, timeout=20)
    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"][0] == "body"


def test_a_mode_that_is_not_served_is_the_sandboxs_error_and_no_verdict(url: str) -> None:
    with pytest.raises(Exception, match="not served here"):
        ask(language="lean", code="x")


@pytest.mark.slow
def test_verls_request_is_answered_as_verl_reads_it(url: str) -> None:
    """The fields and the waiting time of verl's client."""
    body = {
        "compile_timeout": 10, "run_timeout": 10, "code": "", "stdin": "3 4\n",
        "memory_limit_MB": 1024, "language": "python", "files": {}, "fetch_files": [],
    }  # fmt: skip
    body["code"] = (
        "import threading, numpy\n"
        "seen = []\n"
        "threads = [threading.Thread(target=seen.append, args=(i,)) for i in range(8)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
        "print(len(seen), numpy.array(input().split(), int).sum())\n"
    )
    waits_s = 10 + 10 + 10
    response = requests.post(f"{url}/run_code", json=body, timeout=waits_s)
    answer = response.json()
    assert (response.status_code, answer["status"]) == (200, "Success")
    assert answer["run_result"]["stdout"] == "8 7\n"
    assert set(answer) == set(models.RunCodeResponse.__fields__)
    assert set(answer["run_result"]) == set(models.CommandRunResult.__fields__)
    body["code"] = "x = bytearray(1 << 31)"  # the control: the limit holds
    over = requests.post(f"{url}/run_code", json=body, timeout=waits_s).json()
    assert over["status"] == "Failed"
    assert over["message"].startswith("memory")


def test_a_notebooks_cells_come_back_as_the_client_has_them(url: str) -> None:
    cells = ["a = 123", "a", "print(a)", "import sys; sys.stderr.write('words');", "1 / 0"]
    request = sandbox_fusion.RunJupyterRequest(
        cells=cells, files={"f": base64.b64encode(b"x").decode()}, fetch_files=["f", "absent"]
    )
    answer = sandbox_fusion.run_jupyter(request, max_attempts=1)
    assert answer.status == models.RunStatus.Success
    assert answer.driver.status == models.CommandRunStatus.Finished
    assert answer.cells[1].display == [{"text/plain": "123"}]
    assert answer.cells[2].stdout == "123\n"
    assert answer.cells[3].stderr == "words"
    assert answer.cells[4].error[0]["ename"] == "ZeroDivisionError"
    assert answer.files == {"f": base64.b64encode(b"x").decode()}


def test_a_cell_without_end_is_a_time_out_of_the_notebook(url: str) -> None:
    request = sandbox_fusion.RunJupyterRequest(cells=["1", "while True: pass"], cell_timeout=0.3)
    answer = sandbox_fusion.run_jupyter(request, max_attempts=1)
    assert answer.status == models.RunStatus.Failed
    assert answer.driver.status == models.CommandRunStatus.TimeLimitExceeded


def test_prompts_of_a_data_set_are_handed_out_without_their_tests(url: str) -> None:
    config = models.TestConfig()
    assert requests.get(f"{url}/list_datasets", timeout=20).json() == ["sums"]
    request = sandbox_fusion.GetPromptsRequest(dataset="sums", config=config)
    assert requests.post(f"{url}/list_ids", json=request.dict(), timeout=20).json() == [1, "double"]
    prompts = sandbox_fusion.get_prompts(request)
    assert [(x.id, x.labels) for x in prompts] == [(1, {"level": "easy"}), ("double", {})]
    page = sandbox_fusion.GetPromptsRequest(dataset="sums", config=config, offset=1, limit=5)
    assert [x.id for x in sandbox_fusion.get_prompts(page)] == ["double"]
    one = sandbox_fusion.GetPromptByIdRequest(dataset="sums", id="double", config=config)
    assert sandbox_fusion.get_prompt_by_id(one).prompt == "Write double(x)."
    text = requests.post(f"{url}/get_prompts", json=request.dict(), timeout=20).text
    assert "stdio" not in text and "assert" not in text


SUM = "print(sum(map(int, input().split())))"


@pytest.mark.parametrize(
    ("problem", "completion", "accepted", "how"),
    [
        (1, f"Sure:\n```python\n{SUM}\n```\nDone.", True, "fenced"),
        (1, f"```\n{SUM}\n```", True, "fenced"),
        (1, f"```cpp\nint x;\n```\n```py\n{SUM}\n```", True, "fenced"),
        (1, f"```python\n{SUM}", True, "incomplete_fenced"),
        (1, SUM, True, "heuristic"),
        (1, "```python\nprint(5)\n```", False, "fenced"),
        (1, "", False, "empty"),
        ("double", "```python\ndef double(x):\n    return 2 * x\n```", True, "fenced"),
        ("double", "```python\ndef double(x):\n    return x\n```", False, "fenced"),
    ],
)
def test_a_completion_is_judged(
    url: str, problem: int | str, completion: str, accepted: bool, how: str
) -> None:
    request = sandbox_fusion.SubmitRequest(
        dataset="sums", id=problem, completion=completion, config=models.TestConfig(run_timeout=5)
    )
    answer = sandbox_fusion.submit(request, max_attempts=1)
    assert (answer.id, answer.accepted, answer.extracted_type) == (problem, accepted, how)
    assert all(test.passed for test in answer.tests) is accepted
    assert answer.tests


def test_a_problem_may_come_along_with_the_completion(url: str) -> None:
    row = {"id": 7, "prompt": "", "tests": {"kind": "stdio", "cases": [{"stdin": "a",
           "stdout": "a"}]}}  # fmt: skip
    for code, accepted in (("print(input())", True), ("print(1)", False)):
        request = sandbox_fusion.SubmitRequest(
            dataset="mine", id=7, completion=code, config=models.TestConfig(provided_data=row)
        )
        assert sandbox_fusion.submit(request, max_attempts=1).accepted is accepted


def test_code_of_the_client_is_not_run_in_the_server(url: str) -> None:
    config = models.TestConfig(custom_extract_logic="submit_code_blocks([])")
    request = sandbox_fusion.SubmitRequest(dataset="sums", id=1, completion="", config=config)
    with pytest.raises(Exception, match="422"):
        sandbox_fusion.submit(request, max_attempts=1)


def test_what_is_not_in_a_data_set_is_404(url: str) -> None:
    for dataset, key in (("sums", 99), ("none", 1), ("../sums", 1)):
        body = {"dataset": dataset, "id": key, "config": {}}
        found = requests.post(f"{url}/get_prompt_by_id", json=body, timeout=20)
        assert found.status_code == 404


def test_metrics_of_results_are_counted(url: str) -> None:
    results = [
        {"id": i, "accepted": ok, "extracted_code": "", "tests": []}
        for i, ok in ((1, True), (1, False), ("double", True))
    ]
    body = {"dataset": "sums", "config": {}, "results": results}
    found = requests.post(f"{url}/get_metrics", json=body, timeout=20).json()
    assert (found["total"], found["accepted"], found["pass@1"]) == (3, 2, 0.75)
    request = models.GetMetricsFunctionRequest(dataset="sums", config=models.TestConfig())
    answer = requests.post(f"{url}/get_metrics_function", json=request.dict(), timeout=20)
    assert models.GetMetricsFunctionResult(**answer.json()).function is None


def test_ping_says_pong(url: str) -> None:
    assert requests.get(f"{url}/v1/ping", timeout=20).json() == "pong"


def test_the_asynchronous_client_is_answered_alike(url: str) -> None:
    async def talk() -> tuple[Any, Any, Any, Any, Any]:
        config = models.TestConfig()
        return await asyncio.gather(
            sandbox_fusion.run_code_async(
                models.RunCodeRequest(code="print(1)", language="python"), max_attempts=1
            ),
            sandbox_fusion.run_jupyter_async(models.RunJupyterRequest(cells=["2"]), max_attempts=1),
            sandbox_fusion.get_prompts_async(
                models.GetPromptsRequest(dataset="sums", config=config)
            ),
            sandbox_fusion.get_prompt_by_id_async(
                models.GetPromptByIdRequest(dataset="sums", id=1, config=config)
            ),
            sandbox_fusion.submit_async(
                models.SubmitRequest(dataset="sums", id=1, completion=SUM, config=config),
                max_attempts=1,
            ),
        )

    code, notebook, prompts, prompt, verdict = asyncio.run(talk())
    assert code.run_result.stdout == "1\n"
    assert notebook.cells[0].display == [{"text/plain": "2"}]
    assert (len(prompts), prompt.id, verdict.accepted) == (2, 1, True)


def test_many_at_once_through_the_client_are_all_answered(url: str) -> None:
    requests_ = [
        {"request": models.RunCodeRequest(code=f"print({i})", language="python")} for i in range(40)
    ]
    answers = sandbox_fusion.run_concurrent(
        sandbox_fusion.run_code, kwargs=requests_, concurrency=20
    )
    assert [x.run_result.stdout for x in answers] == [f"{i}\n" for i in range(40)]
