"""What every engine is: a command, an environment, an address; and how it is doing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from serve.card import ModelCard

State = Literal["stopped", "starting", "ready", "broken", "draining"]

# What an engine may offer: routes and ways of asking that the gateway would otherwise refuse.
Feature = Literal[
    "chat", "completions", "embeddings", "responses", "messages", "tokenize", "detokenize",
    "tools", "schema", "logprobs", "continue",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where an engine listens: a unix socket, or a URL without a path ("http://127.0.0.1:9000").

    model: what the engine calls the model. headers: sent with each request (an upstream's key).
    prefix: before every path, for upstream servers below a path.
    """

    url: str = "http://engine"
    socket: Path | None = None
    model: str
    headers: Mapping[str, str] = field(default_factory=dict)
    prefix: str = ""


class Engine(Protocol):
    """One engine of one model, as a recipe describes it; nothing runs yet."""

    @property
    def card(self) -> ModelCard:
        """The model."""
        ...

    @property
    def address(self) -> Address:
        """Where it listens once it runs."""
        ...

    @property
    def features(self) -> frozenset[Feature]:
        """What it offers."""
        ...

    def command(self) -> Sequence[str] | None:
        """Return the exact command that starts it; None where there is nothing to start."""
        ...

    def environment(self) -> Mapping[str, str]:
        """Return what the command's environment gets beside the gateway's own."""
        ...


class Kept(Protocol):
    """An engine under supervision: started, watched, restarted, drained. See `keeper`."""

    @property
    def engine(self) -> Engine:
        """What is kept."""
        ...

    @property
    def state(self) -> State:
        """How it is doing now."""
        ...

    @property
    def why(self) -> str:
        """Why it is not ready, in a line; empty where it is."""
        ...

    @property
    def restarts(self) -> int:
        """How often it was started again."""
        ...

    async def start(self) -> None:
        """Begin; returns at once, `state` tells how it goes."""
        ...

    async def stop(self, drain_s: float) -> None:
        """End it: no new requests, those under way get `drain_s` seconds."""
        ...

    def report_dead(self, why: str) -> None:
        """Say that a request found it gone: it is looked at now, not at the next check."""
        ...
