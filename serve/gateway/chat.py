"""POST /v1/chat/completions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serve.fault import Fault
from serve.gateway import asked
from serve.gateway.call import Call, Reply
from serve.gateway.collect import reply_with
from serve.gateway.house import House
from serve.gateway.many_stops import with_stops
from serve.gateway.relay import relay
from serve.tools.chat import worked_on

PATH = "/v1/chat/completions"


async def chat(call: Call) -> Reply:
    """Answer a conversation."""
    body = call.body
    served = call.house.find(body.get("model"))
    card = served.card
    call.tally.model = card.name
    check_messages(body)
    asked.check(body)
    if card.role == "base":
        raise Fault(
            400,
            f"{card.name} is a base model and has no chat: ask /v1/completions",
            code="unsupported_endpoint",
            param="model",
        )
    asked.check_writes(card)
    upstream, body = with_stops(served.link, card, asked.with_defaults(card, body), kind="chat")
    prepared, events = worked_on(
        upstream,
        card,
        body,
        served.kept.engine.features,
        runner=call.house.run_code,
        owner=call.key.id if call.key is not None else "",
        may_run_code=_may_run_code(call.house, call.key),
    )
    if events is None and upstream is not served.link:
        events = upstream.events(PATH, prepared)
    if events is None:
        return await relay(call, served.link, PATH, prepared)
    return await reply_with(call, events, kind="chat")


def _may_run_code(house: House, key: Any | None) -> bool:
    """Whether a request may have code run: its key says so; without keys, whoever is on this
    machine may, and nobody where the service listens to others.
    """
    if house.keys is None:
        return not house.config.is_open
    return key is not None and bool(key.may_run_code)


def check_messages(body: Mapping[str, Any]) -> None:
    """Raise Fault 400 for what is no conversation."""
    messages = body.get("messages")
    if messages is None:
        raise Fault(400, "'messages' is missing: a list of {role, content}", param="messages")
    if not isinstance(messages, list) or not messages:
        raise asked.wrong("messages", "must be a list of at least one message", messages)
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if not isinstance(message, Mapping):
            raise asked.wrong(where, "must be an object with role and content", message)
        if not isinstance(message.get("role"), str):
            raise asked.wrong(f"{where}.role", "must be a string", message.get("role"))
        content = message.get("content")
        if content is not None and not isinstance(content, str | list):
            raise asked.wrong(f"{where}.content", "must be a string or a list of parts", content)
