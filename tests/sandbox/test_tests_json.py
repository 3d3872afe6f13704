"""Tests as data: they come back as they were, and bad data is one line of ValueError."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import (
    AssertTests,
    Call,
    CallTests,
    InteractiveCase,
    InteractiveTests,
    Kind,
    Limits,
    Program,
    ProjectTests,
    Snapshot,
    StdioCase,
    StdioTests,
    Subtask,
    Tests,
    tests_json,
)
from sandbox.box import LocalBox
from sandbox.compare import EQUAL, EXACT, LINES, TOKENS, Close, Custom, Unordered
from sandbox.tests_json import tests_from_json, tests_to_json

texts = st.text(max_size=12) | st.sampled_from(["\ud800", "\udcff\n", "\0", "ž"])
numbers = st.floats(0, 1e9)
comparers = st.recursive(
    st.sampled_from([EXACT, EQUAL, LINES, TOKENS]) | st.builds(Close, rtol=numbers, atol=numbers),
    lambda inner: st.builds(Unordered, inner=inner),
    max_leaves=3,
)
programs = st.builds(
    Program,
    language=st.sampled_from(["python", "cpp", "java"]),
    source=texts,
    files=st.dictionaries(st.sampled_from(["testlib.h", "a/b"]), st.binary(max_size=9)),
    argv=st.lists(st.text("ab", max_size=3), max_size=2).map(tuple),
    stdin=texts,
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(texts, inner, max_size=3)
        | st.frozensets(st.integers(), max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def subtasks(draw: Any, cases: int) -> tuple[Subtask, ...]:
    """Subtasks that fit: the last one covers whatever the others left."""
    made: list[Subtask] = []
    for name in draw(st.sampled_from(["", "a", "ab"])):
        indices = draw(st.lists(st.integers(0, cases - 1), min_size=1, max_size=3, unique=True))
        needs = tuple(one.name for one in made if draw(st.booleans()))
        made.append(Subtask(name=name, points=draw(numbers), cases=tuple(indices), needs=needs))
    if made:
        made.append(Subtask(name="all", points=1.0, cases=tuple(range(cases))))
    return tuple(made)


@st.composite
def stdio(draw: Any) -> StdioTests:
    checker = draw(st.none() | programs)
    accepted = st.just(()) if checker else st.lists(texts, max_size=2).map(tuple)
    case = st.builds(StdioCase, stdin=texts, stdout=texts, accepted=accepted)
    cases = tuple(draw(st.lists(case, min_size=1, max_size=4)))
    return StdioTests(
        cases=cases,
        comparer=draw(comparers),
        stop_early=draw(st.booleans()),
        checker=checker,
        full_mark=draw(st.floats(0.1, 100)),
        subtasks=draw(subtasks(len(cases))),
    )


@st.composite
def interactive(draw: Any) -> InteractiveTests:
    case = st.builds(InteractiveCase, input=texts, answer=texts)
    cases = tuple(draw(st.lists(case, min_size=1, max_size=4)))
    return InteractiveTests(
        interactor=draw(programs),
        cases=cases,
        idle_s=draw(st.floats(0.1, 9)),
        subtasks=draw(subtasks(len(cases))),
    )


calls = st.builds(
    CallTests,
    entry_point=st.sampled_from(["f", "Solution.two_sum"]),
    calls=st.lists(
        st.builds(
            Call,
            args=st.lists(values, max_size=3) | st.lists(values, max_size=3).map(tuple),
            kwargs=st.dictionaries(st.sampled_from("xy"), values),
            expected=values,
        ),
        min_size=1,
        max_size=3,
    ).map(tuple),
    comparer=comparers,
    stop_early=st.booleans(),
)
asserts = st.builds(
    AssertTests,
    test=texts.map("assert 1\n".__add__),
    entry_point=st.just("f"),
    call=texts,
    context=texts,
    mode=st.sampled_from(["auto", "proxy", "shared"]),
)


@given(stdio() | interactive() | calls | asserts)
def test_tests_come_back_as_they_were(tests: Tests) -> None:
    text = json.dumps(tests_to_json(tests), allow_nan=False)
    assert tests_from_json(json.loads(text)) == tests


def test_tests_of_a_project_come_back_but_name_no_files_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "lib.py").write_text("x = 1\n")
    tests = ProjectTests(
        snapshot=Snapshot.folder(tmp_path),
        fail_to_pass=("tests/test_a.py::test_a",),
        test_files={"tests/test_a.py": b"\xff"},
    )
    data = json.loads(json.dumps(tests_to_json(tests)))
    assert tests_from_json(data, host_paths=True) == tests
    with pytest.raises(ValueError, match="cannot name files of this machine"):
        tests_from_json(data)


def test_types_within_calls_come_back_too() -> None:
    nan = float("nan")
    values = [1, 1.0, True, (1, [2]), {3: (4,)}, {5}, frozenset({6}), b"7", 8j, range(9), nan]
    tests = CallTests.of("f", ([*values], values))
    back = tests_from_json(json.loads(json.dumps(tests_to_json(tests))))
    assert isinstance(back, CallTests)
    assert repr(back) == repr(CallTests(entry_point="f", calls=back.calls))
    assert EXACT(values, list(back.calls[0].args)) and EXACT(values, back.calls[0].expected)


def test_what_is_code_cannot_be_written_as_data() -> None:
    with pytest.raises(ValueError, match="comparer"):
        tests_to_json(StdioTests.of(("", ""), comparer=Custom(function=lambda a, b: True)))
    with pytest.raises(ValueError, match=r"tests\.calls\[0\].*plain data"):
        tests_to_json(CallTests.of("f", ([len], 1)))


def test_what_is_not_said_has_the_usual_value() -> None:
    least = {"kind": "stdio", "cases": [{"stdin": "1", "stdout": "2"}]}
    assert tests_from_json(least) == StdioTests.of(("1", "2"))
    assert tests_from_json({**least, "comparer": "lines"}) == StdioTests.of(
        ("1", "2"), comparer=LINES
    )
    least = {"kind": "calls", "entry_point": "f", "calls": [{"args": "[1]", "expected": "2"}]}
    assert tests_from_json(least) == CallTests.of("f", ([1], 2))
    least = {"kind": "interactive", "interactor": {"source": "0"}, "cases": [{}]}
    assert tests_from_json(least) == InteractiveTests(
        interactor=Program.python("0"), cases=(InteractiveCase(),)
    )
    assert tests_from_json(
        {"kind": "asserts", "test": "assert 1", "entry_point": "f"}
    ) == AssertTests(test="assert 1", entry_point="f")


STDIO = tests_to_json(
    StdioTests(
        cases=(StdioCase(stdin="1", stdout="2"),),
        checker=Program(source="0", files={"a": b"b"}),
        subtasks=(Subtask(name="a", points=1, cases=(0,)),),
    )
)
CALLS = tests_to_json(CallTests.of("f", ([1], 2)))
TALKS = tests_to_json(
    InteractiveTests(interactor=Program.python("0"), cases=(InteractiveCase(input="1"),))
)
ASSERTS = tests_to_json(AssertTests(test="assert 1", entry_point="f"))


def put(data: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """Return the data with one value changed; the path's last part may be new."""
    data = copy.deepcopy(data)
    *parts, last = path.split("/")
    inner: Any = data
    for part in parts:
        inner = inner[int(part) if part.isdigit() else part]
    inner[int(last) if last.isdigit() else last] = value
    return data


BAD: list[tuple[object, str]] = [
    (None, "an object is missing"),
    ([], "an object is missing"),
    ({}, "'kind' is missing"),
    ({1: 2}, "an object is missing"),
    ({"kind": "shell"}, "stdio, interactive, calls, asserts, beside, project"),
    ({"kind": ["stdio"]}, "must be one of"),
    ({"kind": "stdio"}, "'cases' is missing"),
    (put(STDIO, "cases", []), "at least one case"),
    (put(STDIO, "cases", {}), r"tests\.cases must be a list"),
    (put(STDIO, "cases/0", "1"), r"tests\.cases\[0\]: an object is missing"),
    (put(STDIO, "cases/0/stdin", 1), r"tests\.cases\[0\]\.stdin must be a text, got 1"),
    (put(STDIO, "cases/0/accepted", [1]), r"accepted\[0\] must be a text"),
    (put(STDIO, "cases/0/accepted", ["1"]), "checker alone"),
    (put(STDIO, "cases/0/answer", ""), r"tests\.cases\[0\]: no 'answer'"),
    (put(STDIO, "comparer", "fuzzy"), "exact, equal, lines, tokens, close, unordered"),
    (put(STDIO, "comparer", {"name": "close", "rtol": float("nan")}), "rtol"),
    (put(STDIO, "comparer", {"name": "close", "rtol": True}), "rtol"),
    (put(STDIO, "comparer", {"name": "close", "atol": -1}), "atol"),
    (put(STDIO, "comparer", {"name": "close", "atol": 10**400}), "atol"),
    (put(STDIO, "comparer", {"name": "lines", "atol": 1}), "lines knows no 'atol'"),
    (put(STDIO, "comparer", {"name": "unordered", "inner": {"name": 1}}), "name must be"),
    (put(STDIO, "comparer", None), "comparer"),
    (put(STDIO, "stop_early", 1), "true or false"),
    (put(STDIO, "full_mark", 0), "full_mark must be positive"),
    (put(STDIO, "full_mark", float("inf")), "must be a number"),
    (put(STDIO, "full_mark", "1"), "must be a number"),
    (put(STDIO, "checker/language", "cobol"), r"tests\.checker: language must be one of"),
    (put(STDIO, "checker/source", None), r"tests\.checker\.source must be a text"),
    (put(STDIO, "checker/files", {"../x": ""}), "not a relative path"),
    (put(STDIO, "checker/files", {"x": "ä"}), "base64"),
    (put(STDIO, "checker/files", {"x": "a"}), "base64"),
    (put(STDIO, "checker/argv", "ab"), "must be a list"),
    (put(STDIO, "subtasks/0/cases", [1]), "there is no case 1"),
    (put(STDIO, "subtasks/0/cases", [-1]), "there is no case -1"),
    (put(STDIO, "subtasks/0/cases", [True]), "whole number"),
    (put(STDIO, "subtasks/0/cases", []), "has no cases"),
    (put(STDIO, "subtasks/0/needs", ["a"]), "not before it"),
    (put(STDIO, "subtasks/0/points", -1), "points must be"),
    (put(STDIO, "subtasks", [STDIO["subtasks"][0]] * 2), "two subtasks"),
    (put(STDIO, "cases", STDIO["cases"] * 2), "case 1 is in no subtask"),
    (put(STDIO, "shell", "rm"), "no 'shell' is known here"),
    (put(CALLS, "entry_point", "a b"), "dotted name"),
    (put(CALLS, "calls/0/args", [1]), "must be a text"),
    (put(CALLS, "calls/0/args", "{"), "not a value"),
    (put(CALLS, "calls/0/args", "1"), "text of a list"),
    (put(CALLS, "calls/0/kwargs", "[]"), "text of a dict"),
    (put(CALLS, "calls/0/kwargs", '{"d":[[1],[2]]}'), "text of a dict"),
    (put(CALLS, "calls/0/expected", '{"r":[0,99999999999,1]}x'), "not a value"),
    (put(TALKS, "idle_s", 0), "idle_s must be positive"),
    (put(TALKS, "interactor", None), "interactor"),
    (put(TALKS, "cases/0/input", None), "must be a text"),
    (put(ASSERTS, "mode", "unsafe"), "auto, proxy, shared"),
    (put(ASSERTS, "entry_point", "a.b"), "must be a name"),
    (put(ASSERTS, "test", " "), "needs test code"),
    ({"kind": "project"}, "tests"),
    ({"kind": "project", "snapshot": 1, "test_files": [], "fail_to_pass": 2}, "tests"),
]


@pytest.mark.parametrize(("data", "words"), BAD, ids=[f"{i}" for i in range(len(BAD))])
def test_bad_data_is_one_line_that_says_where(data: object, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        tests_from_json(data)
    message = str(caught.value)
    assert type(caught.value) is ValueError and message.startswith("tests")
    assert "\n" not in message and len(message) < 700


@pytest.mark.parametrize("good", [STDIO, CALLS, TALKS, ASSERTS])
def test_the_same_data_unchanged_is_good(good: dict[str, Any]) -> None:
    assert tests_to_json(tests_from_json(good)) == good


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.data())
def test_any_field_may_hold_anything_and_nothing_but_a_value_error_comes(data: Any) -> None:
    good = copy.deepcopy(data.draw(st.sampled_from([STDIO, CALLS, TALKS, ASSERTS])))
    inner: Any = good
    while True:
        key = data.draw(st.sampled_from(sorted(inner) if type(inner) is dict else [0]))
        if not isinstance(inner[key], dict | list) or not inner[key] or data.draw(st.booleans()):
            break
        inner = inner[key]
    inner[key] = data.draw(junk)
    try:
        tests_from_json(good)
    except ValueError as error:
        assert type(error) is ValueError and str(error).startswith("tests")


def test_sizes_are_bounded() -> None:
    case = {"stdin": "", "stdout": ""}
    many = {"kind": "stdio", "cases": [case] * (tests_json.MOST_CASES + 1)}
    with pytest.raises(ValueError, match="100001 items, 100000 at most"):
        tests_from_json(many)
    text = "x" * (1 << 20)  # one string, shared
    most = tests_json.MOST_CHARACTERS >> 20
    large = {"kind": "stdio", "cases": [{"stdin": text, "stdout": text}] * (most // 2)}
    assert tests_from_json(large)
    large["cases"] = [{"stdin": text, "stdout": text}] * (most // 2 + 1)
    with pytest.raises(ValueError, match="more than"):
        tests_from_json(large)
    comparer: dict[str, Any] = {"name": "tokens"}
    for _ in range(5000):
        comparer = {"name": "unordered", "inner": comparer}
    with pytest.raises(ValueError, match="within each other"):
        tests_from_json(
            put(STDIO, "comparer", comparer) if False else {**STDIO, "comparer": comparer}
        )


def test_what_was_read_judges(box: LocalBox, limits: Limits) -> None:
    tests = tests_from_json({**STDIO, "checker": None})
    assert box.judge(Program.python("print(2)"), tests, limits).ok
    assert box.judge(Program.python("print(3)"), tests, limits).kind is Kind.WRONG
