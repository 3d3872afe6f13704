"""The scripted engine, as a process, asked over HTTP."""

from __future__ import annotations

import base64
import json
import socket
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

LONG = "x" * 5_000
ROWS = (
    {"key": "hello", "text": "exact"},
    {"key": "hell", "text": "short key"},
    {"key": "of several", "n": 0, "text": "first"},
    {"key": "of several", "n": 1, "text": "second"},
    {"key": "cut off", "text": "it stops", "finish": "length"},
    {"key": "fail", "text": "", "finish": "error"},
    {"key": "unicode", "text": "naïve 😀 漢字\n"},
    {"key": "call", "text": '<tool_call>{"name": "run", "arguments": {"a": 1}}</tool_call>'},
    {"key": "no call", "text": "<tool_call>{nonsense}</tool_call>"},
    {"key": "stops", "text": "one two three four five six"},
)


@pytest.fixture(scope="module")
def engine(own_kit: ModuleType) -> Iterator[Any]:
    """Filler as fast as it is read."""
    with own_kit.served("scripted", "--context-tokens", "100000") as engine:
        yield engine


@pytest.fixture(scope="module")
def script(own_kit: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Answers of a file, on a unix socket."""
    folder = tmp_path_factory.mktemp("script")
    file = folder / "answers.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    with own_kit.served("scripted", "--file", str(file), socket=folder / "s.sock") as engine:
        yield engine


def test_the_whole_answer_is_the_stream_put_together(engine: Any, own_kit: ModuleType) -> None:
    for path, body, kind in (
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]}, "chat"),
        ("/v1/completions", {"prompt": "hi"}, "text"),
    ):
        whole = own_kit.whole(engine.post(path, max_tokens=40, seed=3, **body))
        usage = {"include_usage": True}
        events = list(engine.events(path, max_tokens=40, seed=3, stream_options=usage, **body))
        choice = whole["choices"][0]
        text = choice["message"]["content"] if kind == "chat" else choice["text"]
        assert "".join(own_kit.pieces(events)) == text
        assert events[-1]["usage"] == whole["usage"]
        assert events[-1]["choices"] == []
        assert events[-2]["choices"][0]["finish_reason"] == choice["finish_reason"] == "length"
        assert len({event["id"] for event in events}) == 1


@pytest.mark.slow
def test_every_token_is_an_event_of_its_own_however_fast_they_come(
    engine: Any, own_kit: ModuleType
) -> None:
    events = list(engine.events("/v1/completions", prompt="hi", max_tokens=20_000))
    assert len(own_kit.pieces(events)) == 20_000


def test_a_stream_without_usage_says_none(engine: Any) -> None:
    assert all("usage" not in x for x in engine.events("/v1/completions", prompt="hi"))


def test_filler_is_the_same_for_the_same_seed_only(engine: Any) -> None:
    texts = [engine.text("hi", seed=seed)["choices"][0]["text"] for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_choices_of_several_prompts_are_numbered_through(engine: Any, own_kit: ModuleType) -> None:
    body = {"prompt": ["a", "b"], "n": 2, "max_tokens": 3}
    whole = engine.text(**body)
    assert [choice["index"] for choice in whole["choices"]] == [0, 1, 2, 3]
    assert whole["usage"]["completion_tokens"] == 12
    events = list(engine.events("/v1/completions", **body))
    for at, choice in enumerate(whole["choices"]):
        assert "".join(own_kit.pieces(events, at)) == choice["text"]


def test_an_echo_repeats_the_prompt_before_the_reply(engine: Any) -> None:
    plain = engine.text("so far", max_tokens=2)
    echoed = engine.text("so far", max_tokens=2, echo=True)
    assert echoed["choices"][0]["text"] == "so far" + plain["choices"][0]["text"]
    assert echoed["usage"] == plain["usage"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("hello", "exact"),
        ("hello you", "exact"),
        ("shell", "short key"),
        ("unicode", "naïve 😀 漢字\n"),
        ("no call", "<tool_call>{nonsense}</tool_call>"),
    ],
)
def test_a_row_answers_its_key_and_the_longest_key_that_stands_in_a_message(
    script: Any, asked: str, said: str
) -> None:
    assert script.chat(asked)["choices"][0]["message"]["content"] == said
    assert script.text(asked, max_tokens=99)["choices"][0]["text"] == said


def test_each_choice_has_its_own_row(script: Any) -> None:
    said = [x["message"]["content"] for x in script.chat("of several", n=2)["choices"]]
    assert said == ["first", "second"]


def test_a_row_says_how_its_reply_ends(script: Any, own_kit: ModuleType) -> None:
    assert script.chat("cut off")["choices"][0]["finish_reason"] == "length"
    assert script.chat("hello")["choices"][0]["finish_reason"] == "stop"
    own_kit.refused(script.post("/v1/completions", prompt="fail"), 500)


def test_what_the_script_does_not_know_is_refused(script: Any, own_kit: ModuleType) -> None:
    error = own_kit.refused(script.post("/v1/completions", prompt="something else"), 400)
    assert error["code"] == "no_answer"


def test_any_number_of_stops_cut_at_the_first(script: Any) -> None:
    stops = ["zero", " four", "seven", " three", "eight", "nine"]
    choice = script.chat("stops", stop=stops)["choices"][0]
    assert choice["message"]["content"] == "one two"
    assert (choice["finish_reason"], choice["stop_reason"]) == ("stop", " three")
    kept = script.chat("stops", stop=stops, include_stop_str_in_output=True)["choices"][0]
    assert kept["message"]["content"] == "one two three"
    whole = script.chat("stops", stop=["zero"])["choices"][0]
    assert whole["message"]["content"] == "one two three four five six"


def test_a_reply_longer_than_allowed_is_cut(script: Any) -> None:
    got = script.chat("stops", max_completion_tokens=2)
    assert got["choices"][0]["message"]["content"] == "one two"
    assert got["choices"][0]["finish_reason"] == "length"
    assert got["usage"]["completion_tokens"] == 2


def test_calls_are_parsed_where_tools_are_offered(script: Any) -> None:
    tools = [{"type": "function", "function": {"name": "run", "parameters": {}}}]
    choice = script.chat("call", tools=tools)["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    function = choice["message"]["tool_calls"][0]["function"]
    assert (function["name"], json.loads(function["arguments"])) == ("run", {"a": 1})
    assert choice["message"]["content"] is None
    plain = script.chat("call")["choices"][0]
    assert plain["finish_reason"] == "stop" and "<tool_call>" in plain["message"]["content"]
    not_wanted = script.chat("call", tools=tools, tool_choice="none")["choices"][0]
    assert "tool_calls" not in not_wanted["message"]


def test_a_streamed_call_carries_the_same(script: Any) -> None:
    tools = [{"type": "function", "function": {"name": "run", "parameters": {}}}]
    messages = [{"role": "user", "content": "call"}]
    events = list(script.events("/v1/chat/completions", messages=messages, tools=tools))
    calls = [x for e in events for x in e["choices"][0]["delta"].get("tool_calls", ())]
    assert [(x["index"], x["function"]["name"]) for x in calls] == [(0, "run")]
    assert events[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_logprobs_say_that_a_script_is_certain(engine: Any) -> None:
    chat = engine.chat("hi", max_tokens=2, logprobs=True, top_logprobs=1)["choices"][0]
    assert [x["logprob"] for x in chat["logprobs"]["content"]] == [0.0, 0.0]
    text = engine.text("hi", max_tokens=2, logprobs=1)["choices"][0]
    assert "".join(text["logprobs"]["tokens"]) == text["text"]
    assert text["logprobs"]["text_offset"] == [0, len(text["logprobs"]["tokens"][0])]
    assert engine.text("hi")["choices"][0]["logprobs"] is None


def test_embeddings_depend_on_the_text_and_have_length_one(engine: Any) -> None:
    got = engine.post("/v1/embeddings", input=["a", "b", "a"], dimensions=40).json()
    first, second, third = (row["embedding"] for row in got["data"])
    assert first == third != second
    assert len(first) == 40
    assert sum(x * x for x in first) == pytest.approx(1.0)
    packed = engine.post(
        "/v1/embeddings", input="a", dimensions=40, encoding_format="base64"
    ).json()["data"][0]["embedding"]
    assert struct.unpack("<40f", base64.b64decode(packed)) == pytest.approx(first, rel=1e-6)


def test_a_prompt_that_leaves_no_room_is_refused_by_its_code(
    own_kit: ModuleType, engine: Any, script: Any
) -> None:
    for prompt in (" a" * 40_000, "a" * 10_000_000):
        error = own_kit.refused(script.post("/v1/completions", prompt=prompt), 400)
        assert error["code"] == "context_length_exceeded"
        assert "32768" in error["message"]
    assert engine.text(" a" * 40_000, max_tokens=1)["usage"]["prompt_tokens"] == 40_000


def test_a_socket_is_for_this_user_only_and_a_dead_ones_place_is_taken(
    own_kit: ModuleType, tmp_path: Path
) -> None:
    path = tmp_path / "s.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    with own_kit.served("scripted", socket=path) as engine:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert engine.client.get("/v1/models").json()["data"][0]["id"] == own_kit.NAME
        assert engine.end() == 0
    assert not path.exists()


def test_a_client_that_goes_away_is_spoken_to_no_more(
    own_kit: ModuleType,
) -> None:
    with own_kit.served("scripted", "--tokens-per-s", "50") as engine:
        events = engine.events("/v1/completions", prompt="hi", max_tokens=30_000)
        next(events)
        assert engine.load() == (1, 0)
        events.close()
        own_kit.until(lambda: engine.load() == (0, 0))


@pytest.mark.slow
def test_who_does_not_read_is_waited_for_and_holds_up_nobody(engine: Any) -> None:
    tokens = 30_000
    body = json.dumps({"prompt": "x", "max_tokens": tokens, "stream": True}).encode()
    host, port = engine.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        slow.sendall(
            b"POST /v1/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
            b"content-length: %d\r\n\r\n" % len(body) + body
        )
        head = slow.recv(64)
        # Others are answered whole meanwhile, and the slow one is not written to beyond a bound.
        assert len(engine.text("hi", max_tokens=100)["choices"]) == 1
        assert engine.load()[0] == 1
        got = head + b"".join(iter(lambda: slow.recv(1 << 20), b""))
    assert got.count(b"data: ") == tokens + 2
    assert got.endswith(b"0\r\n\r\n")


def test_the_openai_library_is_served(engine: Any) -> None:
    import openai

    client = openai.OpenAI(base_url=f"{engine.url}/v1", api_key="none", max_retries=0)
    name = client.models.list().data[0].id
    asked: Any = [{"role": "user", "content": "hi"}]
    whole = client.chat.completions.create(model=name, messages=asked, max_tokens=5)
    with client.chat.completions.create(
        model=name, messages=asked, max_tokens=5, stream=True
    ) as stream:
        said = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    assert said == whole.choices[0].message.content
    assert len(client.embeddings.create(model=name, input="x").data[0].embedding) == 64
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        client.completions.create(model="another", prompt="x")
