"""Our own routes: run, judge, languages, health, metrics."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from sandbox.jobs import Job, Result
from sandbox.server import bodies
from sandbox.server.config import ServerConfig
from sandbox.server.exchange import Exchange, parsed
from sandbox.server.house import House
from sandbox.server.metrics import CONTENT_TYPE
from sandbox.server.refusal import Reply, reply_json


def render(result: Result) -> bytes:
    """Return an outcome or a verdict as the bytes of its JSON."""
    return json.dumps(result.to_json()).encode()


async def body_of(house: House, exchange: Exchange) -> bytes:
    """Return the body, under the caps of this server."""
    config = house.config
    return await exchange.body(house.bodies, config.body_mb << 20, config.body_s)


async def run(house: House, exchange: Exchange) -> Reply:
    """Run a program and answer with its outcome."""
    return await _settled(house, exchange, "run", bodies.run_job)


async def judge(house: House, exchange: Exchange) -> Reply:
    """Judge a program and answer with the verdict."""
    return await _settled(house, exchange, "judge", bodies.judge_job)


async def _settled(
    house: House,
    exchange: Exchange,
    route: str,
    make: Callable[[Any, ServerConfig], Job],
) -> Reply:
    body = await body_of(house, exchange)
    name = exchange.header(b"idempotency-key")
    answer = await house.settle(
        exchange,
        lambda: make(parsed(body), house.config),
        render,
        key=(exchange.who, route, name) if name else None,
        body=body,
    )
    return Reply(answer)


async def languages(house: House, exchange: Exchange) -> Reply:
    """Say which languages are here, and what to install for the others."""
    rows = [
        {"language": x.language, "version": x.version, "there": x.there, "install": x.install}
        for x in await house.languages()
    ]
    return reply_json({"languages": rows})


async def healthz(house: House, exchange: Exchange) -> Reply:
    """Say that the server is alive, and what it judges in."""
    return reply_json(
        {
            "box": house.pool.box_name,
            "kind": house.pool.box_kind,
            "version": house.version,
            "workers": house.pool.workers,
            "instance": house.instance,
        }
    )


async def readyz(house: House, exchange: Exchange) -> Reply:
    """Say whether new programs are taken."""
    ready = not house.is_draining
    return reply_json({"ready": ready}, 200 if ready else 503)


async def metrics(house: House, exchange: Exchange) -> Reply:
    """Show the counters."""
    return Reply(house.metrics.text(), content_type=CONTENT_TYPE)
