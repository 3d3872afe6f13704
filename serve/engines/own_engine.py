"""Our own engine servers as engines of a recipe.

    engine = "scripted"
    options = { file = "answers.jsonl", tokens_per_s = 50 }

    engine = "transformers"
    options = { batch = 8, threads = 2 }

Options are those of `python -m serve.engines.own scripted|transformers --help`, with `_` for `-`;
what they mean is said there. `python`, for both: another Python to run it with.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from seedcoder.errors import UsageError
from serve.card import ModelCard
from serve.config import ModelTable
from serve.engines.engine import Address, Feature
from serve.engines.options import Options
from serve.engines.places import socket_path

_COUNTS: Final = {
    "scripted": ("tokens", "piece_chars", "context_tokens", "dimensions"),
    "transformers": ("threads", "batch", "context_tokens"),
}
_NUMBERS: Final = {
    "scripted": ("tokens_per_s", "tick_ms", "first_token_ms"),
    "transformers": ("cache_gb",),
}
_TEXTS: Final = {"scripted": ("file", "mode"), "transformers": ("dtype",)}


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnEngine:
    """One of our own servers, on a unix socket."""

    card: ModelCard
    address: Address
    features: frozenset[Feature]
    words: tuple[str, ...]
    own_environment: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, table: ModelTable, card: ModelCard, *, runtime_dir: Path) -> OwnEngine:
        """Return the engine of a recipe's table. Raises UsageError for options that are wrong."""
        kind = table.engine
        counts, numbers, texts = _COUNTS[kind], _NUMBERS[kind], _TEXTS[kind]
        known = ("python", *counts, *numbers, *texts)
        options = Options(table.options, of=f"the {kind} engine of {card.name}", known=known)
        socket = socket_path(runtime_dir, card.name)
        words = [options.text("python") or sys.executable, "-m", "serve.engines.own", kind]
        words += ["--socket", str(socket), "--name", card.name]
        if kind == "transformers":
            words += _checkpoint(options, card)
        for name in counts:
            value = options.number(name)
            if value is None and name == "context_tokens":
                value = card.context_tokens
            if value is not None:
                words += [_flag(name), f"{_whole(options, name, value)}"]
        for name in numbers:
            if (value := options.number(name)) is not None:
                words += [_flag(name), f"{value:g}"]
        for name in texts:
            if (text := options.text(name)) is not None:
                words += [_flag(name), text]
        return cls(
            card=card,
            address=Address(socket=socket, model=card.name),
            features=_features(kind, card),
            words=tuple(words),
            own_environment=dict(table.environment),
        )

    def command(self) -> tuple[str, ...]:
        """Return the exact command that starts it."""
        return self.words

    def environment(self) -> Mapping[str, str]:
        """Return what its environment gets beside the gateway's."""
        return self.own_environment


def _checkpoint(options: Options, card: ModelCard) -> list[str]:
    if not card.source:
        raise UsageError(
            f"the card {card.name} names no source: the transformers engine has nothing to load"
        )
    words = ["--source", card.source]
    if card.revision is not None:
        words += ["--revision", card.revision]
    if (template := card.template_file()) is not None:
        words += ["--chat-template", str(template)]
    return words


def _features(kind: str, card: ModelCard) -> frozenset[Feature]:
    if card.role == "embedding" and kind == "scripted":
        return frozenset({"embeddings", "tokenize"})
    usual: frozenset[Feature] = frozenset({"completions", "logprobs", "tokenize"})
    if card.role != "base":
        usual |= {"chat"}
    if kind == "scripted":
        return usual | {"tools"}
    return usual | {"continue"}


def _whole(options: Options, name: str, value: float) -> int:
    if value != int(value):
        raise options.wrong(name, f"it must be a whole number, not {value!r}")
    return int(value)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
