"""Thought and answer are told apart, whoever wrote the opening tag."""

from __future__ import annotations

import pytest

from evals.think import Split, split


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("plain", Split("", "plain", True)),
        ("<think>a</think>b", Split("a", "b", True)),
        ("\n<think>\na\n</think>\n\nb", Split("a", "\n\nb", True)),
        (
            "a thought the template opened</think>b",
            Split("a thought the template opened", "b", True),
        ),
        ("<think>for ever and ever", Split("for ever and ever", "", False)),
        ("<think>a</think>b</think>c", Split("a</think>b", "c", True)),
        ("print('<think>')", Split("", "print('<think>')", True)),
    ],
)
def test_a_reply_is_split_at_its_last_closing_tag(text: str, found: Split) -> None:
    assert split(text) == found


def test_other_tags_may_be_named() -> None:
    assert split("[T]a[/T]b", "[T]", "[/T]") == Split("a", "b", True)
