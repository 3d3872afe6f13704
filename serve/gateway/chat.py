"""POST /v1/chat/completions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serve.card import ModelCard
from serve.fault import Fault
from serve.gateway import asked
from serve.gateway.call import Call, Reply
from serve.gateway.collect import reply_with
from serve.gateway.relay import relay

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
    if card.role == "embedding":
        raise Fault(
            400, f"{card.name} makes embeddings: ask /v1/embeddings",
            code="unsupported_endpoint", param="model",
        )  # fmt: skip
    prepared = asked.with_defaults(card, body)
    events = transformed(call, card, prepared)
    if events is None:
        return await relay(call, served.link, PATH, prepared)
    return await reply_with(call, events, kind="chat")


def transformed(call: Call, card: ModelCard, body: dict[str, Any]) -> Any | None:
    """Return the events of an answer that must be worked on; None where it goes on as it is."""
    return None


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
