"""Requests that a browser sends for a page: which pages may, and how that is said (CORS).

A gateway on loopback without keys is open to everything on this machine, and so to every page that
a browser here shows. Such a gateway turns away requests that come from elsewhere's pages (Origin),
or through a name that is not this machine's (Host: a name that was made to point here). Does not
guard against programs: they send what headers they like.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from serve.fault import Fault

if TYPE_CHECKING:
    from serve.config import GatewayTable
    from serve.gateway.exchange import Send

_METHODS = b"GET, POST, DELETE, OPTIONS"
_KEPT_S = b"600"
_EXPOSED = b"x-request-id, retry-after"


class Browsers:
    """What the gateway says to browsers."""

    def __init__(self, config: GatewayTable) -> None:
        self._origins = frozenset(origin.rstrip("/") for origin in config.cors)
        self._all = "*" in self._origins
        self._is_closed = config.keys_file is None and not config.is_open

    def check(self, headers: dict[str, str]) -> None:
        """Raise Fault 403 for a page that may not ask."""
        if not self._is_closed:
            return
        if place := foreign(headers, allows=self._allows):
            raise _forbidden(place)

    def _allows(self, origin: str) -> bool:
        return bool(origin) and (self._all or origin in self._origins)

    def headers(self, headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
        """Return what lets a page read an answer."""
        if not self._origins:
            return []
        origin = headers.get("origin", "")
        if not self._allows(origin):
            return [(b"vary", b"origin")]
        shown = b"*" if self._all else origin.encode("latin-1")
        return [
            (b"access-control-allow-origin", shown),
            (b"access-control-expose-headers", _EXPOSED),
            (b"vary", b"origin"),
        ]

    def is_preflight(self, headers: dict[str, str]) -> bool:
        """Whether a browser asks if it may ask."""
        return "origin" in headers and "access-control-request-method" in headers

    async def answer_preflight(self, headers: dict[str, str], send: Send) -> None:
        """Answer it: no key is needed, as browsers send none with it."""
        is_allowed = self._allows(headers.get("origin", ""))
        said: list[tuple[bytes, bytes]] = [(b"content-length", b"0")]
        if is_allowed:
            asked = headers.get("access-control-request-headers", "")
            said += [
                (b"access-control-allow-methods", _METHODS),
                (b"access-control-allow-headers", asked.encode("latin-1")),
                (b"access-control-max-age", _KEPT_S),
            ]
        status = 204 if is_allowed else 403
        if is_allowed:
            said = said[1:]
        await send({"type": "http.response.start", "status": status, "headers": said})
        await send({"type": "http.response.body", "body": b""})


def foreign(
    headers: Mapping[str, str], *, allows: Callable[[str], bool] = lambda origin: False
) -> str:
    """Return which header of a request names another machine: "origin", "host", or "" for none.

    allows: origins that may ask although they are elsewhere.
    """
    origin, host = headers.get("origin", ""), headers.get("host", "")
    if origin and not allows(origin) and not is_loopback(_name(origin)):
        return "origin"
    if host and not is_loopback(_name(f"//{host}")):
        return "host"
    return ""


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this machine's own."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _forbidden(name: str) -> Fault:
    return Fault(
        403,
        f"the {name} of this request is not this machine, and this gateway asks for no key",
        kind="permission_error",
        code="foreign_page",
    )
