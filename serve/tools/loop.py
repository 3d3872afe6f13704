"""A chat in which the model may run code before it answers.

    async for event in answer_with_tools(upstream, card, body, toolbox, tools=tools): ...

Round by round: the model is asked; where it calls `run_code`, the call is checked, run, and the
model asked again with the result, until it answers without a call. The client sees one answer: the
text (and thoughts) of all rounds in order, `code_runs` in between (see `serve.tools.report`), one
finish, one usage, which is the sum of what all rounds took: prompts are read again in each.

Bounds: `tools.rounds` rounds with calls, then the model is asked for its answer and a further call
is not run; one wrong call may be repaired, after a second one the model is asked for its answer;
the request's `max_tokens` holds for all rounds together; whoever leaves ends all of it.

Tools of the client's own go to the client, as they would without ours. Where a model calls both in
one round, ours are run and it is told to call the others by themselves.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from serve.card import ModelCard
from serve.thinking import running_events
from serve.tools.arguments import NAME, Wanted, WrongCall, wanted
from serve.tools.asked import Tools
from serve.tools.native import Called
from serve.tools.report import Ran, refused
from serve.tools.round import Round
from serve.tools.run_code import Toolbox
from serve.upstream import Upstream, closing

CHAT = "/v1/chat/completions"
Ask = Callable[[Mapping[str, Any]], AsyncIterator[dict[str, Any]]]
_LIMITS = ("max_completion_tokens", "max_tokens")
_SHARED = ("id", "object", "created", "model", "system_fingerprint")
_REPAIRS = 1
_RAW_MOST = 2_000  # characters; ours
_NO_MORE = "You cannot run code any more. Answer now with what you know, without a call."
_BY_ITSELF = "This call was not made: run_code was called beside it. Make it again by itself."


async def answer_with_tools(
    upstream: Upstream,
    card: ModelCard,
    body: Mapping[str, Any],
    toolbox: Toolbox,
    *,
    tools: Tools,
    ask: Ask | None = None,
) -> AsyncIterator[dict[str, Any]]:
    """Yield the chunks of an answer, and its usage last.

    body, tools: as `asked.take` gave them. ask: how one round is asked for, where its chunks are
    worked on first (thoughts told apart).
    Raises Fault as the engine does, and 503 where the sandbox fails.
    """
    if ask is None:

        def ask(asked: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
            return running_events(upstream, CHAT, asked)

    conversation = _Conversation(body, toolbox, tools, ask)
    try:
        async with closing(conversation.events()) as events:
            async for event in events:
                yield event
    finally:
        toolbox.leave()


class _Conversation:
    """One answer, over its rounds."""

    def __init__(self, body: Mapping[str, Any], toolbox: Toolbox, tools: Tools, ask: Ask) -> None:
        self._body, self._toolbox, self._tools, self._ask = body, toolbox, tools, ask
        self._messages: list[Any] = list(body["messages"])
        self._first: dict[str, Any] = {}
        self._runs = 0
        self._wrong = 0
        self._prompt_tokens = 0
        self._completion_tokens = 0
        self._thought_tokens = 0
        self._had_role = False
        # Of the texts of earlier rounds: the last character, so that two are not written into one.
        self._tails = {"content": "", "reasoning": ""}
        self._fresh: set[str] = set()
        self._unknown: list[int] = []

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """Yield everything that the client sees."""
        rounds = 0
        is_last = False
        while True:
            left = self._left_tokens()
            if rounds and left is not None and left <= 0:
                yield self._event({}, finish="length")
                break
            part = Round(self._tools.convention, may_call=not is_last)
            self._fresh = set(self._tails)
            async with closing(self._ask(self._asked(rounds, is_last, left))) as events:
                async for event in events:
                    self._first = self._first or {n: event[n] for n in _SHARED if n in event}
                    for choice in part.take(event):
                        yield self._told(choice, event)
                    if part.is_complete:
                        break
            for choice in part.end():
                yield self._told(choice, {})
            self._count(part)
            calls = part.calls()
            ours = [call for call in calls if call.name == NAME]
            if is_last or not ours:
                others = [] if ours else calls
                yield self._ending(part, others, ours)
                break
            rounds += 1
            self._messages.append(part.message(calls))
            for call in calls:
                if call.name != NAME:
                    self._answer(call, _BY_ITSELF)
                    continue
                async with closing(self._run(call)) as told:
                    async for event in told:
                        yield event
            is_last = rounds >= self._tools.rounds or self._wrong > _REPAIRS
        yield {**self._first, "choices": [], "usage": self._usage()}

    def _asked(self, rounds: int, is_last: bool, left: int | None) -> dict[str, Any]:
        asked = {**self._body, "messages": list(self._messages)}
        if left is not None:
            asked.update({name: left for name in _LIMITS if name in asked})
        if self._tools.convention == "native":
            if is_last:
                asked["tool_choice"] = "none"
            elif rounds and asked.get("tool_choice") not in (None, "auto"):
                asked["tool_choice"] = "auto"  # what had to be called has been
        elif is_last:
            last = asked["messages"][-1]
            asked["messages"][-1] = {**last, "content": f"{last['content']}\n\n{_NO_MORE}"}
        return asked

    async def _run(self, call: Called) -> AsyncIterator[dict[str, Any]]:
        """Run one call, tell the client, and note the result for the model."""
        index, self._runs = self._runs, self._runs + 1
        run_id = f"run_{secrets.token_hex(8)}"
        start: dict[str, Any] = {"index": index, "id": run_id, "name": NAME}
        checked = _checked(call)
        if isinstance(checked, Wanted):
            start["arguments"] = checked.to_json()
            yield self._event({"code_runs": [start]})
            ran = await self._toolbox.run(checked)
        else:
            self._wrong += 1
            ran = checked
            start.update(arguments={}, raw=call.arguments[:_RAW_MOST])
            yield self._event({"code_runs": [start]})
        yield self._event({"code_runs": [{"index": index, **ran.told}]})
        self._answer(call, ran.text)

    def _answer(self, call: Called, text: str) -> None:
        if self._tools.convention == "native":
            self._messages.append({"role": "tool", "tool_call_id": call.id, "content": text})
        else:
            self._messages.append({"role": "user", "content": f"Output of run_code:\n{text}"})

    def _left_tokens(self) -> int | None:
        for name in _LIMITS:
            value = self._body.get(name)
            if isinstance(value, int) and not isinstance(value, bool):
                return value - self._completion_tokens
        return None

    def _count(self, part: Round) -> None:
        if part.prompt_tokens:
            # What an interrupted round did not say: this prompt holds that one, and its reply.
            earlier = part.prompt_tokens
            for reply in reversed(self._unknown):
                earlier = max(0, earlier - reply)
                self._prompt_tokens += earlier
            self._unknown.clear()
            self._prompt_tokens += part.prompt_tokens
        else:
            self._unknown.append(part.completion_tokens)
        self._completion_tokens += part.completion_tokens
        self._thought_tokens += part.thought_tokens

    def _usage(self) -> dict[str, Any]:
        return {
            "prompt_tokens": self._prompt_tokens,
            "completion_tokens": self._completion_tokens,
            "total_tokens": self._prompt_tokens + self._completion_tokens,
            "completion_tokens_details": {"reasoning_tokens": self._thought_tokens},
        }

    def _told(self, choice: Mapping[str, Any], event: Mapping[str, Any]) -> dict[str, Any]:
        """Return a chunk of a round as one of the answer."""
        delta = dict(choice.get("delta") or {})
        if "role" in delta:
            if self._had_role:
                del delta["role"]
            self._had_role = True
        for name in ("content", "reasoning"):
            text = delta.get(name)
            if not isinstance(text, str) or not text:
                continue
            tail = self._tails[name]
            if name in self._fresh and tail and not tail.endswith("\n"):
                delta[name] = text = f"\n\n{text.lstrip(chr(10))}"
            self._fresh.discard(name)
            if name == "reasoning" and "reasoning_content" in delta:
                delta["reasoning_content"] = text
            self._tails[name] = text[-1:]
        bare = {name: value for name, value in event.items() if name not in ("usage", "choices")}
        return {**bare, **self._first, "choices": [{**choice, "index": 0, "delta": delta}]}

    def _ending(
        self, part: Round, others: Sequence[Called], ours: Sequence[Called]
    ) -> dict[str, Any]:
        """Return the last chunk: how it ended, and the calls that are the client's to make."""
        if not others:
            finish = part.finish
            return self._event({}, finish="stop" if ours or finish == "tool_calls" else finish)
        calls = [{"index": index, **call.to_json()} for index, call in enumerate(others)]
        return self._event({"tool_calls": calls}, finish="tool_calls")

    def _event(self, delta: Mapping[str, Any], *, finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": dict(delta), "finish_reason": finish}
        return {**self._first, "choices": [choice]}


def _checked(call: Called) -> Wanted | Ran:
    try:
        return wanted(call.arguments)
    except WrongCall as error:
        return refused(str(error))
