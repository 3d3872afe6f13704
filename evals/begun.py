"""Chats whose reply is begun for the model, as EvalPlus 0.3.1 has them, and suites that follow it.

Wording: evalplus/codegen.py (two sentences); form: evalplus/provider/utility.py
(`make_raw_chat_prompt`, `EOS`), evalplus/provider/hf.py (the closing fence as a stop) and, where a
server cannot go on with a reply, evalplus/provider/openai.py (nothing begun, no stops).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from evals.bench import Style
from seedcoder.completion import Message, Request, Sampling

INSTRUCTION: Final = (
    "Please provide a self-contained Python script that solves the following problem in a "
    "markdown code block:"
)
RESPONSE: Final = (
    "Below is a Python script with a self-contained function that solves the problem and passes "
    "corresponding tests:"
)
# Three more of EvalPlus's are special tokens, at which engines stop by themselves; four are also
# the most that OpenAI-compatible servers take.
EOS: Final = ("\nif __name__", "\ndef main(", "\nprint(")
CHAT_STOPS: Final = ("\n```\n", *EOS)


def begun(key: str, question: str, style: Style) -> Request:
    """Return the chat: `question` behind the instruction, the reply begun where `style` says so."""
    asked = f"{INSTRUCTION}\n{question}"
    if not style.prefill:
        return Request(key=key, prompt=(Message(role="user", content=asked),))
    return Request(
        key=key,
        prompt=(Message(role="user", content=asked + "\n"),),
        prefill=f"{RESPONSE}\n```python\n",
    )


def greedy(style: Style, completion_stops: Sequence[str], max_tokens: int) -> Sampling:
    """Return greedy sampling: a completion's stops, or a begun chat's, or none."""
    stop = tuple(completion_stops)
    if style.protocol == "chat":
        stop = CHAT_STOPS if style.prefill else ()
    return Sampling(
        max_tokens=max_tokens,
        stop=stop,
        stop_after_fence=style.protocol == "chat" and style.prefill,
    )
