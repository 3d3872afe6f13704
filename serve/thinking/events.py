"""A stream of chat chunks, the thought in fields of its own.

Both names are written, `reasoning` (vLLM's since 2025) and `reasoning_content` (DeepSeek's, and
vLLM's before): clients read the one or the other. Chunks in which an engine has told the thought
apart itself get the second name, and are left as they are otherwise.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from serve.card import ThinkingWords
from serve.thinking.splitter import Splitter
from serve.upstream import closing

_NAMES = ("reasoning", "reasoning_content")


class Choice:
    """One choice of a stream: its splitter, and how many of its tokens were thought.

    Tokens are counted by what a chunk says of them: running usage (where there is one choice),
    token ids, logprobs; else a chunk with text is one token.
    """

    def __init__(self, words: ThinkingWords, *, text: str = "") -> None:
        self.splitter = Splitter(words, text=text)
        self.tokens = 0
        self.thought_tokens = 0
        self.has_ended = False
        self._waiting_tokens = 0  # of an opening tag that may yet come to be one

    def take(
        self, choice: Mapping[str, Any], *, usage_tokens: int | None = None
    ) -> tuple[str, str]:
        """Take one chunk's choice; return its thought and its answer.

        usage_tokens: tokens of the reply so far, where the engine says so with each chunk.
        """
        delta = choice.get("delta") or {}
        told = _told(delta)
        text = delta.get("content")
        text = text if isinstance(text, str) else ""
        splitter = self.splitter
        if told:
            splitter.stand_aside()
        was_thinking = bool(told) or splitter.is_thinking
        thought, answer = splitter.feed(text)
        self.has_ended = choice.get("finish_reason") is not None
        if self.has_ended:
            last_thought, last_answer = splitter.end()
            thought, answer = thought + last_thought, answer + last_answer
        if usage_tokens is not None:
            count = max(0, usage_tokens - self.tokens)
        else:
            count = _count(choice, bool(told or text))
        self.tokens += count
        self._attribute(count, was_thinking, thought, answer)
        return told + thought, answer

    def _attribute(self, count: int, was_thinking: bool, thought: str, answer: str) -> None:
        if answer:
            self._waiting_tokens = 0
            if thought:
                self.thought_tokens += round(count * len(thought) / len(thought + answer))
        elif was_thinking or thought or self.splitter.is_thinking:
            self.thought_tokens += count + self._waiting_tokens
            self._waiting_tokens = 0
        elif self.splitter.is_undecided:
            self._waiting_tokens += count


class Choices:
    """All choices of one stream."""

    def __init__(self, words: ThinkingWords, *, text: str = "", is_shown: bool = True) -> None:
        self._words, self._text, self._is_shown = words, text, is_shown
        self._choices: dict[int, Choice] = {}

    def __getitem__(self, index: int) -> Choice:
        if index not in self._choices:
            self._choices[index] = Choice(self._words, text=self._text)
        return self._choices[index]

    def turn(self, event: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return what goes on of an event; None where all of it is held back for now."""
        choices = event.get("choices") or []
        usage = event.get("usage")
        if not choices:
            return self._with_details(event) if isinstance(usage, Mapping) else dict(event)
        running = None
        if isinstance(usage, Mapping) and len(self._choices) <= 1:
            running = usage.get("completion_tokens")
            running = running if isinstance(running, int) else None
        turned = [self._turn_choice(choice, running) for choice in choices]
        if not any(turned):
            return None
        kept = [choice for choice in turned if choice]
        event = {**event, "choices": kept}
        return self._with_details(event) if isinstance(usage, Mapping) else dict(event)

    def _turn_choice(
        self, choice: Mapping[str, Any], usage_tokens: int | None
    ) -> dict[str, Any] | None:
        thought, answer = self[choice.get("index", 0)].take(choice, usage_tokens=usage_tokens)
        delta = dict(choice.get("delta") or {})
        had_text = bool(delta.get("content"))
        for name in _NAMES:
            delta.pop(name, None)
        if had_text or answer:
            delta.pop("content", None)
        if answer:
            delta["content"] = answer
        if thought and self._is_shown:
            delta.update(dict.fromkeys(_NAMES, thought))
        if not delta and choice.get("finish_reason") is None and not choice.get("logprobs"):
            return None
        return {**choice, "delta": delta}

    def rest(self, like: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """Return what is still held back when a stream ends without saying why."""
        kept = []
        for index, choice in sorted(self._choices.items()):
            if choice.has_ended:
                continue
            thought, answer = choice.splitter.end()
            delta = {"content": answer} if answer else {}
            if thought and self._is_shown:
                delta.update(dict.fromkeys(_NAMES, thought))
            if delta:
                kept.append({"index": index, "delta": delta, "finish_reason": None})
        if not kept or like is None:
            return None
        shared = {name: like[name] for name in ("id", "object", "created", "model") if name in like}
        return {**shared, "choices": kept}

    def _with_details(self, event: Mapping[str, Any]) -> dict[str, Any]:
        usage = dict(event["usage"])
        usage["completion_tokens_details"] = {
            **(usage.get("completion_tokens_details") or {}),
            "reasoning_tokens": self.thought_tokens(usage.get("completion_tokens")),
        }
        return {**event, "usage": usage}

    def thought_tokens(self, of_tokens: object = None) -> int:
        """Return how many tokens were thought, of `of_tokens` where the engine says how many all
        are: chunks of more than one token are then no longer counted as one.
        """
        counted = sum(choice.tokens for choice in self._choices.values())
        thought = sum(choice.thought_tokens for choice in self._choices.values())
        if isinstance(of_tokens, int) and counted and of_tokens > counted:
            # A reply's last token often has no text (it ends the reply): it is no thought.
            ends = len(self._choices)
            thought = (
                thought if of_tokens - counted <= ends else round(thought * of_tokens / counted)
            )
        return min(thought, of_tokens) if isinstance(of_tokens, int) else thought


async def split_thoughts(
    events: AsyncIterator[dict[str, Any]],
    words: ThinkingWords,
    *,
    text: str = "",
    is_shown: bool = True,
) -> AsyncIterator[dict[str, Any]]:
    """Yield the chunks of a chat, each choice's thought told apart from its answer.

    text: how the client began the reply itself. is_shown: false leaves thoughts out. `usage` gets
    `completion_tokens_details.reasoning_tokens`: exact where chunks hold one token each or the
    engine counts along, else by the share of chunks.
    Closing the iterator closes `events`.
    """
    choices = Choices(words, text=text, is_shown=is_shown)
    last: dict[str, Any] | None = None
    async with closing(events) as coming:
        async for event in coming:
            if not event.get("choices") and (rest := choices.rest(last)) is not None:
                yield rest
            last = event
            turned = choices.turn(event)
            if turned is not None:
                yield turned
    if (rest := choices.rest(last)) is not None:
        yield rest


def _told(delta: Mapping[str, Any]) -> str:
    """Return the thought that the engine has told apart itself."""
    for name in _NAMES:
        piece = delta.get(name)
        if isinstance(piece, str) and piece:
            return piece
    return ""


def _count(choice: Mapping[str, Any], has_text: bool) -> int:
    ids = choice.get("token_ids")
    if isinstance(ids, list):
        return len(ids)
    logprobs = choice.get("logprobs")
    if isinstance(logprobs, Mapping) and isinstance(logprobs.get("content"), list):
        return len(logprobs["content"])
    return int(has_text)
