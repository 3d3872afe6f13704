"""Server-sent events as bytes: cut a stream into whole events, read them, write them.

Only what OpenAI-speaking servers send: `data:` lines of one JSON object each, sometimes with
`event:` before them, comments to keep a connection alive, `[DONE]` at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from serve.fault import Fault

DONE = b"data: [DONE]\n\n"
_EVENT_MOST_BYTES = 32 << 20  # ours: above any answer's length; an engine that goes mad ends here


class Cutter:
    """Cuts what arrives into whole events; an event that has only begun is kept for later."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> bytes:
        """Return the whole events that are there now, with their blank lines; b"" for none."""
        data = self._rest + chunk if self._rest else chunk
        if b"\r" in data:  # never inside JSON, where it is written as an escape
            data = data.replace(b"\r\n", b"\n")
        if data.endswith(b"\n\n"):
            self._rest = b""
            return data
        cut = data.rfind(b"\n\n") + 2
        if cut == 1:
            cut = 0
        self._rest = data[cut:]
        if len(self._rest) > _EVENT_MOST_BYTES:
            raise Fault(502, "the engine sent an event without an end", kind="server_error")
        return data[:cut]

    @property
    def is_torn(self) -> bool:
        """Whether the stream stands in the middle of an event."""
        return bool(self._rest.strip())


def data_of(events: bytes) -> Iterator[bytes]:
    """Yield the data of whole events, `[DONE]` too; comments and names of events are left out."""
    for event in events.split(b"\n\n"):
        if event.startswith(b"data:") and b"\n" not in event:
            yield event[5:].strip()
            continue
        lines = [line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:")]
        if lines:
            yield b"\n".join(lines)


def read(data: bytes) -> dict[str, Any]:
    """Return an event's data. Raises Fault 502 for what is no JSON object."""
    try:
        event = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise Fault(
            502, f"the engine sent an event that is no JSON: {error}"[:200], kind="server_error"
        ) from None
    if not isinstance(event, dict):
        raise Fault(502, "the engine sent an event that is no JSON object", kind="server_error")
    return event


def write(event: Mapping[str, Any]) -> bytes:
    """Return an event as it goes out."""
    return b"data: %b\n\n" % orjson.dumps(event)
