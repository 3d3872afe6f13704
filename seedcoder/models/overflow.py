"""Read out of a server's refusal how much room a prompt leaves in the model's context.

Servers say it in words only. Known are vLLM's and OpenAI's two forms and llama.cpp's; of any other
form that speaks of the context nothing is known but that the prompt is too long.
"""

from __future__ import annotations

import re
from typing import Final

_SPEAKS: Final = re.compile(
    r"context length|context window|context size|context_length_exceeded|max_model_len", re.I
)
_CONTEXT: Final = re.compile(r"(?:maximum )?context length (?:is|of) (?:only )?(\d+)", re.I)
_INPUT: Final = re.compile(
    r"(?:has|contains|at least|prompt contains) (\d+) (?:input |prompt )?tokens"
    r"|(\d+) (?:tokens )?in the (?:messages|prompt|input)",
    re.I,
)


def room(message: str) -> int | None:
    """Return how many tokens of reply fit behind the prompt: 0 where none do, or none is told.

    None: the refusal is about something else.
    """
    if not _SPEAKS.search(message):
        return None
    context, prompt = _CONTEXT.search(message), _INPUT.search(message)
    if context is None or prompt is None:
        return 0
    tokens = int(next(group for group in prompt.groups() if group))
    return max(0, int(context.group(1)) - tokens)
