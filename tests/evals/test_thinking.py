"""What is measured of thinking, on replies whose lengths are known."""

from __future__ import annotations

from evals.problem import Sample
from evals.thinking import thinking

TAGS = ("<think>", "</think>")


def _sample(n: int, text: str, tokens: int) -> Sample:
    return Sample(key=f"p#{n}", problem="p", n=n, text=text, finish="stop", tokens=tokens)


def test_thoughts_are_counted_by_their_share_of_each_reply() -> None:
    thought = "x" * 35
    closed = _sample(0, f"<think>{thought}</think>{'y' * 20}", 70)  # 70 characters, half of them
    endless = _sample(1, "<think>" + "z" * 93, 100)
    found = thinking([closed, endless, _sample(2, "plain", 5)], TAGS)
    assert found is not None
    assert (found.replies, found.unclosed, found.tokens) == (2, 1, 35 + 93)
    assert found.share == (35 + 93) / 170
    assert "1 never came to an answer" in found.words()


def test_a_run_without_thoughts_has_nothing_to_tell() -> None:
    assert thinking([_sample(0, "print('</thinking>')", 5)], TAGS) is None
    assert thinking([_sample(0, "<think>a</think>b", 5)], ()) is None
