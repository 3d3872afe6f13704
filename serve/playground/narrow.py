"""What of the page's server is reachable: only what the page itself uses, with small bodies.

Gradio's server also takes uploads, gives out files, stands in for other servers and describes an
API. The page needs none of that. Guards: those routes, and the memory and disk behind them; with
`is_local`, pages of other sites and names that were made to point here, as the gateway does.
Does not guard: what the page's own routes do.
"""

from __future__ import annotations

from typing import Any, Final

from serve.gateway.browsers import foreign
from serve.gateway.exchange import Message, Receive, Scope, Send, headers_of

BODY_MOST: Final = 4 << 20  # bytes, ours: a long chat, sent with each message
_EXACT: Final = frozenset(("", "/config", "/theme.css", "/favicon.ico", "/robots.txt"))
_BELOW: Final = (
    "/assets/",
    "/static/",
    "/svelte/",
    "/gradio_api/queue/",
    "/gradio_api/component_server",
    "/gradio_api/heartbeat/",
    "/gradio_api/startup-events",
    "/gradio_api/cancel",
    "/gradio_api/reset",
)


class Narrow:
    """The page's application behind a short list of routes."""

    def __init__(self, app: Any, is_local: bool = False) -> None:
        self._app = app
        self._is_local = is_local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        status = self._refuses(scope)
        if status:
            await _refuse(send, status)
            return
        held = 0
        has_begun = False

        async def counted() -> Message:
            nonlocal held
            message = await receive()
            held += len(message.get("body", b""))
            if held > BODY_MOST:
                raise _TooLong
            return message

        async def sent(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, counted, sent)
        except _TooLong:
            if not has_begun:
                await _refuse(send, 413)

    def _refuses(self, scope: Scope) -> int:
        """Return the status of the refusal; 0 where there is none."""
        headers = headers_of(scope)
        if self._is_local and foreign(headers):
            return 403
        path = scope["path"].removeprefix(scope.get("root_path", "")).rstrip("/")
        if path not in _EXACT and not any(f"{path}/".startswith(one) for one in _BELOW):
            return 404
        length = headers.get("content-length", "0")
        return 413 if not length.isdigit() or int(length) > BODY_MOST else 0


class _TooLong(Exception):
    """A body without a length went on for too long."""


async def _refuse(send: Send, status: int) -> None:
    words = {403: b"not from there", 404: b"not found", 413: b"too long"}[status]
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(words)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": words})
