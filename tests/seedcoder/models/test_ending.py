from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedcoder.models.ending import FenceWatch, ReplyEnd, after_opening

CODE_REPLY = "Sure:\n```python\nx = 1\n```\nThat is it."


def fed(end: ReplyEnd, pieces: list[str]) -> str:
    for piece in pieces:
        if end.feed(piece):
            break
    return end.text


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_a_reply_ends_with_its_closing_fence_however_it_is_cut_in_pieces(size: int) -> None:
    pieces = [CODE_REPLY[at : at + size] for at in range(0, len(CODE_REPLY), size)]
    assert fed(ReplyEnd(after_fence=True), pieces) == "Sure:\n```python\nx = 1\n```"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_a_stop_string_is_found_across_pieces_and_left_out(size: int) -> None:
    text = "return 1\n\ndef other(): pass"
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert fed(ReplyEnd(stop=("\nclass ", "\ndef ")), pieces) == "return 1\n"


def test_the_earliest_of_several_stop_strings_wins() -> None:
    assert fed(ReplyEnd(stop=("c", "b")), ["a", "bc"]) == "a"


def test_a_prefill_that_opens_the_fence_is_counted_and_is_no_part_of_the_text() -> None:
    end = ReplyEnd(after_fence=True, prefill="Here it is:\n```python\n")
    assert fed(end, ["x = 1\n", "``", "`\n", "more"]) == "x = 1\n```"


def test_a_stop_string_is_not_looked_for_in_the_prefill() -> None:
    assert fed(ReplyEnd(stop=("def",), prefill="def"), ["abc"]) == "abc"


@pytest.mark.parametrize(
    "inside",
    ["```python\n", "``\n", "text ```\n", "```` x\n", "~~~\n", "``` ```\n", "    ```\n"],
)
def test_a_line_that_is_no_closing_fence_does_not_close_a_block(inside: str) -> None:
    watch = FenceWatch()
    assert watch.feed("```python\n" + inside + "x") is None
    assert watch.is_open


@pytest.mark.parametrize("closing", ["```\n", "````\n", "   ```  \n", "```\r\n"])
def test_a_fence_at_least_as_long_closes_the_block(closing: str) -> None:
    assert FenceWatch().feed("  ```py\nx\n" + closing) == len(
        "  ```py\nx\n" + closing.rstrip("\r\n")
    )


def test_a_block_that_the_prefill_closes_itself_is_not_the_replys() -> None:
    end = ReplyEnd(after_fence=True, prefill="```\nx\n```\n")
    assert fed(end, ["and\n```\ny\n", "```\n", "more"]) == "and\n```\ny\n```"


def test_a_longer_or_other_fence_is_closed_only_by_its_own_kind() -> None:
    assert FenceWatch().feed("````\n```\n") is None
    assert FenceWatch().feed("~~~\n```\n") is None
    assert FenceWatch().feed("~~~\n```\n~~~\n") == len("~~~\n```\n~~~")


def test_backticks_within_a_line_open_nothing() -> None:
    watch = FenceWatch()
    watch.feed("use ```x``` or\n```a`b\n")
    assert not watch.is_open


@given(
    st.text(alphabet="`~\n py", max_size=60),
    st.lists(st.integers(min_value=1, max_value=9), min_size=1),
)
def test_the_cut_does_not_depend_on_the_pieces(text: str, sizes: list[int]) -> None:
    whole = fed(ReplyEnd(stop=("y\n",), after_fence=True), [text])
    pieces, at = [], 0
    while at < len(text):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(text[at : at + size])
        at += size
    assert fed(ReplyEnd(stop=("y\n",), after_fence=True), pieces) == whole


def test_what_a_reply_says_before_its_own_fence_can_be_left_out() -> None:
    text = "Sure:\n```python\nx\n```"
    assert after_opening(text, anywhere=True) == "x\n```"
    assert after_opening(text, anywhere=False) == text
    assert after_opening("\n```python\nx\n```", anywhere=False) == "x\n```"
    assert after_opening("```\nafter", anywhere=False) == "```\nafter"
    assert after_opening("no code", anywhere=True) == "no code"
