"""A request's head and body as they come in, under caps.

The cap counts bytes as they come, whatever Content-Length says. Does not guard against a client
that sends its headers slowly, one connection each: put a proxy before a gateway that others reach.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

import orjson

from serve.fault import Fault

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

BODY_WITHIN_S = 60.0  # ours
_DISCARDED_MOST = 4  # times the cap: read and thrown away, so that the client reads our answer


class Gone(Exception):
    """The client went away; there is nobody to answer."""


class Bodies:
    """The bytes of all bodies that are held at one time, bounded."""

    def __init__(self, most_bytes: int) -> None:
        self._left = most_bytes

    def take(self, count: int) -> None:
        """Hold so many more. Raises Fault 429 where there is no room."""
        if count > self._left:
            raise Fault(
                429,
                "the requests being answered hold all the memory there is for them",
                kind="rate_limit_error",
                code="memory_full",
                retry_after_s=1.0,
            )
        self._left -= count

    def give(self, count: int) -> None:
        """Hold so many less."""
        self._left += count


class Body:
    """The body of one request. held: bytes taken from `bodies`, to be given back by the owner."""

    def __init__(self, receive: Receive, headers: dict[str, str], most_bytes: int) -> None:
        self._receive = receive
        self._headers = headers
        self._most_bytes = most_bytes
        self.read_bytes = 0
        self.held_bytes = 0
        self.is_read = False

    async def whole(self, bodies: Bodies) -> bytes:
        """Return it whole.

        Raises Fault for one that is too large, too slow, compressed; Gone where the client left.
        """
        pieces: list[bytes] = []
        async for piece in self.pieces():
            bodies.take(len(piece))
            self.held_bytes += len(piece)
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield it as it comes. Raises as `whole` does."""
        if self._headers.get("content-encoding", "identity").lower() != "identity":
            raise Fault(415, "a compressed body is not taken: send it as it is")
        declared = self._headers.get("content-length", "")
        is_over = declared.isdigit() and int(declared) > self._most_bytes
        deadline = asyncio.get_running_loop().time() + BODY_WITHIN_S
        more = True
        while more:
            try:
                async with asyncio.timeout_at(deadline):
                    message = await self._receive()
            except TimeoutError:
                raise Fault(408, f"the body did not arrive within {BODY_WITHIN_S:g} s") from None
            if message["type"] == "http.disconnect":
                raise Gone
            piece: bytes = message.get("body", b"")
            more = bool(message.get("more_body"))
            self.read_bytes += len(piece)
            is_over = is_over or self.read_bytes > self._most_bytes
            if is_over and (not more or self.read_bytes > _DISCARDED_MOST * self._most_bytes):
                raise Fault(
                    413,
                    f"a request may have {self._most_bytes >> 20} MiB here",
                    code="request_too_large",
                )
            if piece and not is_over:
                yield piece
        self.is_read = True


def headers_of(scope: Scope) -> dict[str, str]:
    """Return the headers by lower-case names; of several with one name, the last."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def query_of(scope: Scope) -> dict[str, str]:
    """Return the query's parameters; of several with one name, the last."""
    said: bytes = scope.get("query_string", b"")
    if not said:
        return {}
    return dict(parse_qsl(said.decode("latin-1"), keep_blank_values=True, max_num_fields=100))


def parse(data: bytes) -> dict[str, Any]:
    """Return the object a body says. Raises Fault for what is no JSON, or no object.

    NaN and Infinity are no JSON; nor is a lone surrogate, which no tokenizer could take.
    """
    if not data:
        raise Fault(400, "the body is empty: it must be a JSON object")
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise Fault(400, f"the body is no JSON: {error}"[:300], code="invalid_json") from None
    if not isinstance(body, dict):
        raise Fault(400, f"the body must be a JSON object, not {_WORDS[type(body)]}")
    return body


_WORDS: dict[type, str] = {
    list: "a list",
    str: "a string",
    int: "a number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}
