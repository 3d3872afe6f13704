"""Who may do what on the page: asked with the key that the visitor has typed, "" for none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from serve.playground.asking import Refused

Check = Callable[[str], Awaitable[bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """The checks of a service with keys. They may raise Refused to say more than no.

    is_known: may see what lies on the server (runs). may_run: may have code run.
    """

    is_known: Check
    may_run: Check

    async def check_run(self, key: str) -> None:
        """Raise Refused unless the holder of the key may have code run."""
        if not await self.may_run(key):
            raise Refused("this key may not run code" if key else "running code needs an API key")

    async def check_look(self, key: str) -> None:
        """Raise Refused unless the holder of the key may see the runs."""
        if not await self.is_known(key):
            raise Refused("runs are shown to holders of an API key only")


async def _yes(key: str) -> bool:
    return True


async def _no(key: str) -> bool:
    return False


EVERYONE: Final = Rights(is_known=_yes, may_run=_yes)
LOOKERS: Final = Rights(is_known=_yes, may_run=_no)
