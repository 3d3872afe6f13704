from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Any

import pytest

from seedcoder.completion import Completion, Message, Model, Request, Sampling
from seedcoder.errors import UsageError
from seedcoder.models import open_model
from seedcoder.models.remote import Patience, RemoteModel

CHAT = (Message(role="user", content="Write f."),)
FENCED = Sampling(stop_after_fence=True)


@pytest.fixture
def model(server: Any) -> Iterator[RemoteModel]:
    opened = RemoteModel(
        server.url, "m", concurrency=4, patience=Patience(tries=3, first_pause_s=0.01, timeout_s=2)
    )
    yield opened
    opened.close()


def one(
    model: RemoteModel, sampling: Sampling | None = None, *, prompt: Any = CHAT, prefill: str = ""
) -> Completion:
    request = Request(key="k", prompt=prompt, prefill=prefill)
    (reply,) = model.generate([request], sampling or Sampling())
    return reply


def test_a_chat_is_sent_with_its_sampling_and_answered(server: Any, model: RemoteModel) -> None:
    sampling = Sampling(max_tokens=9, temperature=0.5, top_p=0.9, stop=("a", "b"), seed=3)
    server.play(server.turn(pieces=("hel", "lo")))
    reply = one(model, sampling)
    assert (reply.text, reply.finish, reply.tokens, reply.prompt_tokens) == ("hello", "stop", 3, 7)
    assert server.paths == ["/v1/chat/completions"]
    assert server.seen[0] == {
        "model": "m",
        "messages": [{"role": "user", "content": "Write f."}],
        "max_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["a", "b"],
        "seed": 3,
    }


def test_a_plain_prompt_goes_to_plain_completions_with_its_prefill(
    server: Any, model: RemoteModel
) -> None:
    server.play(server.turn(pieces=("x",), finish="length"))
    reply = one(model, prompt="def f():", prefill="\n    return")
    assert (reply.text, reply.finish) == ("x", "length")
    assert server.paths == ["/v1/completions"]
    assert server.seen[0]["prompt"] == "def f():\n    return"


def test_open_model_reads_the_address_and_the_name(server: Any) -> None:
    model = open_model(f"openai:{server.url}#org/some-model", batch=2)
    assert isinstance(model, Model)
    assert model.name == "org/some-model"
    assert [c.text for c in model.generate([Request(key="k", prompt=CHAT)], Sampling())] == [
        "hello"
    ]
    assert server.seen[0]["model"] == "org/some-model"
    model.close()
    model.close()


def test_each_sample_is_asked_for_with_its_own_seed(server: Any, model: RemoteModel) -> None:
    requests = [Request(key=key, prompt=CHAT) for key in "ab"]
    replies = list(model.generate(requests, Sampling(seed=10, temperature=1.0), n=3))
    assert sorted((c.key, c.n) for c in replies) == list(itertools.product("ab", range(3)))
    assert sorted(body["seed"] for body in server.seen) == [10, 10, 11, 11, 12, 12]


@pytest.mark.slow
def test_requests_run_at_once_up_to_the_concurrency_and_are_drawn_lazily(
    server: Any, model: RemoteModel
) -> None:
    server.play(server.turn(piece_pause_s=0.05))
    drawn = 0

    def requests() -> Iterator[Request]:
        nonlocal drawn
        for number in range(24):
            drawn += 1
            yield Request(key=str(number), prompt=CHAT)

    replies = model.generate(requests(), Sampling())
    next(replies)
    assert drawn <= 12
    assert len(list(replies)) == 23
    assert server.most_at_once == 4


def test_at_most_four_stop_strings_are_sent_and_all_of_them_hold(
    server: Any, model: RemoteModel
) -> None:
    server.play(server.turn(pieces=("x = 1", "\n", "#", "#", "\nrest")))
    reply = one(model, Sampling(stop=("a1", "a2", "a3", "a4", "##", "res")))
    assert server.seen[0]["stop"] == ["a1", "a2", "a3", "a4"]
    assert (reply.text, reply.finish) == ("x = 1\n", "stop")


def test_a_stream_is_hung_up_on_when_the_fence_closes(server: Any, model: RemoteModel) -> None:
    rest = tuple("more " for _ in range(1000))
    pieces = ("```python\nx", "\n``", "`\n", *rest)
    server.play(server.turn(pieces=pieces, piece_pause_s=0.01))
    started = time.monotonic()
    reply = one(model, FENCED)
    assert (reply.text, reply.finish) == ("```python\nx\n```", "stop")
    assert time.monotonic() - started < 5
    assert server.hung_up.wait(timeout=5)


def test_a_stream_that_runs_to_its_end_says_its_tokens(server: Any, model: RemoteModel) -> None:
    server.play(server.turn(pieces=("no ", "code"), finish="length"))
    reply = one(model, FENCED)
    assert (reply.text, reply.finish, reply.tokens, reply.prompt_tokens) == (
        "no code",
        "length",
        3,
        7,
    )


def test_a_connection_dropped_in_the_middle_is_tried_again(server: Any, model: RemoteModel) -> None:
    server.play(
        server.turn(pieces=("half", " of it"), drop_after=1),
        server.turn(pieces=("the ", "whole")),
    )
    assert one(model, FENCED).text == "the whole"
    assert len(server.seen) == 2


@pytest.mark.parametrize("sampling", [Sampling(), FENCED])
def test_a_connection_that_always_drops_is_an_error_and_never_a_short_answer(
    server: Any, model: RemoteModel, sampling: Sampling
) -> None:
    server.play(server.turn(pieces=("half", " of it"), drop_after=1))
    reply = one(model, sampling)
    assert (reply.text, reply.finish) == ("", "error")
    assert reply.error
    assert len(server.seen) == 3


@pytest.mark.parametrize("sampling", [Sampling(), FENCED])
def test_an_answer_that_does_not_say_why_it_ended_is_no_answer(
    server: Any, model: RemoteModel, sampling: Sampling
) -> None:
    server.play(server.turn(finish=None))
    reply = one(model, sampling)
    assert reply.finish == "error"
    assert reply.error is not None and "why" in reply.error


def test_a_429_is_waited_out_as_long_as_the_server_asks(server: Any, model: RemoteModel) -> None:
    server.play(server.turn(status=429, headers=(("retry-after", "0.3"),)), server.turn())
    started = time.monotonic()
    assert one(model).text == "hello"
    assert time.monotonic() - started >= 0.3


def test_a_500_is_tried_again_and_in_the_end_an_error(server: Any, model: RemoteModel) -> None:
    server.play(server.turn(status=500), server.turn())
    assert one(model).text == "hello"
    server.play(server.turn(status=503, error="still loading"))
    reply = one(model)
    assert reply.finish == "error"
    assert reply.error is not None
    assert "503" in reply.error and "still loading" in reply.error and "\n" not in reply.error


@pytest.mark.slow
@pytest.mark.parametrize("body", [b"{not json", b"[]", b'{"choices": []}', b'"x"', b"{}", b""])
def test_a_malformed_answer_is_tried_again_and_then_an_error(
    server: Any, model: RemoteModel, body: bytes
) -> None:
    server.play(server.turn(body=body), server.turn())
    assert one(model).text == "hello"
    server.play(server.turn(body=body))
    assert one(model).finish == "error"


def test_a_malformed_event_in_a_stream_is_an_error(server: Any, model: RemoteModel) -> None:
    server.play(server.turn(body=b"data: {not json\n\n"))
    assert one(model, FENCED).finish == "error"


def test_a_server_that_falls_silent_is_an_error(server: Any) -> None:
    patience = Patience(tries=1, timeout_s=0.2)
    model = RemoteModel(server.url, "m", patience=patience)
    server.play(server.turn(piece_pause_s=1.0))
    for sampling in (Sampling(), FENCED):
        reply = one(model, sampling)
        assert (reply.text, reply.finish) == ("", "error")
    model.close()


def test_a_refused_request_is_not_tried_again(server: Any, model: RemoteModel) -> None:
    server.play(server.turn(status=400, error="too long"))
    reply = one(model)
    assert reply.finish == "error"
    assert reply.error is not None and "too long" in reply.error
    assert len(server.seen) == 1


_TOO_LONG = "This model's maximum context length is 100 tokens. However, you requested "


def test_a_prompt_longer_than_the_context_is_an_overflow_and_no_failure(
    server: Any, model: RemoteModel
) -> None:
    server.play(server.turn(status=400, error=_TOO_LONG + "612 tokens (112 in the messages)"))
    reply = one(model)
    assert (reply.finish, reply.text) == ("overflow", "")
    assert reply.error is not None and "context length is 100" in reply.error
    assert len(server.seen) == 1


def test_a_reply_that_could_not_fit_is_asked_for_as_long_as_it_can_be(
    server: Any, model: RemoteModel
) -> None:
    server.play(
        server.turn(status=400, error=_TOO_LONG + "570 tokens (70 in the messages, 500 more)"),
        server.turn(),
    )
    assert one(model).finish == "stop"
    assert [body["max_tokens"] for body in server.seen] == [512, 30]


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
@pytest.mark.parametrize("fence", [False, True])
def test_a_thought_sent_beside_the_answer_is_put_back_before_it(
    server: Any, model: RemoteModel, field: str, fence: bool
) -> None:
    server.play(server.turn(thought=("so ", "then"), thought_field=field, pieces=("a", "b")))
    (reply,) = model.generate(
        [Request(key="k", prompt=(Message(role="user", content="?"),))],
        Sampling(stop_after_fence=fence),
    )
    assert reply.text == "<think>so then</think>ab"


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_server_that_turns_the_first_request_away_ends_the_run_at_once(
    server: Any, model: RemoteModel, status: int
) -> None:
    server.play(server.turn(status=status, error="no such model"))
    with pytest.raises(UsageError) as raised:
        one(model)
    assert "no such model" in str(raised.value) and "\n" not in str(raised.value)


def test_once_answered_a_refusal_is_an_error_of_one_reply(server: Any, model: RemoteModel) -> None:
    server.play(server.turn(), server.turn(status=404))
    assert one(model).finish == "stop"
    assert one(model).finish == "error"


def test_a_server_that_is_not_there_ends_the_run_with_one_line() -> None:
    model = RemoteModel(
        "http://127.0.0.1:9/v1", "m", patience=Patience(tries=2, first_pause_s=0.01)
    )
    with pytest.raises(UsageError) as raised:
        one(model)
    assert "127.0.0.1:9" in str(raised.value) and "\n" not in str(raised.value)
    model.close()


def test_a_prefill_is_sent_as_the_reply_to_continue(server: Any, model: RemoteModel) -> None:
    server.play(server.turn(pieces=("x = 1\n", "```\n", "more")))
    reply = one(model, FENCED, prefill="Here:\n```python\n")
    assert reply.text == "x = 1\n```"
    body = server.seen[0]
    assert body["messages"][-1] == {"role": "assistant", "content": "Here:\n```python\n"}
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)


def test_a_server_that_cannot_continue_is_asked_without_prefill_from_then_on(
    server: Any, model: RemoteModel
) -> None:
    def plan(body: dict[str, Any], before: int) -> Any:
        if "continue_final_message" in body:
            return server.turn(status=400, error="unknown field")
        return server.turn(pieces=("Sure.\n```py\nx = 1\n", "```\n", "more"))

    server.plan = plan
    for _ in range(2):
        assert one(model, FENCED, prefill="Here:\n```python\n").text == "x = 1\n```"
    assert [len(body["messages"]) for body in server.seen] == [2, 1, 1]


def test_a_server_that_can_continue_is_not_doubted_for_one_refusal(
    server: Any, model: RemoteModel
) -> None:
    server.play(server.turn(), server.turn(status=400, error="too long"), server.turn())
    assert [one(model, prefill="x").finish for _ in range(3)] == ["stop", "error", "stop"]
    assert [len(body["messages"]) for body in server.seen] == [2, 2, 2]


def test_a_server_that_ignores_the_prefill_does_not_open_the_fence_twice(
    server: Any, model: RemoteModel
) -> None:
    server.play(server.turn(pieces=("```python\n", "x = 1\n```\n", "more")))
    assert one(model, FENCED, prefill="Here:\n```python\n").text == "x = 1\n```"


def test_closing_the_iterator_hangs_up_and_the_model_can_go_on(
    server: Any, model: RemoteModel
) -> None:
    slow = server.turn(pieces=("x",) * 500, piece_pause_s=0.02)
    server.plan = lambda body, before: server.turn() if before == 0 else slow
    requests = [Request(key=str(number), prompt=CHAT) for number in range(4)]
    replies = model.generate(requests, FENCED)
    assert next(replies).text == "hello"
    replies.close()  # type: ignore[attr-defined]
    assert server.hung_up.wait(timeout=5)
    server.play(server.turn())
    assert one(model).text == "hello"
