"""Any OpenAI-compatible server that somebody else runs.

    engine = "openai"
    options = { url = "http://10.0.0.5:8000/v1", model = "seed-coder", key_env = "THEIR_KEY" }

Such servers list their models at /v1/models, and that is looked at as their health check: vLLM,
llama.cpp's server (tools/server/README.md of ggml-org/llama.cpp), Ollama and hosted ones have it.
Whether the model is in the list is not looked at: some of them answer to any name.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

from serve.card import ModelCard
from serve.config import ModelTable
from serve.engines.engine import Address, Feature
from serve.engines.options import Options
from serve.engines.terms import Terms

_KNOWN = ("url", "model", "key_env", "features", "headers", "check_s")
_CHECK_S = 15.0  # ours: another's server is not asked as often as our own


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamEngine:
    """A server at an address; there is nothing to start."""

    card: ModelCard
    address: Address
    features: frozenset[Feature]
    terms: Terms = field(default_factory=Terms)

    @classmethod
    def of(cls, table: ModelTable, card: ModelCard) -> UpstreamEngine:
        """Return the engine of a recipe's table. Raises UsageError for options that are wrong."""
        options = Options(table.options, of=f"the upstream server of {card.name}", known=_KNOWN)
        headers = dict(options.table("headers"))
        if (named := options.text("key_env")) is not None:
            key = os.environ.get(named)
            if not key:
                raise options.wrong(
                    "key_env", f"the environment has no {named}: put the server's key there"
                )
            headers["Authorization"] = f"Bearer {key}"
        address = _address(options, options.text("model") or card.name, headers)
        terms = Terms(health_path="/v1/models", check_s=options.number("check_s") or _CHECK_S)
        return cls(card=card, address=address, features=_features(options, card), terms=terms)

    def command(self) -> None:
        """Return nothing: it is not ours to start."""
        return

    def preparation(self) -> None:
        """Return nothing, likewise."""
        return

    def environment(self) -> Mapping[str, str]:
        """Return nothing, likewise."""
        return {}


def _address(options: Options, model: str, headers: Mapping[str, str]) -> Address:
    url = options.text("url")
    if url is None:
        raise options.wrong("url", "it must be there, such as 'http://127.0.0.1:9000'")
    if url.startswith("unix:"):
        return Address(socket=Path(url.removeprefix("unix:")), model=model, headers=headers)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise options.wrong("url", f"{url!r} is no URL: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise options.wrong(
            "url", f"it must be http://HOST..., https://HOST... or unix:PATH: {url!r}"
        )
    if parts.username is not None or parts.password is not None:
        raise options.wrong("url", "a key in a URL ends up in logs: name a variable with key_env")
    if parts.query or parts.fragment:
        raise options.wrong("url", f"it must end with its path: {url!r}")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    place = f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")
    # Requests bring their own /v1, which URLs are as often written with as without.
    prefix = parts.path.rstrip("/").removesuffix("/v1")
    return Address(url=place, model=model, headers=headers, prefix=prefix)


def _features(options: Options, card: ModelCard) -> frozenset[Feature]:
    """Return what the recipe says it offers, else what nearly all such servers do."""
    if (named := options.words("features")) is not None:
        known = {feature: feature for feature in get_args(Feature)}
        for name in named:
            if name not in known:
                raise options.wrong("features", f"no such feature: {name!r}; {', '.join(known)}")
        return frozenset(known[name] for name in named)
    if card.role == "embedding":
        return frozenset({"embeddings"})
    usual: frozenset[Feature] = frozenset({"completions", "logprobs", "schema"})
    return usual if card.role == "base" else usual | {"chat", "tools"}
