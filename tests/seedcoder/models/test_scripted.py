from __future__ import annotations

from pathlib import Path

import pytest

from seedcoder.completion import Model, Request, Sampling
from seedcoder.errors import UsageError
from seedcoder.models import open_model


def script(folder: Path, *lines: str) -> str:
    path = folder / "answers.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return f"scripted:{path}"


def test_answers_come_by_key_and_sample(tmp_path: Path) -> None:
    url = script(
        tmp_path,
        '{"key": "a", "text": "any"}',
        "",
        '{"key": "a", "n": 1, "text": "second", "finish": "length", "tokens": 5}',
    )
    model = open_model(url)
    assert isinstance(model, Model)
    assert model.name == "answers"
    replies = list(model.generate([Request(key="a", prompt="?")], Sampling(), n=3))
    assert [(c.n, c.text, c.finish, c.tokens) for c in replies] == [
        (0, "any", "stop", 0),
        (1, "second", "length", 5),
        (2, "any", "stop", 0),
    ]
    model.close()


def test_a_missing_key_is_an_error_and_not_an_empty_answer(tmp_path: Path) -> None:
    model = open_model(script(tmp_path, '{"key": "a", "text": "x"}'))
    (reply,) = model.generate([Request(key="b", prompt="?")], Sampling())
    assert (reply.finish, reply.text) == ("error", "")
    assert reply.error is not None and "answers.jsonl" in reply.error


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", ":2: Invalid JSON"),
        ('{"key": "b"}', ":2: text: Field required"),
        ('{"key": "b", "text": "x", "txet": 1}', ":2: txet:"),
        ('{"key": "b", "text": 3}', ":2: text:"),
        ('{"key": "a", "text": "again"}', ":2: a second answer for key 'a'"),
        ("[]", ":2: "),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, line: str, says: str) -> None:
    with pytest.raises(UsageError) as raised:
        open_model(script(tmp_path, '{"key": "a", "text": "x"}', line))
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_cannot_be_read_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        open_model(f"scripted:{tmp_path / 'none.jsonl'}")
    (tmp_path / "bytes.jsonl").write_bytes(b'{"key": "\xff"}')
    with pytest.raises(UsageError, match="not UTF-8 at byte 9"):
        open_model(f"scripted:{tmp_path / 'bytes.jsonl'}")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("gpt", "no such kind of model: 'gpt'"),
        ("", "no such kind of model"),
        ("vllm:x", "no such kind of model"),
        ("scripted:", "names no file"),
        ("hf:", "names no checkpoint"),
        ("hf:x?dtyp=float32", "no option 'dtyp'"),
        ("hf:x?dtype=int3", "not 'int3'"),
        ("smollm2:x", "takes no path"),
        ("openai:", "not a server's address"),
        ("openai:localhost:8000#m", "not a server's address"),
        ("openai:http://h:port/v1#m", "not a server's address"),
        ("openai:http://127.0.0.1:1/v1", "name the model"),
    ],
)
def test_a_url_that_means_nothing_is_one_clear_line(url: str, says: str) -> None:
    with pytest.raises(UsageError) as raised:
        open_model(url)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


def test_thread_and_batch_counts_are_checked() -> None:
    with pytest.raises(UsageError, match="batch"):
        open_model("scripted:x", batch=0)
    with pytest.raises(UsageError, match="threads"):
        open_model("scripted:x", threads=0)
