"""What the gateway asks of an engine: whole answers, or the events of a stream.

The protocol is OpenAI's, whatever the engine: `path` is "/v1/completions", "/v1/chat/completions",
"/v1/embeddings"..., `body` the request as plain data.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar

_T = TypeVar("_T")


class Upstream(Protocol):
    """One engine, as the routes see it."""

    def events(self, path: str, body: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Yield the events of a stream, `[DONE]` left out; `stream` is set in what is sent.

        The last event carries `usage` (with empty choices), as with `include_usage`. Closing the
        iterator (`aclose`, cancellation) cancels the engine's work. Raises Fault: the engine's own
        refusal with its status and message; 503 with `retry_after_s` where it is not ready or died
        in the middle of the answer.
        """
        ...

    async def answer(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return a whole answer. Raises Fault as `events` does."""
        ...


@asynccontextmanager
async def closing(events: AsyncIterator[_T]) -> AsyncIterator[AsyncIterator[_T]]:
    """Hold an iterator and close it at the end, where it can be: that cancels an engine's work."""
    try:
        yield events
    finally:
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()
