"""What all routes of one gateway share: cards, engines, links to them, keys, counters."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedcoder.errors import UsageError
from serve.card import ModelCard
from serve.config import ServeRecipe
from serve.engines.engine import Kept
from serve.fault import Fault
from serve.gateway.link import Link
from serve.gateway.turnstile import Turnstile

if TYPE_CHECKING:
    from serve.upstream import Upstream

_NAMED_MOST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One model of the gateway."""

    card: ModelCard
    kept: Kept
    link: Link
    turnstile: Turnstile


class House:
    """One gateway. Made before the event loop runs; `open` and `close` belong to the loop.

    Raises UsageError where two models answer to one name.
    """

    def __init__(self, recipe: ServeRecipe, kept: Sequence[Kept]) -> None:
        self.recipe = recipe
        self.config = recipe.gateway
        self.version = _version()
        # Of this start: request ids of two starts differ although their numbers do not.
        self.instance = secrets.token_hex(4)
        self.served: dict[str, Served] = {}
        self._by_name: dict[str, Served] = {}
        self.requests = 0  # being answered, but for those that only look
        self.is_draining = False
        for one in kept:
            self._take(one)

    def _take(self, kept: Kept) -> None:
        card = kept.engine.card
        turnstile = Turnstile(card.name, self.config.streams, self.config.queue)
        link = Link(kept, turnstile, stall_s=self.config.stall_s)
        served = Served(card=card, kept=kept, link=link, turnstile=turnstile)
        for name in (card.name, *card.aliases):
            if name in self._by_name:
                raise UsageError(
                    f"two models answer to {name!r}: {self._by_name[name].card.name} and"
                    f" {card.name}; give one of the cards another name or alias"
                )
            self._by_name[name] = served
        self.served[card.name] = served

    def find(self, model_name: object) -> Served:
        """Return the model of that name or alias. Raises Fault: 400 for no name, 404 for unknown.

        The one model of a service needs no name.
        """
        if model_name is None and len(self.served) == 1:
            return next(iter(self.served.values()))
        if not isinstance(model_name, str) or not model_name:
            raise Fault(
                400, f"say which model: 'model' must be one of {self._names()}", param="model"
            )
        served = self._by_name.get(model_name)
        if served is None:
            raise Fault(
                404,
                f"there is no model {model_name[:128]!r} here; there are {self._names()}",
                code="model_not_found",
                param="model",
            )
        return served

    def upstream(self, model_name: object) -> tuple[ModelCard, Upstream]:
        """Return the card of a model and what asks its engine. Raises Fault as `find` does."""
        served = self.find(model_name)
        return served.card, served.link

    def _names(self) -> str:
        names = sorted(self.served)
        more = f" and {len(names) - _NAMED_MOST} more" if len(names) > _NAMED_MOST else ""
        return ", ".join(names[:_NAMED_MOST]) + more

    async def open(self) -> None:
        """Start the engines; returns at once, they become ready in their own time."""
        await asyncio.gather(*(served.kept.start() for served in self.served.values()))

    async def close(self) -> None:
        """End the links and the engines."""
        self.is_draining = True
        await asyncio.gather(*(served.link.close() for served in self.served.values()))
        drain_s = min(self.config.drain_s, _ENGINES_END_S)
        await asyncio.gather(*(served.kept.stop(drain_s) for served in self.served.values()))


_ENGINES_END_S = 10.0  # ours: the requests have ended before


def make_house(recipe: ServeRecipe, *, runtime_dir: Path) -> House:
    """Return the house of a recipe: its cards read, its engines described and kept, none started.

    Raises UsageError for a recipe that cannot be served.
    """
    from serve.card import find_card
    from serve.engines.build import build_engine
    from serve.engines.keeper import Keeper

    kept: list[Kept] = []
    for table in recipe.models:
        card = find_card(table.card)
        engine = build_engine(table, card, runtime_dir=runtime_dir)
        kept.append(Keeper(engine, log_dir=runtime_dir))
    return House(recipe, kept)


async def dispatch_inside(
    house: House, method: str, path: str, body: Mapping[str, Any], key: Any | None = None
) -> tuple[int, dict[str, Any]]:
    """Answer a request as if it had come from outside, whole: for batches.

    Returns the status and the body; a Fault is its own status and body.
    """
    from serve.gateway.inside import dispatch

    return await dispatch(house, method, path, body, key)


def _version() -> str:
    try:
        return metadata.version("seedcoder")
    except metadata.PackageNotFoundError:
        return "0"
