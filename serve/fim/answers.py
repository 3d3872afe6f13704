"""A middle as it is told: in OpenAI's, Mistral's and llama.cpp's shape, whole and in a stream.

All are made from OpenAI's text chunks. Mistral's is that of a chat, whose last chunk brings the
usage (clients read `choices[0]` of every chunk: continuedev/continue, core/llm/llms/OpenAI.ts).
llama.cpp's has `content`, at the end `stop: true` with counts and times, and no "[DONE]";
`response_fields` picks from it, with "timings/prompt_n" as a name of its own (ggml-org/llama.vim
asks so).
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from serve.fim.asked import Middle
from serve.fim.prompt import Prompt
from serve.gateway.call import Tally
from serve.upstream import closing

_STOP_TYPES = {"length": "limit", "stop": "eos"}


async def mistral_chunks(events: AsyncIterator[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
    """Yield a stream of text chunks as Mistral's chunks; the usage comes with the last."""
    held: dict[str, Any] | None = None
    is_first = True
    async with closing(events) as stream:
        async for event in stream:
            if not event.get("choices"):
                if held is not None and event.get("usage"):
                    held["usage"] = event["usage"]
                continue
            choices = []
            for choice in event["choices"]:
                delta: dict[str, Any] = {"content": choice.get("text") or ""}
                if is_first:
                    delta["role"] = "assistant"
                choices.append(
                    {
                        "index": choice.get("index", 0),
                        "delta": delta,
                        "finish_reason": choice.get("finish_reason"),
                    }
                )
            is_first = False
            if held is not None:
                yield held
            held = {**event, "object": "chat.completion.chunk", "choices": choices}
    if held is not None:
        yield held


def mistral_whole(whole: Mapping[str, Any]) -> dict[str, Any]:
    """Return a whole text completion as Mistral's answer."""
    choices = [
        {
            "index": choice["index"],
            "message": {"role": "assistant", "content": choice["text"], "tool_calls": None},
            "finish_reason": choice["finish_reason"],
        }
        for choice in whole["choices"]
    ]
    return {**whole, "object": "chat.completion", "choices": choices}


class Infill:
    """One answer of /infill on its way."""

    def __init__(self, middle: Middle, prompt: Prompt, model: str, tally: Tally) -> None:
        """Begin: the time of the prompt runs from here."""
        self._middle, self._prompt, self._model, self._tally = middle, prompt, model, tally
        self._began_s = time.perf_counter()
        self._first_s: float | None = None
        self._usage: Mapping[str, Any] = {}

    async def chunks(self, events: AsyncIterator[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
        """Yield a stream of text chunks as llama.cpp's events."""
        finish, is_long, count = None, False, 0
        async with closing(self._timed(events)) as stream:
            async for event in stream:
                for choice in event.get("choices") or ():
                    text = "" if self._middle.is_warming else choice.get("text") or ""
                    finish = choice.get("finish_reason") or finish
                    is_long = is_long or "\n" in text
                    if text:
                        count += 1
                        yield {
                            "index": choice.get("index", 0), "content": text, "tokens": [],
                            "stop": False, "id_slot": -1, "tokens_predicted": count,
                            "tokens_evaluated": 0,
                        }  # fmt: skip
        self._tally.take_usage(self._usage)
        yield self._final(0, "", finish, is_long=is_long)

    async def whole(self, events: AsyncIterator[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the answers, one a completion."""
        texts: dict[int, list[str]] = {}
        finish: dict[int, Any] = {}
        async with closing(self._timed(events)) as stream:
            async for event in stream:
                for choice in event.get("choices") or ():
                    index = choice.get("index", 0)
                    texts.setdefault(index, []).append(choice.get("text") or "")
                    finish[index] = choice.get("finish_reason") or finish.get(index)
        self._tally.take_usage(self._usage)
        made = []
        for index in sorted(texts) or [0]:
            text = "" if self._middle.is_warming else "".join(texts.get(index, ()))
            made.append(self._final(index, text, finish.get(index), is_long="\n" in text))
        return made

    async def _timed(self, events: AsyncIterator[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
        async with closing(events) as stream:
            async for event in stream:
                if self._first_s is None:
                    self._first_s = time.perf_counter()
                self._usage = event.get("usage") or self._usage
                yield event

    def _final(self, index: int, text: str, finish: Any, *, is_long: bool) -> dict[str, Any]:
        prompt_n = self._usage.get("prompt_tokens", 0)
        predicted_n = 0 if self._middle.is_warming else self._usage.get("completion_tokens", 0)
        now_s = time.perf_counter()
        first_s = self._first_s or now_s
        whole = {
            "index": index,
            "content": text,
            "tokens": [],
            "id_slot": -1,
            "stop": True,
            "model": self._model,
            "tokens_predicted": predicted_n,
            "tokens_evaluated": prompt_n,
            "generation_settings": dict(self._middle.body),
            "prompt": self._prompt.text,
            "has_new_line": is_long,
            "truncated": self._prompt.is_cut,
            "stop_type": _STOP_TYPES.get(finish, "none"),
            "stopping_word": "",
            "tokens_cached": 0,
            "timings": {
                **_times("prompt", prompt_n, first_s - self._began_s),
                **_times("predicted", predicted_n, now_s - first_s),
            },
        }
        return _picked(whole, self._middle.response_fields)


def _times(name: str, count: int, spent_s: float) -> dict[str, float]:
    spent_ms = 1000 * spent_s
    return {
        f"{name}_n": count,
        f"{name}_ms": spent_ms,
        f"{name}_per_token_ms": spent_ms / count if count else 0.0,
        f"{name}_per_second": count / spent_s if spent_s > 0 else 0.0,
    }


def _picked(whole: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Return the fields of these names; "a/b" is field b of a. What is not there is left out."""
    if not names:
        return whole
    picked = {}
    for name in names:
        value: Any = whole
        for part in name.split("/"):
            value = value.get(part, _NOTHING) if isinstance(value, Mapping) else _NOTHING
        if value is not _NOTHING:
            picked[name] = value
    return picked


_NOTHING = object()
