"""Events with running usage, where the engine has it; and taken off again for clients.

`stream_options.continuous_usage_stats` is vLLM's: each chunk then carries the tokens so far. An
engine that refuses the option is asked once more without it, and never again with it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final
from weakref import WeakSet

from serve.fault import Fault
from serve.upstream import Upstream, closing

_OPTION = "continuous_usage_stats"
_REFUSERS: Final[WeakSet[Upstream]] = WeakSet()


async def running_events(
    upstream: Upstream, path: str, body: Mapping[str, Any]
) -> AsyncIterator[dict[str, Any]]:
    """Yield the events of a stream. Raises Fault as `upstream.events` does."""
    if upstream not in _REFUSERS:
        options = body.get("stream_options")
        options = options if isinstance(options, Mapping) else {}
        asked = {**body, "stream_options": {**options, _OPTION: True}}
        has_begun = False
        try:
            async with closing(upstream.events(path, asked)) as events:
                async for event in events:
                    has_begun = True
                    yield event
                return
        except Fault as fault:
            is_refused = _OPTION in fault.message or fault.param == "stream_options"
            if has_begun or fault.status not in (400, 422) or not is_refused:
                raise
    async with closing(upstream.events(path, body)) as events:
        async for event in events:
            _REFUSERS.add(upstream)  # only now: else the client's own options were refused
            yield event


async def without_running_usage(
    events: AsyncIterator[dict[str, Any]],
) -> AsyncIterator[dict[str, Any]]:
    """Yield events for a client: usage in the last only, as OpenAI has it."""
    async with closing(events) as coming:
        async for event in coming:
            if event.get("choices") and "usage" in event:
                event = {name: value for name, value in event.items() if name != "usage"}
            yield event
