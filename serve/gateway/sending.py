"""Replies as they go out, and what is counted of them on the way."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

import orjson

from serve.fault import Fault
from serve.gateway import sse
from serve.gateway.call import Call, Raw, Reply, Stream, Whole

if TYPE_CHECKING:
    from serve.gateway.exchange import Send

log = logging.getLogger(__name__)

_JSON = b"application/json"
_EVENTS = ((b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache"),
           (b"x-accel-buffering", b"no"))  # fmt: skip


async def send_reply(call: Call, reply: Reply, send: Send) -> None:
    """Send a reply.

    Raises Fault where there is none yet to send; a fault later on ends the stream with an event
    that tells it.
    """
    match reply:
        case Whole():
            usage = reply.body.get("usage")
            if isinstance(usage, Mapping):
                call.tally.take_usage(usage)
            await send_json(send, reply.status, reply.body, reply.headers)
        case Stream():
            await _send_stream(call, reply, send)
        case Raw():
            await _send_raw(call, reply, send)


async def send_json(
    send: Send, status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> None:
    """Send a whole JSON answer."""
    await _send_bytes(send, status, _JSON, orjson.dumps(body, default=str), headers or {})


async def send_fault(send: Send, fault: Fault, *, is_messages: bool = False) -> None:
    """Send a refusal in OpenAI's shape; is_messages: so that Anthropic's clients know it, too."""
    headers: dict[str, str] = {}
    if fault.retry_after_s is not None:
        headers["retry-after"] = str(max(1, round(fault.retry_after_s)))
    if fault.status == 401:
        headers["www-authenticate"] = "Bearer"
    if fault.status in (408, 413, 500):
        headers["connection"] = "close"  # the body may still be on its way; or it is closed anyway
    body = {"type": "error", **fault.to_json()} if is_messages else fault.to_json()
    await send_json(send, fault.status, body, headers)


async def _send_bytes(
    send: Send, status: int, media_type: bytes, data: bytes, headers: Mapping[str, str]
) -> None:
    named = [(b"content-type", media_type), (b"content-length", b"%d" % len(data)), *_raw(headers)]
    await send({"type": "http.response.start", "status": status, "headers": named})
    await send({"type": "http.response.body", "body": data})


async def _send_stream(call: Call, reply: Stream, send: Send) -> None:
    events = reply.events
    tally, house = call.tally, call.house
    began_s = tally.began_s
    try:
        first: dict[str, Any] | bytes | None = await anext(events, None)
        await send({"type": "http.response.start", "status": 200, "headers": [*_EVENTS]})
        item, before_s = first, 0.0
        while item is not None:
            now_s = time.perf_counter()
            if isinstance(item, bytes):
                block, count = item, item.count(b"\n\n")
            else:
                block, count = _block(tally, reply, item), 1
            if not before_s:
                tally.first_s = now_s - began_s
            elif block and count:
                house.metrics.gap(tally.model, (now_s - before_s) / count, count)
            if block:
                before_s = now_s
                await send({"type": "http.response.body", "body": block, "more_body": True})
            item = await anext(events, None)
        last = sse.DONE if reply.done else b""
    except Fault as fault:
        if tally.first_s is None:
            raise
        # The status line is out. What remains is to say it in the stream, and not to end it well.
        tally.note = fault.code or fault.kind
        last = sse.write(fault.to_json())
    finally:
        await _close(events)
    await send({"type": "http.response.body", "body": last})


def _block(tally: Any, reply: Stream, event: Mapping[str, Any]) -> bytes:
    usage = event.get("usage")
    if isinstance(usage, Mapping):
        tally.take_usage(usage)
        if not reply.shows_usage:
            if not event.get("choices"):
                return b""
            event = {key: value for key, value in event.items() if key != "usage"}
    return sse.write(event)


async def _send_raw(call: Call, reply: Raw, send: Send) -> None:
    if isinstance(reply.chunks, bytes):
        await _send_bytes(
            send, reply.status, reply.media_type.encode(), reply.chunks, reply.headers
        )
        return
    chunks = reply.chunks
    try:
        chunk = await anext(chunks, None)
        named = [(b"content-type", reply.media_type.encode()), *_raw(reply.headers)]
        await send({"type": "http.response.start", "status": reply.status, "headers": named})
        while chunk is not None:
            if call.tally.first_s is None:
                call.tally.first_s = time.perf_counter() - call.tally.began_s
            if chunk:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            chunk = await anext(chunks, None)
    except Fault as fault:
        is_stream = reply.media_type == "text/event-stream"
        if call.tally.first_s is None or not is_stream:
            raise
        call.tally.note = fault.code or fault.kind
        told = b"event: error\n%b" % sse.write({"type": "error", **fault.to_json()})
        await send({"type": "http.response.body", "body": told, "more_body": True})
    finally:
        await _close(chunks)
    await send({"type": "http.response.body", "body": b""})


async def _close(items: AsyncIterator[Any]) -> None:
    aclose = getattr(items, "aclose", None)
    if aclose is not None:
        await aclose()


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
