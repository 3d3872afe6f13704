"""A reasoning model's reply in two: what it thought, and what it answered.

Chat templates differ in who writes the opening tag: the model, or the template (the reply then
begins in the middle of the thought). Thinking that was never closed has no answer after it: the
answer is empty, and no code is taken out of the thought.
"""

from __future__ import annotations

from typing import NamedTuple

from seedcoder.models.thought import CLOSE, OPEN


class Split(NamedTuple):
    """The thought, without its tags, and the answer; `closed` is False for an endless thought."""

    thought: str
    answer: str
    closed: bool


def split(text: str, opening: str = OPEN, closing: str = CLOSE) -> Split:
    """Split a reply at its last closing tag; a reply without tags is all answer."""
    head, tag, tail = text.rpartition(closing)
    if tag:
        return Split(head.strip().removeprefix(opening).strip(), tail, closed=True)
    stripped = text.lstrip()
    if stripped.startswith(opening):
        return Split(stripped.removeprefix(opening).strip(), "", closed=False)
    return Split("", text, closed=True)
