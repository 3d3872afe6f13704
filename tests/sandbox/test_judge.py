"""The judge: what each kind of tests promises, and what it says of a failure."""

from __future__ import annotations

import json

import pytest

from sandbox import (
    AssertTests,
    Call,
    CallTests,
    Kind,
    Limits,
    Program,
    StdioCase,
    StdioTests,
    TestsBroken,
    Verdict,
)
from sandbox.box import LocalBox
from sandbox.compare import Close, Custom, Unordered

LIMITS = Limits(cpu_s=1, wall_s=5, memory_mb=256, output_kb=256)
# Raises before anyone can end it for what it wrote.
PAST_THE_CAP = """
import os, resource
def f(x):
    os.ftruncate(1, resource.getrlimit(resource.RLIMIT_FSIZE)[0])
    os.lseek(1, 0, os.SEEK_END)
    os.write(1, b"x")
"""


def judge(box: LocalBox, source: str, test: str, **more: str) -> Verdict:
    """Judge by asserting tests of the function f."""
    tests = AssertTests(test=test, entry_point="f", **more)  # type: ignore[arg-type]
    return box.judge(Program.python(source), tests, LIMITS)


IN_PLACE = {
    "a list": (
        "def f(x): x.sort()",
        "x = [3, 1]\ny = x\nassert candidate(x) is None\nassert x == [1, 3] and y is x",
    ),
    "a list that shrinks": ("def f(x): x.clear()", "x = [3]\ncandidate(x)\nassert x == []"),
    "a dict": (
        "def f(x): x['b'] = x.pop('a')",
        "x = {'a': 1}\ncandidate(x)\nassert x == {'b': 1}",
    ),
    "a set": ("def f(x): x.add(2)", "x = {1}\ncandidate(x)\nassert x == {1, 2}"),
    "a bytearray": (
        "def f(x): x.reverse()",
        "x = bytearray(b'ab')\ncandidate(x)\nassert x == bytearray(b'ba')",
    ),
    "a list in a tuple": (
        "def f(x): x[0].append(1)",
        "x = ([],)\ncandidate(x)\nassert x == ([1],)",
    ),
    "a list in a list in a dict": (
        "def f(x): x['k'][0][1] = 9",
        "inner = [0, 0]\nx = {'k': [inner]}\ncandidate(x)\n"
        "assert inner == [0, 9] and x['k'][0] is inner",
    ),
    "a keyword's value": (
        "def f(*, x): x.append(1)",
        "x = []\ncandidate(x=x)\nassert x == [1]",
    ),
    "the second of two": (
        "def f(a, b): b.extend(a)",
        "a, b = [1], [2]\ncandidate(a, b)\nassert (a, b) == ([1], [2, 1])",
    ),
    "the order of a dict": (
        "def f(x): x['a'] = x.pop('a')",
        "x = {'a': 1, 'b': 2}\ncandidate(x)\nassert list(x) == ['b', 'a']",
    ),
    "types inside": (
        "def f(x): x[0] = 'one'; x[1] = [1]",
        "x = [1, 2]\ncandidate(x)\nassert x == ['one', [1]]",
    ),
    "pairs that change places": (
        "def f(x): x.sort()",
        "x = [('b', 1), ('a', 2)]\ncandidate(x)\nassert x == [('a', 2), ('b', 1)]",
    ),
    "pairs of other types that change places": (
        "def f(x): x[0], x[1] = x[1], x[0]",
        "x = [('b', 'c'), ('a', 2)]\ncandidate(x)\nassert x == [('a', 2), ('b', 'c')]",
    ),
    "a list in a pair that stays": (
        "def f(x): x[0][1].append(1); x[1] = ('z', [])",
        "inner = []\nx = [('a', inner), ('b', [])]\ncandidate(x)\n"
        "assert x == [('a', [1]), ('z', [])] and x[0][1] is inner",
    ),
    "and raises": (
        "def f(x):\n    x.append(1)\n    raise ValueError",
        "x = []\ntry:\n    candidate(x)\nexcept ValueError: pass\nassert x == [1]",
    ),
    "and returns it": (
        "def f(x):\n    x.append(1)\n    return x",
        "x = []\nassert candidate(x) == [1] == x",
    ),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_what_the_candidate_changes_in_place_is_seen_by_the_test(name: str, box: LocalBox) -> None:
    source, test = IN_PLACE[name]
    verdict = judge(box, source, test)
    assert (verdict.ok, verdict.mode) == (True, "proxy"), verdict.first_failure
    assert judge(box, "def f(*a, **k): pass", test).kind is Kind.WRONG


def test_an_array_changed_in_place_is_seen_by_the_test(box: LocalBox) -> None:
    pytest.importorskip("numpy")
    test = "import numpy\nx = numpy.zeros(2)\ncandidate(x)\nassert x.tolist() == [0.0, 5.0]"
    assert judge(box, "def f(x): x[1] = 5", test).ok
    assert judge(box, "def f(x): pass", test).kind is Kind.WRONG


@pytest.mark.parametrize(
    "name",
    ["ValueError", "TypeError", "KeyError", "IndexError", "ZeroDivisionError", "AssertionError",
     "NotImplementedError", "RecursionError", "OverflowError", "FileNotFoundError", "RuntimeError",
     "MemoryError", "UserWarning"],
)  # fmt: skip
def test_exceptions_are_raised_again_under_their_names(name: str, box: LocalBox) -> None:
    caught = f"except {name} as e:\n    assert 'why' in str(e)\n"
    test = f"try:\n    candidate(1)\n{caught}else:\n    assert 0"
    assert judge(box, f"def f(x): raise {name}('why')", test).ok
    assert judge(box, "def f(x): return 1", test).kind is Kind.WRONG
    assert judge(box, "def f(x): raise LookupError('why')", test).kind is Kind.WRONG


def test_other_exceptions_of_a_candidate_are_failures(box: LocalBox) -> None:
    test = "try:\n    candidate(1)\nexcept ValueError:\n    pass"
    for source in (
        "class Mine(ValueError): pass\ndef f(x): raise Mine('x')",
        "def f(x): raise KeyboardInterrupt",
        "def f(x): raise SystemExit(0)",
        "def f(x): raise BaseException",
        "def f(x): b'\\xff'.decode()",
    ):
        verdict = judge(box, source, test)
        assert verdict.kind is Kind.WRONG, source
        assert verdict.first_failure is not None


def test_keywords_cross(box: LocalBox) -> None:
    test = "assert candidate(1, b=[2], c={'x': (3,)}) == (1, [2], {'x': (3,)})"
    assert judge(box, "def f(a, b, *, c): return a, b, c", test).ok


ARGUMENTS_THAT_CANNOT_CROSS = ["lambda v: v + 1", "object()", "iter([1])", "int", "Point(1)"]
CONTEXT = "class Point:\n    def __init__(self, x): self.x = x\n"


@pytest.mark.parametrize("argument", ARGUMENTS_THAT_CANNOT_CROSS)
def test_the_mode_is_shared_where_an_argument_cannot_cross(argument: str, box: LocalBox) -> None:
    test = f"assert candidate(1, 2) == 1\nassert candidate({argument}, 5) == 5"
    source = "def f(g, x): return x if not isinstance(g, int) else 1"
    verdict = judge(box, source, test, context=CONTEXT)
    assert (verdict.ok, verdict.mode) == (True, "shared"), verdict
    wrong = judge(box, "def f(g, x): return 1", test, context=CONTEXT)
    assert (wrong.kind, wrong.mode) == (Kind.WRONG, "shared")
    assert wrong.first_failure is not None
    with pytest.raises(TestsBroken, match="cannot cross"):
        judge(box, source, test, context=CONTEXT, mode="proxy")


@pytest.mark.parametrize(
    "value", ["lambda: 0", "object()", "iter([1])", "(x for x in [1])", "x.__class__", "open(0)"]
)
def test_a_value_that_cannot_cross_is_wrong_and_never_makes_the_mode_shared(
    value: str, box: LocalBox
) -> None:
    verdict = judge(box, f"def f(x): return {value}", "candidate(1)\nassert candidate(2) == 1")
    assert (verdict.kind, verdict.mode) == (Kind.WRONG, "proxy")
    assert verdict.first_failure is not None
    assert "not plain data" in verdict.first_failure.reason


def test_a_test_may_expect_an_exception_in_the_shared_mode_too(box: LocalBox) -> None:
    test = "try:\n    candidate(lambda: 1)\nexcept ValueError:\n    pass\nelse:\n    assert 0"
    verdict = judge(box, "def f(g): raise ValueError", test)
    assert (verdict.ok, verdict.mode) == (True, "shared")
    assert judge(box, "def f(g): return 1", test).kind is Kind.WRONG


def test_the_shared_mode_can_be_asked_for_and_is_named(box: LocalBox) -> None:
    verdict = judge(box, "def f(x): return x", "assert candidate(1) == 1", mode="shared")
    assert (verdict.ok, verdict.mode) == (True, "shared")


@pytest.mark.parametrize(
    "test", ["pass", "def check(candidate): pass", "x = 1", "if False: candidate(1)"]
)
def test_tests_that_never_call_the_candidate_are_broken(test: str, box: LocalBox) -> None:
    with pytest.raises(TestsBroken, match="never called"):
        judge(box, "def f(x): return x", test)


@pytest.mark.parametrize(
    ("test", "context"),
    [
        ("assert candidate(1) == 1", "def broken(:"),
        ("assert candidate(1) == 1", "1 / 0"),
        ("assert candidate(1) == 1", "import nothing_of_this_name"),
        ("assert (", ""),
        ("assert undefined(candidate)", ""),
        ("import sys; sys.exit(0)", ""),
    ],
)
def test_tests_that_cannot_run_are_broken_whatever_the_candidate(
    test: str, context: str, box: LocalBox
) -> None:
    with pytest.raises(TestsBroken):
        judge(box, "def f(x): return x", test, context=context)


def test_a_candidate_cannot_make_tests_look_broken(box: LocalBox) -> None:
    for source in (
        "def f(x): raise NameError('undefined')",
        "def f(x): raise SyntaxError('x')",
        "raise ImportError",
        "import os\nos._exit(0)",
        "g = 1",
    ):
        assert not judge(box, source, "assert candidate(1) == 1").ok


def test_names_that_the_test_takes_come_from_the_prompt(box: LocalBox) -> None:
    """As in HumanEval/32 and /38: the test calls a helper that stands in the prompt."""
    context = "def encode(s): return s[::-1]\ndef decode(s):\n    pass\n"
    tests = AssertTests(
        context=context,
        entry_point="decode",
        test="def check(candidate):\n    for s in ('abc', 'xy'):\n"
        "        assert candidate(encode(s)) == s\n",
        call="check(decode)",
    )
    right = context.replace("pass", "return s[::-1]")
    assert box.judge(Program.python(right), tests, LIMITS).ok
    forged = "def encode(s): return 'abc'\ndef decode(s): return s\n"
    assert box.judge(Program.python(forged), tests, LIMITS).kind is Kind.WRONG
    identity = "encode = str\ndef decode(s): return encode(s)\n"
    assert box.judge(Program.python(identity), tests, LIMITS).kind is Kind.WRONG


def test_a_failure_says_what_was_expected_and_what_came(box: LocalBox) -> None:
    verdict = judge(box, "def f(x): return x + 1", "want = {1: 5}\nassert candidate(1) == want[1]")
    assert verdict.first_failure is not None
    failure = verdict.first_failure
    assert (failure.test, failure.expected) == ("assert candidate(1) == want[1]", "5")
    assert failure.got == "f(1) -> 2"
    assert "AssertionError" in failure.reason

    tests = CallTests.of("f", ([1], 2), ([[2]], {"a": 1}))
    verdict = box.judge(Program.python("def f(x): return 2"), tests, LIMITS)
    assert verdict.first_failure is not None
    failure = verdict.first_failure
    assert (failure.index, failure.test, failure.expected, failure.got) == (
        1,
        "f([2])",
        "{'a': 1}",
        "2",
    )
    assert (verdict.passed, verdict.total) == (1, 2)

    verdict = box.judge(Program.python("print(5)"), StdioTests.of(("1\n", "6")), LIMITS)
    assert verdict.first_failure is not None
    assert (verdict.first_failure.expected, verdict.first_failure.got) == ("'6'", "'5\\n'")
    assert "'1\\n'" in verdict.first_failure.test


def test_words_of_a_program_in_a_failure_can_always_be_written_down(box: LocalBox) -> None:
    for source in (
        "def f(x): raise ValueError('\\ud800' + chr(0) + chr(27) + '[2J')",
        "def f(x): return '\\ud800'",
        "class A: pass\nA.__qualname__ = '\\ud800'\ndef f(x): return A()",
        "raise ValueError('\\udfff')",
        "def f(x): raise type('\\ud800', (Exception,), {})()",
    ):
        for tests in (
            AssertTests(test="assert candidate(1) == 1", entry_point="f"),
            CallTests.of("f", ([1], 1)),
            AssertTests(test="assert candidate(1) == 1", entry_point="f", mode="shared"),
        ):
            verdict = box.judge(Program.python(source), tests, LIMITS)
            assert not verdict.ok
            json.dumps(verdict.to_json(), ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("def f(x): return x", Kind.PASSED),
        ("def f(x): return 0", Kind.WRONG),
        ("def g(x): return x", Kind.WRONG),
        ("f = 5", Kind.WRONG),
        ("1 / 0", Kind.CRASHED),
        ("import os\ndef f(x): os.abort()", Kind.CRASHED),
        ("def f(x):\n    while True: pass", Kind.TIMEOUT),
        ("def f(x): return [bytearray(1 << 20) for _ in range(1000)]", Kind.MEMORY),
        ("def f(x): return bytearray(10 ** 11)", Kind.WRONG),
        ("def f(x):\n    while True: print('x' * 9999)", Kind.OUTPUT),
        (PAST_THE_CAP, Kind.OUTPUT),
        ("def f(:", Kind.COMPILE_ERROR),
        ("import ctypes\ndef f(x): ctypes.CDLL(None).mount(0, 0, 0, 0, 0)", Kind.FORBIDDEN),
        ("", Kind.NO_CODE),
        (" \n\n", Kind.NO_CODE),
    ],
)
def test_each_way_to_fail_has_its_kind_in_both_modes(
    source: str, kind: Kind, box: LocalBox
) -> None:
    by_calls = box.judge(Program.python(source), CallTests.of("f", ([1], 1), ([2], 2)), LIMITS)
    by_asserts = judge(box, source, "assert candidate(1) == 1\nassert candidate(2) == 2")
    assert (by_calls.kind, by_calls.mode) == (kind, "calls"), by_calls
    assert (by_asserts.kind, by_asserts.mode) == (kind, "proxy"), by_asserts
    if kind not in (Kind.PASSED, Kind.NO_CODE):
        assert by_calls.first_failure is not None
        assert by_asserts.first_failure is not None
        assert by_calls.first_failure.reason
        assert by_asserts.first_failure.reason


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("print(int(input()) + 1)", Kind.PASSED),
        ("print(1)", Kind.WRONG),
        ("1 / 0", Kind.CRASHED),
        ("while True: pass", Kind.TIMEOUT),
        ("x = [bytearray(1 << 20) for _ in range(1000)]", Kind.MEMORY),
        ("while True: print('x' * 9999)", Kind.OUTPUT),
        ("def f(:", Kind.COMPILE_ERROR),
        ("import ctypes\nctypes.CDLL(None).mount(0, 0, 0, 0, 0)", Kind.FORBIDDEN),
        ("", Kind.NO_CODE),
    ],
)
def test_each_way_to_fail_has_its_kind_for_scripts(source: str, kind: Kind, box: LocalBox) -> None:
    tests = StdioTests.of(("1\n", "2\n"), ("5\n", "6\n"))
    verdict = box.judge(Program.python(source), tests, LIMITS)
    assert verdict.kind is kind, verdict
    assert (verdict.first_failure is None) is (kind in (Kind.PASSED, Kind.NO_CODE))


def test_partial_credit_counts_every_case_where_it_is_wanted(box: LocalBox) -> None:
    program = Program.python("n = int(input())\nprint(n if n != 2 else 0)")
    cases = tuple(StdioCase(stdin=f"{n}\n", stdout=f"{n}\n") for n in (1, 2, 3))
    early = box.judge(program, StdioTests(cases=cases), LIMITS)
    whole = box.judge(program, StdioTests(cases=cases, stop_early=False), LIMITS)
    assert (early.passed, early.total, len(early.outcomes)) == (1, 3, 2)
    assert (whole.passed, whole.total, len(whole.outcomes)) == (2, 3, 3)
    assert early.kind is whole.kind is Kind.WRONG
    calls = tuple(Call(args=(n,), expected=n) for n in (1, 2, 3))
    source = Program.python("def f(n): return n if n != 2 else 0")
    by_calls = box.judge(source, CallTests(entry_point="f", calls=calls, stop_early=False), LIMITS)
    assert (by_calls.passed, by_calls.kind) == (2, Kind.WRONG)


def test_comparers_run_outside_with_the_judge(box: LocalBox) -> None:
    source = Program.python("def f(x): return [0.1 + 0.2, x]")
    tests = CallTests.of("f", ([1.0], [1.0, 0.3]), comparer=Unordered(inner=Close()))
    assert box.judge(source, tests, LIMITS).ok
    seen = []
    custom = Custom(function=lambda want, got: seen.append((want, got)) is None)
    assert box.judge(source, CallTests.of("f", ([1], None), comparer=custom), LIMITS).ok
    assert seen == [(None, [0.1 + 0.2, 1])]


def test_arguments_that_cannot_cross_break_call_tests(box: LocalBox) -> None:
    with pytest.raises(TestsBroken, match="not plain data"):
        box.judge(Program.python("def f(x): return x"), CallTests.of("f", ([len], 1)), LIMITS)


@pytest.mark.slow
def test_a_slow_last_call_is_not_forgiven(box: LocalBox) -> None:
    """All is answered, and then the program goes on: out of time is out of time."""
    source = "import threading\ndef burn():\n    while True: pass\n"
    source += "threading.Thread(target=burn).start()\ndef f(x): return x"
    assert (
        box.judge(Program.python(source), CallTests.of("f", ([1], 1)), LIMITS).kind is Kind.TIMEOUT
    )
