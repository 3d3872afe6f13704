"""A thought told apart from its answer, however the text is cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.card import ThinkingWords
from serve.thinking import Splitter, split_thoughts

TAGS = ThinkingWords()
OPENED = ThinkingWords(is_opened=True)
ODD = ThinkingWords(open="[THINK]", close="[/THINK]")
# Texts that are mostly made of tags, parts of tags, and white space.
PIECES = st.lists(
    st.sampled_from(
        [
            "<think>",
            "</think>",
            "<",
            "</",
            "<thi",
            "nk>",
            "think>",
            ">",
            "\n",
            " ",
            "\r\n",
            "a",
            "b1",
        ]
    ),
    max_size=12,
)


def split(text: str, words: ThinkingWords = TAGS, cuts: Sequence[int] = ()) -> tuple[str, str]:
    """Return thought and answer of a text fed in pieces that end at `cuts`."""
    splitter = Splitter(words)
    thought = answer = ""
    at = 0
    for cut in [*sorted(cuts), len(text)]:
        more_thought, more_answer = splitter.feed(text[at:cut])
        thought, answer, at = thought + more_thought, answer + more_answer, max(at, cut)
    more_thought, more_answer = splitter.end()
    return thought + more_thought, answer + more_answer


@pytest.mark.parametrize(
    ("text", "thought", "answer"),
    [
        ("<think>\nsum\n</think>\n\n4", "sum", "4"),
        ("  \n<think>sum</think>4", "sum", "4"),
        ("4", "", "4"),
        ("", "", ""),
        (" \n", "", " \n"),
        ("<think>sum", "sum", ""),  # never closed
        ("<think>sum</thi", "sum</thi", ""),
        ("<think>sum</think>\n\n", "sum", ""),
        ("<think></think>4", "", "4"),
        ("<think>\n\n</think>\n\n4", "", "4"),
        ("<think>a<think>b</think>c", "a<think>b", "c"),  # the first closing tag ends it
        ("<think><think>a</think>b", "a", "b"),  # opened twice
        ("<think>a</think>\n<think>b</think>\n c", "a\n\nb", " c"),  # two thoughts
        ("sum</think>\n4", "", "sum\n4"),  # missing opening: only the tag goes
        ("re.sub('<think>.*</think>', '', x)", "", "re.sub('<think>.*</think>', '', x)"),
        ("<think>a</think>b</think><think>c", "a", "b</think><think>c"),  # of the answer
        ("<think>a</think>\n    indented", "a", "    indented"),
        ("<thin air", "", "<thin air"),
        ("1 < 2", "", "1 < 2"),
    ],
)
def test_each_shape_of_reply_is_told_apart(text: str, thought: str, answer: str) -> None:
    assert split(text) == (thought, answer)
    assert split(text, cuts=range(1, len(text))) == (thought, answer)  # letter by letter


@pytest.mark.parametrize(
    ("text", "thought", "answer"),
    [
        ("sum\n</think>\n4", "sum", "4"),
        ("\nsum", "sum", ""),
        ("<think>\nsum</think>4", "sum", "4"),  # the model opens it once more
        ("</think>4", "", "4"),
        ("", "", ""),
    ],
)
def test_where_the_template_opens_the_thought_a_reply_begins_in_it(
    text: str, thought: str, answer: str
) -> None:
    assert split(text, OPENED) == (thought, answer)
    assert split(text, OPENED, cuts=range(1, len(text))) == (thought, answer)


def test_tags_are_the_cards() -> None:
    assert split("[THINK]a[/THINK]b", ODD) == ("a", "b")
    assert split("<think>a</think>b", ODD) == ("", "<think>a</think>b")


@pytest.mark.parametrize("words", [TAGS, OPENED], ids=["closed", "opened"])
@given(pieces=PIECES, data=st.data())
def test_any_cutting_gives_the_same_split(
    words: ThinkingWords, pieces: list[str], data: st.DataObject
) -> None:
    text = "".join(pieces)
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=len(text)))
    assert split(text, words, cuts) == split(text, words)


@given(text=st.text(alphabet="<>/thinkab \n", max_size=40))
def test_nothing_of_an_answer_is_lost_where_there_are_no_tags(text: str) -> None:
    if "<think>" not in text and "</think>" not in text:
        assert split(text) == ("", text)


@given(pieces=PIECES)
def test_text_is_sent_on_as_soon_as_it_cannot_be_a_tag(pieces: list[str]) -> None:
    splitter = Splitter(TAGS)
    for piece in pieces:
        splitter.feed(piece)
        held = splitter.held
        assert len(held.strip()) < len("</think>") or not held.strip()


def test_tags_that_hold_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="one holds the other"):
        Splitter(ThinkingWords(open="<t>", close="<t>x"))
    with pytest.raises(ValueError, match="must not be empty"):
        Splitter(ThinkingWords(open=""))


# --- chunks


def chunk(text: str | None, *, index: int = 0, finish: str | None = None, **more: Any) -> Any:
    """Return a chunk of one choice."""
    delta = {} if text is None else {"content": text}
    return {
        "id": "x",
        "choices": [{"index": index, "delta": delta, "finish_reason": finish, **more}],
    }


def usage(completion: int) -> Any:
    """Return the last event of a stream."""
    return {
        "id": "x",
        "choices": [],
        "usage": {"prompt_tokens": 3, "completion_tokens": completion},
    }


async def _flow(events: Sequence[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
    for event in events:
        yield event


def turned(events: Sequence[dict[str, Any]], words: ThinkingWords = TAGS, **how: Any) -> list[Any]:
    """Return what comes out of a list of chunks."""

    async def collect() -> list[Any]:
        return [event async for event in split_thoughts(_flow(events), words, **how)]

    return asyncio.run(collect())


def joined(events: Sequence[dict[str, Any]], name: str, index: int = 0) -> str:
    """Return the text of a field of one choice."""
    return "".join(
        choice["delta"].get(name) or ""
        for event in events
        for choice in event["choices"]
        if choice["index"] == index
    )


def test_the_thought_comes_under_both_names_and_the_answer_by_itself() -> None:
    out = turned(
        [
            chunk(""),
            *map(chunk, ["<thi", "nk>a", "b</t", "hink>", "\n\nc"]),
            chunk(None, finish="stop"),
        ]
    )
    assert joined(out, "reasoning") == joined(out, "reasoning_content") == "ab"
    assert joined(out, "content") == "c"
    assert out[-1]["choices"][0]["finish_reason"] == "stop"
    assert all("<" not in str(event["choices"][0]["delta"]) for event in out)


def test_choices_are_told_apart_from_each_other() -> None:
    out = turned(
        [
            chunk("<think>", index=0), chunk("b", index=1), chunk("a", index=0),
            chunk("</think>x", index=0), chunk("y", index=1), chunk(None, index=1, finish="stop"),
            chunk(None, index=0, finish="length"),
        ]
    )  # fmt: skip
    assert (joined(out, "reasoning", 0), joined(out, "content", 0)) == ("a", "x")
    assert (joined(out, "reasoning", 1), joined(out, "content", 1)) == ("", "by")


def test_what_is_held_back_comes_with_the_end_even_where_no_end_is_said() -> None:
    assert joined(turned([chunk("<thi"), chunk(None, finish="stop")]), "content") == "<thi"
    assert joined(turned([chunk("<thi")]), "content") == "<thi"
    out = turned([chunk("<think>a</thi"), usage(4)])
    assert joined(out, "reasoning") == "a</thi"
    assert "usage" in out[-1]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([*map(chunk, ["<think>", "a", "b", "</think>", "c"]), usage(5)], 4),
        ([*map(chunk, ["<think>", "a", "b", "</think>", "c"]), usage(6)], 4),  # its end is a token
        ([*map(chunk, ["c", "d"]), usage(2)], 0),
        ([*map(chunk, ["<", "think", ">", "a"]), usage(4)], 4),
        ([*map(chunk, ["<", " 1"]), usage(2)], 0),
        ([chunk("<think>ab</think>cd", token_ids=list(range(8)))], None),
        ([*map(chunk, ["<think>ab", "c</think>", "d", "e"]), usage(8)], 4),  # two tokens a chunk
    ],
)
def test_tokens_of_thought_are_counted_into_the_usage(
    events: list[Any], expected: int | None
) -> None:
    last = turned(events)[-1]
    if expected is None:
        assert "usage" not in last
    else:
        assert last["usage"]["completion_tokens_details"] == {"reasoning_tokens": expected}


def test_running_usage_is_believed_over_the_count_of_chunks() -> None:
    events = [
        {**chunk("<think>abc"), "usage": {"completion_tokens": 5}},
        {**chunk("</think>"), "usage": {"completion_tokens": 6}},
        {**chunk("d"), "usage": {"completion_tokens": 9}},
        usage(9),
    ]
    assert turned(events)[-1]["usage"]["completion_tokens_details"]["reasoning_tokens"] == 6


def test_an_engine_that_tells_thoughts_apart_itself_gets_the_second_name_only() -> None:
    events = [
        {"choices": [{"index": 0, "delta": {"reasoning": "a"}, "finish_reason": None}]},
        chunk("b</think>", finish="stop"),
    ]
    out = turned(events, OPENED)
    assert joined(out, "reasoning_content") == joined(out, "reasoning") == "a"
    assert joined(out, "content") == "b</think>"


def test_thoughts_can_be_left_out() -> None:
    out = turned([*map(chunk, ["<think>a", "b</think>", "c"]), usage(3)], is_shown=False)
    assert joined(out, "reasoning") == joined(out, "reasoning_content") == ""
    assert joined(out, "content") == "c"
    assert out[-1]["usage"]["completion_tokens_details"]["reasoning_tokens"] == 2


def test_tool_calls_and_logprobs_go_on_as_they_are() -> None:
    call = [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}]
    events = [
        chunk("<think>a</think>\n", logprobs={"content": [{"token": "a"}]}),
        {"choices": [{"index": 0, "delta": {"tool_calls": call}, "finish_reason": "tool_calls"}]},
    ]
    out = turned(events)
    assert out[0]["choices"][0]["logprobs"] == {"content": [{"token": "a"}]}
    assert out[1]["choices"][0]["delta"] == {"tool_calls": call}
    assert joined(out, "content") == ""


def test_a_reply_that_the_client_began_goes_on_where_it_was() -> None:
    out = turned([chunk("b</think>c", finish="stop")], text="<think>a")
    assert (joined(out, "reasoning"), joined(out, "content")) == ("b", "c")
    control = turned([chunk("b</think>c", finish="stop")])
    assert joined(control, "reasoning") == ""


def test_closing_the_stream_closes_the_engines() -> None:
    closed = []

    async def engine() -> AsyncIterator[dict[str, Any]]:
        try:
            while True:
                yield chunk("x")
        finally:
            closed.append(True)

    async def leave() -> None:
        stream = split_thoughts(engine(), TAGS)
        async for _ in stream:
            break
        assert not closed
        await stream.aclose()  # type: ignore[attr-defined]

    asyncio.run(leave())
    assert closed == [True]
