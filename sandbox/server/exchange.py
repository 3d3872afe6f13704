"""One request: its headers, its body under a cap, its JSON, and whether its client is still there.

The cap counts bytes as they come, whatever Content-Length says. Does not guard against a client
that sends its headers slowly, one connection each: put a proxy before a server that others reach.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from sandbox.server.refusal import Gone, Refusal, full

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_DISCARDED_MOST = 4  # times the cap: read and thrown away, so that the client reads our answer


class Bodies:
    """The bytes of all bodies that are held at one time, bounded."""

    def __init__(self, most_bytes: int) -> None:
        self._left = most_bytes

    def take(self, count: int) -> None:
        """Hold so many more. Raises Refusal when there is no room."""
        if count > self._left:
            raise full("the requests that wait hold all the memory there is for them", 1)
        self._left -= count

    def give(self, count: int) -> None:
        """Hold so many less."""
        self._left += count


@dataclass(slots=True)
class Exchange:
    """One request on its way through a route.

    who: the owner of its key; "" where none is asked for. held: bytes taken from `bodies`.
    """

    scope: Scope
    receive: Receive
    send: Send
    who: str = ""
    held: int = 0
    read: int = 0
    note: str = ""
    _headers: dict[bytes, bytes] = field(default_factory=dict)

    def header(self, name: bytes) -> str:
        """Return a header, "" where it is not there."""
        if not self._headers:
            self._headers.update(self.scope["headers"])
        return self._headers.get(name, b"").decode("latin-1")

    @property
    def parameters(self) -> dict[str, str]:
        """What stands for the names in the route's path."""
        found: dict[str, str] = self.scope.get("path_params", {})
        return found

    async def body(self, bodies: Bodies, most_bytes: int, within_s: float) -> bytes:
        """Return the whole body.

        Raises Refusal for one that is too large or too slow, Gone when the client went away.
        """
        if self.header(b"content-encoding").lower() not in ("", "identity"):
            raise Refusal(415, "Unsupported", "a compressed body is not taken")
        message = await self._next()
        if not message.get("more_body"):
            return self._taken(message["body"], bodies, most_bytes)
        chunks = [self._taken(message["body"], bodies, most_bytes)]
        try:
            async with asyncio.timeout(within_s):
                declared = self.header(b"content-length")
                if declared.isdigit() and int(declared) > most_bytes:
                    await self._too_large(most_bytes)
                while message.get("more_body"):
                    message = await self._next()
                    if self.read + len(message["body"]) > most_bytes:
                        await self._too_large(most_bytes)
                    chunks.append(self._taken(message["body"], bodies, most_bytes))
        except TimeoutError:
            raise Refusal(
                408, "TooSlow", f"the body did not arrive within {within_s:g} s"
            ) from None
        return b"".join(chunks)

    async def _next(self) -> Message:
        message = await self.receive()
        if message["type"] == "http.disconnect":
            raise Gone
        message.setdefault("body", b"")
        return message

    def _taken(self, chunk: bytes, bodies: Bodies, most_bytes: int) -> bytes:
        self.read += len(chunk)
        if self.read > most_bytes:
            raise _over(most_bytes)
        bodies.take(len(chunk))
        self.held += len(chunk)
        return chunk

    async def _too_large(self, most_bytes: int) -> NoReturn:
        """Throw away what still comes, within reason: some clients send all before they read."""
        more, seen = True, 0
        while more and seen < _DISCARDED_MOST * most_bytes:
            message = await self._next()
            seen += len(message["body"])
            more = bool(message.get("more_body"))
        raise _over(most_bytes)

    async def gone(self) -> None:
        """Return when the client goes away. The body must have been read."""
        while (await self.receive())["type"] != "http.disconnect":
            pass


def _over(most_bytes: int) -> Refusal:
    return Refusal(
        413, "TooLarge", f"a body may have {most_bytes >> 20} MiB here", headers=(_CLOSE,)
    )


_CLOSE = (b"connection", b"close")


def parsed(body: bytes) -> Any:
    """Return what a body says. Raises Refusal for what is no JSON, or nests too deep."""
    try:
        return _DECODER.decode(body.decode())
    except RecursionError:
        raise Refusal(400, "InvalidJson", "the JSON nests too deep") from None
    except ValueError as error:  # bad UTF-8 too, and integers of thousands of digits
        raise Refusal(400, "InvalidJson", f"the body is no JSON: {error}"[:200]) from None


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_constant)  # made once: `json.loads` would each time
