"""Routes that the engine answers by itself: embeddings, responses, messages, tokens.

The gateway routes by model, holds to keys and limits, counts, and gives the card's name to the
model; what stands in bodies is between the client and the engine. Where an engine has no such
route, a request is refused with 400.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING

import orjson

from serve.fault import Fault
from serve.gateway import asked, sse
from serve.gateway.call import Call, Handler, Raw, Reply, Tally, Whole

if TYPE_CHECKING:
    from serve.engines.engine import Feature
    from serve.gateway.house import Served
    from serve.gateway.link import Answered


async def embed(call: Call) -> Reply:
    """Turn texts into vectors."""
    served = _able(call, "embeddings", "embeddings")
    said = call.body.get("input")
    if said is None:
        raise Fault(400, "'input' is missing: a text, or a list of texts", param="input")
    if not isinstance(said, str | list) or not said:
        raise asked.wrong("input", "must be a text, or a list of at least one", said)
    return Whole(body=await served.link.answer("/v1/embeddings", call.body))


async def respond(call: Call) -> Reply:
    """Answer in the shape of OpenAI's Responses, by the engine itself."""
    if call.body.get("input") is None:
        raise Fault(400, "'input' is missing", param="input")
    return await _through(call, "responses", "/v1/responses")


async def message(call: Call) -> Reply:
    """Answer in the shape of Anthropic's Messages, by the engine itself."""
    return await _through(call, "messages", "/v1/messages")


async def count_tokens(call: Call) -> Reply:
    """Count the tokens of Anthropic's messages, by the engine itself."""
    return await _through(call, "messages", "/v1/messages/count_tokens", draws=False)


def _tokens(feature: Feature, summary: str) -> Handler:
    async def ask(call: Call) -> Reply:
        return await _through(call, feature, f"/{feature}", draws=False)

    ask.__doc__ = summary
    return ask


tokenize = _tokens("tokenize", "Turn a text into the model's tokens (vLLM's route).")
detokenize = _tokens("detokenize", "Turn tokens into their text (vLLM's route).")


def _able(call: Call, feature: Feature, what: str) -> Served:
    served = call.house.find(call.body.get("model"))
    call.tally.model = served.card.name
    if feature not in served.kept.engine.features:
        able = [
            one.card.name
            for one in call.house.served.values()
            if feature in one.kept.engine.features
        ]
        where = f"; {', '.join(able)} can" if able else ""
        raise Fault(
            400, f"the engine of {served.card.name} has no {what}{where}",
            code="unsupported_endpoint", param="model",
        )  # fmt: skip
    return served


async def _through(call: Call, feature: Feature, path: str, *, draws: bool = True) -> Reply:
    served = _able(call, feature, path)
    body = dict(call.body)
    if draws:
        for name in ("temperature", "top_p"):  # what these protocols share with the cards
            value = getattr(served.card.sampling, name)
            if value is not None and body.get(name) is None:
                body[name] = value
    answered = await served.link.raw(path, body)
    return Raw(media_type=answered.media_type, chunks=_Counted(call.tally, answered))


class _Counted:
    """An engine's answer, read for its usage as it passes. No generator: see `Answered`."""

    def __init__(self, tally: Tally, answered: Answered) -> None:
        self._tally = tally
        self._answered = answered
        self._is_stream = answered.media_type == "text/event-stream"

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece = await anext(self._answered)
        if b'"usage":' in piece:
            for data in sse.data_of(piece) if self._is_stream else (piece,):
                if b'"usage":' in data:
                    _count(self._tally, data)
        return piece

    async def aclose(self) -> None:
        """End the answer."""
        await self._answered.aclose()


def _count(tally: Tally, data: bytes) -> None:
    try:
        said = orjson.loads(data)
    except orjson.JSONDecodeError:
        return  # it is the client's to read; all that is lost is a count
    if not isinstance(said, dict):
        return
    # "response" in Responses' last event, "message" in Messages' first.
    for place in (said, said.get("response"), said.get("message")):
        usage = place.get("usage") if isinstance(place, Mapping) else None
        if isinstance(usage, Mapping):
            tally.take_usage(usage)
