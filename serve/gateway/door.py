"""What stands before every route: request ids, keys, browsers turned away, limits, counting.

A plain ASGI application in front of the framework's: a route without names in its path is found in
one look-up. What is no route of the table goes on to the framework (the playground, the OpenAPI
document). Does not guard what is mounted there: see `serve.gateway.app`.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from serve.fault import Fault
from serve.gateway import access, sending, trail
from serve.gateway.browsers import Browsers
from serve.gateway.call import Call, Tally
from serve.gateway.exchange import (
    Body,
    Gone,
    Message,
    Receive,
    Scope,
    Send,
    headers_of,
    parse,
    query_of,
)
from serve.gateway.house import House
from serve.gateway.paths import Paths
from serve.gateway.routes import Way
from serve.limits import expected_of

log = logging.getLogger(__name__)

_ID = re.compile(r"[\w.:-]{1,64}", re.ASCII)
_GONE = 499  # for the log only: the client went away
_FORM_BYTES = 1 << 20  # ours: of a form, beside its file


@dataclass(slots=True)
class Visit:
    """One request at the door, and what has become of it so far."""

    id: str
    scope: Scope
    headers: dict[str, str]
    way: Way | None = None
    key: Any | None = None
    tally: Tally = field(default_factory=Tally)
    trail: trail.Trail = field(default_factory=trail.Trail)
    status: int = 0
    limits: dict[str, str] = field(default_factory=dict)  # headers that tell what a key has left
    has_ended: bool = False
    span: Any | None = None

    @property
    def route(self) -> str:
        """The path as the table has it: the log and the metrics see no other."""
        return self.way.path if self.way is not None else "other"


class Door:
    """The application before the framework's."""

    def __init__(self, app: Any, house: House, ways: Sequence[Way], mounted: Sequence[str]) -> None:
        self._app = app
        self._house = house
        self._paths = Paths(ways)
        self._mounted = tuple(mounted)
        self._browsers = Browsers(house.config)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = headers_of(scope)
        given = headers.get("x-request-id", "")
        visit = Visit(
            id=given if _ID.fullmatch(given) else f"req_{secrets.token_hex(8)}",
            scope=scope,
            headers=headers,
        )
        visit.tally.began_s = time.perf_counter()
        sender = self._sender(visit, send)
        try:
            await self._admit(visit, receive, sender)
        except Fault as fault:
            visit.tally.note = visit.tally.note or fault.code or fault.kind
            await self._tell(visit, fault, sender)
        except Gone:
            visit.tally.note = "gone"
        finally:
            error = sys.exc_info()[1]
            if isinstance(error, Exception) and not visit.status:
                # Nobody foresaw it: the client hears so, and the error goes on into the log.
                visit.tally.note = type(error).__name__
                await self._tell(visit, _failed(error), sender)
            self._note(visit)

    def _sender(self, visit: Visit, send: Send) -> Send:
        ours = [(b"x-request-id", visit.id.encode()), *self._browsers.headers(visit.headers)]
        tally = visit.tally

        async def sender(message: Message) -> None:
            if message["type"] == "http.response.start":
                visit.status = message["status"]
                limits = [(name.encode(), value.encode()) for name, value in visit.limits.items()]
                message["headers"] = [*message.get("headers", ()), *ours, *limits]
            else:
                tally.sent_bytes += len(message.get("body", b""))
                visit.has_ended = not message.get("more_body")
            await send(message)

        return sender

    async def _tell(self, visit: Visit, fault: Fault, send: Send) -> None:
        """Send a refusal; where an answer has begun, there is nothing left to say it with."""
        if visit.status:
            log.warning("an answer was cut id=%s why=%s", visit.id, fault.message)
            return
        is_messages = visit.way is not None and visit.way.tag == "messages"
        await sending.send_fault(send, fault, is_messages=is_messages)

    async def _admit(self, visit: Visit, receive: Receive, send: Send) -> None:
        scope = visit.scope
        method, path = scope["method"], scope["path"]
        self._browsers.check(visit.headers)
        if method == "OPTIONS" and self._browsers.is_preflight(visit.headers):
            await self._browsers.answer_preflight(visit.headers, send)
            return
        found = self._paths.find(method, path)
        if found is None:
            if any(path == mount or path.startswith(f"{mount}/") for mount in self._mounted):
                await self._app(scope, receive, send)
                return
            self._let_in(visit, is_open=False)
            raise Fault(404, f"there is no {path[:128]} here", code="not_found")
        visit.way, parameters = found
        self._let_in(visit, is_open=self._is_open(visit.way))
        if self._house.is_draining and visit.way.counts:
            raise _draining()
        await self._answer(visit, visit.way, parameters, receive, send)

    def _is_open(self, way: Way) -> bool:
        config = self._house.config
        return (
            way.guard == "none"
            or (way.guard == "health" and config.open_health)
            or (way.guard == "metrics" and config.open_metrics)
        )

    def _let_in(self, visit: Visit, *, is_open: bool) -> None:
        """Find the holder of the key. Raises Fault 401."""
        keys = self._house.keys
        if keys is None or is_open:
            return
        secret = _presented(visit.headers)
        if not secret:
            raise Fault(
                401, "a key is missing: send it as Authorization: Bearer KEY",
                kind="authentication_error", code="missing_api_key",
            )  # fmt: skip
        visit.key = keys.find(secret)
        if visit.key is None:
            raise Fault(
                401, "this key is not known here", kind="authentication_error",
                code="invalid_api_key",
            )  # fmt: skip

    async def _answer(
        self, visit: Visit, way: Way, parameters: dict[str, str], receive: Receive, send: Send
    ) -> None:
        house = self._house
        most_bytes = house.config.body_mb << 20
        if way.takes == "form":
            most_bytes = (house.config.file_mb << 20) + _FORM_BYTES
        body = Body(receive, visit.headers, most_bytes)
        visit.trail.holder = visit.key
        visit.trail.headers["x-request-id"] = visit.id
        if house.traces is not None and way.counts:
            visit.span = house.traces.begin(
                way.path, way.method, visit.headers, visit.trail.headers
            )
        mark = trail.CURRENT.set(visit.trail)
        house.requests += way.counts
        try:
            data: dict[str, Any] = {}
            if way.takes == "json":
                data = parse(await body.whole(house.bodies))
                visit.tally.read_bytes = body.read_bytes
                if house.config.logs_prompts:
                    access.write_prompt(visit.id, data)
            call = Call(
                id=visit.id,
                house=house,
                key=visit.key,
                body=data,
                headers=visit.headers,
                query=query_of(visit.scope),
                path=parameters,
                chunks=body.pieces() if way.takes == "form" else None,
                tally=visit.tally,
            )
            work = self._work(visit, way, call, send)
            if way.counts and way.takes != "form":
                await self._while_there(work, receive, visit)
            else:
                await work
        finally:
            house.requests -= way.counts
            house.bodies.give(body.held_bytes)
            visit.tally.read_bytes = body.read_bytes
            trail.CURRENT.reset(mark)

    async def _work(self, visit: Visit, way: Way, call: Call, send: Send) -> None:
        """Answer under the key's limits, and tell them what was used."""
        limiter, tally = self._house.limiter, call.tally
        admission = (
            limiter.admit(
                call.key,
                route=way.path,
                expected_tokens=0 if call.key is None else expected_of(call.body),
            )
            if limiter is not None and way.counts
            else nullcontext()
        )
        async with admission as admitted:
            if admitted is not None:
                visit.limits = admitted.headers()
            try:
                reply = await way.handler(call)
                await sending.send_reply(call, reply, send)
            finally:
                if admitted is not None:
                    admitted.model = tally.model
                    admitted.used(
                        prompt_tokens=tally.prompt_tokens,
                        completion_tokens=tally.completion_tokens,
                    )
                    admitted.status = visit.status or admitted.status

    async def _while_there(self, work: Any, receive: Receive, visit: Visit) -> None:
        """Do the work while the client is there; when it goes away, cancel it and raise Gone."""
        task = asyncio.current_task()
        assert task is not None
        is_gone = False

        async def watch() -> None:
            nonlocal is_gone
            while (await receive())["type"] != "http.disconnect":
                pass
            if not visit.has_ended:  # else it only says that the answer is out
                is_gone = True
                task.cancel()

        watcher = asyncio.create_task(watch())
        self._house.answering.add(task)
        try:
            await work
        except asyncio.CancelledError:
            if is_gone:
                task.uncancel()
                raise Gone from None
            if self._house.is_cut:
                task.uncancel()
                raise _draining() from None
            raise
        finally:
            self._house.answering.discard(task)
            watcher.cancel()

    def _note(self, visit: Visit) -> None:
        tally = visit.tally
        s = time.perf_counter() - tally.began_s
        status = visit.status or (_GONE if tally.note == "gone" else 500)
        if tally.note == "gone":
            status = _GONE
        method = visit.scope["method"] if visit.scope["method"] in _METHODS else "other"
        key = visit.key.name if visit.key is not None else ""
        self._house.metrics.ended(
            visit.route, method, status, key or "-", tally, s=s, waited_s=visit.trail.waited_s
        )
        if visit.span is not None and self._house.traces is not None:
            self._house.traces.end(visit.span, status, visit.id, key, visit.trail.waited_s, tally)
        client = visit.scope.get("client")
        access.write_line(
            id=visit.id, client=client[0] if client else "-", key=key, method=method,
            route=visit.route, status=status, s=s, waited_s=visit.trail.waited_s, tally=tally,
        )  # fmt: skip


_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))


def _failed(error: Exception) -> Fault:
    return Fault(
        500, f"the gateway failed: {type(error).__name__}", kind="server_error",
        code="internal_error",
    )  # fmt: skip


def _draining() -> Fault:
    return Fault(
        503, "this gateway is about to end", kind="server_error", code="draining",
        retry_after_s=5.0,
    )  # fmt: skip


def _presented(headers: dict[str, str]) -> str:
    """Return the key of a request: as OpenAI's clients send it, or Anthropic's."""
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and secret.strip():
        return secret.strip()
    return headers.get("x-api-key", "").strip()
