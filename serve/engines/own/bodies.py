"""Requests as they come: read strictly, refused in OpenAI's words.

A parameter that is not known is refused by name: an engine that passes over what it does not
understand gives answers that nobody asked for.
"""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Final, Literal, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from serve.fault import Fault

Kind = Literal["chat", "text"]

_Share = Annotated[FiniteFloat, Field(ge=0.0, le=1.0)]
_Penalty = Annotated[FiniteFloat, Field(ge=-2.0, le=2.0)]
_Tokens = Annotated[int, Field(ge=1)]
_Ids = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    model: str | None = None
    # Of the account that asks, for the server's books: no answer depends on them.
    user: str | None = None
    metadata: dict[str, Any] | None = None
    store: bool | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None


class StreamOptions(BaseModel):
    """How a stream is told. include_usage: a last event with the tokens counted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    include_usage: bool = False


class ResponseFormat(BaseModel):
    """The form of an answer: only plain text is offered."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    type: Literal["text"] = "text"


class Asking(_Body):
    """What both ways of asking for text have in common. None of a sampling value is "as usual".

    min_p, top_k, repetition_penalty and what follows them are vLLM's extensions of the protocol.
    """

    max_tokens: _Tokens | None = None
    n: Annotated[int, Field(ge=1, le=128)] = 1
    stop: str | list[str] | None = None
    seed: int | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    temperature: Annotated[FiniteFloat, Field(ge=0.0, le=2.0)] | None = None
    top_p: Annotated[FiniteFloat, Field(gt=0.0, le=1.0)] | None = None
    presence_penalty: _Penalty = 0.0
    frequency_penalty: _Penalty = 0.0
    logit_bias: dict[str, Annotated[FiniteFloat, Field(ge=-100.0, le=100.0)]] | None = None
    top_k: Annotated[int, Field(ge=-1)] | None = None
    min_p: _Share | None = None
    repetition_penalty: Annotated[FiniteFloat, Field(gt=0.0)] | None = None
    min_tokens: Annotated[int, Field(ge=0)] = 0
    stop_token_ids: list[int] | None = None
    ignore_eos: bool = False
    skip_special_tokens: bool = True
    include_stop_str_in_output: bool = False
    add_special_tokens: bool | None = None

    @property
    def stops(self) -> tuple[str, ...]:
        """The stop strings, any number; empty ones say nothing."""
        given = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return tuple(text for text in given if text)


class TextBody(Asking):
    """POST /v1/completions. prompt: text, token ids, or a list of either."""

    prompt: str | _Ids | Annotated[list[str] | list[_Ids], Field(min_length=1)]
    echo: bool = False
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None

    @property
    def prompts(self) -> list[str | list[int]]:
        """Every prompt by itself."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        if isinstance(self.prompt[0], int):
            return [self.prompt]
        return list(self.prompt)

    @property
    def top_logprobs_asked(self) -> int | None:
        """How many likeliest tokens to tell beside each; None for no logprobs."""
        return self.logprobs

    @property
    def most_tokens(self) -> int | None:
        """Bound of a reply's tokens. OpenAI's default on this route is 16."""
        return self.max_tokens if self.max_tokens is not None else 16


class ChatBody(Asking):
    """POST /v1/chat/completions. A message is a role, its content as text or text parts, and
    what the template may make of the rest.
    """

    messages: Annotated[list[dict[str, Any]], Field(min_length=1)]
    max_completion_tokens: _Tokens | None = None
    logprobs: bool = False
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    add_generation_prompt: bool = True
    continue_final_message: bool = False

    @property
    def top_logprobs_asked(self) -> int | None:
        """How many likeliest tokens to tell beside each; None for no logprobs."""
        return (self.top_logprobs or 0) if self.logprobs else None

    @property
    def most_tokens(self) -> int | None:
        """Bound of a reply's tokens; None for what the context leaves."""
        return self.max_completion_tokens or self.max_tokens

    def turns(self) -> list[dict[str, Any]]:
        """Return the messages with their contents as plain text. Raises Fault."""
        return [_turn(at, message) for at, message in enumerate(self.messages)]


class EmbeddingBody(_Body):
    """POST /v1/embeddings."""

    input: str | _Ids | Annotated[list[str] | list[_Ids], Field(min_length=1, max_length=2048)]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: _Tokens | None = None

    @property
    def inputs(self) -> list[str | list[int]]:
        """Every input by itself."""
        if isinstance(self.input, str):
            return [self.input]
        if isinstance(self.input[0], int):
            return [self.input]
        return list(self.input)


class TokenizeBody(_Body):
    """POST /tokenize, as vLLM has it, for a plain prompt."""

    prompt: str
    add_special_tokens: bool = True


# Of parameters that may be one of several things the library complains of the first of them only.
_SEVERAL: Final = {
    "prompt": "a string, a list of token ids, or a list of either, and not an empty list",
    "input": "a string, a list of token ids, or a list of either, and not an empty list",
    "stop": "a string or a list of strings",
    "tool_choice": "a string or an object",
}

B = TypeVar("B", bound=_Body)


def read(body: bytes, schema: type[B]) -> B:
    """Return what a body asks for. Raises Fault 400, with the parameter's name."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:  # NaN and bad UTF-8 too
        raise Fault(400, f"the body is no JSON: {error}"[:300]) from None
    if not isinstance(data, dict):
        raise Fault(400, "the body must be a JSON object")
    given = {name: value for name, value in data.items() if value is not None}
    try:
        return schema.model_validate(given)
    except ValidationError as error:
        raise _fault(error, schema) from None


def _fault(error: ValidationError, schema: type[BaseModel]) -> Fault:
    first = error.errors(include_url=False, include_context=False)[0]
    # A union's branches stand in the place as words of pydantic's own: only the field is told.
    name = str(first["loc"][0]) if first["loc"] else ""
    if first["type"] == "extra_forbidden" and len(first["loc"]) == 1:
        near = difflib.get_close_matches(name, schema.model_fields, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return Fault(
            400, f"unknown parameter: {name!r}{hint}", code="unknown_parameter", param=name
        )
    if first["type"] == "missing":
        return Fault(400, f"missing parameter: {name!r}", code="missing_parameter", param=name)
    if name in _SEVERAL:
        return Fault(400, f"{name} must be {_SEVERAL[name]}", code="invalid_value", param=name)
    inner = [part for part in first["loc"][1:] if isinstance(part, str) and part.isidentifier()]
    where = ".".join([name, *inner[-1:]]) if first["type"] == "extra_forbidden" else name
    return Fault(400, f"{where}: {first['msg']}", code="invalid_value", param=name)


def _turn(at: int, message: dict[str, Any]) -> dict[str, Any]:
    param = f"messages[{at}]"
    role = message.get("role")
    if not isinstance(role, str) or not role:
        raise Fault(400, f"{param} needs a role", param=param)
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(_part(part, param) for part in content)
    if content is not None and not isinstance(content, str):
        raise Fault(400, f"{param}.content must be text or a list of text parts", param=param)
    if content is None and not message.get("tool_calls"):
        raise Fault(400, f"{param} needs content", param=param)
    return {**message, "content": content or ""}


def _part(part: Any, param: str) -> str:
    if isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str):
        return str(part["text"])
    kind = part.get("type") if isinstance(part, dict) else type(part).__name__
    raise Fault(
        400, f"{param}.content has a part of type {kind!r}; only text is taken", param=param
    )
