"""One request on its way through a route, and the three kinds of replies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from serve.gateway.house import House


class Holder(Protocol):
    """Whom a key belongs to, as far as the door must know; `serve.keys.KeyHolder` is one."""

    @property
    def name(self) -> str:
        """The name that logs and metrics show."""
        ...


@dataclass(slots=True)
class Tally:
    """What is learnt of a request while it is answered: for the log, metrics, usage records.

    model: the card's name. began_s: on `time.perf_counter`'s clock. first_s: seconds to the first
    token. thoughts: tokens of `completion_tokens` that were reasoning.
    """

    began_s: float = 0.0
    model: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    thoughts: int = 0
    first_s: float | None = None
    read_bytes: int = 0
    sent_bytes: int = 0
    note: str = ""

    def take_usage(self, usage: Mapping[str, Any]) -> None:
        """Take the counts of a `usage` object, OpenAI's or Anthropic's; they replace older ones."""
        prompt = usage.get("prompt_tokens", usage.get("input_tokens"))
        completion = usage.get("completion_tokens", usage.get("output_tokens"))
        if isinstance(prompt, int):
            self.prompt_tokens = prompt
        if isinstance(completion, int):
            self.completion_tokens = completion
        details = usage.get("completion_tokens_details")
        if isinstance(details, Mapping) and isinstance(details.get("reasoning_tokens"), int):
            self.thoughts = details["reasoning_tokens"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request.

    id: its request id. key: whom its key belongs to; None where the service asks for none.
    body: the JSON object it brought; {} for routes that take none. query, path: parameters, as
        text; headers: by lower-case names.
    chunks: the body as it comes, for routes that take none but JSON (`Way.takes == "form"`).
    tally: what the log and the metrics will say of it; handlers that make their own answer may
        write there.
    """

    id: str
    house: House
    key: Any | None = None
    body: dict[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    path: Mapping[str, str] = field(default_factory=dict)
    chunks: AsyncIterator[bytes] | None = None
    tally: Tally = field(default_factory=Tally)


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A whole JSON answer."""

    body: Mapping[str, Any]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Server-sent events.

    events: each a dict (one event's data) or bytes (whole events as they go out, blank lines and
        all). The last dict carries `usage` with empty choices; it is counted, and sent on only
        where shows_usage. Closed when the client goes away.
    done: end with OpenAI's "[DONE]", where the events end well.
    """

    events: AsyncIterator[dict[str, Any] | bytes] | AsyncIterator[dict[str, Any]]
    done: bool = True
    shows_usage: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """Bytes of any kind: a file, metrics, what is passed through."""

    media_type: str
    chunks: AsyncIterator[bytes] | bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Reply: TypeAlias = Whole | Stream | Raw
Handler: TypeAlias = Callable[[Call], Awaitable[Reply]]
