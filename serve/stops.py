"""Stop strings, found in text that comes in pieces: any number of them, cut exactly.

    stops = Stops(["\\ndef", "\\nclass"])
    stops.feed("return x\\nd")      # ("return x", False): "\\nd" may be the beginning of one
    stops.feed("ef g():")          # ("", True)

Engines take few stops (OpenAI four, vLLM refuses a fifth over HTTP) or none of a kind; here they
are looked for in the gateway, in chat and in text, each choice for itself. The string that is whole
first counts, the longest of several; it is no part of the reply.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from typing import Any, Literal, Protocol, cast

Kind = Literal["chat", "text"]
# From the texts of all choices to their usage, in OpenAI's shape.
Count = Callable[[list[str]], Awaitable[dict[str, Any]]]


class Cutter(Protocol):
    """Something that finds the end of a text which comes in pieces."""

    def feed(self, text: str) -> tuple[str, bool]:
        """Take more text; return what may be sent, and whether the text ended there."""
        ...

    def finish(self) -> str:
        """Return what is held back and belongs to the text, once nothing more comes."""
        ...

    @property
    def has_ended(self) -> bool:
        """Whether the end was found: by `feed`, or in what was held back by `finish`."""
        ...


class Stops:
    """The text before the first of some strings. Holds back what may be the beginning of one.

    found: the string that was found, None before that.
    """

    def __init__(self, strings: Iterable[str]) -> None:
        """Look for `strings`. ValueError for an empty one: it would end every text at once."""
        self._strings = tuple(dict.fromkeys(strings))
        if "" in self._strings:
            raise ValueError("a stop string must not be empty")
        self._held = ""
        self.found: str | None = None
        self._most = max(map(len, self._strings), default=0) - 1

    def feed(self, text: str) -> tuple[str, bool]:
        """Return the text that is safe to send, and whether a stop was found right after it."""
        if self.found is not None:
            return "", True
        text = self._held + text
        # The one that is whole first, so that the size of the pieces makes no difference.
        hits = [
            (at + len(stop), at, stop) for stop in self._strings if (at := text.find(stop)) >= 0
        ]
        if hits:
            _, at, self.found = min(hits)
            self._held = ""
            return text[:at], True
        keep = self._beginning(text)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep], False

    def finish(self) -> str:
        """Return what was held back: no stop came of it."""
        held, self._held = self._held, ""
        return held

    @property
    def has_ended(self) -> bool:
        """Whether a stop was found."""
        return self.found is not None

    def _beginning(self, text: str) -> int:
        """Return how many of the last characters may be the beginning of a stop."""
        for size in range(min(self._most, len(text)), 0, -1):
            tail = text[-size:]
            if any(stop.startswith(tail) for stop in self._strings):
                return size
        return 0


async def stop_at(
    events: AsyncIterator[dict[str, Any]],
    strings: Iterable[str],
    *,
    kind: Kind,
    choices: int = 1,
    count: Count | None = None,
) -> AsyncGenerator[dict[str, Any], None]:
    """Yield the events of a stream, each choice cut at the first of `strings`; see `cut_at`."""
    strings = tuple(strings)
    cut = cut_at(events, lambda: Stops(strings), kind=kind, choices=choices, count=count)
    async with aclosing(cut) as closed:
        async for event in closed:
            yield event


async def cut_at(
    events: AsyncIterator[dict[str, Any]],
    make: Callable[[], Cutter],
    *,
    kind: Kind,
    choices: int = 1,
    count: Count | None = None,
) -> AsyncGenerator[dict[str, Any], None]:
    """Yield the events of a stream with each choice cut where a cutter of its own says.

    A choice that was cut ends with finish_reason "stop". choices: how many there are (`n`): when
    all of them are cut, the engine is cancelled (`events` is closed). Its usage is then the last
    that an event with text told (see `serve.thinking.running`). Where none did, `count` is asked
    for it, with the text that came of each choice; without one, an event that brought text counts
    as a token, and the prompt's tokens are not known (0).
    The last event carries the usage; the others none.
    """
    cutters: dict[int, Cutter] = {}
    came: dict[int, list[str]] = {}
    over: set[int] = set()
    last: dict[str, Any] = {}
    told: dict[str, Any] | None = None
    stream = cast(AsyncGenerator[dict[str, Any], None], events)
    async with aclosing(stream):
        async for event in stream:
            if not event.get("choices"):
                yield event
                continue
            told = event.get("usage") or told
            last = {key: value for key, value in event.items() if key != "usage"}
            kept = []
            for choice in event["choices"]:
                index = choice.get("index", 0)
                if index not in cutters:
                    cutters[index], came[index] = make(), []
                if text := _text(choice, kind):
                    came[index].append(text)
                if index in over:
                    continue
                part, is_over = _cut(choice, cutters[index], kind)
                if is_over:
                    over.add(index)
                kept.append(part)
            if kept:
                yield {**last, "choices": kept}
            if len(over) >= choices and _was_cut(event):
                break
        else:
            return
    usage = told or _usage(0, sum(map(len, came.values())))
    if told is None and count is not None:
        usage = await count(["".join(came[index]) for index in sorted(came)])
    yield {**last, "choices": [], "usage": usage}


def _was_cut(event: Mapping[str, Any]) -> bool:
    """Say whether the engine would go on: it did not end the choices of this event itself."""
    return any(choice.get("finish_reason") is None for choice in event["choices"])


def _cut(choice: dict[str, Any], cutter: Cutter, kind: Kind) -> tuple[dict[str, Any], bool]:
    """Return what is sent of a choice, and whether that is its end."""
    text = _text(choice, kind)
    safe, ended = cutter.feed(text) if text else ("", False)
    if not ended and choice.get("finish_reason") is not None:
        # The engine's own end: what was held back belongs to the reply, unless a cutter that
        # looks at whole lines sees only now that the text ended before.
        safe += cutter.finish()
        part = _with_text(choice, safe, kind)
        if cutter.has_ended:
            part["finish_reason"] = "stop"
        return part, True
    part = _with_text(choice, safe, kind)
    if ended:
        part["finish_reason"] = "stop"
    return part, ended


def _text(choice: Mapping[str, Any], kind: Kind) -> str:
    if kind == "text":
        return choice.get("text") or ""
    return (choice.get("delta") or {}).get("content") or ""


def _with_text(choice: Mapping[str, Any], text: str, kind: Kind) -> dict[str, Any]:
    if kind == "text":
        return {**choice, "text": text}
    delta = dict(choice.get("delta") or {})
    if delta.get("content") is not None or text:
        delta["content"] = text
    return {**choice, "delta": delta}


def _usage(prompt: int, tokens: int) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": tokens,
        "total_tokens": prompt + tokens,
    }
