"""A request that comes from inside: answered by the same handlers, whole."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from serve.fault import Fault
from serve.gateway import trail
from serve.gateway.call import Call, Stream, Whole
from serve.gateway.collect import collect

if TYPE_CHECKING:
    from serve.gateway.house import House


async def dispatch(
    house: House, method: str, path: str, body: Mapping[str, Any], key: Any | None
) -> tuple[int, dict[str, Any]]:
    """Answer it; see `house.dispatch_inside`. Limits of the key are the caller's to keep."""
    from serve.gateway.routes import WAYS  # it imports the handlers, which may import this

    way = next(
        (way for way in WAYS if way.path == path and way.method == method and way.takes == "json"),
        None,
    )
    if way is None:
        unknown = Fault(404, f"there is no {method} {path} here", code="not_found")
        return unknown.status, unknown.to_json()
    call = Call(
        id=f"req_{secrets.token_hex(8)}",
        house=house,
        key=key,
        body={**body, "stream": False} if body.get("stream") else dict(body),
    )
    mark = trail.CURRENT.set(trail.Trail(holder=key, headers={"x-request-id": call.id}))
    try:
        reply = await way.handler(call)
        if isinstance(reply, Whole):
            return reply.status, dict(reply.body)
        if isinstance(reply, Stream):
            kind: Any = "chat" if "chat" in path else "text"
            return 200, await collect(reply.events, kind=kind)  # type: ignore[arg-type]
    except Fault as fault:
        return fault.status, fault.to_json()
    finally:
        trail.CURRENT.reset(mark)
    refusal = Fault(400, f"{path} has no whole answer", code="unsupported_endpoint")
    return refusal.status, refusal.to_json()
