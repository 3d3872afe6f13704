"""A stream's events put together into the whole answer that the protocol has for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal

from serve.fault import Fault
from serve.gateway.call import Call, Reply, Stream, Whole
from serve.upstream import closing

Kind = Literal["chat", "text"]

_OBJECTS: dict[Kind, str] = {"chat": "chat.completion", "text": "text_completion"}
# Of a delta and of a choice: text that goes on from chunk to chunk.
_TEXTS = ("content", "reasoning", "reasoning_content", "refusal")
_KNOWN = frozenset((*_TEXTS, "role", "tool_calls", "function_call"))
_CHOICE = frozenset(("index", "delta", "text", "logprobs", "finish_reason"))


async def reply_with(call: Call, events: AsyncIterator[dict[str, Any]], *, kind: Kind) -> Reply:
    """Return the reply to a request of these events: as a stream if it asked for one, else whole.

    A stream shows its usage where `stream_options.include_usage` asks for it.
    """
    if call.body.get("stream"):
        return Stream(events=events, shows_usage=shows_usage(call.body))
    return Whole(body=await collect(events, kind=kind))


def shows_usage(body: Mapping[str, Any]) -> bool:
    """Whether a request asks for an event with the usage of its stream."""
    options = body.get("stream_options")
    return isinstance(options, Mapping) and options.get("include_usage") is True


async def collect(events: AsyncIterator[dict[str, Any]], *, kind: Kind) -> dict[str, Any]:
    """Return the whole answer. Raises Fault where the events do, or there was none."""
    whole: dict[str, Any] = {}
    usage: Mapping[str, Any] | None = None
    choices: dict[int, _Choice] = {}
    async with closing(events) as closed:
        async for event in closed:
            for key, value in event.items():
                if key == "usage":
                    usage = value if isinstance(value, Mapping) else usage
                elif key != "choices" and key not in whole:
                    whole[key] = value
            for part in event.get("choices") or ():
                index = part.get("index", 0)
                choices.setdefault(index, _Choice(kind, index)).take(part)
    if not whole and not choices:
        raise Fault(502, "the engine sent no answer", kind="server_error")
    whole["object"] = _OBJECTS[kind]
    whole["choices"] = [choices[index].whole() for index in sorted(choices)]
    if usage is not None:
        whole["usage"] = dict(usage)
    return whole


class _Choice:
    """One choice, as far as it has come."""

    def __init__(self, kind: Kind, index: int) -> None:
        self._kind = kind
        self._index = index
        self._texts: dict[str, list[str]] = {}
        self._message: dict[str, Any] = {"role": "assistant"}
        self._calls: dict[int, dict[str, Any]] = {}
        self._logprobs: dict[str, Any] | None = None
        self._more: dict[str, Any] = {}
        self._finish: str | None = None

    def take(self, part: Mapping[str, Any]) -> None:
        """Add what a chunk says of it."""
        delta = part.get("delta") or {}
        source = delta if self._kind == "chat" else part
        for name in _TEXTS if self._kind == "chat" else ("text",):
            if isinstance(source.get(name), str):
                self._texts.setdefault(name, []).append(source[name])
        for name, value in delta.items():
            if name in _KNOWN or value is None:
                continue
            if isinstance(value, list) and all(isinstance(one, dict) for one in value):
                self._take_entries(name, value)
            else:
                self._message[name] = value
        for call in delta.get("tool_calls") or ():
            self._take_call(call)
        for name, value in part.items():
            if name not in _CHOICE and value is not None:
                self._more[name] = value
        if part.get("logprobs") is not None:
            self._take_logprobs(part["logprobs"])
        self._finish = part.get("finish_reason") or self._finish

    def _take_entries(self, name: str, entries: list[dict[str, Any]]) -> None:
        """Put together a list whose entries come in pieces, by their index (`code_runs`)."""
        kept = {one.get("index"): one for one in self._message.get(name) or ()}
        for entry in entries:
            index = entry.get("index", len(kept))
            kept[index] = {**kept.get(index, {}), **entry}
        self._message[name] = list(kept.values())

    def _take_call(self, call: Mapping[str, Any]) -> None:
        whole = self._calls.setdefault(call.get("index", len(self._calls)), {})
        for name in ("id", "type"):
            if call.get(name):
                whole[name] = call[name]
        function = whole.setdefault("function", {"name": "", "arguments": ""})
        said = call.get("function") or {}
        # A name comes whole, with the first chunk; some engines send it again with each.
        function["name"] = function["name"] or said.get("name") or ""
        function["arguments"] += said.get("arguments") or ""

    def _take_logprobs(self, said: Mapping[str, Any]) -> None:
        if self._logprobs is None:
            self._logprobs = {}
        for name, values in said.items():
            if isinstance(values, list):
                self._logprobs.setdefault(name, [])
                self._logprobs[name] = [*(self._logprobs[name] or ()), *values]
            else:
                self._logprobs.setdefault(name, values)

    def whole(self) -> dict[str, Any]:
        """Return it as it stands in the whole answer."""
        texts = {name: "".join(parts) for name, parts in self._texts.items()}
        ending = {"logprobs": self._logprobs, "finish_reason": self._finish, **self._more}
        if self._kind == "text":
            return {"index": self._index, "text": texts.get("text", ""), **ending}
        message = self._message
        message["content"] = texts.pop("content", None)
        message.update(texts)
        if self._calls:
            message["tool_calls"] = [
                {"type": "function", **self._calls[index]} for index in sorted(self._calls)
            ]
            message["content"] = message["content"] or None
        elif message["content"] is None:
            message["content"] = ""
        return {"index": self._index, "message": message, **ending}
