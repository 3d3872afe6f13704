"""Thoughts within a budget, asked of an engine that thinks for as long as it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from serve.card import ModelCard, ThinkingWords
from serve.fault import Fault
from serve.thinking import answer_with_budget, take, without_running_usage

TAGS = ThinkingWords()
OPENED = ThinkingWords(is_opened=True)
ASKED = {"messages": [{"role": "user", "content": "2+2?"}]}


class Thinker:
    """An engine outside: it thinks `thoughts` tokens, then answers; it goes on with what it is
    given, and notes what it was asked and how many streams were given up.

    again: how often it opens a thought again after one was closed for it.
    """

    def __init__(
        self, thoughts: int, *, opened: bool = False, again: int = 0, runs: bool = True
    ) -> None:
        self.thoughts, self.opened, self.again, self.runs = thoughts, opened, again, runs
        self.asked: list[Mapping[str, Any]] = []
        self.given_up = 0
        self.made = 0

    def _tokens(self, body: Mapping[str, Any]) -> list[str]:
        begun = ""
        if body.get("continue_final_message"):
            begun = body["messages"][-1]["content"]
        if "</think>" in begun:
            if self.again:
                self.again -= 1
                return ["<think>", *["hm"] * 50]
            return ["4", " it", " is"]
        opening = [] if self.opened or begun else ["<think>"]
        return [*opening, *(f"t{n}" for n in range(self.thoughts)), "</think>", "\n\n4"]

    async def events(self, path: str, body: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Yield a token a chunk."""
        assert path == "/v1/chat/completions"
        self.asked.append(body)
        tokens = self._tokens(body)
        limit = body.get("max_tokens", 1000)
        number = len(self.asked)
        prompt = 10 + len(str(body["messages"][-1]["content"]).split())

        def event(delta: Mapping[str, Any], finish: str | None, count: int) -> dict[str, Any]:
            usage = {"usage": {"prompt_tokens": prompt, "completion_tokens": count}}
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            return {"id": f"id-{number}", "choices": [choice], **(usage if self.runs else {})}

        ended = False
        try:
            yield event({"role": "assistant", "content": ""}, None, 0)
            for count, token in enumerate(tokens[:limit], 1):
                self.made += 1
                yield event({"content": token}, None, count)
                await asyncio.sleep(0)
            count = min(limit, len(tokens))
            yield event({}, "length" if limit < len(tokens) else "stop", count)
            ended = True
            yield {
                "id": f"id-{number}", "choices": [],
                "usage": {"prompt_tokens": prompt, "completion_tokens": count},
            }  # fmt: skip
        finally:
            self.given_up += not ended

    async def answer(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Nobody asks for whole answers here."""
        raise AssertionError((path, body))


def asked(engine: Thinker, budget: int, words: ThinkingWords = TAGS, **more: Any) -> list[Any]:
    """Return the chunks of a chat."""
    text = more.pop("text", "")

    async def collect() -> list[Any]:
        body = {**ASKED, **more}
        return [event async for event in answer_with_budget(engine, body, words, budget, text=text)]

    return asyncio.run(collect())


def joined(events: list[Any], name: str, index: int = 0) -> str:
    """Return the text of a field of one choice."""
    return "".join(
        choice["delta"].get(name) or ""
        for event in events
        for choice in event["choices"]
        if choice["index"] == index
    )


@pytest.mark.parametrize("runs", [True, False], ids=["running usage", "counted chunks"])
def test_a_thought_that_is_too_long_is_cut_closed_and_answered(runs: bool) -> None:
    engine = Thinker(100, runs=runs)
    out = asked(engine, 4)
    assert joined(out, "reasoning") == "t0t1t2"  # with its opening tag: 4 tokens
    assert joined(out, "content") == "4 it is"
    first, second = engine.asked
    assert "continue_final_message" not in first
    assert second["continue_final_message"] is True
    assert second["add_generation_prompt"] is False
    assert second["messages"][-1] == {
        "role": "assistant", "content": "<think>t0t1t2\n</think>\n\n",
    }  # fmt: skip
    assert engine.given_up == 1, "the engine's work on the rest of the thought is cancelled"
    assert engine.made < 12
    assert {event["id"] for event in out} == {"id-1"}, "it is one answer"
    assert sum("role" in c["delta"] for e in out for c in e["choices"]) == 1
    usage = out[-1]["usage"]
    assert usage["completion_tokens"] == 4 + 3
    assert usage["completion_tokens_details"] == {"reasoning_tokens": 4}
    if runs:
        assert usage["prompt_tokens"] == 11


def test_a_thought_within_its_budget_is_left_alone() -> None:
    engine = Thinker(3)
    out = asked(engine, 10)
    assert joined(out, "reasoning") == "t0t1t2"
    assert joined(out, "content") == "4"
    assert len(engine.asked) == 1
    assert not engine.given_up
    assert out[-1]["usage"]["completion_tokens"] == 6
    assert out[-1]["usage"]["completion_tokens_details"] == {"reasoning_tokens": 5}


def test_where_the_template_opens_the_thought_the_tag_is_put_before_what_was_thought() -> None:
    engine = Thinker(100, opened=True)
    out = asked(engine, 2, OPENED)
    assert joined(out, "reasoning") == "t0t1"
    assert joined(out, "content") == "4 it is"
    assert engine.asked[1]["messages"][-1]["content"] == "<think>\nt0t1\n</think>\n\n"


def test_no_budget_at_all_closes_the_thought_before_it_begins() -> None:
    engine = Thinker(100)
    out = asked(engine, 0)
    assert joined(out, "reasoning") == ""
    assert joined(out, "content") == "4 it is"
    assert len(engine.asked) == 1
    assert engine.asked[0]["messages"][-1]["content"] == "<think>\n\n</think>\n\n"


def test_a_model_that_begins_again_is_cut_again_and_at_last_let_be() -> None:
    engine = Thinker(100, again=1)
    assert joined(asked(engine, 2), "content") == "4 it is"
    assert len(engine.asked) == 3
    stubborn = Thinker(100, again=99)
    out = asked(stubborn, 2)
    assert len(stubborn.asked) == 4
    assert joined(out, "content") == ""
    assert joined(out, "reasoning").endswith("hm" * 50)


def test_the_replys_own_limit_holds_over_all_parts() -> None:
    engine = Thinker(100)
    out = asked(engine, 4, max_tokens=6)
    assert engine.asked[1]["max_tokens"] == 2
    assert joined(out, "content") == "4 it"
    assert out[-1]["usage"]["completion_tokens"] == 6
    out = asked(Thinker(100), 4, max_tokens=4)
    assert joined(out, "content") == ""
    finishes = [c["finish_reason"] for e in out for c in e["choices"] if c["finish_reason"]]
    assert finishes == ["length"]


def test_choices_each_have_a_budget_and_a_seed_of_their_own() -> None:
    engine = Thinker(100)
    out = asked(engine, 3, n=3, seed=7)
    for index in range(3):
        assert joined(out, "reasoning", index) == "t0t1"
        assert joined(out, "content", index) == "4 it is"
    assert sorted(body["seed"] for body in engine.asked) == [7, 7, 8, 8, 9, 9]
    assert all("n" not in body for body in engine.asked)
    assert len({event["id"] for event in out}) == 1
    assert [event for event in out if not event["choices"]] == [out[-1]]
    assert out[-1]["usage"]["completion_tokens"] == 18
    assert out[-1]["usage"]["prompt_tokens"] == 11


def test_a_reply_that_the_client_began_keeps_its_beginning() -> None:
    engine = Thinker(100)
    body = {"messages": [*ASKED["messages"], {"role": "assistant", "content": "<think>\nso"}]}
    out = asked(engine, 2, text="<think>\nso", continue_final_message=True, **body)
    assert joined(out, "reasoning") == "t0t1"
    last = engine.asked[1]["messages"]
    assert [message["role"] for message in last] == ["user", "assistant"]
    assert last[-1]["content"] == "<think>\nsot0t1\n</think>\n\n"


def test_leaving_closes_the_engines_streams() -> None:
    for n in (1, 3):
        engine = Thinker(10_000)

        async def leave(engine: Thinker = engine, n: int = n) -> None:
            stream = answer_with_budget(engine, {**ASKED, "n": n}, TAGS, 5_000)
            count = 0
            async for _ in stream:
                count += 1
                if count > 20:
                    break
            await stream.aclose()  # type: ignore[attr-defined]

        asyncio.run(leave())
        assert engine.given_up == n
        assert engine.made < 200


def test_an_engines_refusal_is_the_requests() -> None:
    class Refusing(Thinker):
        async def events(self, path: str, body: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
            raise Fault(400, "too long", code="context_length_exceeded")
            yield {}

    for n in (1, 2):
        with pytest.raises(Fault) as caught:
            asked(Refusing(1), 5, n=n)
        assert caught.value.code == "context_length_exceeded"


# --- what a request asks


def card(**thinking: Any) -> ModelCard:
    """Return a card of a model that thinks."""
    return ModelCard(
        name="m", role="reasoning", context_tokens=100, thinking=ThinkingWords(**thinking)
    )


PLAIN = ModelCard(name="plain", role="instruct", context_tokens=100)
ABLE = frozenset({"chat", "continue"})


@pytest.mark.parametrize(
    ("keys", "budget"),
    [
        ({}, 77),
        ({"thinking_budget": 5}, 5),
        ({"thinking_budget": 0}, 0),
        ({"reasoning_effort": "none"}, 0),
        ({"reasoning_effort": "low"}, 1024),
        ({"reasoning_effort": "high"}, 77),
        ({"reasoning_effort": "low", "thinking_budget": 5}, 5),
        ({"chat_template_kwargs": {"enable_thinking": False}}, 0),
        ({"chat_template_kwargs": {"enable_thinking": True}}, 77),
    ],
)
def test_each_way_to_name_a_budget(keys: dict[str, Any], budget: int) -> None:
    body, thinking = take({**ASKED, **keys}, card(budget_tokens=77), ABLE)
    assert thinking is not None
    assert thinking.budget_tokens == budget
    assert "thinking_budget" not in body
    assert "reasoning_effort" not in body
    if "chat_template_kwargs" in keys:
        assert body["chat_template_kwargs"] == keys["chat_template_kwargs"]


@pytest.mark.parametrize(
    ("keys", "of", "features", "said"),
    [
        ({"thinking_budget": -1}, card(), ABLE, "0 or more"),
        ({"thinking_budget": True}, card(), ABLE, "0 or more"),
        ({"thinking_budget": "5"}, card(), ABLE, "0 or more"),
        ({"thinking_budget": 5}, card(), frozenset({"chat"}), "cannot go on"),
        ({"thinking_budget": 5}, PLAIN, ABLE, "does not think"),
        ({"reasoning_effort": "very"}, card(), ABLE, "minimal, low"),
        ({"include_reasoning": "no"}, card(), ABLE, "true or false"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(
    keys: dict[str, Any], of: ModelCard, features: frozenset[str], said: str
) -> None:
    with pytest.raises(Fault, match=said) as caught:
        take({**ASKED, **keys}, of, features)
    assert caught.value.status == 400
    assert caught.value.param == next(iter(keys))


def test_what_is_not_ours_goes_on() -> None:
    body, thinking = take({**ASKED, "reasoning_effort": "low", "top_k": 5}, PLAIN, ABLE)
    assert thinking is None
    assert body == {**ASKED, "reasoning_effort": "low", "top_k": 5}


def test_an_engine_that_cannot_go_on_thinks_as_long_as_it_likes() -> None:
    _, thinking = take(ASKED, card(budget_tokens=9), {"chat"})
    assert thinking is not None
    assert thinking.budget_tokens is None
    off = {**ASKED, "chat_template_kwargs": {"enable_thinking": False}}
    _, thinking = take(off, card(is_opened=True), {"chat"})
    assert thinking is not None
    assert not thinking.words.is_opened, "its template is told, and opens none"


def test_the_beginning_of_a_reply_is_known_of_the_request() -> None:
    messages = [*ASKED["messages"], {"role": "assistant", "content": "<think>so"}]
    _, thinking = take(
        {"messages": messages, "continue_final_message": True}, card(is_opened=True), ABLE
    )
    assert thinking is not None
    assert thinking.text == "<think>so"
    assert not thinking.words.is_opened


def test_an_engine_that_knows_no_running_usage_is_asked_without_it() -> None:
    class Strict(Thinker):
        async def events(self, path: str, body: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
            if body.get("stream_options"):
                raise Fault(400, "unknown", param="stream_options")
            async for event in super().events(path, body):
                yield event

    out = asked(Strict(100, runs=False), 4)
    assert joined(out, "reasoning") == "t0t1t2"
    assert joined(out, "content") == "4 it is"


def test_clients_see_usage_in_the_last_event_only() -> None:
    async def collect() -> list[Any]:
        events = answer_with_budget(Thinker(100), ASKED, TAGS, 4)
        return [event async for event in without_running_usage(events)]

    out = asyncio.run(collect())
    assert [("usage" in event) for event in out] == [False] * (len(out) - 1) + [True]
