"""HTTP to one engine: its events, whole answers, and bytes as they come.

Guards against an engine that is not there, dies in the middle of an answer, refuses, or sends what
is no event. Not against one that stays silent: how long a prompt takes is the engine's to know, and
the keeper asks after its health.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import orjson

from serve.engines.engine import Kept
from serve.fault import Fault
from serve.gateway import sse, trail
from serve.gateway.turnstile import Turnstile
from serve.gateway.wire import Answer, Pool, Silent

if TYPE_CHECKING:
    from serve.engines.engine import Address

_SILENCE_S = 600.0  # what OpenAI's own client waits
_REFUSAL_MOST_BYTES = 1 << 20
_RETRY_S = 5.0  # ours: about what a small engine takes to start
# Ours: the first events of a stream go on at once; later ones at most once a frame of a screen, as
# each sending costs as much as all else. A stream slower than that loses nothing by it.
_AT_ONCE = 4
_FRAME_S = 1 / 60
_OF_STREAMS = frozenset(("stream", "stream_options"))
_OURS = frozenset((401, 403, 404, 405, 407))  # the address or key in the recipe is wrong


class Answered:
    """An engine's answer of any media type: its bytes, and its end.

    No generator, as closing one that was never begun would close nothing.
    """

    def __init__(
        self, media_type: str, chunks: AsyncIterator[bytes], stack: AsyncExitStack
    ) -> None:
        self.media_type = media_type
        self._chunks = chunks
        self._stack = stack

    def __aiter__(self) -> Answered:
        """Return itself."""
        return self

    async def __anext__(self) -> bytes:
        """Return some bytes; whole events, where it is a stream of them."""
        return await anext(self._chunks)

    async def aclose(self) -> None:
        """End the answer; the engine stops its work."""
        await self._stack.aclose()


class Link:
    """The way to one engine; an `Upstream`."""

    def __init__(self, kept: Kept, turnstile: Turnstile) -> None:
        self._kept = kept
        self._turnstile = turnstile
        self._pool: Pool | None = None
        self.name = kept.engine.card.name

    async def close(self) -> None:
        """Close the connections."""
        if self._pool is not None:
            self._pool.close()

    async def events(self, path: str, body: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Yield the events of a stream; see `Upstream`."""
        blocks = self.blocks(path, body)
        try:
            async for block in blocks:
                for data in sse.data_of(block):
                    if data == b"[DONE]":
                        continue
                    event = sse.read(data)
                    if "error" in event and not event.get("choices"):
                        raise self._refused(500, data)
                    yield event
        finally:
            await blocks.aclose()  # type: ignore[attr-defined]

    async def blocks(self, path: str, body: Mapping[str, Any]) -> AsyncIterator[bytes]:
        """Yield the same as bytes: some whole events at a time, `[DONE]` too.

        The model bears the card's name. Raises Fault as `events` does, but for errors in events.
        """
        options = body.get("stream_options")
        asked = {
            **body,
            "stream": True,
            "stream_options": {
                **(options if isinstance(options, Mapping) else {}),
                "include_usage": True,
            },
        }
        is_whole = False
        async with self._asked(path, asked) as response:
            cutter, rename = sse.Cutter(), self._renaming()
            clock, after_s, count = asyncio.get_running_loop().time, 0.0, 0
            while chunk := await response.read(after_s=after_s):
                block = cutter.feed(chunk)
                if not block:
                    continue
                if count < _AT_ONCE:
                    count += block.count(b"\n\n")
                else:
                    after_s = clock() + _FRAME_S
                if rename is not None:
                    block = rename(block)
                is_whole = block.endswith(b"[DONE]\n\n")
                yield block
            if not is_whole or cutter.is_torn:
                raise self._dead("the engine ended its answer in the middle")

    async def answer(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return a whole answer; see `Upstream`."""
        # Left out, not set to false: embeddings know no streams.
        asked = {key: value for key, value in body.items() if key not in _OF_STREAMS}
        async with self._asked(path, asked) as response:
            data = await _all(response)
        whole = sse.read(data)
        if whole.get("model") == self._kept.engine.address.model:
            whole["model"] = self.name
        return whole

    async def raw(self, path: str, body: Mapping[str, Any]) -> Answered:
        """Return an answer whatever it is; close it. Raises Fault as `events` does."""
        stack = AsyncExitStack()
        response = await stack.enter_async_context(self._asked(path, body))
        return Answered(response.media_type, self._renamed(response), stack)

    async def _renamed(self, response: Answer) -> AsyncIterator[bytes]:
        with self._told():
            async for piece in self._pieces(response):
                yield piece

    async def _pieces(self, response: Answer) -> AsyncIterator[bytes]:
        rename = self._renaming()
        if response.media_type == "text/event-stream":
            cutter = sse.Cutter()
            while chunk := await response.read():
                block = cutter.feed(chunk)
                if block:
                    yield block if rename is None else rename(block)
            return
        data = await _all(response)
        yield data if rename is None else rename(data)

    def _renaming(self) -> Any:
        """Return what puts the card's name where the engine's own name for it stands."""
        theirs = self._kept.engine.address.model
        if theirs == self.name:
            return None
        # A quote inside a JSON string is escaped: these bytes can only be a key and its value.
        ours = b'"model":%b' % orjson.dumps(self.name)
        tight = b'"model":%b' % orjson.dumps(theirs)
        loose = b'"model": %b' % json.dumps(theirs).encode()

        def rename(block: bytes) -> bytes:
            return block.replace(tight, ours).replace(loose, ours)

        return rename

    @asynccontextmanager
    async def _asked(self, path: str, body: Mapping[str, Any]) -> AsyncIterator[Answer]:
        """Wait for a turn, ask, and give the response, which is no refusal."""
        self._check_ready()
        async with self._turnstile.turn() as waited_s:
            trail.waited(waited_s)
            self._check_ready()  # it may have died while this request waited
            address = self._kept.engine.address
            data = orjson.dumps({**body, "model": address.model})
            pool = self._pool_of(address)
            with self._told():
                async with pool.ask(path, trail.headers(), data) as answer:
                    if answer.status >= 400:
                        raise await self._refusal(answer)
                    yield answer

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say as a Fault what went wrong between the engine and us."""
        try:
            yield
        except Silent:
            raise Fault(
                504, f"the engine of {self.name} said nothing for {_SILENCE_S:g} s",
                kind="server_error",
            ) from None  # fmt: skip
        except OSError as error:
            raise self._dead(_said(error)) from None

    def _pool_of(self, address: Address) -> Pool:
        if self._pool is None or self._pool.address != address:  # it came back somewhere else
            if self._pool is not None:
                self._pool.close()
            self._pool = Pool(address, silence_s=_SILENCE_S)
        return self._pool

    def _check_ready(self) -> None:
        kept = self._kept
        if kept.state == "ready":
            return
        why = f": {kept.why}" if kept.why else ""
        raise Fault(
            503,
            f"{self.name} is not ready ({kept.state}){why}",
            kind="server_error",
            code="model_not_ready",
            retry_after_s=_RETRY_S,
        )

    def _dead(self, why: str) -> Fault:
        self._kept.report_dead(why)
        return Fault(
            503,
            f"the engine of {self.name} is gone and will be started again: {why}",
            kind="server_error",
            code="engine_died",
            retry_after_s=_RETRY_S,
        )

    async def _refusal(self, response: Answer) -> Fault:
        data = await _all(response, _REFUSAL_MOST_BYTES)
        return self._refused(response.status, data, response.headers.get("retry-after"))

    def _refused(self, status: int, data: bytes, retry_after: str | None = None) -> Fault:
        """Return the engine's own refusal; what is our failure or its own becomes 502."""
        error = _error_of(data)
        message = _text(error.get("message")) or f"the engine said {status}"
        code = error.get("code")
        if status in _OURS or status >= 500:
            if status == 503:
                return Fault(
                    503, f"the engine of {self.name} refused: {message}", kind="server_error",
                    code="model_not_ready", retry_after_s=_seconds(retry_after) or _RETRY_S,
                )  # fmt: skip
            return Fault(
                502, f"the engine of {self.name} failed ({status}): {message}", kind="server_error"
            )
        kind, param = _text(error.get("type")), _text(error.get("param"))
        return Fault(
            status,
            message,
            kind=_KINDS.get(kind, kind) or "invalid_request_error",
            code=None if code is None or isinstance(code, int) else str(code),
            param=param or None,
            retry_after_s=_seconds(retry_after),
        )


async def _all(answer: Answer, most_bytes: int = sys.maxsize) -> bytes:
    chunks: list[bytes] = []
    while most_bytes > 0 and (chunk := await answer.read()):
        most_bytes -= len(chunk)
        chunks.append(chunk)
    return b"".join(chunks)


_KINDS = {"BadRequestError": "invalid_request_error"}  # as vLLM writes it


def _error_of(data: bytes) -> Mapping[str, Any]:
    """Find the error in a refusal: OpenAI's shape, vLLM's older one, FastAPI's, plain text."""
    try:
        said = orjson.loads(data)
    except orjson.JSONDecodeError:
        return {"message": data[:500].decode(errors="replace").strip()}
    if not isinstance(said, dict):
        return {}
    inner = said.get("error", said)
    if isinstance(inner, str):
        return {"message": inner}
    if isinstance(inner, Mapping) and "message" in inner:
        return inner
    detail = said.get("detail")
    return {} if detail is None else {"message": detail if isinstance(detail, str) else str(detail)}


def _text(value: object) -> str:
    return value[:4000] if isinstance(value, str) else ""


def _seconds(said: str | None) -> float | None:
    try:
        return float(said) if said else None
    except ValueError:
        return None  # a date, which no engine sends


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300] if str(error) else type(error).__name__
