"""What the page asks of the gateway, as any OpenAI client does: with the openai library.

    gateway = Gateway("http://127.0.0.1:8000")
    async for piece in gateway.chat(ask, key=""):
        ...

Errors of the far side come as `Refused`, one line for the page. Closing a stream's iterator cancels
the request, and so the work behind it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import httpx
    from openai import AsyncOpenAI
    from openai.types.chat import ChatCompletionChunk

_CONNECT_S: Final = 10.0  # ours
_READ_S: Final = 600.0  # ours: between two bytes; a large model may think before its first token
_NO_KEY: Final = "no-key"  # the library wants one even where the far side asks for none


class Refused(Exception):
    """The far side gave no answer; the message is one line for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """A model of the list. role, has_middle: None where the list does not say."""

    name: str
    role: str | None = None
    has_middle: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A chat that wants its next turn. None leaves a value to the model's card."""

    model: str
    messages: Sequence[Mapping[str, str]]
    temperature: float | None = None
    max_tokens: int | None = None
    thinking_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A part of an answer as it arrives.

    finish: why the answer ended, in its last piece. tokens: of the whole reply, where told.
    """

    text: str = ""
    thought: str = ""
    finish: str = ""
    tokens: int | None = None


class Gateway:
    """One server that speaks OpenAI's protocol.

    base_url: with or without "/v1". key: sent where the visitor has given none of his own.
    transport: in place of the network, for a gateway in this process (see `in_process`).
    """

    def __init__(
        self,
        base_url: str,
        *,
        key: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        from openai import AsyncOpenAI, Timeout

        url = base_url.rstrip("/")
        wait = {"timeout": _READ_S, "connect": _CONNECT_S}
        client: Any = None
        if transport is not None:
            import httpx

            client = httpx.AsyncClient(transport=transport, timeout=httpx.Timeout(**wait))
        self._key = key
        self._client = AsyncOpenAI(
            base_url=url if url.endswith("/v1") else f"{url}/v1",
            api_key=key or _NO_KEY,
            max_retries=0,  # the visitor sees what is wrong and asks again himself
            timeout=Timeout(**wait),
            http_client=client,
        )

    async def models(self, *, key: str = "") -> tuple[Offered, ...]:
        """Return the models that may be asked. Raises Refused."""
        import openai

        try:
            listed = await self._with(key).models.list()
        except openai.OpenAIError as error:
            raise Refused(_words(error)) from error
        offered = [(model.id, model.model_extra or {}) for model in listed.data]
        # vLLM and our gateway say under `root` what a model is really called: aliases are left out.
        return tuple(
            _offered(name, more)
            for name, more in offered
            if not any(other == more.get("root") != name for other, _ in offered)
        )

    async def chat(self, ask: Ask, *, key: str = "") -> AsyncIterator[Piece]:
        """Yield the next turn as it is written. Raises Refused."""
        import openai

        extra: dict[str, Any] = {}
        if ask.thinking_tokens is not None:
            extra["thinking_budget"] = ask.thinking_tokens
        body: dict[str, Any] = {
            "model": ask.model,
            "messages": [dict(message) for message in ask.messages],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if ask.temperature is not None:
            body["temperature"] = ask.temperature
        if ask.max_tokens is not None:
            body["max_tokens"] = ask.max_tokens
        try:
            stream = await self._with(key).chat.completions.create(**body, extra_body=extra)
            async with stream:
                async for chunk in stream:
                    piece = _piece(chunk)
                    if piece is not None:
                        yield piece
        except openai.OpenAIError as error:
            raise Refused(_words(error)) from error

    async def middle(
        self,
        *,
        model: str,
        prefix: str,
        suffix: str,
        max_tokens: int,
        temperature: float,
        key: str = "",
    ) -> str:
        """Return what belongs between two texts. Raises Refused."""
        import openai

        try:
            answer = await self._with(key).completions.create(
                model=model,
                prompt=prefix,
                suffix=suffix,
                max_tokens=max_tokens,
                temperature=temperature,
            )
        except openai.OpenAIError as error:
            raise Refused(_words(error)) from error
        return answer.choices[0].text if answer.choices else ""

    async def close(self) -> None:
        """Let the connections go."""
        await self._client.close()

    def _with(self, key: str) -> AsyncOpenAI:
        return self._client.with_options(api_key=key) if key and not self._key else self._client


def _offered(name: str, more: Mapping[str, Any]) -> Offered:
    role, middle = more.get("role"), more.get("has_fim")
    return Offered(
        name=name,
        role=role if isinstance(role, str) else None,
        has_middle=middle if isinstance(middle, bool) else None,
    )


def _piece(chunk: ChatCompletionChunk) -> Piece | None:
    tokens = chunk.usage.completion_tokens if chunk.usage else None
    if not chunk.choices:
        return Piece(tokens=tokens) if tokens is not None else None
    choice = chunk.choices[0]
    # Servers name the thought either way, ours both; the library knows neither as a field.
    more = choice.delta.model_extra or {}
    thought = more.get("reasoning") or more.get("reasoning_content") or ""
    return Piece(
        text=choice.delta.content or "",
        thought=thought if isinstance(thought, str) else "",
        finish=choice.finish_reason or "",
        tokens=tokens,
    )


def _words(error: Exception) -> str:
    """Return an error of the library as one line."""
    import openai

    if isinstance(error, openai.APITimeoutError):
        return "the gateway did not answer in time"
    if isinstance(error, openai.APIConnectionError):
        return "the gateway cannot be reached"
    said = str(error)
    if isinstance(error, openai.APIStatusError):
        body = error.body
        message = body.get("message") if isinstance(body, dict) else None
        said = f"{message or said} (status {error.status_code})"
    elif isinstance(error, openai.APIError):
        said = error.message
    return " ".join(said.split())[:600]
