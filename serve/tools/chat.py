"""A chat request as the gateway answers it: thoughts told apart, code run, or as the engine has it.

body, events = worked_on(upstream, card, body, features, runner=house.run_code, ...)
# events is None: nothing is to be done, `body` goes on as it is
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any

from serve import thinking
from serve.card import ModelCard
from serve.thinking import (
    Thinking,
    answer_with_budget,
    running_events,
    split_thoughts,
    without_running_usage,
)
from serve.tools import asked
from serve.tools.loop import CHAT, answer_with_tools
from serve.tools.run_code import RunCode
from serve.upstream import Upstream


def worked_on(
    upstream: Upstream,
    card: ModelCard,
    body: Mapping[str, Any],
    features: Collection[str],
    *,
    runner: RunCode,
    owner: str = "",
    may_run_code: bool = False,
) -> tuple[dict[str, Any], AsyncIterator[dict[str, Any]] | None]:
    """Return the body without the keys that are ours, and the events of its answer; None where the
    engine's own answer is all there is to it.

    owner: whose the sessions are (a key's id). may_run_code: of that key.
    Raises Fault 400 and 403 for what may not be asked; nothing has been asked of the engine then.
    """
    kept, thought = thinking.take(body, card, features)
    kept, tools = asked.take(kept, card, features, may_run_code=may_run_code)
    if tools is not None:
        events = answer_with_tools(
            upstream,
            card,
            kept,
            runner.toolbox(owner, tools.session),
            tools=tools,
            ask=lambda part: _asked(upstream, part, thought, counts=True),
        )
    elif thought is not None:
        events = _asked(upstream, kept, thought, counts=False)
    else:
        return kept, None
    return kept, without_running_usage(events)


def _asked(
    upstream: Upstream, body: Mapping[str, Any], thought: Thinking | None, *, counts: bool
) -> AsyncIterator[dict[str, Any]]:
    """Return the events of one reply. counts: with running usage, as it may be broken off."""
    if thought is not None and thought.budget_tokens is not None:
        return answer_with_budget(
            upstream,
            body,
            thought.words,
            thought.budget_tokens,
            text=thought.text,
            is_shown=thought.is_shown,
        )
    events = running_events(upstream, CHAT, body) if counts else upstream.events(CHAT, body)
    if thought is None:
        return events
    return split_thoughts(events, thought.words, text=thought.text, is_shown=thought.is_shown)
