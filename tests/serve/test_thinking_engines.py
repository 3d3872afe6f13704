"""A budget of thought on engines that run a checkpoint, through `seedcoder serve up`.

The tiny checkpoint's weights are random: its thought ends where it is cut, and nowhere else.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

ROOT = Path(__file__).parents[2]
ASKED = [{"role": "user", "content": "Write add(a, b)."}]
GREEDY: dict[str, Any] = {"temperature": 0, "seed": 1}

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("vllm")]


def options_of(engine: str) -> str:
    """Return an engine's options; skips where it cannot run."""
    if engine == "vllm":
        python = os.environ.get("SEEDCODER_VLLM_PYTHON")
        if not python:
            pytest.skip("SEEDCODER_VLLM_PYTHON names no Python with vllm")
        return (
            "options = { max_num_seqs = 4, enforce_eager = true }\n"
            'environment = { VLLM_CPU_KVCACHE_SPACE = "1" }\n'
        )
    python = os.environ.get("SEEDCODER_TORCH_PYTHON", sys.executable)
    if python == sys.executable and importlib.util.find_spec("torch") is None:
        pytest.skip("needs torch here, or SEEDCODER_TORCH_PYTHON: pip install -e '.[hf]'")
    return f'options = {{ threads = 1, python = "{python}" }}\n'


@pytest.fixture(scope="module", params=["transformers", "vllm"])
def client(
    request: pytest.FixtureRequest, tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[openai.OpenAI]:
    """A client of a gateway before the tiny checkpoint, whose template opens a thought."""
    options = options_of(request.param)
    folder = tmp_path_factory.mktemp("thinks")
    (folder / "thinks.toml").write_text(
        f'base = "{tiny_checkpoint}/reasoning.toml"\nname = "thinks"\n'
        f'source = "{tiny_checkpoint}"\nchat_template = "tokenizer"\n[thinking]\nis_opened = true\n'
    )
    (folder / "serve.toml").write_text(
        f'[[models]]\ncard = "thinks.toml"\nengine = "{request.param}"\n{options}'
        f'[gateway]\nport = 0\nfiles_dir = "{folder}/files"\n'
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "seedcoder", "serve", "up", str(folder / "serve.toml")],
        stdout=subprocess.PIPE, stderr=(folder / "log").open("w"), text=True, cwd=ROOT,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    line = next((one for one in process.stdout if one.startswith("serving on")), "")
    assert line, (folder / "log").read_text()
    made = openai.OpenAI(base_url=f"{line.split()[2]}/v1", api_key="none", max_retries=80)
    said(made, max_tokens=1)  # 503 until the engine is there
    yield made
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    process.stdout.close()


def said(client: openai.OpenAI, messages: Any = ASKED, **more: Any) -> Any:
    """Return a whole answer of the most likely tokens."""
    keys = ("thinking_budget", "continue_final_message", "add_generation_prompt")
    extra = {name: more.pop(name) for name in keys if name in more}
    return client.chat.completions.create(
        model="thinks", messages=messages, extra_body=extra, **GREEDY, **more
    )


def test_the_answer_is_what_the_model_says_after_the_thought_it_had(client: openai.OpenAI) -> None:
    answer = said(client, thinking_budget=7, max_tokens=24)
    message, usage = answer.choices[0].message, answer.usage
    assert message.reasoning == message.reasoning_content != ""
    assert 7 <= usage.completion_tokens_details.reasoning_tokens <= 9
    assert usage.completion_tokens == 24 or answer.choices[0].finish_reason == "stop"
    # The model itself, asked to go on from the same place.
    begun = f"<think>\n{message.reasoning.rstrip()}\n</think>\n\n"
    left = 24 - usage.completion_tokens_details.reasoning_tokens
    other = said(
        client,
        [*ASKED, {"role": "assistant", "content": begun}],
        continue_final_message=True,
        add_generation_prompt=False,
        max_tokens=left,
    )
    assert message.content
    assert other.choices[0].message.content == message.content
    # The control: without a budget all of it is thought.
    free = said(client, max_tokens=24)
    assert not free.choices[0].message.content
    assert free.choices[0].message.reasoning.startswith(message.reasoning.rstrip())
    # Exact with running usage; else what was put in to close the thought is counted as prompt.
    assert 0 <= usage.prompt_tokens - free.usage.prompt_tokens <= 8


def test_no_thought_at_all_and_many_choices(client: openai.OpenAI) -> None:
    answer = said(client, thinking_budget=0, max_tokens=12)
    assert answer.choices[0].message.content
    assert not getattr(answer.choices[0].message, "reasoning", None)
    many = said(client, thinking_budget=5, max_tokens=12, n=3)
    assert [choice.index for choice in many.choices] == [0, 1, 2]
    assert all(choice.message.content for choice in many.choices)
    assert many.usage.completion_tokens_details.reasoning_tokens >= 15
