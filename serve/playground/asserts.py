"""Pasted tests, taken apart so that each check gets a verdict of its own.

Known are Python asserts and doctest lines:

    xs = [1, 2]                       # what comes before a check runs before it
    assert total(xs) == 3
    >>> total([])                     # and behind it the value, as Python writes it
    0

An assert is judged as the test code that it is (`AssertTests`, or `BesideTests` where it uses more
of the program than one function), a doctest line as a call whose value is compared outside
(`CallTests`). Does not take apart: asserts inside loops or functions; the statement as a whole is
one check.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sandbox import AssertTests, BesideTests, Call, CallTests, Kind, Tests, Verdict
from serve.playground.asking import Refused
from serve.playground.running import Runner, TestCannotRun

CHECKS_MOST: Final = 100  # ours; each is a run of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check: what stands in the box, on which line, and how it is judged."""

    text: str
    line: int
    tests: Tests


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A check with its verdict.

    kind: None where the test itself cannot run. expected, got, reason: empty where there is nothing
    to say. cpu_s: of the program's run.
    """

    check: Check
    kind: Kind | None
    expected: str = ""
    got: str = ""
    reason: str = ""
    cpu_s: float = 0.0
    mode: str = ""


def read_checks(source: str, pasted: str) -> tuple[Check, ...]:
    """Return the checks in a text of tests, for a program. Raises Refused, one line."""
    defined = _defined(source)
    asserts, calls = _sorted_out(pasted)
    checks = [*_asserts(asserts, defined), *_calls(calls)]
    if not checks:
        raise Refused("there is no assert and no >>> line in the tests")
    if len(checks) > CHECKS_MOST:
        raise Refused(f"{len(checks)} checks are too many: at most {CHECKS_MOST}")
    return tuple(sorted(checks, key=lambda check: check.line))


async def judge_checks(runner: Runner, source: str, checks: Sequence[Check]) -> list[Judged]:
    """Return each check's verdict, in order. Raises Refused where the sandbox fails."""
    judged = []
    for check in checks:
        try:
            verdict = await runner.judge(source, check.tests)
        except TestCannotRun as error:
            judged.append(Judged(check=check, kind=None, reason=str(error)))
            continue
        judged.append(_judged(check, verdict))
        if verdict.kind is Kind.COMPILE_ERROR:
            break  # the program itself: every other check would say the same
    return judged


def _judged(check: Check, verdict: Verdict) -> Judged:
    failure = verdict.first_failure
    outcome = verdict.outcomes[0] if verdict.outcomes else None
    reason = failure.reason if failure else ""
    return Judged(
        check=check,
        kind=verdict.kind,
        expected=failure.expected if failure else "",
        got=failure.got if failure else "",
        # A bare assert has no words of its own.
        reason="" if reason in ("AssertionError", "the value differs") else reason,
        cpu_s=outcome.cpu_s if outcome else 0.0,
        mode=verdict.mode,
    )


def _sorted_out(pasted: str) -> tuple[str, list[tuple[int, str, str]]]:
    """Return the Python in a text, with its line numbers, and its doctest calls with values."""
    plain: list[str] = []
    calls: list[tuple[int, str, str]] = []
    lines = pasted.split("\n")
    at = 0
    while at < len(lines):
        stripped = lines[at].strip()
        if not stripped.startswith(">>>"):
            plain.append(lines[at])
            at += 1
            continue
        begun, call = at, stripped[3:].strip()
        at += 1
        while at < len(lines) and lines[at].strip().startswith("..."):
            call += "\n" + lines[at].strip()[3:]
            at += 1
        value = ""
        if at < len(lines) and lines[at].strip() and not lines[at].strip().startswith(">>>"):
            value = lines[at].strip()
            at += 1
        calls.append((begun + 1, call, value))
        plain.extend([""] * (at - begun))
    return "\n".join(plain), calls


def _asserts(text: str, defined: Mapping[str, bool]) -> Iterator[Check]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        raise Refused(f"tests, line {line}: {getattr(error, 'msg', error)}") from None
    before: list[str] = []
    for statement in tree.body:
        words = ast.get_source_segment(text, statement) or ""
        if not any(isinstance(node, ast.Assert) for node in ast.walk(statement)) or isinstance(
            statement, ast.FunctionDef | ast.ClassDef
        ):
            before.append(words)
            continue
        tests = _assert_tests("\n".join((*before, words)), statement, defined)
        yield Check(text=words, line=statement.lineno, tests=tests)


def _assert_tests(test: str, statement: ast.stmt, defined: Mapping[str, bool]) -> Tests:
    """Return the test for one statement; what it uses of the program decides how it is judged."""
    own = _defined(test)
    used = _names(ast.parse(test)) - own.keys()
    mine = [name for name in defined if name in used]
    if len(mine) == 1 and defined[mine[0]]:
        return AssertTests(test=test, entry_point=mine[0])
    if mine:
        # A class, or more than one function: no proxy stands for them, the test goes beside them.
        return BesideTests(
            after=f"\n{test}\nprint()\nprint('SEEDCODER_WORD')\n", wrong_words=("AssertionError",)
        )
    # It may ask for a function that the program ought to define, and does not.
    called = [name for name in _called(statement) if name not in {*own, *dir(builtins)}]
    return AssertTests(test=test, entry_point=(called or list(defined) or ["candidate"])[0])


def _calls(calls: Sequence[tuple[int, str, str]]) -> Iterator[Check]:
    for line, text, value in calls:
        where = f"tests, line {line}"
        try:
            call = ast.parse(text, mode="eval").body
        except (SyntaxError, ValueError):
            raise Refused(f"{where}: behind >>> must be one call, such as >>> f(2)") from None
        if not isinstance(call, ast.Call):
            raise Refused(f"{where}: behind >>> must be one call, such as >>> f(2)")
        name = ast.unparse(call.func)
        try:
            args = [ast.literal_eval(arg) for arg in call.args]
            named = {str(one.arg): ast.literal_eval(one.value) for one in call.keywords}
            expected = ast.literal_eval(value) if value else None
            tests = CallTests(
                entry_point=name, calls=(Call(args=args, kwargs=named, expected=expected),)
            )
        except (ValueError, SyntaxError, TypeError):
            raise Refused(
                f"{where}: arguments and value must be plain values; write an assert instead"
            ) from None
        yield Check(text=f"{text}  →  {value or 'None'}", line=line, tests=tests)


def _defined(source: str) -> dict[str, bool]:
    """Return the functions and classes that a program defines at its top; True for functions."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return {}  # the verdict will say so
    return {
        node.name: not isinstance(node, ast.ClassDef)
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }


def _names(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _called(tree: ast.AST) -> list[str]:
    return [
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
