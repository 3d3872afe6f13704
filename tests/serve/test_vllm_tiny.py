"""vLLM on this machine's CPU with the tiny checkpoint: it renders, cuts and counts as we reckon.

Skipped where no vLLM is installed: `make serve-cpu`, or SEEDCODER_VLLM_PYTHON. Loading takes one
to three minutes, so all tests share one engine.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from seedcoder.errors import MachineLacks
from serve.card import ModelCard, find_card
from serve.checkpoint_facts import read_checkpoint
from serve.config import ModelTable
from serve.engines.build import build_engine
from serve.engines.engine import Engine
from serve.memory_plan import plan
from serve.template import render

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("vllm")]

READY_S = 600.0
TALKS: list[list[dict[str, Any]]] = [
    [{"role": "user", "content": " hi "}],
    [
        {"role": "system", "content": "x"},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b\n"},
        {"role": "user", "content": [{"type": "text", "text": t} for t in ("p", "q")]},
    ],
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A vLLM that is ready, the card it serves, and what it wrote."""

    client: httpx.Client
    card: ModelCard
    log: Path

    def tokens(self, **body: Any) -> list[int]:
        """Return what vLLM makes of a chat or a text."""
        answer = self.client.post("/tokenize", json={"model": self.card.name, **body})
        assert answer.status_code == 200, answer.text
        tokens: list[int] = answer.json()["tokens"]
        return tokens


def wait_ready(client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while True:
        assert process.poll() is None, log.read_text()[-2000:]
        assert time.monotonic() < deadline, log.read_text()[-2000:]
        try:
            if client.get("/health").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)


@pytest.fixture(scope="module")
def served(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The tiny checkpoint's instruct card on vLLM, with a cache of 1 GB."""
    folder = tmp_path_factory.mktemp("v")
    card = find_card(str(tiny_checkpoint / "instruct.toml"))
    table = ModelTable(
        card="instruct", engine="vllm", options={"max_num_seqs": 4, "enforce_eager": True},
        environment={"VLLM_CPU_KVCACHE_SPACE": "1"},
    )  # fmt: skip
    try:
        engine: Engine = build_engine(table, card, runtime_dir=folder)
    except MachineLacks as lacks:
        pytest.skip(str(lacks))
    command, socket = engine.command(), engine.address.socket
    assert command is not None
    if socket is None:
        pytest.skip("this vLLM cannot listen on a unix socket")
    log = folder / "log"
    with log.open("wb") as written:
        process = subprocess.Popen(
            command, stdout=written, stderr=subprocess.STDOUT,
            env={**os.environ, **engine.environment()},
        )  # fmt: skip
    client = httpx.Client(
        transport=httpx.HTTPTransport(uds=str(socket)), base_url="http://engine", timeout=60
    )
    try:
        wait_ready(client, process, log)
        yield Served(client=client, card=card, log=log)
    finally:
        client.close()
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.mark.parametrize("talk", TALKS)
def test_vllm_renders_a_chat_as_we_do(served: Served, talk: list[dict[str, Any]]) -> None:
    ours = render(served.card, talk)
    theirs = served.tokens(messages=talk, add_generation_prompt=True)
    assert theirs == served.tokens(prompt=ours, add_special_tokens=False)
    # one BOS before each turn, no second one at the beginning
    bos = read_checkpoint(Path(served.card.source)).tokens[served.card.bos]
    assert theirs.count(bos) == ours.count(served.card.bos) and theirs[:2] != [bos, bos]
    assert theirs != served.tokens(prompt=ours + "x", add_special_tokens=False)


def test_vllm_leaves_a_reply_open_as_we_do(served: Served) -> None:
    talk = [*TALKS[0], {"role": "assistant", "content": "def f("}]
    theirs = served.tokens(messages=talk, add_generation_prompt=False, continue_final_message=True)
    ours = render(served.card, talk, continue_final=True)
    assert theirs == served.tokens(prompt=ours, add_special_tokens=False)


def test_vllm_reads_each_word_of_the_card_as_one_token(served: Served) -> None:
    facts = read_checkpoint(Path(served.card.source))
    assert served.card.fim is not None
    fim = served.card.fim.fim()
    for word in (served.card.bos, served.card.eos, fim.prefix, fim.suffix, fim.middle, fim.file):
        assert served.tokens(prompt=word, add_special_tokens=False) == [facts.tokens[word]]


def test_vllm_counts_as_many_tokens_as_the_memory_plan(served: Served) -> None:
    assert served.card.shape is not None
    fitted = plan(served.card.shape, served.card.context_tokens, kv_gb=1.0)
    said = re.search(r"KV cache size: ([\d,]+) tokens", served.log.read_text())
    assert said is not None
    counted = int(said[1].replace(",", ""))
    assert 0 <= fitted.tokens_that_fit - counted < 256  # it counts whole blocks
