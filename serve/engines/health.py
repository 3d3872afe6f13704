"""Ask an engine how it is, over a connection of its own each time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from serve.engines.engine import Address

if TYPE_CHECKING:
    import aiohttp


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """What a check found.

    "well"; "gone": nobody listens there; "refused": it answers, but will not have us; "ill":
    anything else, a check that got no answer in time too. why: in a few words.
    """

    kind: Literal["well", "gone", "refused", "ill"]
    why: str = ""


class Health:
    """Checks of one engine. Looks at the path it is given, not at what the engine computes."""

    def __init__(self, address: Address, path: str, *, answer_s: float) -> None:
        self._address = address
        self._url = f"{address.url}{address.prefix}{path}"
        self._answer_s = answer_s

    async def ask(self) -> Pulse:
        """Return how the engine is; never raises for what is the engine's fault."""
        import aiohttp

        try:
            # No redirects: they could carry a key to somebody else.
            async with (
                asyncio.timeout(self._answer_s),
                self._session() as session,
                session.get(self._url, allow_redirects=False) as answer,
            ):
                return _judge(answer.status)
        except TimeoutError:
            return Pulse(kind="ill", why=f"no answer to a health check in {self._answer_s:g} s")
        except aiohttp.ClientConnectorError as error:
            return Pulse(kind="gone", why=f"nobody listens there ({error.os_error.strerror})")
        except (aiohttp.ClientError, OSError) as error:
            return Pulse(kind="ill", why=f"a health check failed ({type(error).__name__}: {error})")

    def _session(self) -> aiohttp.ClientSession:
        import aiohttp

        socket = self._address.socket
        connector: aiohttp.BaseConnector = (
            aiohttp.TCPConnector(force_close=True)
            if socket is None
            else aiohttp.UnixConnector(str(socket), force_close=True)
        )
        return aiohttp.ClientSession(connector=connector, headers=dict(self._address.headers))


def _judge(status: int) -> Pulse:
    if status in (401, 403):
        return Pulse(kind="refused", why=f"it does not accept our key (HTTP {status})")
    if status >= 500:
        return Pulse(kind="ill", why=f"its health check says HTTP {status}")
    # Whoever answers 404 is there, and has no such page.
    return Pulse(kind="well")
