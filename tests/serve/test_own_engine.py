"""Own engines as a recipe describes them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from seedcoder.errors import UsageError
from serve.card import find_card
from serve.config import ModelTable
from serve.engines.build import build_engine
from serve.engines.own_engine import OwnEngine

ROOT = Path(__file__).parents[2]


def engine(folder: Path, kind: Any, card: str = "scripted", **options: Any) -> OwnEngine:
    """Return the engine of a table."""
    table = ModelTable(card=card, engine=kind, options=options, environment={"A": "b"})
    built = build_engine(table, find_card(card), runtime_dir=folder)
    assert isinstance(built, OwnEngine)
    return built


def test_a_command_says_all_that_the_recipe_and_the_card_do(tmp_path: Path) -> None:
    made = engine(tmp_path, "scripted", mode="echo", tokens_per_s=12.5, tokens=7)
    assert list(made.command()) == [
        sys.executable, "-m", "serve.engines.own", "scripted",
        "--socket", str(tmp_path / "scripted.sock"), "--name", "scripted",
        "--tokens", "7", "--context-tokens", "32768", "--tokens-per-s", "12.5", "--mode", "echo",
    ]  # fmt: skip
    assert made.address.socket == tmp_path / "scripted.sock"
    assert made.address.model == "scripted"
    assert made.environment() == {"A": "b"}


def test_a_checkpoints_command_names_source_and_template(tmp_path: Path) -> None:
    words = engine(tmp_path, "transformers", "seed-coder-8b-instruct", python="/x/python").command()
    assert words[0] == "/x/python"
    told = dict(zip(words[4::2], words[5::2], strict=True))
    assert told["--source"] == "ByteDance-Seed/Seed-Coder-8B-Instruct"
    assert Path(told["--chat-template"]).is_file()
    assert told["--context-tokens"] == "32768"
    plain = engine(tmp_path, "transformers", "smollm2-135m", context_tokens=2048).command()
    assert "--chat-template" not in plain
    assert plain[plain.index("--context-tokens") + 1] == "2048"


def test_features_are_those_of_the_engine_and_of_the_model(tmp_path: Path) -> None:
    assert "chat" in engine(tmp_path, "scripted").features
    base = engine(tmp_path, "transformers", "seed-coder-8b-base").features
    assert "completions" in base
    assert not base & {"chat", "embeddings", "tools"}


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("scripted", {"tokens_per_sec": 3}, "did you mean 'tokens_per_s'"),
        ("scripted", {"tokens_per_s": "3"}, "positive number"),
        ("scripted", {"tokens": 1.5}, "whole number"),
        ("transformers", {"file": "x"}, "no such option"),
        ("transformers", {}, "names no source"),
    ],
)
def test_a_wrong_option_is_said_in_one_line(
    tmp_path: Path, kind: str, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        engine(tmp_path, kind, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["scripted", "transformers"])
def test_the_command_line_knows_every_option(tmp_path: Path, kind: str) -> None:
    from serve.engines import own_engine

    names = [*own_engine._COUNTS[kind], *own_engine._NUMBERS[kind], *own_engine._TEXTS[kind]]
    done = subprocess.run(
        [sys.executable, "-m", "serve.engines.own", kind, "--help"],
        capture_output=True, text=True, cwd=ROOT, check=True, env={"COLUMNS": "200"},
    )  # fmt: skip
    missing = [name for name in names if f"--{name.replace('_', '-')} " not in done.stdout]
    assert missing == []


def test_the_command_starts_an_engine_at_the_address(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    file.write_text('{"key": "*", "text": "as written"}\n', encoding="utf-8")
    made = engine(tmp_path, "scripted", file=str(file), first_token_ms=1)
    process = subprocess.Popen(made.command(), stderr=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stderr is not None
        assert "serving on" in process.stderr.readline()
        transport = httpx.HTTPTransport(uds=str(made.address.socket))
        with httpx.Client(transport=transport, base_url=made.address.url) as client:
            body = {"model": made.address.model, "prompt": "anything"}
            got = client.post("/v1/completions", json=body).json()
        assert got["choices"][0]["text"] == "as written"
    finally:
        process.kill()
        process.wait()
        process.stderr.close()  # type: ignore[union-attr]
