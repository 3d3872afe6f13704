"""How much of the replies was thought: measured on what was said, not on what was asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evals.problem import Sample
from evals.think import split


@dataclass(frozen=True, slots=True, kw_only=True)
class Thinking:
    """Thought in a run's replies.

    replies: that hold a thought. unclosed: of those, thoughts that never ended: no answer follows.
    tokens: of thought, by its share of each reply's characters (models count only whole replies).
    share: of all characters of those replies.
    """

    replies: int
    unclosed: int
    tokens: int
    share: float

    def words(self) -> str:
        """Return one line."""
        line = (
            f"{self.replies} replies, about {self.tokens:,} tokens, {100 * self.share:.0f}% of them"
        )
        return f"{line}; {self.unclosed} never came to an answer" if self.unclosed else line

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`."""
        return {name: getattr(self, name) for name in self.__slots__}


def thinking(samples: Sequence[Sample], tags: Sequence[str]) -> Thinking | None:
    """Return what is known of thinking in the samples; None when no reply holds a thought.

    tags: the opening and the closing one; none for a model that does not think.
    """
    if not tags:
        return None
    replies = unclosed = 0
    tokens, thought_chars, chars = 0.0, 0, 0
    for sample in samples:
        thought, _, closed = split(sample.text, *tags)
        if not thought and closed:
            continue
        replies += 1
        unclosed += not closed
        thought_chars += len(thought)
        chars += len(sample.text)
        tokens += sample.tokens * len(thought) / max(1, len(sample.text))
    if not replies:
        return None
    return Thinking(
        replies=replies,
        unclosed=unclosed,
        tokens=round(tokens),
        share=thought_chars / max(1, chars),
    )
