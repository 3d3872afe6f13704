"""What a server tells of a model's thinking beside its answer, put back where the model had it.

Servers with a reasoning parser take the thought out of the text and send it in a field of its own,
`reasoning_content` or `reasoning`. Samples keep the whole reply, as the model gave it; the tags
that the server took off are written as `<think>` and `</think>`.
"""

from __future__ import annotations

from typing import Any

OPEN = "<think>"
CLOSE = "</think>"


class Thought:
    """The pieces of one reply's thought, as they come."""

    def __init__(self) -> None:
        """Begin with none."""
        self._pieces: list[str] = []

    def take(self, holder: Any) -> None:
        """Take what a message, or a piece of one, says of thinking."""
        for name in ("reasoning_content", "reasoning"):
            piece = getattr(holder, name, None)
            if isinstance(piece, str) and piece:
                self._pieces.append(piece)
                return

    def before(self, answer: str) -> str:
        """Return the whole reply: the thought in its tags, then the answer."""
        if not self._pieces:
            return answer
        return f"{OPEN}{''.join(self._pieces)}{CLOSE}{answer}"
