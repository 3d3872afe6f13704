"""What all routes of one gateway share: cards, engines, links to them, keys, counters."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedcoder.cache import cache_folder
from seedcoder.errors import UsageError
from serve.card import ModelCard
from serve.config import ServeRecipe
from serve.engines.engine import Kept
from serve.fault import Fault
from serve.gateway import trail
from serve.gateway.batch_worker import Batches
from serve.gateway.exchange import Bodies
from serve.gateway.file_store import FileStore
from serve.gateway.link import Link
from serve.gateway.metrics import Metrics
from serve.gateway.turnstile import Turnstile
from serve.tools.run_code import RunCode

if TYPE_CHECKING:
    from serve.gateway.traces import Traces
    from serve.keys import KeyStore
    from serve.limits import Limiter
    from serve.upstream import Upstream
    from serve.usage import Ledger

log = logging.getLogger(__name__)

_NAMED_MOST = 20  # ours
_BODIES_MB = 512  # ours: of all requests being answered
_ENGINES_END_S = 10.0  # ours: their requests have ended before


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
        self.served: dict[str, Served] = {}
        self._by_name: dict[str, Served] = {}
        self.began_at_s = time.time()
        self.metrics = Metrics()
        self.bodies = Bodies(_BODIES_MB << 20)
        self.keys: KeyStore | None = None
        self.ledger: Ledger | None = None
        self.limiter: Limiter | None = None
        self.requests = 0  # being answered, but for those that only look
        self.answering: set[asyncio.Task[Any]] = set()
        self.is_draining = False
        self.run_code = RunCode(recipe.sandbox)
        self.is_cut = False  # what was under way was not waited for to its end
        for one in kept:
            self._take(one)

        self._open_keys(self.config.keys_file)
        folder = self.config.files_dir or cache_folder() / "serve"
        self.files = FileStore(
            folder,
            most_bytes=self.config.file_mb << 20,
            most_total_bytes=self.config.files_mb << 20,
        )
        self.batches = Batches(self, self.files, folder)
        self.metrics.watch(self)
        self.traces: Traces | None = None
        if self.config.traces_url is not None:
            from serve.gateway.traces import Traces

            self.traces = Traces(self.config.traces_url, self.version)

    def _open_keys(self, path: Path | None) -> None:
        if path is None:
            return
        from serve.keys import KeyStore
        from serve.limits import Limiter
        from serve.usage import Ledger

        self.keys = KeyStore(path)
        self.ledger = Ledger(path)
        self.limiter = Limiter(self.ledger)

    def _take(self, kept: Kept) -> None:
        card = kept.engine.card
        turnstile = Turnstile(card.name, self.config.streams, self.config.queue)
        link = Link(kept, turnstile)
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
        """Return the model of that name or alias. The one model of a service needs no name.

        Raises Fault: 400 for no name, 404 for one that is not known, 403 for a model that the key
        of the request (see `trail`) may not use.
        """
        served = self._find(model_name)
        holder = trail.holder()
        if holder is not None:
            holder.check_model(served.card.name, *served.card.aliases)
        return served

    def _find(self, model_name: object) -> Served:
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

    def drain(self, drain_s: float) -> None:
        """Take no request from now on. drain_s: how long answers under way may still take."""
        self.is_draining = True
        log.warning("draining requests=%d drain_s=%g", self.requests, drain_s)

    def cut(self) -> None:
        """End the answers under way: the time to wait for them is over."""
        log.warning("the time to drain is over requests=%d", self.requests)
        self.is_cut = True
        for task in tuple(self.answering):
            task.cancel()

    async def open(self) -> None:
        """Start the engines; returns at once, they become ready in their own time."""
        await asyncio.gather(*(served.kept.start() for served in self.served.values()))
        await self.batches.start()

    async def close(self) -> None:
        """End the links and the engines."""
        self.is_draining = True
        await self.batches.stop()
        await asyncio.to_thread(self.run_code.close)
        await asyncio.gather(*(served.link.close() for served in self.served.values()))
        drain_s = min(self.config.drain_s, _ENGINES_END_S)
        await asyncio.gather(*(served.kept.stop(drain_s) for served in self.served.values()))
        if self.ledger is not None:
            self.ledger.close()
        if self.keys is not None:
            self.keys.close()
        if self.traces is not None:
            await asyncio.to_thread(self.traces.close)


def make_house(recipe: ServeRecipe, *, runtime_dir: Path, beside: Path | None = None) -> House:
    """Return the house of a recipe: its cards read, its engines described and kept, none started.

    beside: the recipe's folder, where its cards are looked for first. Raises UsageError for a
    recipe that cannot be served.
    """
    from serve.card import find_card
    from serve.engines.build import build_engine
    from serve.engines.keeper import Keeper
    from serve.engines.terms import Turns

    kept: list[Kept] = []
    turns = Turns()
    for table in recipe.models:
        card = find_card(table.card, beside=beside)
        engine = build_engine(table, card, runtime_dir=runtime_dir)
        kept.append(Keeper(engine, log_dir=runtime_dir, turns=turns))
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
