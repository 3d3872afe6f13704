"""One round of a chat with tools: its chunks, with the calls taken out of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from serve.tools import fenced
from serve.tools.arguments import NAME
from serve.tools.asked import Convention
from serve.tools.native import Called, Calls


class Round:
    """Takes a round's events and gives what the client sees of them, finish and usage left out.

    finish: the engine's reason. is_complete: what comes after is not wanted (a block has closed).
    prompt_tokens, completion_tokens, thought_tokens: of this round, as far as the engine says.
    """

    def __init__(self, convention: Convention, *, may_call: bool = True) -> None:
        # Where no call will be run, what looks like one is text for the client.
        self._scanner = fenced.Scanner() if convention == "text" and may_call else None
        self._calls = Calls()
        self._content: list[str] = []
        self._chunks = 0
        self._usage: Mapping[str, Any] = {}
        self.finish: str | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the rest of the reply is not wanted."""
        return self._scanner is not None and self._scanner.is_complete

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the prompt; 0 where the engine had not said so when it was interrupted."""
        return _count(self._usage.get("prompt_tokens"))

    @property
    def completion_tokens(self) -> int:
        """Tokens of the reply; where the engine does not say, one for each chunk."""
        return _count(self._usage.get("completion_tokens")) or self._chunks

    @property
    def thought_tokens(self) -> int:
        """Those of them that were thought."""
        details = self._usage.get("completion_tokens_details")
        said = details.get("reasoning_tokens") if isinstance(details, Mapping) else 0
        return _count(said)

    def take(self, event: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the choices that go on of an event."""
        if isinstance(event.get("usage"), Mapping):
            self._usage = event["usage"]
        return [kept for choice in event.get("choices") or () if (kept := self._choice(choice))]

    def _choice(self, choice: Mapping[str, Any]) -> dict[str, Any] | None:
        delta = dict(choice.get("delta") or {})
        self.finish = choice.get("finish_reason") or self.finish
        has_calls = self._calls.take(delta)
        delta.pop("tool_calls", None)
        content = delta.get("content")
        if has_calls or any(delta.get(name) for name in ("content", "reasoning")):
            self._chunks += 1
        if isinstance(content, str) and content:
            if self._scanner is not None:
                del delta["content"]
                content = self._scanner.feed(content)
                if content:
                    delta["content"] = content
            self._content.append(content)
        if not delta and not choice.get("logprobs"):
            return None
        return {**choice, "delta": delta, "finish_reason": None}

    def end(self) -> list[dict[str, Any]]:
        """Return what was held back."""
        if self._scanner is None:
            return []
        rest = self._scanner.end(is_cut=self.finish == "length")
        if not rest:
            return []
        self._content.append(rest)
        return [{"index": 0, "delta": {"content": rest}, "finish_reason": None}]

    def calls(self) -> list[Called]:
        """Return the calls of the round. One that was cut for its length is none."""
        if self._scanner is None:
            return [] if self.finish == "length" else self._calls.all()
        if not self._scanner.is_complete:
            return self._calls.all()  # the client's own tools, should an engine parse those
        given = {"code": self._scanner.code, "language": self._scanner.language}
        return [Called(id="", name=NAME, arguments=json.dumps(given))]

    def message(self, calls: Sequence[Called]) -> dict[str, Any]:
        """Return the round as the assistant's message of the conversation."""
        content = "".join(self._content)
        if self._scanner is not None:
            block = fenced.block(self._scanner.code, self._scanner.language)
            return {"role": "assistant", "content": f"{content}{block}"}
        return {
            "role": "assistant",
            "content": content,
            "tool_calls": [call.to_json() for call in calls],
        }


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
