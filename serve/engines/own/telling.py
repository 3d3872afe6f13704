"""The answer to one request, as it is told: event by event, or whole at the end.

telling.open(prompt_tokens=12, choices=2)
telling.say(0, "def")
telling.flush()
telling.end(0, "stop")
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from serve.engines.own.bodies import Asking, ChatBody
from serve.engines.own.wire import Exchange
from serve.fault import Fault

Finish = Literal["stop", "length", "tool_calls"]


@dataclass(frozen=True, slots=True)
class Weighed:
    """One token as logprobs tell it: its text, its bytes (a part of a character has no text).

    top: the likeliest in its place, as (text, bytes, logprob).
    """

    token: str
    logprob: float
    top: tuple[tuple[str, bytes, float], ...]
    raw: bytes


@dataclass(slots=True)
class _Choice:
    """What is known of one choice. offset: characters told, which the text protocol counts."""

    head: bytes = b""
    tokens: int = 0
    texts: list[str] = field(default_factory=list)
    weighed: list[Weighed] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    finish: str | None = None
    reason: int | str | None = None
    offset: int = 0


class Telling:
    """Tells one answer to one exchange. Used from the event loop's thread only."""

    def __init__(self, exchange: Exchange, body: Asking, model: str) -> None:
        self._exchange = exchange
        self._is_chat = isinstance(body, ChatBody)
        self._streams = body.stream
        self._tells_usage = body.stream_options is not None and body.stream_options.include_usage
        self._model = model
        self._id = f"{'chatcmpl' if self._is_chat else 'cmpl'}-{secrets.token_hex(12)}"
        self._created = int(time.time())
        self._choices: list[_Choice] = []
        self._left = 0
        self._prompt_tokens = 0
        self._pending: list[bytes] = []
        self._tail = b""

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to tell, or nobody to tell it to."""
        return self._exchange.is_over

    @property
    def is_behind(self) -> bool:
        """Whether the client reads more slowly than it is told."""
        return self._exchange.is_behind

    def open(self, *, prompt_tokens: int, choices: int) -> None:
        """Begin; from here on nothing is refused any more, only broken off."""
        self._prompt_tokens = prompt_tokens
        self._choices = [_Choice() for _ in range(choices)]
        self._left = choices
        if not self._streams or self.is_over:
            return
        self._exchange.begin()
        kind = "chat.completion.chunk" if self._is_chat else "text_completion"
        facts = self._facts(kind)
        opening = orjson.dumps(facts)[:-1]  # its closing brace comes with the choices
        inner = b'"delta":{"content":' if self._is_chat else b'"text":'
        for at, choice in enumerate(self._choices):
            choice.head = b'data: %b,"choices":[{"index":%d,%b' % (opening, at, inner)
        self._tail = b'%b,"logprobs":null,"finish_reason":null}]}\n\n' % (
            b"}" if self._is_chat else b""
        )
        if self._is_chat:
            for at in range(choices):
                self._event(at, {"delta": {"role": "assistant", "content": ""}})
            self.flush()

    def say(self, at: int, text: str, *, tokens: int = 1, weighed: Sequence[Weighed] = ()) -> None:
        """Tell the next piece of a choice: an event of its own, sent by `flush`.

        A piece without text counts its tokens; its logprobs come with the next that has text.
        """
        choice = self._choices[at]
        choice.tokens += tokens
        if not self._streams:
            choice.texts.append(text)
            choice.weighed.extend(weighed)
        elif weighed or choice.weighed:
            choice.weighed.extend(weighed)
            if text:
                self._weighed_event(at, text, None)
        elif text:
            self._pending.append(choice.head + orjson.dumps(text) + self._tail)

    def call(self, at: int, calls: Sequence[dict[str, Any]]) -> None:
        """Tell tool calls: [{"id", "type", "function": {"name", "arguments"}}]."""
        choice = self._choices[at]
        choice.calls.extend(calls)
        if self._streams:
            for number, one in enumerate(calls):
                self._event(at, {"delta": {"tool_calls": [{"index": number, **one}]}})

    def flush(self) -> None:
        """Send what has been said."""
        if self._pending:
            self._exchange.write(b"".join(self._pending))
            self._pending.clear()

    def end(self, at: int, finish: Finish, reason: int | str | None = None) -> None:
        """End a choice; with the last one the answer is whole.

        reason: the stop string, or the id of the token, that ended it, as vLLM tells it.
        """
        choice = self._choices[at]
        choice.finish, choice.reason = finish, reason
        self._left -= 1
        if self._streams:
            self._weighed_event(at, "", finish)
        if self._left:
            return
        if not self._streams:
            self._exchange.answer(200, orjson.dumps(self._whole()))
            return
        if self._tells_usage:
            kind = "chat.completion.chunk" if self._is_chat else "text_completion"
            last = {**self._facts(kind), "choices": [], "usage": self._usage()}
            self._pending.append(b"data: %b\n\n" % orjson.dumps(last))
        self._pending.append(b"data: [DONE]\n\n")
        self.flush()
        self._exchange.end()

    def fail(self, fault: Fault) -> None:
        """Break off, or refuse what has not been opened."""
        self.flush()
        self._exchange.fault(fault)

    def _facts(self, kind: str) -> dict[str, Any]:
        return {"id": self._id, "object": kind, "created": self._created, "model": self._model}

    def _usage(self) -> dict[str, int]:
        told = sum(choice.tokens for choice in self._choices)
        return {
            "prompt_tokens": self._prompt_tokens,
            "completion_tokens": told,
            "total_tokens": self._prompt_tokens + told,
        }

    def _event(self, at: int, said: dict[str, Any]) -> None:
        kind = "chat.completion.chunk" if self._is_chat else "text_completion"
        choice = {"index": at, **said, "logprobs": None, "finish_reason": None}
        event = {**self._facts(kind), "choices": [choice]}
        self._pending.append(b"data: %b\n\n" % orjson.dumps(event))

    def _weighed_event(self, at: int, text: str, finish: str | None) -> None:
        choice = self._choices[at]
        held, choice.weighed = choice.weighed, []
        said: dict[str, Any] = {"index": at}
        if self._is_chat:
            said["delta"] = {"content": text} if text or not finish else {}
        else:
            said["text"] = text
        said["logprobs"] = self._logprobs(held, choice)
        said["finish_reason"] = finish
        if finish:
            said["stop_reason"] = choice.reason
        kind = "chat.completion.chunk" if self._is_chat else "text_completion"
        event = {**self._facts(kind), "choices": [said]}
        self._pending.append(b"data: %b\n\n" % orjson.dumps(event))

    def _whole(self) -> dict[str, Any]:
        choices = []
        for at, choice in enumerate(self._choices):
            text = "".join(choice.texts)
            said: dict[str, Any] = {"index": at}
            if self._is_chat:
                said["message"] = {"role": "assistant", "content": text}
                if choice.calls:
                    said["message"] |= {"content": text or None, "tool_calls": choice.calls}
            else:
                said["text"] = text
            said["logprobs"] = self._logprobs(choice.weighed, choice)
            said["finish_reason"], said["stop_reason"] = choice.finish, choice.reason
            choices.append(said)
        kind = "chat.completion" if self._is_chat else "text_completion"
        return {**self._facts(kind), "choices": choices, "usage": self._usage()}

    def _logprobs(self, weighed: Sequence[Weighed], choice: _Choice) -> dict[str, Any] | None:
        if not weighed:
            return None
        if self._is_chat:
            return {"content": [_chat_logprob(one) for one in weighed]}
        offsets = []
        for one in weighed:
            offsets.append(choice.offset)
            choice.offset += len(one.token)
        return {
            "tokens": [one.token for one in weighed],
            "token_logprobs": [one.logprob for one in weighed],
            "top_logprobs": [_top(one) for one in weighed],
            "text_offset": offsets,
        }


def _chat_logprob(one: Weighed) -> dict[str, Any]:
    top = [_token(text, raw, logprob) for text, raw, logprob in one.top]
    return {**_token(one.token, one.raw, one.logprob), "top_logprobs": top}


def _token(text: str, raw: bytes, logprob: float) -> dict[str, Any]:
    return {"token": text, "logprob": logprob, "bytes": list(raw)}


def _top(one: Weighed) -> dict[str, float]:
    """Return the likeliest tokens, and the one that was drawn, as the text protocol has them."""
    told = {_key(text, raw): logprob for text, raw, logprob in one.top}
    return {**told, _key(one.token, one.raw): one.logprob}


def _key(text: str, raw: bytes) -> str:
    """Return a token's text; parts of characters all look alike, and are written as OpenAI did."""
    return text if "\ufffd" not in text else "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)
