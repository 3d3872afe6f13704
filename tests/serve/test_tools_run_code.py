"""The tool that runs code: real sessions of the sandbox behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox import SandboxUnavailable
from sandbox.session.session import open_slot
from serve.config import SandboxTable
from serve.fault import Fault
from serve.tools.arguments import WrongCall, definition, languages, wanted
from serve.tools.report import Ran
from serve.tools.run_code import RunCode, Toolbox

SETTINGS = SandboxTable(cpu_s=1.0, wall_s=5.0, memory_mb=256, workers=2)


@pytest.fixture(scope="module")
def runner() -> Iterator[RunCode]:
    """The tool of one gateway."""
    try:
        open_slot().close()
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    made = RunCode(SETTINGS)
    yield made
    made.close()


def called(box: Toolbox, *given: Any) -> list[Ran]:
    """Return what became of calls, one after the other."""

    async def call() -> list[Ran]:
        return [await box.call(one) for one in given]

    return asyncio.run(call())


def test_cells_share_their_state_and_the_last_value_comes_back(runner: RunCode) -> None:
    first, second = called(runner.toolbox(), {"code": "x = 20\nprint('hi')"}, '{"code": "x + 1"}')
    assert (first.status, first.told["stdout"]) == ("passed", "hi\n")
    assert second.told["value"] == "21"
    assert "value:\n```\n21\n```" in second.text
    assert "stdout" not in second.told, "what has nothing to say is left out"


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("1/0", "crashed", "ZeroDivisionError"),
        ("while True: pass", "timeout", "status: timeout"),
        ("print('y' * 10**7)", "output", "the output was cut"),
        ("def f(:", "compile_error", "SyntaxError"),
        ("import os; os._exit(3)", "crashed", "exit code 3"),
    ],
)
def test_what_a_program_does_wrong_is_a_result(
    runner: RunCode, code: str, status: str, said: str
) -> None:
    (ran,) = called(runner.toolbox(), {"code": code})
    assert ran.status == ran.told["status"] == status
    assert said in ran.text


def test_a_program_that_ends_its_session_costs_its_state_and_nothing_else(runner: RunCode) -> None:
    _, died, after = called(
        runner.toolbox(), {"code": "x = 1"}, {"code": "import os; os._exit(3)"}, {"code": "x"}
    )
    assert "begins anew" in died.text
    assert "session" not in died.told
    assert "NameError" in after.text
    assert "nothing of earlier calls is left" in after.told["note"]


def test_a_later_request_goes_on_in_the_session_under_the_same_owner_only(runner: RunCode) -> None:
    box = runner.toolbox("ada")
    (begun,) = called(box, {"code": "secret = 42"})
    box.leave()
    session = begun.told["session"]
    (mine,) = called(runner.toolbox("ada", session), {"code": "secret"})
    assert (mine.told["value"], mine.told["session"]) == ("42", session)
    (theirs,) = called(runner.toolbox("eve", session), {"code": "secret"})
    assert "NameError" in theirs.text
    assert "new session" in theirs.told["note"]
    assert theirs.told["session"] != session


def test_other_languages_and_standard_input_run_by_themselves(runner: RunCode) -> None:
    (ran,) = called(runner.toolbox(), {"code": "print(input()[::-1])", "stdin": "abc"})
    assert ran.told["stdout"] == "cba\n"
    assert "session" not in ran.told
    if "bash" not in languages():
        pytest.skip("no bash here")
    (ran,) = called(runner.toolbox(), {"code": "echo $((6*7)); exit 3", "language": "bash"})
    assert (ran.status, ran.told["stdout"], ran.told["exit_code"]) == ("crashed", "42\n", 3)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{", "no JSON"),
        ("[1]", "is not of type 'object'"),
        ({}, "'code' is a required property"),
        ({"code": 5}, "code: 5 is not of type 'string'"),
        ({"code": "  "}, "code: is empty"),
        ({"code": "1", "language": "klingon"}, "language: 'klingon' is not one of"),
        ({"code": "1", "timeout": 5}, "'timeout' was unexpected"),
        ("", "'code' is a required property"),
        ({"code": "x" * 200_001}, "too long"),
    ],
)
def test_wrong_arguments_are_told_by_name_and_nothing_is_run(
    runner: RunCode, given: Any, said: str
) -> None:
    with pytest.raises(WrongCall, match=r"."):
        wanted(given)
    (ran,) = called(runner.toolbox(), given)
    assert ran.status == "refused"
    assert said in ran.text
    assert len(ran.text) < 1_000


def test_the_definition_is_a_function_tool_of_openais_shape() -> None:
    import jsonschema

    tool = definition()
    assert tool["type"] == "function"
    assert tool["function"]["name"] == "run_code"
    jsonschema.Draft202012Validator.check_schema(tool["function"]["parameters"])


def test_our_own_failure_is_a_fault_and_never_a_result() -> None:
    # A box that must be stronger than any session's: it cannot be had on any machine.
    lacking = RunCode(SandboxTable(box="restricted", require="namespace"))
    for given in ({"code": "1"}, {"code": "1", "stdin": ""}):
        with pytest.raises(Fault) as caught:
            called(lacking.toolbox(), given)
        assert caught.value.status == 503
        assert caught.value.kind == "server_error"
        assert caught.value.code == "sandbox_unavailable"
    lacking.close()
    with pytest.raises(Fault, match="about to end"):
        called(lacking.toolbox(), {"code": "1"})


@pytest.mark.slow
def test_idle_sessions_make_room_and_held_ones_do_not(runner: RunCode) -> None:
    small = RunCode(SandboxTable(cpu_s=1.0, wall_s=5.0, memory_mb=256, workers=1))
    try:
        boxes = [small.toolbox("a") for _ in range(8)]
        for box in boxes:
            called(box, {"code": "x = 1"})
        with pytest.raises(Fault, match="as many programs run as may") as caught:
            called(small.toolbox("b"), {"code": "1"})
        assert (caught.value.status, caught.value.code) == (503, "sandbox_busy")
        assert caught.value.retry_after_s
        boxes[0].leave()
        (ran,) = called(small.toolbox("b"), {"code": "1"})
        assert ran.status == "passed"
        (kept,) = called(boxes[1], {"code": "x"})
        assert kept.told["value"] == "1"
    finally:
        small.close()


def test_whoever_leaves_interrupts_the_program(runner: RunCode) -> None:
    box = runner.toolbox()

    async def leave() -> None:
        await box.call({"code": "import time, pathlib"})
        slow = asyncio.create_task(box.call({"code": "pathlib.Path('on').touch(); time.sleep(4)"}))
        name = box._session
        while "on" not in await asyncio.to_thread(_files, runner, name):
            await asyncio.sleep(0.01)
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        session = runner.session(name)
        while session.busy:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(leave(), 3.5))


def _files(runner: RunCode, name: str) -> Any:
    import os

    session = runner.session(name)
    return os.listdir(session._folder) if session._folder >= 0 else ()  # noqa: PTH208
