"""Stop strings in text that comes in pieces, and in streams of events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.stops import Stops, stop_at


def said(stops: Stops, *pieces: str) -> tuple[str, bool]:
    out = []
    for piece in pieces:
        safe, ended = stops.feed(piece)
        out.append(safe)
        if ended:
            return "".join(out), True
    return "".join([*out, stops.finish()]), False


def test_a_stop_that_is_cut_across_pieces_is_found_and_not_sent() -> None:
    assert said(Stops(["\ndef", "\nclass"]), "return x", "\nd", "ef g():") == ("return x", True)


def test_what_only_began_like_a_stop_is_sent_in_the_end() -> None:
    assert said(Stops(["\ndef"]), "x", "\nde", "l y") == ("x\ndel y", False)
    assert said(Stops(["\ndef"]), "x\nde") == ("x\nde", False)


def test_text_is_held_back_only_as_long_as_it_may_be_a_stop() -> None:
    stops = Stops(["END"])
    assert stops.feed("abcE") == ("abc", False)
    assert stops.feed("x") == ("Ex", False)


def test_the_stop_that_is_whole_first_counts_whichever_it_is() -> None:
    assert said(Stops(["world", "lo"]), "hello world") == ("hel", True)


def test_two_hundred_stops_are_as_good_as_one() -> None:
    stops = Stops([f"<{number}>" for number in range(200)])
    assert said(stops, "a<19", "9>b") == ("a", True)
    assert stops.found == "<199>"


def test_an_empty_stop_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        Stops([""])


@given(
    st.text("abc", max_size=40),
    st.lists(st.text("abc", min_size=1, max_size=5), min_size=1, max_size=6),
    st.integers(1, 7),
)
def test_pieces_make_no_difference(text: str, strings: list[str], size: int) -> None:
    places = [(text.find(one) + len(one), text.find(one)) for one in strings if one in text]
    whole = text[: min(places)[1]] if places else text
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert said(Stops(strings), *pieces) == (whole, bool(places))


class Engine:
    """Events of a stream, and whether it was closed before its end."""

    def __init__(self, *events: dict[str, Any]) -> None:
        self.events, self.sent, self.is_closed_early = events, 0, False

    async def stream(self) -> AsyncIterator[dict[str, Any]]:
        try:
            for event in self.events:
                self.sent += 1
                yield event
        except GeneratorExit:
            self.is_closed_early = True
            raise


def text(piece: str, index: int = 0, finish: str | None = None) -> dict[str, Any]:
    return {"id": "a", "choices": [{"index": index, "text": piece, "finish_reason": finish}]}


def chat(piece: str | None, finish: str | None = None) -> dict[str, Any]:
    delta = {} if piece is None else {"content": piece}
    return {"id": "a", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


USAGE = {"id": "a", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 9}}


def events_of(stream: AsyncIterator[dict[str, Any]]) -> list[dict[str, Any]]:
    async def all_of() -> list[dict[str, Any]]:
        return [event async for event in stream]

    return asyncio.run(all_of())


def words(events: list[dict[str, Any]], index: int = 0) -> str:
    return "".join(
        choice.get("text") or choice.get("delta", {}).get("content") or ""
        for event in events
        for choice in event["choices"]
        if choice["index"] == index
    )


def test_a_stream_is_cut_and_its_engine_cancelled() -> None:
    engine = Engine(
        text("a"), text("b ST"), text("OP c"), text("d"), text("", finish="stop"), USAGE
    )
    events = events_of(stop_at(engine.stream(), ["STOP"], kind="text"))
    assert words(events) == "ab "
    assert engine.sent == 3 and engine.is_closed_early
    assert events[-2]["choices"][0]["finish_reason"] == "stop"
    assert events[-1]["choices"] == []
    assert events[-1]["usage"]["completion_tokens"] == 3


def test_a_stream_without_the_stop_keeps_its_own_end_and_usage() -> None:
    engine = Engine(text("a ST"), text("", finish="length"), USAGE)
    events = events_of(stop_at(engine.stream(), ["STOP"], kind="text"))
    assert words(events) == "a ST"
    assert events[-2]["choices"][0]["finish_reason"] == "length"
    assert events[-1] == USAGE
    assert not engine.is_closed_early


def test_each_choice_is_cut_for_itself_and_the_engine_cancelled_after_the_last() -> None:
    engine = Engine(
        text("a|b", 0), text("c", 1), text("x", 0), text("d|", 1), text("e", 1), text("f", 0), USAGE
    )
    events = events_of(stop_at(engine.stream(), ["|"], kind="text", choices=2))
    assert (words(events, 0), words(events, 1)) == ("a", "cd")
    assert engine.sent == 4 and engine.is_closed_early
    assert events[-1]["usage"]["completion_tokens"] == 4


def test_chat_is_cut_in_its_content() -> None:
    engine = Engine(chat(""), chat("one\n"), chat("\nUser:"), chat(" no"), USAGE)
    events = events_of(stop_at(engine.stream(), ["\n\nUser:"], kind="chat"))
    assert words(events) == "one"
    assert engine.is_closed_early


def test_what_was_cut_is_counted_by_who_knows_better() -> None:
    async def count(texts: list[str]) -> dict[str, Any]:
        return {"prompt_tokens": 7, "completion_tokens": len("".join(texts)), "total_tokens": 0}

    engine = Engine(text("ab"), text("c|d"), USAGE)
    events = events_of(stop_at(engine.stream(), ["|"], kind="text", count=count))
    assert events[-1]["usage"]["completion_tokens"] == 5


def test_usage_that_the_engine_told_on_the_way_is_believed() -> None:
    told = {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}
    engine = Engine({**text("ab"), "usage": {**told, "completion_tokens": 1}},
                    {**text("c|d"), "usage": told}, text("e"), USAGE)  # fmt: skip
    events = events_of(stop_at(engine.stream(), ["|"], kind="text"))
    assert events[-1]["usage"] == told
    assert all("usage" not in event for event in events[:-1])
