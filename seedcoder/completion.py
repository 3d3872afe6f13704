"""What is asked of a model and what it answers: the types that cross rooms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

Finish = Literal["stop", "length", "overflow", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One prompt: a string to continue, or the messages of a chat. `key` names it in the answer.

    prefill: the beginning of the assistant's reply (EvalPlus's protocol for chat models opens the
        code fence itself); empty for none. The completion's text does not repeat it.
    """

    key: str
    prompt: str | tuple[Message, ...]
    prefill: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How tokens are drawn. temperature 0 is greedy.

    stop: strings that end a reply; they are not part of its text.
    stop_after_fence: end a reply when its first fenced code block closes (the text keeps it).
    seed: of the first sample; sample n uses seed + n.
    """

    max_tokens: int = 512
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    stop_after_fence: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """One reply.

    key, n: the request it answers, and which of its samples, from 0.
    finish: "stop" (by itself, a stop string or the fence), "length" (cut at max_tokens, or at
        the end of the context), "overflow" (the prompt alone does not fit the context: there is no
        reply, and that is the model's answer) or "error" (no reply was had: `error` says why; this
        is our failure).
    tokens, prompt_tokens: as the model counts them; 0 where a server does not say.
    logprobs: of each token where asked for and offered.
    """

    key: str
    n: int = 0
    text: str
    finish: Finish
    tokens: int = 0
    prompt_tokens: int = 0
    logprobs: tuple[float, ...] | None = None
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`."""
        data = {name: getattr(self, name) for name in self.__slots__}
        data["logprobs"] = list(self.logprobs) if self.logprobs is not None else None
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Completion:
        """Return the completion that `to_json` wrote."""
        logprobs = data["logprobs"]
        return cls(**{**data, "logprobs": tuple(logprobs) if logprobs is not None else None})


@runtime_checkable
class Model(Protocol):
    """Something that completes prompts. Made by `seedcoder.models.open_model(url)`."""

    @property
    def name(self) -> str:
        """The name that reports show."""
        ...

    def generate(
        self, requests: Iterable[Request], sampling: Sampling, n: int = 1
    ) -> Iterator[Completion]:
        """Yield `n` completions a request, as they finish, in any order."""
        ...

    def close(self) -> None:
        """Let go of memory, threads and connections."""
        ...
