"""GET /health, /ready and /metrics: for those who watch the gateway."""

from __future__ import annotations

from typing import Any

from serve.gateway.call import Call, Raw, Reply, Whole


async def health(call: Call) -> Reply:
    """Say that the gateway is alive, whatever its engines do."""
    return Whole(body={"status": "ok", "version": call.house.version})


async def ready(call: Call) -> Reply:
    """Say how each engine does: 200 where at least one takes requests, or the one of `?model=`."""
    house = call.house
    model = call.query.get("model")
    asked = [house.find(model)] if model else list(house.served.values())
    states: dict[str, Any] = {
        served.card.name: {
            "state": served.kept.state,
            "why": served.kept.why,
            "restarts": served.kept.restarts,
        }
        for served in asked
    }
    count = sum(served.kept.state == "ready" for served in asked)
    if house.is_draining:
        status = "draining"
    else:
        status = "ready" if count == len(asked) else "partly" if count else "starting"
    code = 200 if count and not house.is_draining else 503
    headers = {} if code == 200 else {"retry-after": "5"}
    return Whole(status=code, body={"status": status, "models": states}, headers=headers)


async def metrics(call: Call) -> Reply:
    """Tell the counters, in Prometheus' text format."""
    from serve.gateway.metrics import CONTENT_TYPE

    return Raw(media_type=CONTENT_TYPE, chunks=call.house.metrics.text())


async def document(call: Call) -> Reply:
    """Describe all routes, as OpenAPI has it."""
    from serve.gateway.openapi import describe

    return Whole(body=describe(call.house.version))
