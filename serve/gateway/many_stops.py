"""Stop strings: the card's and the request's, by the engine where it takes so many, else here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from serve.card import ModelCard
from serve.gateway import asked
from serve.gateway.collect import Kind, collect
from serve.stops import stop_at
from serve.thinking.running import running_events, without_running_usage
from serve.upstream import Upstream, closing


def with_stops(
    upstream: Upstream, card: ModelCard, body: Mapping[str, Any], *, kind: Kind
) -> tuple[Upstream, dict[str, Any]]:
    """Return what to ask and with which body, so that answers end at each stop string."""
    stops = tuple(dict.fromkeys((*card.stop, *asked.stops_of(body))))
    kept = {key: value for key, value in body.items() if key != "stop"}
    if len(stops) > asked.STOPS_OF_ENGINES:
        return ManyStops(upstream, stops, kind), kept
    if stops:
        kept["stop"] = list(stops)
    return upstream, kept


class ManyStops:
    """An `Upstream` whose answers are cut at more strings than its engine would look for."""

    def __init__(self, upstream: Upstream, stops: tuple[str, ...], kind: Kind) -> None:
        self._upstream = upstream
        self._stops = stops
        self._kind: Kind = kind

    async def events(self, path: str, body: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Yield the events of a stream; see `Upstream`."""
        cut = stop_at(
            running_events(self._upstream, path, body),
            self._stops,
            kind=self._kind,
            choices=choices_of(body),
        )
        async with closing(without_running_usage(cut)) as closed:
            async for event in closed:
                yield event

    async def answer(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return a whole answer; see `Upstream`."""
        return await collect(self.events(path, body), kind=self._kind)


def choices_of(body: Mapping[str, Any]) -> int:
    """Return how many choices an answer will have: `n` for each prompt."""
    prompt = body.get("prompt")
    prompts = 1
    if isinstance(prompt, list) and prompt and not asked.is_whole(prompt[0]):
        prompts = len(prompt)
    return prompts * (body.get("n") or 1)
