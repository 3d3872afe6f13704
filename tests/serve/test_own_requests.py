"""Requests that are wrong: each is refused in OpenAI's shape, with the parameter's name."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest


def hi(rest: str) -> str:
    """Return the body of a chat, with something more in it."""
    return '{"messages": [{"role": "user", "content": "hi"}], ' + rest + "}"


@pytest.fixture(scope="module")
def engine(own_kit: ModuleType) -> Iterator[Any]:
    with own_kit.served("scripted") as engine:
        yield engine


@pytest.mark.parametrize(
    ("path", "body", "status", "param", "words"),
    [
        ("chat/completions", "{", 400, None, "no JSON"),
        ("chat/completions", "", 400, None, "no JSON"),
        ("chat/completions", "[]", 400, None, "must be a JSON object"),
        ("chat/completions", b'{"messages": "\xff"}', 400, None, "no JSON"),
        ("chat/completions", '{"model": "m" ' + "[" * 2000, 400, None, "no JSON"),
        ("chat/completions", hi('"temperature": NaN'), 400, None, "no JSON"),
        ("chat/completions", hi('"temperature": "1"'), 400, "temperature", "number"),
        ("chat/completions", hi('"temperature": -1'), 400, "temperature", "greater"),
        ("chat/completions", hi('"max_tokens": 0'), 400, "max_tokens", "greater"),
        ("chat/completions", hi('"max_tokens": 1.5'), 400, "max_tokens", "integer"),
        ("chat/completions", hi('"n": 1000'), 400, "n", "less"),
        ("chat/completions", hi('"temprature": 1'), 400, "temprature", "'temperature'?"),
        ("chat/completions", hi('"stop": [1]'), 400, "stop", "string"),
        ("chat/completions", hi('"stream": "yes"'), 400, "stream", "boolean"),
        ("chat/completions", hi('"stream_options": {}'), 400, "stream_options", "streams"),
        ("chat/completions", hi('"model": "another"'), 404, "model", "does not exist"),
        ("chat/completions", "{}", 400, "messages", "missing"),
        ("chat/completions", '{"messages": []}', 400, "messages", "at least 1"),
        ("chat/completions", '{"messages": "hi"}', 400, "messages", "list"),
        ("chat/completions", '{"messages": [{"content": "hi"}]}', 400, "messages[0]", "role"),
        ("chat/completions", '{"messages": [{"role": "user"}]}', 400, "messages[0]", "content"),
        (
            "chat/completions",
            '{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}',
            400, "messages[0]", "image_url",
        ),
        ("completions", '{"prompt": ""  , "suffix": "x"}', 400, "suffix", "unknown"),
        ("completions", '{"prompt": []}', 400, "prompt", "empty list"),
        ("completions", '{"prompt": [[1], "x"]}', 400, "prompt", "a list of either"),
        ("embeddings", '{"input": {}}', 400, "input", "a string"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_by_name(
    engine: Any, own_kit: ModuleType, path: str, body: str | bytes, status: int, param: str | None,
    words: str,
) -> None:  # fmt: skip
    error = own_kit.refused(engine.client.post(f"/v1/{path}", content=body), status)
    assert error["param"] == param
    assert words in error["message"]
    assert error["type"] == "invalid_request_error"


def test_what_says_nothing_of_the_answer_is_taken(engine: Any) -> None:
    said = engine.chat("hi", user="me", metadata={"a": "b"}, store=False, temperature=None, stop=[])
    assert said["choices"][0]["message"]["content"]


def test_parts_of_text_are_one_text(own_kit: ModuleType) -> None:
    with own_kit.served("scripted", "--mode", "echo") as engine:
        parts = [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]
        got = engine.post("/v1/chat/completions", messages=[{"role": "user", "content": parts}])
        assert own_kit.whole(got)["choices"][0]["message"]["content"] == "one two"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("POST", "/health", 405),
        ("GET", "/v1/chat/completions", 405),
        ("HEAD", "/health", 200),
    ],
)
def test_routes_are_these_and_no_others(engine: Any, method: str, path: str, status: int) -> None:
    assert engine.client.request(method, path).status_code == status
