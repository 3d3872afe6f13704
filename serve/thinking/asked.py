"""What a request asks of a thought: how long it may be, and whether the client sees it.

Keys of a chat request that are ours, for models whose card has `thinking`:

- `thinking_budget`: tokens that the thought may take, 0 for none. Then it is cut, closed, and the
  model answers. Needs an engine that goes on with a reply (feature "continue").
- `reasoning_effort` (OpenAI's): a budget by name, where `thinking_budget` says none: EFFORTS.
- `chat_template_kwargs.enable_thinking` (vLLM's): false is a budget of 0 where the engine can; it
  goes on to the template as well, as every other word of `chat_template_kwargs` does.
- `include_reasoning` (vLLM's): false leaves the thought out of the answer. It is still counted.

A budget that the request does not name is the card's. vLLM's own `thinking_token_budget` goes on to
the engine as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from serve.card import ModelCard, ThinkingWords
from serve.fault import Fault

# Tokens of thought for each name; None is the card's bound. The names are OpenAI's, the sizes ours.
EFFORTS: Final[Mapping[str, int | None]] = {
    "none": 0,
    "minimal": 256,
    "low": 1024,
    "medium": 4096,
    "high": None,
    "xhigh": None,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Thinking:
    """How a chat's thoughts are to be treated.

    words: the card's, as they hold for this request. budget_tokens: None is no bound.
    is_shown: whether the client gets the thought. text: how the client began the reply itself.
    """

    words: ThinkingWords
    budget_tokens: int | None = None
    is_shown: bool = True
    text: str = ""


def take(
    body: Mapping[str, Any], card: ModelCard, features: Collection[str]
) -> tuple[dict[str, Any], Thinking | None]:
    """Return the body without our keys, and what it asks of thoughts; None for cards without any.

    Raises Fault 400 for values that make no sense, for a budget where the model does not think or
    its engine cannot go on with a reply.
    """
    kept = dict(body)
    budget = _budget(kept.pop("thinking_budget", None))
    shows = kept.pop("include_reasoning", None)
    if shows is not None and not isinstance(shows, bool):
        raise _wrong("include_reasoning", f"must be true or false, got {_said(shows)}")
    if card.thinking is None:
        if budget is not None:
            raise _wrong("thinking_budget", f"is of no use: {card.name} does not think")
        return kept, None
    effort = _effort(kept.pop("reasoning_effort", None))
    can_continue = "continue" in features
    words = card.thinking
    is_asked = budget is not None
    if budget is None and _is_off(kept):
        if can_continue:
            budget = 0
        else:
            words = words.model_copy(update={"is_opened": False})
    elif budget is None and can_continue:
        budget = effort if effort is not None else words.budget_tokens
    if is_asked and not can_continue:
        raise _wrong(
            "thinking_budget",
            f"cannot be kept: the engine of {card.name} cannot go on with a reply",
        )
    text = _begun(kept)
    if text:
        words = words.model_copy(update={"is_opened": False})
    return kept, Thinking(words=words, budget_tokens=budget, is_shown=shows is not False, text=text)


def _begun(body: Mapping[str, Any]) -> str:
    """Return the reply that the client has begun itself, "" where it has not."""
    messages = body.get("messages")
    if not body.get("continue_final_message") or not isinstance(messages, list) or not messages:
        return ""
    last = messages[-1]
    content = last.get("content") if isinstance(last, Mapping) else None
    return content if isinstance(content, str) else ""


def _is_off(body: Mapping[str, Any]) -> bool:
    words = body.get("chat_template_kwargs")
    return isinstance(words, Mapping) and words.get("enable_thinking") is False


def _budget(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _wrong(
            "thinking_budget", f"must be a number of tokens, 0 or more, got {_said(value)}"
        )
    return value


def _effort(value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, str) or value not in EFFORTS:
        raise _wrong("reasoning_effort", f"must be one of {', '.join(EFFORTS)}, got {_said(value)}")
    return EFFORTS[value]


def _said(value: object) -> str:
    return repr(value)[:80]


def _wrong(param: str, why: str) -> Fault:
    return Fault(400, f"{param} {why}", param=param)
