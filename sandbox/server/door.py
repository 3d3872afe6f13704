"""What stands before every route: request ids, keys, browsers turned away, the access log.

A request that names an instance (the word of one start of a server, told by /healthz and with each
response) is refused by any other: what it asks for may have run there.

A plain ASGI application in front of the framework's: a route that has no names in its path is
found here, in one look-up. The log has a route as the table writes it, never a path, a body, a key
or a word of a program.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from sandbox.errors import SandboxError
from sandbox.server.config import is_loopback
from sandbox.server.exchange import Exchange, Message, Receive, Scope, Send
from sandbox.server.house import House
from sandbox.server.keys import presented
from sandbox.server.refusal import Family, Gone, Refusal, Reply, native, of_ours

log = logging.getLogger("sandbox.server.access")

Act = Callable[[House, Exchange], Awaitable[Reply | None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
_EXCHANGE = "sandbox.exchange"
_ID = re.compile(r"[\w.:-]{1,64}", re.ASCII)
_GONE = 499  # for the log only: the client went away, and nothing was sent


@dataclass(frozen=True, slots=True)
class Route:
    """One route as an ASGI application.

    act: answers; None where it has sent its response itself. family: how refusals are said.
    open_to_all: no key is asked for. counts: a drain waits for it.
    """

    house: House
    method: str
    path: str
    act: Act
    family: Family = native
    open_to_all: bool = False
    counts: bool = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        exchange: Exchange = scope[_EXCHANGE]
        exchange.send, house = send, self.house
        house.requests += self.counts
        try:
            reply = await self.act(house, exchange)
        except Refusal as refusal:
            reply = self.family(refusal)
        except SandboxError as error:
            reply = self.family(of_ours(error))
        except Gone:
            reply, exchange.note = None, "gone"
        finally:
            house.requests -= self.counts
            house.bodies.give(exchange.held)
            exchange.held = 0
        if reply is not None:
            exchange.note = reply.note or exchange.note
            await answer(send, reply)


async def answer(send: Send, reply: Reply) -> None:
    """Send a whole response."""
    headers = [
        (b"content-type", reply.content_type),
        (b"content-length", b"%d" % len(reply.body)),
        *reply.headers,
    ]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


class Door:
    """The application before the framework's."""

    def __init__(self, app: App, house: House, routes: list[Route]) -> None:
        self._app = app
        self._house = house
        self._routes = {(x.method, x.path): x for x in routes if "{" not in x.path}
        self._known = {x.path: x for x in routes}
        self._instance = (b"sandbox-instance", house.instance.encode())
        # Of strangers' pages in a browser on this machine: without keys nothing else stops them.
        self._turns_browsers_away = house.keys is None and not house.config.is_open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        route = self._routes.get((scope["method"], scope["path"]))
        exchange = Exchange(scope, receive, send)
        scope[_EXCHANGE] = exchange
        given = exchange.header(b"x-request-id")
        request_id = given if given and _ID.fullmatch(given) else secrets.token_hex(8)
        status, sent = 0, 0

        async def sending(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", request_id.encode()),
                    self._instance,
                ]
            else:
                sent += len(message.get("body", b""))
            await send(message)

        try:
            self._admit(exchange, open_to_all=route is not None and route.open_to_all)
        except Refusal as refusal:
            exchange.note = refusal.kind
            await answer(sending, (route.family if route else native)(refusal))
        else:
            await (route or self._app)(scope, receive, sending)
        finally:
            status = status or (_GONE if exchange.note == "gone" else 500)
            ms = 1000 * (time.perf_counter() - began)
            named = self._name(scope, route)
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._house.metrics.request(named, method, status)
            log.info(
                "request id=%s client=%s key=%s method=%s route=%s status=%d ms=%.1f in=%d out=%d"
                " note=%s",
                request_id, _client(scope), exchange.who or "-", method, named, status, ms,
                exchange.read, sent, exchange.note or "-",
            )  # fmt: skip

    def _admit(self, exchange: Exchange, *, open_to_all: bool) -> None:
        """Let a request in, or raise Refusal."""
        wanted = exchange.header(b"sandbox-instance")
        if wanted and wanted != self._house.instance:
            raise Refusal(
                412, "OtherInstance", "this server was started anew since, and knows nothing of it"
            )
        keys = self._house.keys
        if keys is not None:
            key = presented(exchange.header(b"authorization"), exchange.header(b"x-api-key"))
            owner = keys.owner(key) if key else None
            if owner is None and not open_to_all:
                why = "this key is not known here" if key else "a key is missing"
                raise Refusal(
                    401, "Unauthorized", f"{why}: send it as Authorization: Bearer KEY",
                    headers=((b"www-authenticate", b"Bearer"),),
                )  # fmt: skip
            exchange.who = owner or ""
        elif self._turns_browsers_away:
            for name, place in ((b"origin", _origin), (b"host", _host)):
                said = exchange.header(name)
                if said and not is_loopback(place(said)):
                    raise Refusal(
                        403, "Forbidden",
                        f"the {name.decode()} of this request is not this machine, and this server"
                        " asks for no key",
                    )  # fmt: skip

    def _name(self, scope: Scope, route: Route | None) -> str:
        """Return the route's path as the table has it."""
        if route is not None:
            return route.path
        endpoint = scope.get("endpoint")
        if isinstance(endpoint, Route):
            return endpoint.path
        path = scope["path"]
        return path if path in self._known or path == "/openapi.json" else "other"


_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))


def _origin(said: str) -> str:
    try:
        return urlsplit(said).hostname or said
    except ValueError:
        return said


def _host(said: str) -> str:
    try:
        return urlsplit(f"//{said}").hostname or said
    except ValueError:
        return said


def _client(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else "-"
