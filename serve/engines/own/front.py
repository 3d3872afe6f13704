"""The routes that both engines have, in front of what speaks."""

from __future__ import annotations

import base64
import struct
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import orjson

from serve.engines.own.bodies import ChatBody, EmbeddingBody, TextBody, TokenizeBody, read
from serve.engines.own.telling import Telling
from serve.engines.own.wire import Exchange
from serve.fault import Fault


class Speaker(Protocol):
    """What stands behind the routes."""

    @property
    def context_tokens(self) -> int:
        """Prompt and reply together."""
        ...

    @property
    def load(self) -> tuple[int, int]:
        """Replies (under way, waiting)."""
        ...

    def begin(self, body: ChatBody | TextBody, telling: Telling) -> Callable[[], None]:
        """Begin an answer, told as it comes; return what breaks it off. Raises Fault."""
        ...

    def embed(self, body: EmbeddingBody) -> tuple[Sequence[Sequence[float]], int]:
        """Return the vectors and the tokens of the inputs. Raises Fault."""
        ...

    def tokenize(self, body: TokenizeBody) -> list[int]:
        """Return the ids of a text. Raises Fault."""
        ...


class Front:
    """Takes exchanges. names: what requests may call the model; the first is what it is told as."""

    def __init__(self, speaker: Speaker, names: Sequence[str]) -> None:
        self._speaker = speaker
        self._names = tuple(names)
        self._began = int(time.time())
        self.is_draining = False
        self._routes: dict[str, tuple[str, Callable[[Exchange], None]]] = {
            "/health": ("GET", self._health),
            "/v1/models": ("GET", self._models),
            "/v1/chat/completions": ("POST", lambda x: self._ask(x, read(x.body, ChatBody))),
            "/v1/completions": ("POST", lambda x: self._ask(x, read(x.body, TextBody))),
            "/v1/embeddings": ("POST", self._embed),
            "/tokenize": ("POST", self._tokenize),
        }

    def __call__(self, exchange: Exchange) -> None:
        """Answer an exchange, now or later. Raises Fault."""
        method, act = self._routes.get(exchange.path, ("", None))
        if act is None:
            there = ", ".join(self._routes)
            raise Fault(404, f"no such route: {exchange.path[:200]!r}; there are {there}")
        if exchange.method != method and (exchange.method, method) != ("HEAD", "GET"):
            raise Fault(405, f"{exchange.path} is asked with {method}, not {exchange.method}")
        if self.is_draining and method == "POST":
            raise Fault(503, "this engine is about to end", kind="server_error")
        act(exchange)

    def _health(self, exchange: Exchange) -> None:
        running, waiting = self._speaker.load
        state = {"status": "ok", "running": running, "waiting": waiting}
        exchange.answer(200, orjson.dumps(state))

    def _models(self, exchange: Exchange) -> None:
        models = [
            {
                "id": name,
                "object": "model",
                "created": self._began,
                "owned_by": "seedcoder",
                "max_model_len": self._speaker.context_tokens,
            }
            for name in self._names
        ]
        exchange.answer(200, orjson.dumps({"object": "list", "data": models}))

    def _ask(self, exchange: Exchange, body: ChatBody | TextBody) -> None:
        self._check_model(body.model)
        if body.stream_options is not None and not body.stream:
            raise Fault(400, "stream_options is for streams", param="stream_options")
        telling = Telling(exchange, body, self._names[0])
        cancel = self._speaker.begin(body, telling)
        if not exchange.is_over:
            exchange.on_gone = cancel

    def _embed(self, exchange: Exchange) -> None:
        body = read(exchange.body, EmbeddingBody)
        self._check_model(body.model)
        vectors, tokens = self._speaker.embed(body)
        packed = body.encoding_format == "base64"
        data = [
            {"object": "embedding", "index": at, "embedding": _pack(one) if packed else list(one)}
            for at, one in enumerate(vectors)
        ]
        answer = {
            "object": "list",
            "data": data,
            "model": self._names[0],
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
        exchange.answer(200, orjson.dumps(answer))

    def _tokenize(self, exchange: Exchange) -> None:
        body = read(exchange.body, TokenizeBody)
        self._check_model(body.model)
        ids = self._speaker.tokenize(body)
        answer = {"count": len(ids), "max_model_len": self._speaker.context_tokens, "tokens": ids}
        exchange.answer(200, orjson.dumps(answer))

    def _check_model(self, model: str | None) -> None:
        if model is not None and model not in self._names:
            there = ", ".join(self._names)
            raise Fault(
                404, f"the model {model[:200]!r} does not exist; there is {there}",
                code="model_not_found", param="model",
            )  # fmt: skip


def _pack(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
