"""A thought that is cut when its tokens are used up, and an answer all the same.

The reply is streamed; when the thought has used its budget the engine's work is cancelled, the
thought is closed, and the model goes on from there: `continue_final_message`, as vLLM and our own
engines have it. The answer itself is never interrupted, so that tool calls and schemas within it
stay whole. A model that begins to think again is cut again, and from the third time on let be.

Tokens are counted as `serve.thinking.events` counts them. Running usage is asked for, and given
back where there is one choice (`without_running_usage` takes it off): with it the cut comes with
the first chunk at or over the budget, however many tokens a chunk has.

Does not work where the chat template takes thoughts out of the last message: the answer is then
given without its thought.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from serve.card import ThinkingWords
from serve.thinking.events import Choices
from serve.thinking.running import running_events
from serve.upstream import Upstream, closing

CHAT = "/v1/chat/completions"
_CUTS_MOST = 3  # ours
_LIMITS = ("max_completion_tokens", "max_tokens")
_SHARED = ("id", "object", "created", "model", "system_fingerprint")


async def answer_with_budget(
    upstream: Upstream,
    body: Mapping[str, Any],
    words: ThinkingWords,
    budget_tokens: int,
    *,
    text: str = "",
    is_shown: bool = True,
) -> AsyncIterator[dict[str, Any]]:
    """Yield the chunks of a chat whose thought takes at most `budget_tokens`, split as by
    `split_thoughts`; the last carries the usage of all that was asked of the engine.

    text: how the client began the reply itself. More than one choice: each is asked for by itself,
    with a seed of its own (the request's, plus its index), as vLLM draws them.
    Raises Fault as `upstream.events` does. Closing the iterator cancels the engine's work.
    """
    count = body.get("n")
    if not isinstance(count, int) or count <= 1:
        one = _Reply(upstream, body, words, budget_tokens, text=text, is_shown=is_shown)
        async with closing(one.events()) as events:
            async for event in events:
                yield event
        return
    alone = {name: value for name, value in body.items() if name != "n"}
    seed = body.get("seed")
    bodies = [
        {**alone, "seed": seed + index} if isinstance(seed, int) else alone
        for index in range(count)
    ]
    replies = [
        _Reply(upstream, each, words, budget_tokens, text=text, is_shown=is_shown, index=index)
        for index, each in enumerate(bodies)
    ]
    first: dict[str, Any] = {}
    usage = _Usage()
    async with closing(_together([reply.events() for reply in replies])) as events:
        async for event in events:
            first = first or {name: event[name] for name in _SHARED if name in event}
            if event.get("choices"):
                yield {**event, **first}
    for reply in replies:
        usage.add_choice(reply.usage)
    yield {**first, "choices": [], "usage": usage.to_json()}


class _Usage:
    """Tokens of one reply, over all that was asked for it."""

    def __init__(self) -> None:
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self.thought_tokens = 0
        self.more: dict[str, Any] = {}

    def add_choice(self, other: _Usage) -> None:
        """Add another choice of the same prompt."""
        self.prompt_tokens = max(self.prompt_tokens, other.prompt_tokens)
        self.completion_tokens += other.completion_tokens
        self.thought_tokens += other.thought_tokens

    def to_json(self) -> dict[str, Any]:
        """Return OpenAI's object."""
        return {
            **self.more,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
            "completion_tokens_details": {"reasoning_tokens": self.thought_tokens},
        }


class _Reply:
    """One choice, asked for in as many parts as it takes."""

    def __init__(
        self,
        upstream: Upstream,
        body: Mapping[str, Any],
        words: ThinkingWords,
        budget_tokens: int,
        *,
        text: str,
        is_shown: bool,
        index: int = 0,
    ) -> None:
        self._upstream, self._body, self._words = upstream, body, words
        self._left_tokens, self._begun, self._is_shown = budget_tokens, text, is_shown
        self._index = index
        self._first: dict[str, Any] = {}
        self._text = ""  # of the model, tags and all
        self._ended = False
        self._had_role = False
        self._finish = "length"
        self.usage = _Usage()

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """Yield the chunks of the whole reply, and its usage."""
        cuts = 0
        if self._left_tokens == 0 and not self._begun:
            cuts = 1
            self._text = _closed("", self._words, opens=True)
        while not self._ended:
            limit = self._limit()
            if self.usage.completion_tokens and limit is not None and limit[1] <= 0:
                yield self._last()  # the thought took all that the reply may have
                break
            may_cut = cuts < _CUTS_MOST
            async with closing(self._part(may_cut)) as events:
                async for event in events:
                    yield event
            cuts += 1
        yield {**self._first, "choices": [], "usage": self.usage.to_json()}

    def _limit(self) -> tuple[str, int] | None:
        """Return the key that bounds the reply, and how many tokens are left of it."""
        for name in _LIMITS:
            value = self._body.get(name)
            if isinstance(value, int) and not isinstance(value, bool):
                return name, value - self.usage.completion_tokens if self._text else value
        return None

    def _asked(self) -> dict[str, Any]:
        asked = dict(self._body)
        if not self._text:
            return asked
        messages = list(self._body.get("messages") or [])
        text = self._begun + self._text
        if self._begun:
            messages[-1] = {**messages[-1], "content": text}
        else:
            messages.append({"role": "assistant", "content": text})
        limit = self._limit()
        if limit is not None:
            asked.update({name: limit[1] for name in _LIMITS if name in asked})
        return {
            **asked,
            "messages": messages,
            "add_generation_prompt": False,
            "continue_final_message": True,
        }

    async def _part(self, may_cut: bool) -> AsyncIterator[dict[str, Any]]:
        """Yield the chunks of one request; note the text so far where the thought is cut."""
        is_first = not self._text
        words = self._words
        if not is_first:
            words = words.model_copy(update={"is_opened": False})
        choices = Choices(words, text=self._begun + self._text, is_shown=self._is_shown)
        choice = choices[0]
        opened = f"{words.open}\n" if is_first and words.is_opened else ""
        heard = ""
        self._ended = True
        usage: Mapping[str, Any] = {}
        async with closing(running_events(self._upstream, CHAT, self._asked())) as events:
            async for event in events:
                if isinstance(event.get("usage"), Mapping):
                    usage = event["usage"]
                self._first = self._first or {n: event[n] for n in _SHARED if n in event}
                if not event.get("choices"):
                    continue
                heard += _said(event)
                is_last = event["choices"][0].get("finish_reason") is not None
                turned = choices.turn(event)
                if turned is not None:
                    yield self._dressed(turned)
                over = choice.splitter.is_thinking and choice.thought_tokens >= self._left_tokens
                if may_cut and over and not is_last:
                    self._ended = False
                    break
        if self._ended and (rest := choices.rest(self._first)) is not None:
            yield self._dressed(rest)
        self._add(usage, choice.tokens, choice.thought_tokens, choices)
        if not self._ended:
            self._left_tokens = max(0, self._left_tokens - choice.thought_tokens)
            held = choice.splitter.held
            self._text += _closed(opened + heard[: len(heard) - len(held)], words, opens=False)

    def _add(
        self, usage: Mapping[str, Any], tokens: int, thought_tokens: int, choices: Choices
    ) -> None:
        said = usage.get("completion_tokens")
        completion = said if isinstance(said, int) and said >= tokens else tokens
        whole = self._ended and isinstance(said, int)
        self.usage.thought_tokens += choices.thought_tokens(said) if whole else thought_tokens
        prompt = usage.get("prompt_tokens")
        if isinstance(prompt, int) and not self.usage.prompt_tokens:
            # Of a later part the prompt holds the thought: that is reply, and counted there. (The
            # few tokens that close it stay: only running usage tells the first part's own prompt.)
            self.usage.prompt_tokens = max(0, prompt - self.usage.completion_tokens)
            self.usage.more = {
                name: value for name, value in usage.items() if name == "prompt_tokens_details"
            }
        self.usage.completion_tokens += completion

    def _dressed(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return a chunk as one of this reply: its id, its index, its role said once."""
        kept = []
        for choice in event["choices"]:
            delta = dict(choice.get("delta") or {})
            if "role" in delta:
                if self._had_role:
                    del delta["role"]
                self._had_role = True
            kept.append({**choice, "index": self._index, "delta": delta})
        dressed = {**event, **self._first, "choices": kept}
        if isinstance(event.get("usage"), Mapping):
            dressed["usage"] = self._so_far(event["usage"])
        return dressed

    def _so_far(self, usage: Mapping[str, Any]) -> dict[str, Any]:
        """Return running usage as that of all parts together."""
        return {
            "prompt_tokens": self.usage.prompt_tokens or usage.get("prompt_tokens", 0),
            "completion_tokens": self.usage.completion_tokens + usage.get("completion_tokens", 0),
            "completion_tokens_details": {
                "reasoning_tokens": self.usage.thought_tokens
                + usage["completion_tokens_details"]["reasoning_tokens"]
            },
        }

    def _last(self) -> dict[str, Any]:
        self._ended = True
        choice = {"index": self._index, "delta": {}, "finish_reason": self._finish}
        return {**self._first, "choices": [choice]}


def _said(event: Mapping[str, Any]) -> str:
    delta = event["choices"][0].get("delta") or {}
    content = delta.get("content")
    return content if isinstance(content, str) else ""


def _closed(text: str, words: ThinkingWords, *, opens: bool) -> str:
    """Return a thought, closed as models close theirs: the tag on a line of its own."""
    if opens:
        return f"{words.open}\n\n{words.close}\n\n"
    return f"{text.rstrip()}\n{words.close}\n\n"


async def _together(
    streams: list[AsyncIterator[dict[str, Any]]],
) -> AsyncIterator[dict[str, Any]]:
    """Yield what comes of many streams as it comes; the first that fails ends the others."""
    queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(len(streams))

    async def pump(stream: AsyncIterator[dict[str, Any]]) -> None:
        async with closing(stream) as events:
            async for event in events:
                await queue.put(event)

    tasks = [asyncio.create_task(pump(stream)) for stream in streams]
    going = set(tasks)
    try:
        while going or not queue.empty():
            if queue.empty():
                getter = asyncio.ensure_future(queue.get())
                await asyncio.wait({getter, *going}, return_when=asyncio.FIRST_COMPLETED)
                if getter.done():
                    yield getter.result()
                else:
                    getter.cancel()
            else:
                yield queue.get_nowait()
            for task in [task for task in going if task.done()]:
                going.discard(task)
                task.result()  # raises what ended it
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
