"""The playground without a browser: replies, runs, checks, stored runs, its narrow server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox import Kind
from seedcoder.errors import UsageError
from serve.config import SandboxTable
from serve.playground import conversation, stored_runs
from serve.playground.asking import Ask, Gateway, Refused
from serve.playground.asserts import CHECKS_MOST, Judged, judge_checks, read_checks
from serve.playground.chat_tab import read_temperature, read_tokens
from serve.playground.running import SOURCE_MOST, Runner, language_of

pytest.importorskip("gradio", reason="needs the 'serve' extra")

PROGRAM = """
def total(xs):
    return sum(xs)

def slow(n):
    while True:
        pass

class Stack:
    def __init__(self):
        self.kept = []
    def push(self, x):
        self.kept.append(x)
        return self
"""


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    made = Runner(SandboxTable(cpu_s=1.0, wall_s=20.0))
    yield made
    made.close()


def parts(text: str) -> list[dict[str, Any]]:
    from serve.playground.reply_parts import parts as made

    return made(text)


def judged(runner: Runner, tests: str, program: str = PROGRAM) -> list[Judged]:
    return asyncio.run(judge_checks(runner, program, read_checks(program, tests)))


# Replies


def test_a_code_block_keeps_its_source_exactly_and_its_language() -> None:
    found = parts("Look:\n\n```Python title=x\nif a < b:\n    print('&')\n```\n\nDone.")
    assert [len(part["blocks"]) for part in found] == [0, 1, 0]
    block = found[1]["blocks"][0]
    assert block["source"] == "if a < b:\n    print('&')"
    assert block["language"] == "python" and block["runs"]
    assert "&lt;" in block["html"] and "<script" not in block["html"]


def test_a_block_in_a_list_and_one_still_being_written_are_blocks_too() -> None:
    found = parts("- first\n  ```js\n  let a = 1\n  ```\n\n```cpp\nint main() {")
    assert [part["blocks"][0]["source"] for part in found] == ["let a = 1", "int main() {"]


def test_a_growing_reply_changes_its_last_part_only() -> None:
    text = "One.\n\n```python\nprint(1)\n```\n\nTwo"
    assert parts(text)[:2] == parts(text + " and more\n\nThree")[:2]


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "a <img src=x onerror=alert(1)> b",
        "[x](javascript:alert(1))",
        "[x](data:text/html,hi)",
        "![x](http://elsewhere.example/pixel.png)",
        "```html\n<script>alert(1)</script>\n```",
        '```"><img src=x>\ncode\n```',
    ],
)
def test_nothing_that_a_model_writes_becomes_markup_of_its_own(text: str) -> None:
    shown = "".join(
        part["html"] + "".join(block["html"] for block in part["blocks"]) for part in parts(text)
    )
    for bad in ("<script", "<img", 'href="javascript', 'href="data'):
        assert bad not in shown


def test_an_ordinary_link_stays_one() -> None:
    (part,) = parts("[docs](https://docs.example/x)")
    assert 'href="https://docs.example/x"' in part["html"]


@pytest.mark.parametrize(
    ("word", "language"),
    [("", "python"), ("py", "python"), ("C++", "cpp"), ("js", "javascript"), ("sh", "bash"),
     ("json", None), ("text", None)],
)  # fmt: skip
def test_a_fences_word_names_a_language_or_none(word: str, language: str | None) -> None:
    assert language_of(word) == language


# Runs


def test_a_program_is_run_with_its_stdin_and_measured(runner: Runner) -> None:
    ran = asyncio.run(runner.run("print(input()[::-1])", language="py", stdin="abc\n"))
    assert (ran["kind"], ran["stdout"]) == ("passed", "cba\n")
    assert ran["figures"][2].endswith("MiB")


@pytest.mark.slow
def test_an_endless_loop_is_stopped_by_its_limit(runner: Runner) -> None:
    ran = asyncio.run(runner.run("print('begun', flush=True)\nwhile True: pass", language="python"))
    assert (ran["kind"], ran["stdout"]) == ("timeout", "begun\n")


def test_a_crash_shows_its_exit_code_and_stderr(runner: Runner) -> None:
    ran = asyncio.run(runner.run("1 / 0", language="python"))
    assert (ran["kind"], ran["detail"]) == ("crashed", "exit code 1")
    assert "ZeroDivisionError" in ran["stderr"]


@pytest.mark.parametrize(
    ("source", "language", "words"),
    [
        ("print(1)", "brainfold", "does not run"),
        ("   ", "python", "no code"),
        ("#" * (SOURCE_MOST + 1), "python", "characters"),
    ],
)
def test_what_cannot_be_run_is_told_in_a_line(
    runner: Runner, source: str, language: str, words: str
) -> None:
    with pytest.raises(Refused, match=words):
        asyncio.run(runner.run(source, language=language))


def test_a_missing_box_is_our_failure_and_no_verdict() -> None:
    with pytest.raises(Refused, match="nowhere"):
        asyncio.run(Runner(SandboxTable(box="nowhere")).run("print(1)", language="python"))


# Checks


def test_each_check_has_a_verdict_of_its_own(runner: Runner) -> None:
    found = judged(
        runner,
        "xs = [1, 2]\n"
        "assert total(xs) == 3\n"
        "assert total([5]) == 4, 'five'\n"
        "assert total('a') == 1\n"
        ">>> total([1, 2])\n"
        "3\n"
        ">>> total([2])\n"
        "3\n",
    )
    assert [(one.check.line, one.kind) for one in found] == [
        (2, Kind.PASSED),
        (3, Kind.WRONG),
        (4, Kind.WRONG),
        (5, Kind.PASSED),
        (7, Kind.WRONG),
    ]
    assert (found[1].expected, found[1].got) == ("4", "total([5]) -> 5")
    assert "TypeError" in found[2].reason
    assert (found[4].expected, found[4].got) == ("3", "2")


@pytest.mark.slow
def test_a_check_that_loops_for_ever_does_not_hold_up_the_next(runner: Runner) -> None:
    found = judged(runner, "assert slow(1) == 1\nassert total([]) == 0\n")
    assert [one.kind for one in found] == [Kind.TIMEOUT, Kind.PASSED]


def test_classes_and_several_functions_are_judged_beside_the_program(runner: Runner) -> None:
    found = judged(
        runner,
        "s = Stack()\n"
        "assert s.push(3).kept == [3]\n"
        "assert total(s.push(3).kept) == 4\n"
        "for i in range(3):\n"
        "    assert total([i]) == i\n",
    )
    assert [one.kind for one in found] == [Kind.PASSED, Kind.WRONG, Kind.PASSED]
    assert found[0].mode == "shared"


def test_a_program_that_does_not_compile_is_told_once(runner: Runner) -> None:
    found = judged(runner, "assert f(1) == 1\nassert f(2) == 2\n", "def f(x:\n")
    assert [one.kind for one in found] == [Kind.COMPILE_ERROR]


def test_a_function_that_is_not_there_passes_nothing(runner: Runner) -> None:
    found = judged(runner, "assert absent(1) == 1\n")
    assert found[0].kind not in (Kind.PASSED, None)


def test_a_test_that_is_broken_itself_says_nothing_of_the_program(runner: Runner) -> None:
    found = judged(runner, "import no_such_module\nassert total([1]) == 1\n")
    assert found[0].kind is not Kind.PASSED


@pytest.mark.parametrize(
    ("tests", "words"),
    [
        ("", "no assert"),
        ("x = 1", "no assert"),
        ("assert f(1) ==", "line 1"),
        (">>> 1 + 1\n2", "one call"),
        (">>> f(open('x'))\n2", "plain values"),
        ("assert f(1)\n" * (CHECKS_MOST + 1), "too many"),
    ],
)
def test_tests_that_cannot_be_read_are_refused_in_a_line(tests: str, words: str) -> None:
    with pytest.raises(Refused, match=words):
        read_checks("def f(x): return x", tests)


# Chats


def test_thoughts_and_refusals_are_not_sent_back_to_the_model() -> None:
    turns = [
        conversation.user_turn("hello"),
        {"role": "refusal", "text": "busy"},
        {"role": "assistant", "text": "hi", "thought": "greet", "note": "", "is_live": False},
    ]
    assert conversation.messages(turns, "Be brief.") == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "hi"},
    ]
    assert conversation.messages(turns, " ")[0]["role"] == "user"


def test_an_empty_field_leaves_the_value_to_the_model_and_a_wrong_one_is_told() -> None:
    assert read_temperature("") is None and read_temperature(None) is None
    assert read_temperature(" 0 ") == 0.0 and read_tokens("0", "x", least=0) == 0
    for wrong in ("nan", "-1", "2.1", "warm"):
        with pytest.raises(Refused, match="from 0 to 2"):
            read_temperature(wrong)
    for wrong in ("0", "1.5", "-3", "many", "9" * 10, "²"):
        with pytest.raises(Refused, match="whole number from 1"):
            read_tokens(wrong, "most tokens", least=1)


def chunk(**delta: str) -> bytes:
    event = {
        "id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": None}],
    }  # fmt: skip
    return f"data: {json.dumps(event)}\n\n".encode()


class Speaking:
    """An application that streams chat chunks until nobody reads; it notes when that was."""

    def __init__(self) -> None:
        self.was_left = asyncio.Event()
        self.bodies: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.bodies.append(json.loads((await receive())["body"]))
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": chunk(reasoning="hm"), "more_body": True})
        gone = asyncio.ensure_future(receive())
        while not gone.done():
            try:
                body = chunk(content="word ")
                await send({"type": "http.response.body", "body": body, "more_body": True})
            except OSError:
                break
            await asyncio.sleep(0)
        self.was_left.set()


def gateway_of(app: Any) -> Gateway:
    from serve.playground.in_process import InProcess

    return Gateway("http://127.0.0.1", transport=InProcess(app))


def test_a_chat_in_this_process_streams_and_is_cancelled_when_it_is_left() -> None:
    async def talk() -> tuple[list[Any], Speaking]:
        app = Speaking()
        ask = Ask(model="m", messages=[{"role": "user", "content": "x"}], temperature=0.0)
        seen = []
        stream = conversation.answer(gateway_of(app), ask, key="")
        async for turn in stream:
            seen.append(turn)
            if len(seen) == 4:
                break
        assert isinstance(stream, AsyncIterator)
        await stream.aclose()  # type: ignore[attr-defined]
        await asyncio.wait_for(app.was_left.wait(), 10)
        return seen, app

    seen, app = asyncio.run(talk())
    assert seen[-1]["text"].startswith("word word") and seen[-1]["thought"] == "hm"
    assert seen[-1]["is_live"]
    assert app.bodies[0]["stream"] is True and app.bodies[0]["temperature"] == 0.0
    assert "max_tokens" not in app.bodies[0]


async def refusing(scope: Any, receive: Any, send: Any) -> None:
    body = json.dumps({"error": {"message": "no such model 'm'", "type": "x"}}).encode()
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 404, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def failing(scope: Any, receive: Any, send: Any) -> None:
    raise RuntimeError("boom")


@pytest.mark.parametrize(
    ("app", "words"), [(refusing, "no such model 'm' (status 404)"), (failing, "cannot be reached")]
)
def test_a_refusal_is_a_turn_with_its_reason(app: Any, words: str) -> None:
    async def talk() -> list[Any]:
        ask = Ask(model="m", messages=[{"role": "user", "content": "x"}])
        return [turn async for turn in conversation.answer(gateway_of(app), ask, key="")]

    last = asyncio.run(talk())[-1]
    assert last["role"] == "refusal" and words in last["text"]


# Stored runs


def write_run(root: Path, name: str, *, report: str = "", score: float = 0.5) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    manifest = {
        "format": 1, "verb": "eval", "name": "x", "recipe": {"bench": "humaneval", "model": "m:"},
        "model": "tiny", "sittings": [{"begun": "2026-01-01T00:00:00", "ended": "2026-01-02"}],
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    failure = {"test": "assert f(1) == 2", "expected": "2", "got": "f(1) -> 1", "reason": ""}
    rows = [
        {"kind": "sample", "key": "A/1#0", "problem": "A/1", "text": "one", "finish": "stop"},
        {"kind": "verdict", "key": "A/1#0", "program": "p",
         "verdict": {"kind": "wrong", "first_failure": failure, "outcomes": []}},
        {"kind": "error", "key": "A/2#0", "stage": "model", "error": "gone"},
        {"kind": "sample", "key": "A/2#0", "problem": "A/2", "text": "two", "finish": "stop"},
        {"kind": "verdict", "key": "A/2#0", "program": "q", "verdict": {"kind": "passed"}},
        {"kind": "error", "key": "A/3#0", "stage": "model", "error": "gone for good"},
    ]  # fmt: skip
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    scores = [{"metric": "pass@1", "value": score, "unit": "share"}]
    (folder / "summary.json").write_text(json.dumps({"scores": scores}))
    if report:
        (folder / "report.html").write_text(report)
    return folder


def test_a_run_is_read_with_its_problems_replies_and_verdicts(tmp_path: Path) -> None:
    from seedcoder import report

    detail = report.code("def f(x):\n    '<p>'", label="Prompt")
    row = report.Row(cells=("A/1",), detail=detail)
    table = report.table([report.Column(title="Problem")], [row])
    write_run(tmp_path, "eval-x-1", report=report.page("t", "", [report.section("s", table)]))
    (line,) = stored_runs.find_runs(tmp_path)
    assert (line.bench, line.model, line.score) == ("humaneval", "tiny", "pass@1 50.0 %")
    run = stored_runs.read_run(tmp_path, "eval-x-1")
    assert [(one.key, one.kind) for one in run.attempts] == [
        ("A/1#0", "wrong"),
        ("A/2#0", "passed"),
        ("A/3#0", "error"),
    ]
    assert run.attempts[2].error == "gone for good" and not run.attempts[1].error
    assert run.prompts == {"A/1": "def f(x):\n    '<p>'"}


def test_what_is_no_run_is_left_out_and_cannot_be_read(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", "eval-x-1")
    outside = write_run(tmp_path, "eval-outside")
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / "manifest.json").write_text("{")
    assert [line.folder_name for line in stored_runs.find_runs(tmp_path / "runs")] == ["eval-x-1"]
    for name in (f"../{outside.name}", "..", "", "broken", str(outside)):
        with pytest.raises(UsageError):
            stored_runs.read_run(tmp_path / "runs", name)


# The page's server


async def anything(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


def status(method: str, path: str, *, is_local: bool = False, **more: Any) -> int:
    from serve.playground.narrow import Narrow

    async def ask() -> int:
        transport = httpx.ASGITransport(app=Narrow(anything, is_local=is_local))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return (await client.request(method, path, **more)).status_code

    return asyncio.run(ask())


def test_only_routes_of_the_page_are_reachable() -> None:
    for path in ("/", "/config", "/assets/x.js", "/gradio_api/queue/join"):
        assert status("GET", path) == 200
    for path in ("/gradio_api/upload", "/gradio_api/file=/etc/passwd", "/gradio_api/info", "/docs",
                 "/gradio_api/proxy=http://x/", "/monitoring", "/gradio_api/queue"):  # fmt: skip
        assert status("POST", path) == (200 if path.endswith("queue") else 404)


def test_long_bodies_are_refused_with_or_without_a_length() -> None:
    from serve.playground.narrow import BODY_MOST

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(BODY_MOST // (1 << 20) + 1):
            yield b"x" * (1 << 20)

    path = "/gradio_api/queue/join"
    assert status("POST", path, content=b"x" * 1000) == 200
    assert status("POST", path, content=b"x" * (BODY_MOST + 1)) == 413
    assert status("POST", path, content=pieces()) == 413


def test_a_local_page_turns_other_sites_away() -> None:
    assert status("GET", "/", is_local=True) == 200
    assert status("GET", "/", is_local=True, headers={"origin": "http://127.0.0.1:9"}) == 200
    assert status("GET", "/", is_local=True, headers={"origin": "http://evil.example"}) == 403
    assert status("GET", "/", is_local=True, headers={"host": "evil.example"}) == 403
    assert status("GET", "/", headers={"origin": "http://evil.example"}) == 200


@pytest.mark.parametrize(("is_open", "runs"), [(False, True), (True, False)])
def test_without_keys_code_is_run_for_this_machine_only(is_open: bool, runs: bool) -> None:
    from types import SimpleNamespace

    from serve.config import GatewayTable
    from serve.playground.mount import _rights

    house: Any = SimpleNamespace(keys=None, config=GatewayTable(is_open=is_open))
    rights = _rights(house)
    assert asyncio.run(rights.may_run("")) is runs
    assert asyncio.run(rights.is_known(""))
