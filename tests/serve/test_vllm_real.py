"""vLLM itself, on this machine's CPU, with the embedded model, as the gateway runs it.

Skipped where no vLLM is installed: `make serve-cpu`, or SEEDCODER_VLLM_PYTHON. Loading takes one
to five minutes, so all tests share one engine; the last ones kill it.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from seedcoder.errors import MachineLacks
from serve.card import EMBEDDED, ModelCard
from serve.config import ModelTable
from serve.engines.build import build_engine
from serve.engines.keeper import Keeper
from serve.engines.vllm_install import find_install

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("vllm")]

READY_S = 600.0
GREEDY = {"model": "smollm2", "temperature": 0, "max_tokens": 24}
SAY = [{"role": "user", "content": "What is the capital of France? Answer with one word."}]
TEMPLATE = """{% for message in messages %}<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
The answer to all is plums, plums, plums, {% endif %}"""


class Kept:
    """A keeper with an event loop of its own, in a thread, as the gateway's is."""

    def __init__(self, folder: Path) -> None:
        template = folder / "plums.jinja"
        template.write_text(TEMPLATE)
        card = ModelCard(
            name="smollm2", role="instruct", source=EMBEDDED, context_tokens=2048,
            chat_template=str(template),
        )  # fmt: skip
        options = {"max_num_seqs": 16, "enforce_eager": True, "start_s": READY_S}
        table = ModelTable(card="smollm2", engine="vllm", options=options)
        engine = build_engine(table, card, runtime_dir=folder)
        self.keeper = Keeper(engine, log_dir=folder)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.do(self.keeper.start())
        transport = httpx.HTTPTransport(uds=str(engine.address.socket))
        self.client = httpx.Client(transport=transport, base_url="http://engine", timeout=300)

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Do something on the keeper's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def post(self, path: str, **body: Any) -> Any:
        """Return the answer to a request that must go well."""
        answer = self.client.post(path, json={**GREEDY, **body})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def events(self, path: str, **body: Any) -> list[dict[str, Any]]:
        """Return the events of a stream."""
        wanted = {**GREEDY, "stream": True, "stream_options": {"include_usage": True}, **body}
        with self.client.stream("POST", path, json=wanted) as answer:
            lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line]
        assert lines.pop() == "[DONE]"
        return [json.loads(line) for line in lines]

    def running(self) -> float:
        """Return how many requests the engine says it is working on."""
        text = self.client.get("/metrics").text
        found = re.search(r"^vllm:num_requests_running\{.*\} (\S+)$", text, re.MULTILINE)
        assert found, text[:500]
        return float(found[1])


def until(found: Callable[[], Any], within_s: float) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + within_s
    while not found():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """A vLLM that is ready."""
    try:
        find_install()
    except MachineLacks as lacks:
        pytest.skip(str(lacks))
    one = Kept(tmp_path_factory.mktemp("vllm"))
    try:
        until(lambda: one.keeper.state != "starting", READY_S)
        assert one.keeper.state == "ready", one.keeper.why
        yield one
    finally:
        one.do(one.keeper.stop(30))
        one.client.close()
        one.loop.call_soon_threadsafe(one.loop.stop)
        one.thread.join()


def test_it_listens_on_a_socket_under_the_cards_name(kept: Kept) -> None:
    listed = kept.client.get("/v1/models").json()["data"]
    assert [(one["id"], one["max_model_len"]) for one in listed] == [("smollm2", 2048)]
    assert kept.keeper.engine.address.socket is not None


def test_a_chat_goes_through_the_template_of_the_card(kept: Kept) -> None:
    answer = kept.post("/v1/chat/completions", messages=SAY)
    # The template puts words into the model's mouth; without it this reply says "Paris".
    assert "plums" in answer["choices"][0]["message"]["content"]
    assert answer["usage"]["completion_tokens"] <= 24
    asked = {"model": "smollm2", "messages": SAY, "return_token_strs": True}
    own = kept.client.post("/tokenize", json=asked).json()
    assert "".join(own["token_strs"]).count("plums") == 3


def test_a_chat_streams_what_it_says_whole(kept: Kept) -> None:
    whole = kept.post("/v1/chat/completions", messages=SAY)
    events = kept.events("/v1/chat/completions", messages=SAY)
    said = "".join(
        choice["delta"].get("content") or "" for event in events for choice in event["choices"]
    )
    assert said == whole["choices"][0]["message"]["content"]
    assert len(events) > 5
    assert events[-1]["choices"] == []
    assert events[-1]["usage"]["completion_tokens"] == whole["usage"]["completion_tokens"]


def test_a_completion_comes_whole_and_streamed(kept: Kept) -> None:
    prompt = "def add(a, b):\n    return"
    whole = kept.post("/v1/completions", prompt=prompt, stop=["\n"])
    assert "a + b" in whole["choices"][0]["text"]
    assert whole["choices"][0]["finish_reason"] == "stop"
    events = kept.events("/v1/completions", prompt=prompt, stop=["\n"])
    said = "".join(choice["text"] for event in events for choice in event["choices"])
    assert said == whole["choices"][0]["text"]


def test_what_the_features_promise_is_there(kept: Kept) -> None:
    promised = kept.keeper.engine.features
    assert {"schema", "logprobs", "responses", "messages", "tokenize", "continue"} <= promised
    shape = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    made = kept.post(
        "/v1/chat/completions", messages=SAY, max_tokens=64,
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": shape}},
    )  # fmt: skip
    assert isinstance(json.loads(made["choices"][0]["message"]["content"])["n"], int)
    logged = kept.post("/v1/completions", prompt="one two three", logprobs=2, max_tokens=3)
    assert len(logged["choices"][0]["logprobs"]["token_logprobs"]) == 3
    responses = kept.post("/v1/responses", input="Say hello.", max_output_tokens=16)
    assert responses["output"]
    messages = kept.post("/v1/messages", messages=SAY)
    assert messages["content"][0]["type"] == "text"
    going_on = [*SAY, {"role": "assistant", "content": "The capital of France is"}]
    more = kept.post(
        "/v1/chat/completions", messages=going_on,
        continue_final_message=True, add_generation_prompt=False,
    )  # fmt: skip
    assert "Paris" in more["choices"][0]["message"]["content"]


def test_what_goes_away_is_not_computed_on(kept: Kept) -> None:
    body = {**GREEDY, "prompt": "Once", "max_tokens": 1900, "ignore_eos": True, "stream": True}
    with kept.client.stream("POST", "/v1/completions", json=body) as answer:
        next(answer.iter_lines())
        assert kept.running() == 1
    left = time.monotonic()
    until(lambda: kept.running() == 0, 60)
    assert time.monotonic() - left < 30  # two thousand tokens take longer than that here


def test_a_refusal_is_the_engines_own(kept: Kept) -> None:
    answer = kept.client.post(
        "/v1/completions", json={**GREEDY, "prompt": "x " * 4000, "max_tokens": 10}
    )
    assert answer.status_code == 400
    assert "2048" in answer.text


def family(pid: int) -> list[int]:
    """Return the processes below one."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[1]) == pid:
                found += [int(entry.name), *family(int(entry.name))]
    return found


def gone(pids: list[int]) -> bool:
    """Whether none of these processes is there."""
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_its_inner_process_killed_with_9_it_comes_back(kept: Kept) -> None:
    keeper, before = kept.keeper, kept.keeper.restarts
    assert keeper.pid is not None
    mine = [keeper.pid, *family(keeper.pid)]
    assert len(mine) >= 2
    core = next(pid for pid in mine if "EngineCore" in Path(f"/proc/{pid}/cmdline").read_text())
    os.kill(core, signal.SIGKILL)
    until(lambda: keeper.state == "broken", 120)
    until(lambda: "started again" in keeper.why, 60)
    assert gone(mine)
    until(lambda: keeper.state == "ready", READY_S)
    assert keeper.restarts == before + 1
    assert kept.post("/v1/completions", prompt="def add(a, b):\n    return")["choices"]


def test_sigterm_lets_it_end_what_is_under_way(kept: Kept) -> None:
    assert kept.keeper.pid is not None
    mine = [kept.keeper.pid, *family(kept.keeper.pid)]
    answers: list[Any] = []
    asked = threading.Thread(
        target=lambda: answers.append(
            kept.events("/v1/completions", prompt="Once", max_tokens=200, ignore_eos=True)
        )
    )
    asked.start()
    until(lambda: kept.running() == 1, 60)
    kept.do(kept.keeper.stop(120))
    asked.join(120)
    assert answers[0][-1]["usage"]["completion_tokens"] == 200
    assert kept.keeper.state == "stopped"
    assert gone(mine)
