"""Chats in which a model runs code, from the request to the answer; the sandbox is real."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import SandboxUnavailable
from sandbox.session.session import open_slot
from serve.card import ModelCard, ThinkingWords
from serve.config import SandboxTable
from serve.fault import Fault
from serve.tools.chat import worked_on
from serve.tools.fenced import Scanner, block
from serve.tools.run_code import RunCode

TEXT = ModelCard(name="t", role="instruct", context_tokens=1000, tools="text")
NATIVE = ModelCard(name="n", role="instruct", context_tokens=1000, tools="native")
THINKS = ModelCard(
    name="r", role="reasoning", context_tokens=1000, tools="text", thinking=ThinkingWords()
)
ABLE = frozenset({"chat", "tools", "continue"})
USER = {"role": "user", "content": "What is 6*7?"}
BLOCK = "```run_code\nprint(6 * 7)\n```\n"


def call(arguments: str, name: str = "run_code", number: int = 0) -> dict[str, Any]:
    """Return a call as an engine streams it."""
    function = {"name": name, "arguments": arguments}
    return {"index": number, "id": f"call_{number}", "type": "function", "function": function}


class Caller:
    """An engine outside whose replies are written down: a text, or tool calls, for each request.

    A reply may depend on the request: then it is a function of its body.
    """

    def __init__(self, *replies: Any, finish: str = "stop", runs: bool = True) -> None:
        self.replies, self.finish, self.runs = list(replies), finish, runs
        self.asked: list[Mapping[str, Any]] = []
        self.given_up = 0

    async def events(self, path: str, body: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Yield three characters a chunk; calls cut in the middle of their arguments."""
        self.asked.append(body)
        number = len(self.asked)
        reply = self.replies[min(number, len(self.replies)) - 1]
        reply = reply(body) if callable(reply) else reply
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        finish = self.finish
        for part in reply if isinstance(reply, list) else [reply]:
            if isinstance(part, str):
                deltas += [{"content": part[at : at + 3]} for at in range(0, len(part), 3)]
                continue
            finish = "tool_calls"
            function = part["function"]
            cut = len(function["arguments"]) // 2
            first = {**function, "arguments": function["arguments"][:cut]}
            rest = {"arguments": function["arguments"][cut:]}
            deltas.append({"tool_calls": [{**part, "function": first}]})
            deltas.append({"tool_calls": [{"index": part["index"], "function": rest}]})
        ended = False
        try:
            for count, delta in enumerate(deltas):
                choice = {"index": 0, "delta": delta, "finish_reason": None}
                usage = {"usage": {"prompt_tokens": 10 * number, "completion_tokens": count}}
                yield {"id": f"id-{number}", "choices": [choice], **(usage if self.runs else {})}
                await asyncio.sleep(0)
            yield {
                "id": f"id-{number}",
                "choices": [{"index": 0, "delta": {}, "finish_reason": finish}],
            }
            ended = True
            usage = {"prompt_tokens": 10 * number, "completion_tokens": len(deltas) - 1}
            yield {"id": f"id-{number}", "choices": [], "usage": usage}
        finally:
            self.given_up += not ended

    async def answer(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Nobody asks for whole answers here."""
        raise AssertionError((path, body))


@pytest.fixture(scope="module")
def runner() -> Iterator[RunCode]:
    """The tool of one gateway."""
    try:
        open_slot().close()
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    made = RunCode(SandboxTable(cpu_s=1.0, wall_s=5.0, memory_mb=256, workers=2))
    yield made
    made.close()


def chat(
    engine: Caller, runner: RunCode, card: ModelCard = TEXT, owner: str = "ada", **keys: Any
) -> list[Any]:
    """Return the events of a chat with run_code."""
    body = {"messages": [USER], "run_code": True, **keys}

    async def collect() -> list[Any]:
        _, events = worked_on(
            engine, card, body, ABLE, runner=runner, owner=owner, may_run_code=True
        )
        assert events is not None
        return [event async for event in events]

    return asyncio.run(collect())


def joined(events: Sequence[Mapping[str, Any]], name: str = "content") -> str:
    """Return a text of the only choice."""
    return "".join(c["delta"].get(name) or "" for e in events for c in e["choices"])


def runs_of(events: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the runs, put together by index as a client does."""
    whole: dict[int, dict[str, Any]] = {}
    for event in events:
        for choice in event["choices"]:
            for run in choice["delta"].get("code_runs", ()):
                whole.setdefault(run["index"], {}).update(run)
    return [whole[index] for index in sorted(whole)]


def finishes(events: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return every reason to finish that was sent."""
    return [c["finish_reason"] for e in events for c in e["choices"] if c["finish_reason"]]


@pytest.mark.slow
@pytest.mark.parametrize("convention", ["text", "native"])
def test_the_model_gets_the_output_and_the_client_one_answer(
    runner: RunCode, convention: str
) -> None:
    if convention == "text":
        engine = Caller(f"Let me see.\n{BLOCK}It is 41, I", "It is 42.")
        out = chat(engine, runner)
    else:
        arguments = json.dumps({"code": "print(6 * 7)"})
        engine = Caller(["Let me see.\n", call(arguments)], "It is 42.")
        out = chat(engine, runner, NATIVE)
    assert joined(out) == "Let me see.\nIt is 42."
    (run,) = runs_of(out)
    assert run["arguments"] == {"language": "python", "code": run["arguments"]["code"]}
    assert (run["name"], run["status"], run["stdout"]) == ("run_code", "passed", "42\n")
    assert run["session"]
    assert finishes(out) == ["stop"]
    assert "tool_calls" not in json.dumps(out), "the client has nothing to call"
    assert {event["id"] for event in out} == {"id-1"}
    assert sum("role" in c["delta"] for e in out for c in e["choices"]) == 1
    second = engine.asked[1]["messages"]
    if convention == "text":
        assert [m["role"] for m in second] == ["system", "user", "assistant", "user"]
        assert second[2]["content"] == f"Let me see.\n{BLOCK.rstrip()}", "what it made up is gone"
        assert "42" in second[3]["content"]
        assert engine.given_up == 1, "the reply is broken off where the block closes"
        assert "run_code" in second[0]["content"]
        assert "tools" not in engine.asked[0]
    else:
        assert [m["role"] for m in second] == ["user", "assistant", "tool"]
        assert second[1]["tool_calls"][0]["function"]["arguments"] == arguments
        assert second[2]["tool_call_id"] == second[1]["tool_calls"][0]["id"] == "call_0"
        assert "42" in second[2]["content"]
        assert engine.asked[0]["tools"][0]["function"]["name"] == "run_code"
    assert all("run_code" not in body for body in engine.asked)


def test_usage_is_the_sum_of_the_rounds(runner: RunCode) -> None:
    arguments = json.dumps({"code": "1"})
    out = chat(Caller([call(arguments)], "abcdef"), runner, NATIVE)
    usage = out[-1]["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (10 + 20, 2 + 2)
    assert usage["total_tokens"] == 34
    assert [("usage" in event) for event in out] == [False] * (len(out) - 1) + [True]
    # A round that was broken off had said its usage along; where it had not, it is reckoned.
    told = chat(Caller(BLOCK, "abc"), runner)[-1]["usage"]
    assert (told["prompt_tokens"], told["completion_tokens"]) == (30, 10 + 1)
    reckoned = chat(Caller(BLOCK, "abc", runs=False), runner)[-1]["usage"]
    assert (reckoned["prompt_tokens"], reckoned["completion_tokens"]) == (20 - 10 + 20, 10 + 1)


def test_state_is_kept_between_the_rounds_of_a_chat_and_for_the_next_one(runner: RunCode) -> None:
    first = "```run_code\nx = 5\n```\n"
    second = "```run_code\nx + 1\n```\n"
    out = chat(Caller(first, second, "6"), runner)
    runs = runs_of(out)
    assert [run["index"] for run in runs] == [0, 1]
    assert runs[1]["value"] == "6"
    said = {"role": "assistant", "content": joined(out), "code_runs": runs}
    engine = Caller("```run_code\nx + 2\n```", "7")
    out = chat(engine, runner, messages=[USER, said, {"role": "user", "content": "and 2 more?"}])
    assert runs_of(out)[0]["value"] == "7"
    asked = engine.asked[0]["messages"]
    assert all("code_runs" not in message for message in asked)
    roles = [message["role"] for message in asked]
    assert roles == ["system", "user", *["assistant", "user"] * 2, "assistant", "user"]
    assert "x = 5" in asked[2]["content"]
    # Another key's client that has seen the id gets nothing of it.
    out = chat(
        Caller("```run_code\nx + 2\n```", "?"), runner, owner="eve", messages=[USER, said, USER]
    )
    assert "NameError" in runs_of(out)[0]["error"]["traceback"]
    # Named beside the messages it is the same session.
    option = {"session": runs[0]["session"]}
    out = chat(Caller("```run_code\nx\n```", "?"), runner, run_code=option)
    assert runs_of(out)[0]["value"] == "5"


def test_earlier_runs_are_retold_to_an_engine_that_parses_calls(runner: RunCode) -> None:
    run = {"index": 0, "id": "run_1", "arguments": {"code": "1"}, "status": "passed", "value": "1"}
    said = {"role": "assistant", "content": "One.", "code_runs": [run]}
    engine = Caller("ok")
    chat(engine, runner, NATIVE, messages=[USER, said, USER])
    asked = engine.asked[0]["messages"]
    assert [m["role"] for m in asked] == ["user", "assistant", "tool", "assistant", "user"]
    assert asked[1]["tool_calls"][0]["id"] == asked[2]["tool_call_id"] == "run_1"
    assert json.loads(asked[2]["content"]) == {"status": "passed", "value": "1"}


@pytest.mark.parametrize("card", [TEXT, NATIVE], ids=["text", "native"])
def test_a_wrong_call_may_be_repaired_once(runner: RunCode, card: ModelCard) -> None:
    def wrong() -> Any:
        return [call('{"source": "1"}')] if card is NATIVE else "```run_code klingon\n1\n```\n"

    def right() -> Any:
        return [call('{"code": "1"}')] if card is NATIVE else "```run_code\n1\n```\n"

    engine = Caller(wrong(), right(), "One.")
    out = chat(engine, runner, card)
    assert [run["status"] for run in runs_of(out)] == ["refused", "passed"]
    assert joined(out) == "One."
    told = engine.asked[1]["messages"][-1]["content"]
    assert ("'source' was unexpected" if card is NATIVE else "klingon") in told
    # The control: one that stays wrong is asked for its answer, and not once more for a call.
    engine = Caller(wrong(), wrong(), lambda body: "I cannot.")
    out = chat(engine, runner, card)
    assert [run["status"] for run in runs_of(out)] == ["refused", "refused"]
    assert len(engine.asked) == 3
    assert joined(out) == "I cannot."
    if card is NATIVE:
        assert engine.asked[2]["tool_choice"] == "none"
    else:
        assert "cannot run code any more" in engine.asked[2]["messages"][-1]["content"]


@pytest.mark.parametrize("card", [TEXT, NATIVE], ids=["text", "native"])
def test_a_model_that_calls_for_ever_is_stopped(runner: RunCode, card: ModelCard) -> None:
    reply: Any = [call('{"code": "1"}')] if card is NATIVE else BLOCK
    engine = Caller(reply)
    out = chat(engine, runner, card, run_code={"max_rounds": 2})
    assert len(runs_of(out)) == 2
    assert len(engine.asked) == 3
    assert finishes(out) == ["stop"]
    if card is TEXT:
        assert joined(out).strip() == BLOCK.strip(), "what is not run is shown"


def test_tools_of_the_clients_own_go_to_the_client(runner: RunCode) -> None:
    mine = {"type": "function", "function": {"name": "weather", "parameters": {}}}
    engine = Caller(["Hm. ", call('{"city": "Bern"}', "weather")])
    out = chat(engine, runner, NATIVE, tools=[mine])
    assert finishes(out) == ["tool_calls"]
    (said,) = [
        c["delta"]["tool_calls"] for e in out for c in e["choices"] if "tool_calls" in c["delta"]
    ]
    assert said[0]["function"] == {"name": "weather", "arguments": '{"city": "Bern"}'}
    assert [tool["function"]["name"] for tool in engine.asked[0]["tools"]] == [
        "weather",
        "run_code",
    ]
    # Both at once: ours is run, and the other asked for again.
    both = [call('{"code": "1"}'), call("{}", "weather", 1)]
    engine = Caller(both, [call("{}", "weather")])
    out = chat(engine, runner, NATIVE, tools=[mine])
    assert [run["status"] for run in runs_of(out)] == ["passed"]
    assert finishes(out) == ["tool_calls"]
    results = engine.asked[1]["messages"][2:]
    assert [message["tool_call_id"] for message in results] == ["call_0", "call_1"]
    assert "by itself" in results[1]["content"]


def test_a_limit_of_tokens_holds_over_all_rounds(runner: RunCode) -> None:
    engine = Caller([call('{"code": "1"}')], "abcdef")
    chat(engine, runner, NATIVE, max_tokens=7)
    assert [body["max_tokens"] for body in engine.asked] == [7, 5]
    engine = Caller([call('{"code": "1"}')], "abcdef")
    out = chat(engine, runner, NATIVE, max_completion_tokens=2)
    assert len(engine.asked) == 1
    assert finishes(out) == ["length"]


def test_half_a_program_is_not_run(runner: RunCode) -> None:
    out = chat(Caller("So:\n```run_code\nprint(1", finish="length"), runner)
    assert runs_of(out) == []
    assert joined(out) == "So:\n```run_code\nprint(1"
    assert finishes(out) == ["length"]
    cut = Caller([call('{"code": "print(')], "x")
    cut_out = chat(cut, runner, NATIVE)
    assert runs_of(cut_out)[0]["status"] == "refused"


def test_a_thought_is_no_call_and_is_told_apart_in_every_round(runner: RunCode) -> None:
    engine = Caller(
        f"<think>I could\n{BLOCK}run this</think>\n{BLOCK}", "<think>good</think>It is 42."
    )
    out = chat(engine, runner, THINKS)
    assert len(runs_of(out)) == 1
    assert joined(out) == "It is 42."
    assert joined(out, "reasoning") == f"I could\n{BLOCK}run this\n\ngood"
    assert joined(out, "reasoning") == joined(out, "reasoning_content")
    assert out[-1]["usage"]["completion_tokens_details"]["reasoning_tokens"] > 5
    assert "<think>" not in engine.asked[1]["messages"][2]["content"]


def test_a_budget_of_thought_holds_in_every_round(runner: RunCode) -> None:
    def thinks(body: Mapping[str, Any]) -> str:
        if not body.get("continue_final_message"):
            return "<think>" + "hm " * 50
        return "It is 42." if len(body["messages"]) > 3 else BLOCK

    engine = Caller(thinks)
    out = chat(engine, runner, THINKS, thinking_budget=6)
    assert len(runs_of(out)) == 1
    assert joined(out) == "It is 42."
    assert len(engine.asked) == 4
    assert out[-1]["usage"]["completion_tokens_details"]["reasoning_tokens"] == 12


def test_our_own_failure_ends_the_answer_as_a_fault() -> None:
    lacking = RunCode(SandboxTable(box="restricted", require="namespace"))
    engine = Caller(BLOCK, "never asked")
    with pytest.raises(Fault) as caught:
        chat(engine, lacking)
    assert (caught.value.status, caught.value.code) == (503, "sandbox_unavailable")
    assert len(engine.asked) == 1, "the model is told nothing of it"


def test_leaving_ends_the_engines_work_and_the_program(runner: RunCode) -> None:
    engine = Caller("```run_code\nimport time; time.sleep(4)\n```\n", "never asked")

    async def leave() -> None:
        body = {"messages": [USER], "run_code": True}
        _, events = worked_on(engine, TEXT, body, ABLE, runner=runner, may_run_code=True)
        assert events is not None
        started = asyncio.Event()

        async def read() -> None:
            async for event in events:
                if "code_runs" in event["choices"][0]["delta"]:
                    started.set()

        reader = asyncio.create_task(read())
        await started.wait()
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader

    asyncio.run(asyncio.wait_for(leave(), 3.5))
    assert len(engine.asked) == 1
    assert engine.given_up == 1


# --- what a request may ask


def prepared(card: ModelCard = TEXT, *, may: bool = True, **keys: Any) -> Any:
    """Return what becomes of a body."""
    body = {"messages": [USER], **keys}
    return worked_on(
        Caller("x"), card, body, ABLE, runner=RunCode(SandboxTable()), may_run_code=may
    )


@pytest.mark.parametrize(
    "keys",
    [
        {"run_code": True},
        {"run_code": {"max_rounds": 3}},
        {"tools": [{"type": "run_code"}]},
        {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]},
        {"tools": [{"type": "code_interpreter", "container": "an-id"}]},
        {"tools": [{"type": "run_code"}], "tool_choice": {"type": "run_code"}},
    ],
)
def test_each_way_to_ask_for_the_tool_needs_a_key_that_may(keys: dict[str, Any]) -> None:
    body, events = prepared(**keys)
    assert events is not None
    assert "run_code" not in body
    assert "tools" not in body
    assert "tool_choice" not in body
    with pytest.raises(Fault) as caught:
        prepared(may=False, **keys)
    assert (caught.value.status, caught.value.code) == (403, "run_code_not_allowed")


@pytest.mark.parametrize(
    ("keys", "card", "said"),
    [
        ({"run_code": "yes"}, TEXT, "true, false or an object"),
        ({"run_code": {"rounds": 3}}, TEXT, "no option 'rounds'"),
        ({"run_code": {"max_rounds": 0}}, TEXT, "from 1 to 32"),
        ({"run_code": {"session": 5}}, TEXT, "not a text"),
        ({"run_code": True, "n": 2}, TEXT, "'n' must be 1"),
        ({"run_code": True, "continue_final_message": True}, TEXT, "continue_final_message"),
        ({"run_code": True}, ModelCard(name="b", role="base", context_tokens=99), "calls no tools"),
        (
            {"run_code": True, "tools": [{"type": "function", "function": {"name": "run_code"}}]},
            NATIVE, "tool of your own",
        ),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(keys: dict[str, Any], card: ModelCard, said: str) -> None:
    with pytest.raises(Fault, match=said) as caught:
        prepared(card, **keys)
    assert caught.value.status == 400
    assert caught.value.param in keys


@pytest.mark.parametrize(
    "keys", [{}, {"run_code": False}, {"run_code": True, "tool_choice": "none"}]
)
def test_a_request_that_does_not_want_it_goes_on_as_it_is(keys: dict[str, Any]) -> None:
    body, events = prepared(**keys)
    assert events is None
    assert body["messages"] == [USER]
    assert "run_code" not in body


def test_nothing_is_started_for_requests_that_run_nothing(runner: RunCode) -> None:
    idle = RunCode(SandboxTable())
    assert joined(chat(Caller("Hello."), idle)) == "Hello."
    assert idle._sessions is None


# --- the blocks


def scan(
    text: str, cuts: Sequence[int] = (), *, is_cut: bool = False
) -> tuple[str, str, str, bool]:
    """Return what the client sees, language and program, and whether there is a call."""
    scanner = Scanner()
    shown, at = "", 0
    for cut in [*sorted(cuts), len(text)]:
        shown += scanner.feed(text[at:cut])
        at = max(at, cut)
    shown += scanner.end(is_cut=is_cut)
    code = scanner.code if scanner.is_complete else ""
    return shown, scanner.language if code else "", code, scanner.is_complete


@pytest.mark.parametrize(
    ("text", "shown", "language", "code"),
    [
        ("a\n```run_code\nx\n```\nb", "a\n", "python", "x\n"),
        ("```run_code cpp\nx\n```", "", "cpp", "x\n"),
        ("``` run_code\nx", "", "python", "x"),  # a reply that just ends
        ("````run_code\n```\n````\n", "", "python", "```\n"),
        ("```python\nx\n```\n", "```python\nx\n```\n", "", ""),
        ("```md\n```run_code\nx\n```\n", "```md\n```run_code\nx\n```\n", "", ""),
        ("```run_codes\nx\n```\n", "```run_codes\nx\n```\n", "", ""),
        ("see ```run_code\nx\n```", "see ```run_code\nx\n```", "", ""),
        ("    ```run_code\nx\n```", "    ```run_code\nx\n```", "", ""),
        ("```run_code\n```\nb", "", "python", ""),
        ("```run_code", "```run_code", "", ""),
        ("``", "``", "", ""),
        ("a\r\n```run_code\r\nx\r\n```\r\n", "a\r\n", "python", "x\r\n"),
    ],
)
def test_each_shape_of_block(text: str, shown: str, language: str, code: str) -> None:
    result = scan(text)
    assert (result[0], result[2]) == (shown, code)
    if code:
        assert result[1] == language
    assert scan(text, cuts=range(1, len(text))) == result


@given(
    pieces=st.lists(
        st.sampled_from(
            [
                "```",
                "`",
                "run_code",
                "run_",
                "\n",
                " ",
                "x",
                "\r\n",
                "python",
                "~~~",
                "\u2028",
                "\t",
            ]
        ),
        max_size=14,
    ),
    data=st.data(),
    is_cut=st.booleans(),
)
def test_any_cutting_gives_the_same_block(
    pieces: list[str], data: st.DataObject, is_cut: bool
) -> None:
    text = "".join(pieces)
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=len(text)))
    whole = scan(text, is_cut=is_cut)
    assert scan(text, cuts, is_cut=is_cut) == whole
    if not whole[3]:
        assert whole[0] == text, "where nothing is run, nothing is hidden"


@given(code=st.text(alphabet="`x\n ", min_size=1, max_size=30))
def test_a_program_comes_back_out_of_the_block_that_it_was_written_into(code: str) -> None:
    if code.strip():
        assert scan(block(code, "cpp"))[1:3] == ("cpp", code.rstrip() + "\n")
