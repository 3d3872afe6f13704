"""Tests as plain data, and back: for files and for HTTP.

What comes in is never trusted: every type is looked at, unknown names are refused, sizes are
bounded, and whatever is wrong is one ValueError of one line that says where. Values of calls cross
as text of `sandbox.inside.wire`, which can build plain data only. Whether a program may run is not
decided here: a checker or an interactor that came in so runs in a box like everybody's.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar, cast

from sandbox import compare
from sandbox.cases import (
    AssertTests,
    BesideTests,
    Call,
    CallTests,
    InteractiveCase,
    InteractiveTests,
    StdioCase,
    StdioTests,
    Subtask,
    Tests,
)
from sandbox.inside import wire
from sandbox.program import Program
from sandbox.project.tests import ProjectTests

# All ours: above what benchmarks hold, below what would hurt.
MOST_CASES = 100_000  # of a kind: cases, calls, subtasks, accepted outputs, files, arguments
MOST_CHARACTERS = 256 << 20  # of all texts together
_SHOWN = 80  # characters of a wrong value in a message

_KINDS: Mapping[type, str] = {
    StdioTests: "stdio",
    InteractiveTests: "interactive",
    CallTests: "calls",
    AssertTests: "asserts",
    BesideTests: "beside",
    ProjectTests: "project",
}
_T = TypeVar("_T")


def tests_to_json(tests: Tests) -> dict[str, Any]:
    """Return plain data for `json.dumps`.

    Raises ValueError where there is none: a comparer that is a function, a value that is no data.
    """
    if isinstance(tests, ProjectTests):
        return {**tests.to_json(), "kind": "project"}
    data: dict[str, Any] = {"kind": _KINDS[type(tests)]}
    if isinstance(tests, AssertTests):
        names = ("test", "entry_point", "call", "context", "mode")
        return data | {name: getattr(tests, name) for name in names}
    if isinstance(tests, BesideTests):
        fields = {name: getattr(tests, name) for name in ("before", "after", "word", "name")}
        return data | fields | {"wrong_words": list(tests.wrong_words)}
    if isinstance(tests, CallTests):
        calls = [_call_to_json(index, call) for index, call in enumerate(tests.calls)]
        data |= {"entry_point": tests.entry_point, "calls": calls}
    elif isinstance(tests, StdioTests):
        data["cases"] = [
            {"stdin": x.stdin, "stdout": x.stdout, "accepted": list(x.accepted)}
            for x in tests.cases
        ]
        data["checker"] = tests.checker and tests.checker.to_json()
    else:
        data["cases"] = [{"input": x.input, "answer": x.answer} for x in tests.cases]
        data |= {"interactor": tests.interactor.to_json(), "idle_s": tests.idle_s}
    if not isinstance(tests, InteractiveTests):
        data["comparer"] = compare.to_json(tests.comparer)
    if not isinstance(tests, CallTests):
        data["full_mark"] = tests.full_mark
        data["subtasks"] = [_subtask_to_json(one) for one in tests.subtasks]
    return data | {"stop_early": tests.stop_early}


def _call_to_json(index: int, call: Call) -> dict[str, Any]:
    try:
        return {
            "args": wire.encode(call.args),
            "kwargs": wire.encode(dict(call.kwargs)),
            "expected": wire.encode(call.expected),
        }
    except wire.WireError as error:
        raise ValueError(f"tests.calls[{index}]: {error}") from None


def _subtask_to_json(one: Subtask) -> dict[str, Any]:
    return {
        "name": one.name,
        "points": one.points,
        "cases": list(one.cases),
        "needs": list(one.needs),
    }


def tests_from_json(data: object, *, host_paths: bool = False) -> Tests:
    """Return the tests that `tests_to_json` wrote. Raises ValueError.

    host_paths: whether tests of a project may name files of this machine; never for strangers.
    """
    fields = _Fields(data, "tests", _Budget())
    kind = fields.choice("kind", tuple(_KINDS.values()))
    try:
        if kind == "project":
            return _project(fields, host_paths)
        made = _READERS[kind](fields)
    except ValueError as error:
        text = str(error)
        raise ValueError(text if text.startswith("tests") else f"tests: {text}") from None
    return made


# pytest takes their names for tests
tests_to_json.__test__ = False  # type: ignore[attr-defined]
tests_from_json.__test__ = False  # type: ignore[attr-defined]


def _project(fields: _Fields, host_paths: bool) -> ProjectTests:
    try:
        return ProjectTests.from_json(fields.data, host_paths=host_paths)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        # Its reader trusts the shape of what it is given.
        what = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"no tests of a project: {what}"[:300]) from None


class _Budget:
    """The characters that all texts together may still have."""

    def __init__(self) -> None:
        self.left = MOST_CHARACTERS

    def take(self, text: str) -> str:
        self.left -= len(text)
        if self.left < 0:
            raise ValueError(f"more than {MOST_CHARACTERS} characters")
        return text


class _Fields:
    """One object of the data: it is asked for what it must hold, and may hold nothing else."""

    def __init__(self, data: object, place: str, budget: _Budget) -> None:
        if not isinstance(data, Mapping) or not all(isinstance(key, str) for key in data):
            raise ValueError(f"{place}: an object is missing, got {_shown(data)}")
        self.data: Mapping[str, Any] = data
        self.place = place
        self.budget = budget
        self.asked: set[str] = set()

    def _get(self, name: str, default: object = None) -> Any:
        """Return a field; without a default it must be there."""
        self.asked.add(name)
        if name not in self.data and default is None:
            raise ValueError(f"{self.place}: {name!r} is missing")
        return self.data.get(name, default)

    def wrong(self, name: str, wanted: str) -> ValueError:
        return ValueError(f"{self.place}.{name} must be {wanted}, got {_shown(self.data[name])}")

    def text(self, name: str, default: str | None = None) -> str:
        value = self._get(name, default)
        if type(value) is not str:
            raise self.wrong(name, "a text")
        return self.budget.take(value)

    def choice(self, name: str, known: tuple[str, ...], default: str | None = None) -> str:
        value = self._get(name, default)
        if type(value) is not str or value not in known:
            raise self.wrong(name, f"one of {', '.join(known)}")
        return value

    def number(self, name: str, default: float | None = None) -> float:
        value = self._get(name, default)
        try:
            if type(value) in (int, float) and math.isfinite(value):
                return float(value)
        except OverflowError:
            pass
        raise self.wrong(name, "a number")

    def flag(self, name: str, default: bool) -> bool:
        value = self._get(name, default)
        if type(value) is not bool:
            raise self.wrong(name, "true or false")
        return value

    def items(self, name: str, default: Sequence[object] | None = None) -> list[object]:
        value = self._get(name, default)
        if not isinstance(value, list | tuple):
            raise self.wrong(name, "a list")
        if len(value) > MOST_CASES:
            raise ValueError(f"{self.place}.{name}: {len(value)} items, {MOST_CASES} at most")
        return list(value)

    def texts(self, name: str) -> tuple[str, ...]:
        found = []
        for index, value in enumerate(self.items(name, ())):
            if type(value) is not str:
                raise ValueError(
                    f"{self.place}.{name}[{index}] must be a text, got {_shown(value)}"
                )
            found.append(self.budget.take(value))
        return tuple(found)

    def numbers(self, name: str) -> tuple[int, ...]:
        found = []
        for index, value in enumerate(self.items(name)):
            if type(value) is not int:
                raise ValueError(
                    f"{self.place}.{name}[{index}] must be a whole number, got {_shown(value)}"
                )
            found.append(value)
        return tuple(found)

    def each(
        self,
        name: str,
        read: Callable[[_Fields], _T],
        default: Sequence[object] | None = None,
    ) -> tuple[_T, ...]:
        places = enumerate(self.items(name, default))
        return tuple(
            read(_Fields(one, f"{self.place}.{name}[{index}]", self.budget))
            for index, one in places
        )

    def one(self, name: str, read: Callable[[_Fields], _T]) -> _T:
        return read(_Fields(self._get(name), f"{self.place}.{name}", self.budget))

    def value(self, name: str, default: str | None = None) -> Any:
        text = self.text(name, default)
        try:
            return wire.decode(text)
        except wire.WireError as error:
            raise ValueError(f"{self.place}.{name}: {error}"[:300]) from None

    def comparer(self, default: compare.Comparer) -> compare.Comparer:
        given = self._get("comparer", {})
        return compare.from_json(given) if "comparer" in self.data else default

    def done(self, make: Callable[[], _T]) -> _T:
        """Return what is made of the fields, once nothing is left over."""
        for name in self.data:
            if name not in self.asked:
                known = ", ".join(sorted(self.asked))
                raise ValueError(f"{self.place}: no {name!r:.100} is known here, only {known}")
        try:
            return make()
        except ValueError as error:
            raise ValueError(f"{self.place}: {error}") from None


def _shown(value: object) -> str:
    if isinstance(value, str | int | float | bool | None):
        text = repr(value[:_SHOWN]) if isinstance(value, str) else f"{value}"
        return text[:_SHOWN]
    return f"a {type(value).__name__}"


def _program(fields: _Fields) -> Program:
    language, source = fields.text("language", "python"), fields.text("source")
    argv, stdin = fields.texts("argv"), fields.text("stdin", "")
    files = fields.one("files", _files) if "files" in fields.data else {}
    fields.asked.add("files")
    return fields.done(
        lambda: Program(language=language, source=source, files=files, argv=argv, stdin=stdin)
    )


def _files(fields: _Fields) -> dict[str, bytes]:
    if len(fields.data) > MOST_CASES:
        raise ValueError(f"{fields.place}: {len(fields.data)} files, {MOST_CASES} at most")
    found = {}
    for name in fields.data:
        text = fields.text(name)
        try:
            found[name] = base64.b64decode(text, validate=True)
        except ValueError as error:
            raise ValueError(f"{fields.place}.{name:.100} must be base64: {error}") from None
    return found


def _subtask(fields: _Fields) -> Subtask:
    name, points = fields.text("name"), fields.number("points")
    cases, needs = fields.numbers("cases"), fields.texts("needs")
    return fields.done(lambda: Subtask(name=name, points=points, cases=cases, needs=needs))


def _stdio_case(fields: _Fields) -> StdioCase:
    stdin, stdout = fields.text("stdin"), fields.text("stdout", "")
    accepted = fields.texts("accepted")
    return fields.done(lambda: StdioCase(stdin=stdin, stdout=stdout, accepted=accepted))


def _interactive_case(fields: _Fields) -> InteractiveCase:
    given, answer = fields.text("input", ""), fields.text("answer", "")
    return fields.done(lambda: InteractiveCase(input=given, answer=answer))


def _call(fields: _Fields) -> Call:
    args, kwargs = fields.value("args", '{"t":[]}'), fields.value("kwargs", '{"d":[[],[]]}')
    expected = fields.value("expected", "null")
    if not isinstance(args, list | tuple):
        raise ValueError(f"{fields.place}.args must be the text of a list, got {_shown(args)}")
    if not isinstance(kwargs, dict) or not all(type(key) is str for key in kwargs):
        raise ValueError(f"{fields.place}.kwargs must be the text of a dict with names as keys")
    return fields.done(lambda: Call(args=args, kwargs=kwargs, expected=expected))


def _stdio(fields: _Fields) -> StdioTests:
    cases = fields.each("cases", _stdio_case)
    comparer = fields.comparer(compare.TOKENS)
    stop_early, full_mark = fields.flag("stop_early", True), fields.number("full_mark", 1.0)
    checker = fields.one("checker", _program) if fields.data.get("checker") is not None else None
    fields.asked.add("checker")
    subtasks = fields.each("subtasks", _subtask, ())
    return fields.done(
        lambda: StdioTests(
            cases=cases,
            comparer=comparer,
            stop_early=stop_early,
            checker=checker,
            full_mark=full_mark,
            subtasks=subtasks,
        )
    )


def _interactive(fields: _Fields) -> InteractiveTests:
    interactor = fields.one("interactor", _program)
    cases = fields.each("cases", _interactive_case)
    idle_s, full_mark = fields.number("idle_s", 3.0), fields.number("full_mark", 1.0)
    stop_early = fields.flag("stop_early", True)
    subtasks = fields.each("subtasks", _subtask, ())
    return fields.done(
        lambda: InteractiveTests(
            interactor=interactor,
            cases=cases,
            idle_s=idle_s,
            stop_early=stop_early,
            full_mark=full_mark,
            subtasks=subtasks,
        )
    )


def _calls(fields: _Fields) -> CallTests:
    entry_point, calls = fields.text("entry_point"), fields.each("calls", _call)
    comparer, stop_early = fields.comparer(compare.EXACT), fields.flag("stop_early", True)
    return fields.done(
        lambda: CallTests(
            entry_point=entry_point, calls=calls, comparer=comparer, stop_early=stop_early
        )
    )


def _asserts(fields: _Fields) -> AssertTests:
    test, entry_point = fields.text("test"), fields.text("entry_point")
    call, context = fields.text("call", ""), fields.text("context", "")
    mode = fields.choice("mode", ("auto", "proxy", "shared"), "auto")
    return fields.done(
        lambda: AssertTests(
            test=test,
            entry_point=entry_point,
            call=call,
            context=context,
            mode=cast(Literal["auto", "proxy", "shared"], mode),
        )
    )


def _beside(fields: _Fields) -> BesideTests:
    before, after = fields.text("before", ""), fields.text("after")
    word, name = fields.text("word", "SEEDCODER_WORD"), fields.text("name", "SEEDCODER_NAME")
    wrong_words = fields.texts("wrong_words")
    return fields.done(
        lambda: BesideTests(
            before=before, after=after, word=word, name=name, wrong_words=wrong_words
        )
    )


_READERS: Mapping[str, Callable[[_Fields], Tests]] = {
    "stdio": _stdio,
    "interactive": _interactive,
    "calls": _calls,
    "asserts": _asserts,
    "beside": _beside,
}
