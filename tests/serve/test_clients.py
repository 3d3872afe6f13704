"""The clients that people have, against a whole service: openai for Python and for node, curl."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import openai
import pytest

pytestmark = pytest.mark.slow
NODE_MODULES = Path(__file__).parents[2] / ".cache" / "node" / "node_modules"
COUNTED = "one two three four five six seven eight nine ten"


@pytest.fixture(scope="module")
def service(service_kit: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A service of four models on scripts."""
    with service_kit.Service(tmp_path_factory.mktemp("service"), tokens_per_s=400.0) as made:
        yield made


@pytest.fixture
def client(service: Any) -> Iterator[openai.OpenAI]:
    """OpenAI's own library."""
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0) as made:
        yield made


def _user(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def test_models_are_listed_and_shown(client: openai.OpenAI) -> None:
    assert {model.id for model in client.models.list()} >= {"chatty", "pensive", "filler"}
    alias: Any = client.models.retrieve("chatty-alias")
    assert (alias.id, alias.root) == ("chatty-alias", "chatty")
    with pytest.raises(openai.NotFoundError, match="there are chatty, filler"):
        client.models.retrieve("nobody")


def test_a_chat_is_the_same_whole_and_streamed(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model="chatty-alias", messages=_user("count"))
    assert whole.choices[0].message.content == COUNTED
    assert whole.choices[0].finish_reason == "stop" and whole.model == "chatty"
    assert whole.usage is not None and whole.usage.completion_tokens >= 10
    chunks = list(
        client.chat.completions.create(
            model="chatty",
            messages=_user("count"),
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(pieces) == COUNTED and len([piece for piece in pieces if piece]) >= 10
    assert chunks[-1].usage == whole.usage and not chunks[-1].choices
    assert not any(chunk.usage for chunk in chunks[:-1])


def test_more_than_four_stops_end_a_reply(client: openai.OpenAI) -> None:
    stops = ["zero", "eleven", "twelve", "thirteen", "six"]
    answer = client.chat.completions.create(model="chatty", messages=_user("count"), stop=stops)
    assert answer.choices[0].message.content == COUNTED.partition("six")[0]
    text = client.completions.create(model="chatty", prompt="count", stop=stops)
    assert text.choices[0].text == COUNTED.partition("six")[0]


def test_a_thought_is_told_apart_by_both_names(client: openai.OpenAI) -> None:
    message: Any = client.chat.completions.create(model="pensive", messages=_user("think"))
    message = message.choices[0].message
    assert message.content == "It is 4."
    assert message.reasoning == message.reasoning_content == "two and two"
    deltas = [
        chunk.choices[0].delta
        for chunk in client.chat.completions.create(
            model="pensive", messages=_user("think"), stream=True
        )
        if chunk.choices
    ]
    thought = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
    assert thought == "two and two"
    assert "".join(getattr(delta, "reasoning", None) or "" for delta in deltas) == thought
    assert "".join(delta.content or "" for delta in deltas) == "It is 4."


def test_a_middle_is_filled_in_and_ends_by_itself(client: openai.OpenAI) -> None:
    prompt = "def add(a, b):\n    return "
    suffix = "\n\n\ndef main():\n    print(add(1, 2))\n"
    answer = client.completions.create(
        model="filler", prompt=prompt, suffix=suffix, extra_body={"language": "python"}
    )
    assert answer.choices[0].text == "a + b"
    streamed = client.completions.create(
        model="filler", prompt=prompt, suffix=suffix, stream=True,
        extra_body={"language": "python"},
    )  # fmt: skip
    assert "".join(chunk.choices[0].text for chunk in streamed if chunk.choices) == "a + b"
    free = client.completions.create(
        model="filler", prompt=prompt, suffix=suffix, extra_body={"end": "none"}
    )
    assert free.choices[0].text.startswith("a + b\n\n\ndef sub")  # the control: nothing ends it
    with pytest.raises(openai.BadRequestError, match="cannot fill in the middle"):
        client.completions.create(model="chatty", prompt=prompt, suffix=suffix)


def test_embeddings_come_from_the_model_that_has_them(client: openai.OpenAI) -> None:
    found = client.embeddings.create(model="vectors", input=["a", "b", "a"]).data
    assert len(found) == 3 and found[0].embedding == found[2].embedding != found[1].embedding
    with pytest.raises(openai.BadRequestError):
        client.embeddings.create(model="chatty", input="a")


def test_asynchronous_clients_get_many_answers_at_once(service: Any) -> None:
    async def ask() -> list[str]:
        async with openai.AsyncOpenAI(
            base_url=f"{service.url}/v1", api_key="none", max_retries=0
        ) as client:

            async def one(number: int) -> str:
                pieces = []
                stream = await client.chat.completions.create(
                    model=("chatty", "chatty-alias")[number % 2],
                    messages=_user("count"), stream=True,
                )  # fmt: skip
                async for chunk in stream:
                    pieces += [choice.delta.content or "" for choice in chunk.choices]
                return "".join(pieces)

            return await asyncio.gather(*map(one, range(40)))

    assert asyncio.run(ask()) == [COUNTED] * 40


def test_a_client_that_hangs_up_frees_its_stream(service: Any, client: openai.OpenAI) -> None:
    def running() -> float:
        import urllib.request

        with urllib.request.urlopen(f"{service.url}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        lines = [line for line in text.splitlines() if line.startswith("seedcoder_")]
        return sum(float(line.split()[-1]) for line in lines if "running" in line.split("{")[0])

    stream = client.chat.completions.create(
        model="chatty", messages=_user("for ever"), stream=True, max_tokens=3000
    )
    next(iter(stream))
    assert running() == 1
    stream.close()
    deadline = time.monotonic() + 2.0  # what is promised
    while running():
        assert time.monotonic() < deadline, "the engine still works for nobody"
        time.sleep(0.02)


def test_curl_asks_as_the_readme_shows(service: Any) -> None:
    body = json.dumps({"model": "chatty", "messages": _user("count"), "stream": True})
    done = subprocess.run(
        ["curl", "-sSN", f"{service.url}/v1/chat/completions", "-d", body,
         "-H", "Content-Type: application/json"],
        capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if line]
    assert lines[-1] == "data: [DONE]" and all(line.startswith("data: ") for line in lines)
    events = [json.loads(line[6:]) for line in lines[:-1]]
    said = (choice["delta"].get("content") or "" for e in events for choice in e["choices"])
    assert "".join(said) == COUNTED


NODE = """
import OpenAI from "openai";
const client = new OpenAI({baseURL: process.argv[2] + "/v1", apiKey: "none", maxRetries: 0});
const messages = [{role: "user", content: "count"}];
const found = {};
found.models = (await client.models.list()).data.map(m => m.id);
const whole = await client.chat.completions.create({model: "chatty", messages});
found.whole = whole.choices[0].message.content;
found.streamed = "";
const stream = await client.chat.completions.create({model: "chatty", messages, stream: true});
for await (const chunk of stream) found.streamed += chunk.choices[0]?.delta?.content ?? "";
const middle = await client.completions.create({
  model: "filler", prompt: "def add(a, b):\\n    return ", suffix: "\\n\\n\\nprint(add(1, 2))\\n",
  language: "python"});
found.middle = middle.choices[0].text;
const vectors = await client.embeddings.create({model: "vectors", input: "a"});
found.vector = vectors.data[0].embedding.length;
try { await client.chat.completions.create({model: "nobody", messages}); }
catch (error) { found.error = [error.constructor.name, error.status, error.code]; }
const thought = await client.chat.completions.create({
  model: "pensive", messages: [{role: "user", content: "think"}]});
found.thought = thought.choices[0].message.reasoning_content;
console.log(JSON.stringify(found));
"""


def test_openais_library_for_node_gets_the_same(service: Any, tmp_path: Path) -> None:
    if shutil.which("node") is None or not (NODE_MODULES / "openai").is_dir():
        pytest.skip("no node with the openai package: make test installs it")
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    (tmp_path / "client.mjs").write_text(NODE)
    done = subprocess.run(
        ["node", "client.mjs", service.url],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["whole"] == found["streamed"] == COUNTED
    assert found["middle"] == "a + b" and found["thought"] == "two and two"
    assert found["error"] == ["NotFoundError", 404, "model_not_found"]
    assert "filler" in found["models"] and found["vector"] > 8
