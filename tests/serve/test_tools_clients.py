"""Thoughts and run_code as OpenAI's own library sees them, through `seedcoder serve up`."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import openai
import pytest

from sandbox import SandboxUnavailable
from sandbox.session.session import open_slot
from serve.keys import KeyRights, KeyStore

ROOT = Path(__file__).parents[2]
CARD = """
name = "{name}"
role = "reasoning"
context_tokens = 32768
chat_template = "{template}"
bos = "<[begin▁of▁sentence]>"
eos = "<[end▁of▁sentence]>"
tools = "{tools}"
[thinking]
"""
ASKED = "What is 6*7?"
ROWS = {
    ASKED: "<think>\nI run it.\n</think>\n\nLet me see.\n```run_code\nprint(6 * 7)\n```\nIt is 41.",
    "natively": "<think>so</think>Let me."
    '<tool_call>{"name": "run_code", "arguments": {"code": "x = 6 * 7; print(x)"}}</tool_call>',
    "status: passed": "<think>good</think>It is 42.",
    "status: crashed": "It is not there.",
    "and once more": "```run_code\nx + 1\n```",
    "plain": "<think>a\nb</think>\n\nc",
}


class Gateway:
    """A gateway process before a scripted engine for each way to call tools."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with closing(KeyStore(folder / "keys.sqlite", make=True)) as store:
            _, self.runs = store.add("ada", KeyRights(may_run_code=True))
            _, self.other = store.add("eve", KeyRights(may_run_code=True))
            _, self.plain = store.add("bob", KeyRights())
        rows = [json.dumps({"key": key, "text": text}) for key, text in ROWS.items()]
        (folder / "answers.jsonl").write_text("\n".join(rows) + "\n")
        template = ROOT / "serve" / "cards" / "seed-coder.jinja"
        recipe = ""
        for tools in ("text", "native"):
            card = CARD.format(name=tools, tools=tools, template=template)
            (folder / f"{tools}.toml").write_text(card)
            recipe += (
                f'[[models]]\ncard = "{tools}.toml"\nengine = "scripted"\n'
                f'options = {{ file = "{folder}/answers.jsonl", piece_chars = 3 }}\n'
            )
        recipe += (
            f'[gateway]\nport = 0\nkeys_file = "{folder}/keys.sqlite"\n'
            f'files_dir = "{folder}/files"\n[sandbox]\ncpu_s = 1.0\nworkers = 2\n'
        )
        (folder / "serve.toml").write_text(recipe)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "seedcoder", "serve", "up", str(folder / "serve.toml")],
            stdout=subprocess.PIPE, stderr=(folder / "log").open("w"), text=True, cwd=ROOT,
            env={**os.environ, "SEEDCODER_CACHE": str(folder / "cache")},
        )  # fmt: skip
        assert self.process.stdout is not None
        line = next((one for one in self.process.stdout if one.startswith("serving on")), "")
        assert line, (folder / "log").read_text()
        self.url = f"{line.split()[2]}/v1"
        self._wait()

    def _wait(self) -> None:
        for name in ("text", "native"):
            # Engines that are still starting say 503, and when to come again.
            client = openai.OpenAI(base_url=self.url, api_key=self.plain, max_retries=20)
            self.said(client, name, "plain")

    def client(self, key: str = "") -> openai.OpenAI:
        """OpenAI's client, which tries nothing twice."""
        return openai.OpenAI(base_url=self.url, api_key=key or self.runs, max_retries=0)

    def said(self, client: openai.OpenAI, model: str, words: Any, **more: Any) -> Any:
        """Return a whole answer."""
        messages = [{"role": "user", "content": words}] if isinstance(words, str) else words
        return client.chat.completions.create(model=model, messages=messages, **more)

    def end(self) -> None:
        """End it."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gateway for all tests of this module."""
    try:
        open_slot().close()
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    made = Gateway(tmp_path_factory.mktemp("gateway"))
    yield made
    made.end()


RUN = {"extra_body": {"run_code": True}}


@pytest.mark.slow  # it starts the gateway
def test_thoughts_are_told_apart_whole_and_streamed(gateway: Gateway) -> None:
    client = gateway.client(gateway.plain)
    answer = gateway.said(client, "text", "plain")
    message = answer.choices[0].message
    assert (message.content, message.reasoning, message.reasoning_content) == ("c", "a\nb", "a\nb")
    assert (
        0 < answer.usage.completion_tokens_details.reasoning_tokens < answer.usage.completion_tokens
    )
    parts = list(
        client.chat.completions.create(
            model="text", messages=[{"role": "user", "content": "plain"}], stream=True
        )
    )
    assert "".join(part.choices[0].delta.content or "" for part in parts) == "c"
    thought = [(part.choices[0].delta.model_extra or {}).get("reasoning", "") for part in parts]
    assert "".join(thought) == "a\nb"
    assert all(part.usage is None for part in parts)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["text", "native"])
def test_a_whole_answer_has_the_runs_beside_it(gateway: Gateway, model: str) -> None:
    words = ASKED if model == "text" else "natively"
    answer = gateway.said(gateway.client(), model, words, **RUN)
    choice = answer.choices[0]
    assert choice.finish_reason == "stop"
    assert choice.message.tool_calls is None
    assert choice.message.content.endswith("It is 42.")
    assert "41" not in choice.message.content
    (run,) = choice.message.code_runs
    assert (run["status"], run["stdout"], run["name"]) == ("passed", "42\n", "run_code")
    assert choice.message.reasoning.endswith("\n\ngood")


@pytest.mark.slow
def test_the_librarys_own_way_to_gather_a_stream_gathers_the_runs(gateway: Gateway) -> None:
    with gateway.client().chat.completions.stream(
        model="text",
        messages=[{"role": "user", "content": ASKED}],
        stream_options={"include_usage": True},
        **RUN,  # type: ignore[arg-type]
    ) as stream:
        kinds = [event.type for event in stream]
        answer = stream.get_final_completion()
    assert "content.delta" in kinds
    message = answer.choices[0].message
    assert message.content == "Let me see.\nIt is 42."
    (run,) = message.model_extra["code_runs"]  # type: ignore[index]
    assert run["stdout"] == "42\n"
    assert answer.usage is not None
    assert answer.usage.total_tokens > 0


@pytest.mark.slow
def test_a_message_sent_back_as_it_came_goes_on_in_its_session(gateway: Gateway) -> None:
    client = gateway.client()
    first = gateway.said(client, "native", "natively", **RUN).choices[0].message
    history = [
        {"role": "user", "content": "natively"},
        first.model_dump(exclude_none=True),
        {"role": "user", "content": "and once more"},
    ]
    (run,) = gateway.said(client, "text", history, **RUN).choices[0].message.code_runs
    assert run["value"] == "43"
    # The control: another key's client with the same messages has no such session.
    other = gateway.client(gateway.other)
    (run,) = gateway.said(other, "text", history, **RUN).choices[0].message.code_runs
    assert run["error"]["name"] == "NameError"
    assert "new session" in run["note"]


@pytest.mark.slow
def test_the_asynchronous_client_asks_by_a_tool_of_the_list(gateway: Gateway) -> None:
    async def ask() -> Any:
        async with openai.AsyncOpenAI(base_url=gateway.url, api_key=gateway.runs) as client:
            tools: Any = [{"type": "code_interpreter", "container": {"type": "auto"}}]
            return await client.chat.completions.create(
                model="text", messages=[{"role": "user", "content": ASKED}], tools=tools
            )

    assert asyncio.run(ask()).choices[0].message.code_runs[0]["stdout"] == "42\n"


@pytest.mark.slow
def test_what_may_not_be_asked_is_refused_with_a_status_of_its_own(gateway: Gateway) -> None:
    with pytest.raises(openai.PermissionDeniedError) as denied:
        gateway.said(gateway.client(gateway.plain), "text", ASKED, **RUN)
    assert denied.value.code == "run_code_not_allowed"
    with pytest.raises(openai.BadRequestError, match="no option 'depth'"):
        gateway.said(gateway.client(), "text", ASKED, extra_body={"run_code": {"depth": 3}})
    with pytest.raises(openai.BadRequestError, match="cannot go on with a reply"):
        gateway.said(gateway.client(), "text", ASKED, extra_body={"thinking_budget": 3})
    # Without asking, a block is text like any other.
    answer = gateway.said(gateway.client(), "text", ASKED)
    assert "```run_code" in answer.choices[0].message.content
