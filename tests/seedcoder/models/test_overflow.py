"""How much room servers say a prompt leaves, in the words they have for it."""

from __future__ import annotations

import pytest

from seedcoder.models.overflow import room


@pytest.mark.parametrize(
    ("said", "left"),
    [
        (
            "This model's maximum context length is 8192 tokens. However, you requested 9000 "
            "tokens (8500 in the messages, 500 in the completion).",
            0,
        ),
        (
            "'max_tokens' or 'max_completion_tokens' is too large: 5000. This model's maximum "
            "context length is 4096 tokens and your request has 43 input tokens (5000 > 4053).",
            4053,
        ),
        (
            "This model's maximum context length is 4096 tokens. However, your request has 5000 "
            "input tokens.",
            0,
        ),
        ("the request exceeds the available context size, try increasing it", 0),
        ("context_length_exceeded", 0),
        ("temperature must be at most 2", None),
        ("no such model", None),
    ],
)
def test_a_refusal_is_read(said: str, left: int | None) -> None:
    assert room(said) == left
