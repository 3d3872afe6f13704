"""POST /v1/completions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serve.fault import Fault
from serve.fim import routes as fim
from serve.gateway import asked
from serve.gateway.call import Call, Reply
from serve.gateway.collect import reply_with
from serve.gateway.many_stops import with_stops
from serve.gateway.relay import relay

PATH = "/v1/completions"


async def complete(call: Call) -> Reply:
    """Go on with a text, or fill in what belongs between it and a suffix."""
    body = call.body
    if body.get("suffix") is not None:
        return await fim.complete_suffix(call)
    served = call.house.find(body.get("model"))
    card = served.card
    call.tally.model = card.name
    check_prompt(body)
    asked.check(body)
    asked.check_writes(card)
    upstream, body = with_stops(served.link, card, asked.with_defaults(card, body), kind="text")
    if upstream is not served.link:
        return await reply_with(call, upstream.events(PATH, body), kind="text")
    return await relay(call, served.link, PATH, body)


def check_prompt(body: Mapping[str, Any]) -> None:
    """Raise Fault 400 for what is no prompt: a text, tokens, or a list of either."""
    prompt = body.get("prompt")
    if prompt is None:
        raise Fault(400, "'prompt' is missing", param="prompt")
    if isinstance(prompt, str):
        return
    if isinstance(prompt, list) and prompt:
        if all(isinstance(one, str) for one in prompt) or _are_tokens(prompt):
            return
        if all(isinstance(one, list) and one and _are_tokens(one) for one in prompt):
            return
    raise asked.wrong("prompt", "must be a text, a list of tokens, or a list of these", prompt)


def _are_tokens(prompt: list[Any]) -> bool:
    return all(asked.is_whole(one) and 0 <= one < 1 << 31 for one in prompt)
