"""Every reward hack of hacks.toml is refused by every judging mode it applies to.

Each has its control: the correct solution passes and the plain wrong one fails, through the same
tests in the same box, right after the hack.
"""

from __future__ import annotations

import secrets
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sandbox import (
    AssertTests,
    Call,
    CallTests,
    Kind,
    Limits,
    Program,
    StdioTests,
    Tests,
    Verdict,
)
from sandbox.box import LocalBox

HACKS = tomllib.loads(Path(__file__).with_name("hacks.toml").read_text())["hack"]
LIMITS = Limits(cpu_s=0.5, wall_s=3, memory_mb=256, output_kb=256)

CHECK = """
def check(candidate):
    assert candidate([1, 2, 3]) == 6
    assert candidate([10, -4]) == 6, "negative"
    assert abs(candidate([0.5, 0.25]) - 0.75) < 1e-6
    assert [candidate(xs) for xs in ([5], [2, 2])] == [5, 4]
    assert all(map(lambda n: candidate([n]) == n, [7, 8]))
    assert candidate([]) == 0
"""
SWALLOWING = """
for xs, want in (([1, 2, 3], 6), ([5], 5)):
    try:
        got = candidate(xs)
    except:
        continue
    assert got == want
assert candidate([2]) == 2
"""
FUNCTION_TESTS: dict[str, Tests] = {
    "calls": CallTests.of(
        "total", ([[1, 2, 3]], 6), ([[10, -4]], 6), ([[5]], 5), ([[0.5, 0.25]], 0.75), ([[]], 0)
    ),
    "foreseen": AssertTests(test=CHECK, entry_point="total", call="check(total)"),
    "talking": AssertTests(test=CHECK, entry_point="total", call="check(total)"),
    "swallowing": AssertTests(test=SWALLOWING, entry_point="total"),
}
SCRIPT_TESTS = StdioTests.of(("1 2 3\n", "6\n"), ("10 -4\n", "6\n"), ("5\n", "5\n"))
RIGHT = "def total(xs): return sum(xs)\n"
WRONG = "def total(xs): return 0\n"
RIGHT_SCRIPT = "print(sum(map(int, input().split())))\n"
WRONG_SCRIPT = "print(0)\n"


def _of(kind: str) -> list[Any]:
    found = []
    for hack in HACKS:
        text = hack.get(kind, hack.get("both"))
        if text is not None:
            marks = [pytest.mark.slow] if hack.get("slow") else []
            found.append(pytest.param(text, id=hack["name"], marks=marks))
    return found


def _controlled(box: LocalBox, tests: Tests, right: str, wrong: str) -> None:
    passed = box.judge(Program.python(right), tests, LIMITS)
    assert passed.ok, passed
    failed = box.judge(Program.python(wrong), tests, LIMITS)
    assert failed.kind is Kind.WRONG, failed


def _refused(verdict: Verdict) -> None:
    assert not verdict.ok, verdict
    assert verdict.passed < verdict.total
    assert verdict.first_failure is not None
    assert verdict.first_failure.reason
    assert verdict.mode in ("calls", "proxy", "stdio"), "it chose the weaker mode"


def _try_function(mode: str, source: str, box: LocalBox) -> None:
    tests = FUNCTION_TESTS[mode]
    if mode == "foreseen":  # the calls are known once a program has passed
        _controlled(box, tests, RIGHT, WRONG)
    elif mode == "talking":  # no judgement by these very tests has been
        assert isinstance(tests, AssertTests)
        tests = replace(tests, test=f"{tests.test}# {secrets.token_hex(8)}\n")
    _refused(box.judge(Program.python(source), tests, LIMITS))
    _controlled(box, tests, RIGHT, WRONG)


@pytest.mark.parametrize("source", _of("function"))
@pytest.mark.parametrize(
    "mode",
    [
        "calls",
        "foreseen",
        pytest.param("talking", marks=pytest.mark.slow),
        pytest.param("swallowing", marks=pytest.mark.slow),
    ],
)
def test_a_hack_of_a_function_is_refused(mode: str, source: str, box: LocalBox) -> None:
    _try_function(mode, source, box)


@pytest.mark.slow
@pytest.mark.docker
@pytest.mark.parametrize("source", _of("function"))
@pytest.mark.parametrize("mode", list(FUNCTION_TESTS))
def test_a_hack_of_a_function_is_refused_in_a_container(
    mode: str, source: str, docker_box: Any
) -> None:
    _try_function(mode, source, docker_box)


def _try_script(source: str, box: LocalBox) -> None:
    _refused(box.judge(Program.python(source), SCRIPT_TESTS, LIMITS))
    _controlled(box, SCRIPT_TESTS, RIGHT_SCRIPT, WRONG_SCRIPT)


@pytest.mark.parametrize("source", _of("script"))
def test_a_hack_of_a_script_is_refused(source: str, box: LocalBox) -> None:
    _try_script(source, box)


@pytest.mark.slow
@pytest.mark.docker
@pytest.mark.parametrize("source", _of("script"))
def test_a_hack_of_a_script_is_refused_in_a_container(source: str, docker_box: Any) -> None:
    _try_script(source, docker_box)


def test_a_call_that_raises_does_not_answer_for_none(box: LocalBox) -> None:
    tests = CallTests(entry_point="f", calls=(Call(args=(1,), expected=None),))
    assert box.judge(Program.python("def f(x): return None"), tests, LIMITS).ok
    for source in (
        "def f(x): raise ValueError",
        "import sys\ndef f(x): sys.exit(0)",
        "import os\ndef f(x): os._exit(0)",
        "def f(x): return ''",
    ):
        assert not box.judge(Program.python(source), tests, LIMITS).ok


def test_a_script_that_raises_does_not_answer_for_no_output(box: LocalBox) -> None:
    tests = StdioTests.of(("", ""))
    assert box.judge(Program.python("x = 1"), tests, LIMITS).ok
    assert box.judge(Program.python("raise ValueError"), tests, LIMITS).kind is Kind.CRASHED
    assert box.judge(Program.python("def f(:"), tests, LIMITS).kind is Kind.COMPILE_ERROR


def test_printing_only_the_first_expected_line_fails(box: LocalBox) -> None:
    tests = StdioTests.of(("", "1\n2\n3\n"))
    assert box.judge(Program.python("print('1\\n2\\n3')"), tests, LIMITS).ok
    for text in ("1", "1\\n2", "1\\n2\\n3\\n4", "1 2 3", ""):
        assert box.judge(Program.python(f"print('{text}')"), tests, LIMITS).kind is Kind.WRONG


def test_inputs_are_fresh_in_every_call(box: LocalBox) -> None:
    shared = [1, 2, 3]
    tests = CallTests.of("f", ([shared], 6), ([shared], 6))
    source = "def f(xs):\n    n = sum(xs)\n    xs.clear()\n    return n"
    assert box.judge(Program.python(source), tests, LIMITS).ok
    assert shared == [1, 2, 3]


def test_a_value_cannot_make_the_reader_work(box: LocalBox) -> None:
    """Answers that are short to write and long to read end in a verdict, at once."""
    tests = CallTests.of("f", ([1], {"a": 1}))
    bombs = {
        "a range spelt out": 'b\'r\' + b\'{"d":[{"r":[0,10000000000]},{"r":[0,10000000000]}]}\'',
        "a set of a range": "b'r' + b'{\"s\":{\"r\":[0,10000000000]}}'",
        "arguments of a range": "b'r' + b'{\"r\":{\"r\":[0,10000000000]}}'",
        "deep nesting": "b'r' + b'[' * 20000 + b']' * 20000",
        "a number of many digits": "b'r' + b'9' * 60000",
        "an array of many empty rows": 'b\'r\' + b\'{"n":["<f8",[100000000000,0],""]}\'',
        "keys that hash alike": (
            "b'r{\"s\":[' + b','.join(b'{\"i\":\"%s\"}' % hex(k * (2**61 - 1)).encode() "
            "for k in range(5, 2500)) + b']}'"
        ),
        "no text": "b'r' + bytes(range(128, 256))",
        "no value": "b'r'",
        "an object of no kind": "b'r' + b'{\"a\": 1, \"b\": 2}'",
        "a million lines": "b'\\n' * 1000000",
    }
    for name, text in bombs.items():
        source = f"import os\ndef f(x):\n    os.write(3, {text} + b'\\n')\n    os._exit(0)"
        verdict = box.judge(Program.python(source), tests, LIMITS)
        assert verdict.kind in (Kind.WRONG, Kind.CRASHED), (name, verdict)


@pytest.mark.parametrize(
    "reply",
    [
        "b'\\xff\\xfe'",
        "b'r-5 abc'",
        "b'r99999999 1'",
        "b'r' + b'9' * 5000 + b' 1'",
        "b''",
        "b'x3 foo'",
        "b'xValueError'",
        "b'r3 6.0[[1],{}]'",
        'b\'r1 6{"t":[{"t":[]},{"d":[[],[]]}]}\'',
        'b\'r1 6{"t":[{"t":[[[1]]]},{"d":[["a"],[1]]}]}\'',
        "b'r40000 ' + b'[' * 20000 + b']' * 20000",
        'b\'r43 {"d":[{"r":[0,99999999999]},{"r":[0,99999999999]}]}\'',
    ],
)
def test_whatever_a_candidate_writes_on_the_link_ends_in_a_verdict(
    reply: str, box: LocalBox
) -> None:
    tests = AssertTests(test="assert candidate([1]) == 77\n", entry_point="f")
    source = f"""
import os, struct
def f(xs):
    text = {reply}
    os.write(4, struct.pack("<I", len(text)) + text)
    os._exit(0)
"""
    verdict = box.judge(Program.python(source), tests, LIMITS)
    assert not verdict.ok
    assert verdict.mode == "proxy"
    assert box.judge(Program.python("def f(xs): return 77"), tests, LIMITS).ok


BACK = {
    "passed back": "assert candidate(candidate(3)) == 5",
    "by a name": "y = candidate(3)\nassert candidate(y) == 5",
    "in a list": "ys = []\nys.append(candidate(3))\nassert candidate(ys[0]) == 5",
    "by a helper": "def again(x): return candidate(x)\nassert again(again(3)) == 5",
    "as another name": "g = candidate\nassert g(g(3)) == 5",
    "by map": "assert list(map(candidate, map(candidate, [3]))) == [5]",
    "in a check": "def check(c):\n    assert c(c(3)) == 5\ncheck(candidate)",
    "by a search": "for n in range(4800):\n    if candidate(n) == 5: break\nassert n == 4711",
    "changed in place": "x = [3]\ncandidate(x)\nassert candidate(x[0]) == 5",
}


@pytest.mark.parametrize("name", BACK)
def test_calls_known_beforehand_never_tell_an_answer(name: str, box: LocalBox) -> None:
    """Where a test passes an answer back, the next call holds the right one of the call before."""
    tests = AssertTests(test=BACK[name], entry_point="f")
    hack = Program.python("""
import sys
def f(x):
    frame = sys._getframe()
    while frame:
        calls = (frame.f_locals.get("job") or {}).get("calls") if "job" in frame.f_locals else None
        if calls and "4711" in str(calls):
            if isinstance(x, list):
                x[0] = 4711
                return None
            return 4711 if x == 3 else 5 if x == 4711 else 0
        frame = frame.f_back
    return 0
""")
    right = Program.python("""
def f(x):
    if isinstance(x, list):
        x[0] = 4711
        return None
    return {3: 4711, 4711: 5}.get(x, 0)
""")
    patient = Limits(cpu_s=3, wall_s=20)
    assert not box.judge(hack, tests, patient).ok
    for _ in range(2):
        assert box.judge(right, tests, patient).ok
        assert not box.judge(hack, tests, patient).ok


@pytest.mark.slow
def test_tests_of_more_than_a_megabyte_are_judged_like_others(box: LocalBox) -> None:
    for test in (
        "assert candidate([0] * 10**6) == 1",
        f"x = {list(range(200_000))}\nassert candidate(1) == 1",
        "for n in range(3000): assert candidate(n) == 1",
    ):
        tests = AssertTests(test=test, entry_point="f")
        limits = Limits(cpu_s=5, wall_s=20)
        for _ in range(2):
            right = box.judge(Program.python("def f(x): return 1"), tests, limits)
            assert (right.ok, right.mode) == (True, "proxy"), right
            wrong = box.judge(Program.python("def f(x): return 2"), tests, limits)
            assert (wrong.kind, wrong.mode) == (Kind.WRONG, "proxy")


@pytest.mark.parametrize(
    "line",
    ["Ar1 6", "A", "Ar", "Axx", "Ar-1 6", "T{}", 'T{"state": "passed"}', "Ar1 6\\nAr1 6\\nAr1 6"],
)
def test_replies_that_a_candidate_writes_itself_are_no_more_than_replies(
    line: str, box: LocalBox
) -> None:
    tests = AssertTests(test="assert candidate(1) == 5\nassert candidate(2) == 6", entry_point="f")
    right = Program.python("def f(x): return x + 4")
    for _ in range(2):
        assert box.judge(right, tests, LIMITS).ok
    for when in ("def f(x):\n    ", ""):
        for then in ("os._exit(0)", "os.kill(os.getpid(), 9)", "pass"):
            source = f"import os\n{when}os.write(3, b'{line}\\n'); {then}\ng = 1\n"
            if not when:
                source += "def f(x): return 0"
            assert not box.judge(Program.python(source), tests, LIMITS).ok
    assert box.judge(right, tests, LIMITS).ok


def test_a_candidate_cannot_choose_the_weaker_mode_by_what_it_returns(box: LocalBox) -> None:
    """What it returned goes back as an argument, and does not fit any more: that is no shared run.

    In the shared mode this candidate would find the expected value beside itself.
    """
    tests = AssertTests(
        test="x = candidate([])\ny = candidate([x])\nassert candidate([[y]]) == 'secret'\n",
        entry_point="f",
    )
    deep = "x = []\n    for _ in range(198): x = [x]\n    return x"
    for source in (
        f"def f(xs):\n    {deep}",
        "import gc\ndef f(xs):\n    x = xs\n    x.append(x)\n    return x",
        "import numpy\ndef f(xs): return numpy.array([object()])",
    ):
        verdict = box.judge(Program.python(source), tests, LIMITS)
        assert verdict.mode == "proxy"
        assert verdict.kind is Kind.WRONG


@pytest.mark.parametrize(
    "source",
    [
        "import os, struct\ndef m(t): return struct.pack('<I', len(t)) + t\n"
        "os.write(4, m(b'loaded'))\nos._exit(0)",
        "import os, struct\nos.write(4, struct.pack('<I', 4) + bytes([255] * 4))\nos._exit(0)",
        "import os, struct\ndef m(t): return struct.pack('<I', len(t)) + t\n"
        "os.write(4, m(b'loaded') + m(b'[' * 60000))\nos._exit(0)",
        "import os, struct\nos.write(4, struct.pack('<I', 1 << 31))\nos._exit(0)",
        "import os, struct\ndef m(t): return struct.pack('<I', len(t)) + t\n"
        'os.write(4, m(b\'{"state":"passed","sent":1,"answered":1}\'))\nos._exit(0)',
        "import os\nos.write(4, b'ab')\nos._exit(0)",
        "import os\nos._exit(0)",
        "raise SystemExit(0)",
        "def f(g): raise SystemExit(0)",
    ],
)
def test_the_shared_mode_too_gives_a_verdict_for_whatever_is_written(
    source: str, box: LocalBox
) -> None:
    tests = AssertTests(test="assert candidate(lambda: 2) == 2\n", entry_point="f")
    verdict = box.judge(Program.python(source), tests, LIMITS)
    assert not verdict.ok
    right = box.judge(Program.python("def f(g): return g()"), tests, LIMITS)
    assert (right.ok, right.mode) == (True, "shared")
    wrong = box.judge(Program.python("def f(g): return 3"), tests, LIMITS)
    assert (wrong.kind, wrong.mode) == (Kind.WRONG, "shared")


def test_what_the_shared_mode_does_not_stop_is_known(box: LocalBox) -> None:
    """A program beside its test can read it. That is why verdicts say how they were judged."""
    source = """
import sys
def f(g):
    frame = sys._getframe()
    while frame:
        test = frame.f_locals.get("job", {}).get("test", "")
        if "==" in test:
            return eval(test.split("==")[1])
        frame = frame.f_back
"""
    shared = AssertTests(test="assert candidate(lambda: 2) == 4711\n", entry_point="f")
    assert box.judge(Program.python(source), shared, LIMITS).mode == "shared"
    proxy = AssertTests(test="assert candidate(2) == 4711\n", entry_point="f")
    assert box.judge(Program.python(source), proxy, LIMITS).kind is Kind.WRONG
