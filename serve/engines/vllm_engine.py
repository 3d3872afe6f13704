"""vLLM's own server as an engine, on GPUs and, by the same code, on CPUs.

    engine = "vllm"
    options = { tensor_parallel_size = 8, gpu_memory_utilization = 0.9 }

Options are vLLM's, by their names, and go on as they are: true is `--name`, false `--no-name`, a
list is several words, a table is JSON. vLLM itself refuses what it does not know, and its last
words say so. Ours: `python` (see `vllm_install`), `start_s` (until it must be ready).

It listens on a unix socket in a folder that only this user can enter; where the installed vLLM
has no such option, on a free port of loopback with a key of this start, which guards its /v1 only
(and the port may be taken by somebody else before it is bound: it is then started again, in vain).
"""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serve.card import EMBEDDED, ModelCard
from serve.config import ModelTable
from serve.engines.engine import Address, Feature
from serve.engines.options import Options
from serve.engines.places import socket_path
from serve.engines.terms import Terms
from serve.engines.vllm_install import VllmInstall, find_install

# The gateway's own business: where it listens, what it is called, who may come in.
_OURS = {
    "host": "engines listen where only the gateway reaches them",
    "port": "engines listen where only the gateway reaches them",
    "uds": "engines listen where only the gateway reaches them",
    "api_key": "keys are the gateway's: gateway.keys_file",
    "model": "it is the card's source",
    "served_model_name": "it is the card's name",
    "revision": "it is the card's revision",
    "chat_template": "it is the card's chat_template",
    "allowed_origins": "browsers talk to the gateway: gateway.cors",
}
_READ_HERE = ("python", "start_s")
# Longer than any gateway waits: it is the gateway that decides when an engine has had its time.
_DRAIN_S = 3600
_CPU_KV_GB = "1"  # of vLLM's key-value cache on a CPU, where the recipe does not say: ours
_QUIET = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
_MAKE_EMBEDDED = (
    "import sys; sys.path.insert(0, sys.argv[1]);"
    " from seedcoder.models.smollm2 import checkpoint; print(checkpoint())"
)
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmEngine:
    """One vLLM server of one model."""

    card: ModelCard
    address: Address
    install: VllmInstall
    terms: Terms
    options: Mapping[str, Any] = field(default_factory=dict)
    own_environment: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        table: ModelTable,
        card: ModelCard,
        *,
        runtime_dir: Path,
        install: VllmInstall | None = None,
    ) -> VllmEngine:
        """Return the engine of a recipe's table. Raises UsageError, MachineLacks.

        install: the vLLM to take in place of the one that would be found.
        """
        plain = {name.replace("-", "_"): value for name, value in table.options.items()}
        options = Options(plain, of=f"the vllm engine of {card.name}")
        for name in plain:
            if name in _OURS:
                raise options.wrong(name, f"it cannot be said here: {_OURS[name]}")
        if not card.source:
            raise options.wrong("model", "the card names no source, and so nothing to load")
        python = options.text("python")
        install = install or find_install(python)
        start_s = options.number("start_s")
        environment = dict(table.environment)
        device = environment.get("CUDA_VISIBLE_DEVICES", "all")
        terms = Terms(
            start_s=start_s or Terms().start_s,
            # Each vLLM measures how much of a GPU's memory is free while it starts.
            device="" if install.is_cpu else f"gpu {device}",
        )
        address, key = _address(card, install, runtime_dir)
        return cls(
            card=card,
            address=address,
            install=install,
            terms=terms,
            options={name: value for name, value in plain.items() if name not in _READ_HERE},
            own_environment={**key, **environment},
        )

    @property
    def features(self) -> frozenset[Feature]:
        """What vLLM offers for a model of the card's role."""
        if self.card.role == "embedding":
            return frozenset({"embeddings", "tokenize", "detokenize"})
        every: frozenset[Feature] = frozenset(
            {"completions", "tokenize", "detokenize", "schema", "logprobs"}
        )
        if self.card.role == "base":
            return every
        every |= {"chat", "responses", "messages", "continue"}
        return every | {"tools"} if self.card.tools == "native" else every

    def command(self) -> tuple[str, ...]:
        """Return the exact command that starts it."""
        given = {**self._usual(), **self.options}
        words = [self.install.python, "-m", "vllm.entrypoints.cli.main", "serve", self._source()]
        words += ["--served-model-name", self.card.name]
        if self.address.socket is not None:
            words += ["--uds", str(self.address.socket)]
        else:
            host, _, port = self.address.url.rpartition("/")[2].rpartition(":")
            words += ["--host", host, "--port", port]
        for name, value in given.items():
            words += _words(name, value)
        return tuple(words)

    def environment(self) -> Mapping[str, str]:
        """Return what its environment gets beside the gateway's."""
        made = dict(_QUIET)
        if self._is_folder():
            made["HF_HUB_OFFLINE"] = "1"
        if self.install.is_cpu:
            made["VLLM_CPU_KVCACHE_SPACE"] = _CPU_KV_GB
        return {**made, **self.own_environment}

    def preparation(self) -> tuple[str, ...] | None:
        """Return the command that makes the embedded model; nothing for others."""
        if self.card.source != EMBEDDED:
            return None
        # By vLLM's Python, as that one has torch and transformers in any case.
        return (self.install.python, "-c", _MAKE_EMBEDDED, str(_ROOT))

    def _source(self) -> str:
        source = self.card.source
        if source == EMBEDDED:
            from seedcoder.models import smollm2

            return str(smollm2.folder())
        return str(Path(source).expanduser().absolute()) if self._is_folder() else source

    def _is_folder(self) -> bool:
        return self.card.source == EMBEDDED or Path(self.card.source).expanduser().is_dir()

    def _usual(self) -> dict[str, Any]:
        """Return what the card says, and what we choose where the recipe says nothing."""
        card = self.card
        usual: dict[str, Any] = {"max_model_len": card.context_tokens}
        if card.revision is not None and not self._is_folder():
            usual["revision"] = card.revision
        if card.role == "embedding":
            usual["runner"] = "pooling"
        elif (template := card.template_file()) is not None:
            usual["chat_template"] = str(template.absolute())
        if card.tools == "native" and card.tool_parser:
            usual |= {"enable_auto_tool_choice": True, "tool_call_parser": card.tool_parser}
        if self.install.is_cpu:
            usual["dtype"] = "bfloat16"
        if self.install.drains:
            usual["shutdown_timeout"] = _DRAIN_S
        # The gateway writes the access log.
        usual["disable_uvicorn_access_log"] = True
        return usual


def _address(
    card: ModelCard, install: VllmInstall, runtime_dir: Path
) -> tuple[Address, dict[str, str]]:
    """Return where it will listen, and the environment that makes it ask for a key there."""
    if install.has_socket:
        return Address(socket=socket_path(runtime_dir, card.name), model=card.name), {}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    key = secrets.token_urlsafe(24)
    headers = {"Authorization": f"Bearer {key}"}
    address = Address(url=f"http://127.0.0.1:{port}", model=card.name, headers=headers)
    # By the environment: a command line can be read by every user of the machine.
    return address, {"VLLM_API_KEY": key}


def _words(name: str, value: object) -> list[str]:
    """Return an option as words of vLLM's command line."""
    dashed = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{dashed}" if value else f"--no-{dashed}"]
    if isinstance(value, Mapping):
        return [f"--{dashed}", json.dumps(value)]
    if isinstance(value, list | tuple):
        return [f"--{dashed}", *(_word(one) for one in value)]
    return [f"--{dashed}", _word(value)]


def _word(value: object) -> str:
    return json.dumps(value) if isinstance(value, Mapping) else str(value)
