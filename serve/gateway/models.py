"""GET /v1/models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from serve.gateway.call import Call, Reply, Whole

if TYPE_CHECKING:
    from serve.gateway.house import Served


async def list_models(call: Call) -> Reply:
    """List the models that this key may use, under all their names."""
    found: list[dict[str, Any]] = []
    for served in call.house.served.values():
        card = served.card
        if call.key is not None and not call.key.allows(card.name, *card.aliases):
            continue
        found += [
            _shown(served, name, call.house.began_at_s) for name in (card.name, *card.aliases)
        ]
    return Whole(body={"object": "list", "data": found})


async def show_model(call: Call) -> Reply:
    """Show one model, by its name or an alias."""
    name = call.path["model"]
    return Whole(body=_shown(call.house.find(name), name, call.house.began_at_s))


def _shown(served: Served, name: str, at_s: float) -> dict[str, Any]:
    """Return OpenAI's fields, vLLM's `max_model_len` and `root`, and what clients like to know."""
    card, kept = served.card, served.kept
    return {
        "id": name,
        "object": "model",
        "created": int(at_s),
        "owned_by": "seedcoder",
        "root": card.name,
        "max_model_len": card.context_tokens,
        "role": card.role,
        "description": card.description,
        "has_fim": card.fim is not None,
        "has_thinking": card.thinking is not None,
        "state": kept.state,
    }
