"""The fast path: an engine's stream passed on as bytes, read only where it tells its usage."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from serve.gateway import sse
from serve.gateway.call import Call, Reply, Stream, Whole
from serve.gateway.collect import shows_usage

if TYPE_CHECKING:
    from serve.gateway.link import Link


async def relay(call: Call, link: Link, path: str, body: Mapping[str, Any]) -> Reply:
    """Return the engine's reply as it is, streamed or whole, as the request asked."""
    if not call.body.get("stream"):
        return Whole(body=await link.answer(path, body))
    blocks = _counted(call, link, path, body)
    # The engine's own [DONE] is among the bytes.
    return Stream(events=blocks, done=False)


async def _counted(
    call: Call, link: Link, path: str, body: Mapping[str, Any]
) -> AsyncIterator[bytes]:
    tally, shows = call.tally, shows_usage(call.body)
    blocks = link.blocks(path, body)
    try:
        async for block in blocks:
            if b'"usage":' in block:
                block = _without_usage(tally, block, shows)
            yield block
    finally:
        await blocks.aclose()  # type: ignore[attr-defined]


def _without_usage(tally: Any, block: bytes, shows: bool) -> bytes:
    """Count the usage in some events; leave out the event that is there for it alone."""
    kept: list[bytes] = []
    for event in block.split(b"\n\n"):
        if b'"usage":' in event:
            for data in sse.data_of(event):
                said = sse.read(data)
                usage = said.get("usage")
                if isinstance(usage, Mapping):
                    tally.take_usage(usage)
                    if not shows and not said.get("choices"):
                        event = b""
        if event:
            kept.append(event)
    return b"".join(event + b"\n\n" for event in kept)
