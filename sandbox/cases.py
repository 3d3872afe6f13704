"""The tests a program is judged by. They hold the answers, and so never enter its box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sandbox.compare import EXACT, TOKENS, Comparer
from sandbox.project.tests import ProjectTests


@dataclass(frozen=True, slots=True, kw_only=True)
class StdioCase:
    """One stdin and the stdout that it must bring forth."""

    stdin: str
    stdout: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StdioTests:
    """The program is run as a script, once a case; its stdout is compared outside.

    stop_early: end at the first case that fails (its number of passes then counts only those
        before it). Switch it off where partial credit is wanted.
    """

    cases: Sequence[StdioCase]
    comparer: Comparer = TOKENS
    stop_early: bool = True

    def __post_init__(self) -> None:
        if not self.cases:
            raise ValueError("StdioTests needs at least one case")

    @classmethod
    def of(cls, *pairs: tuple[str, str], comparer: Comparer = TOKENS) -> StdioTests:
        """Return the tests for (stdin, stdout) pairs."""
        cases = tuple(StdioCase(stdin=stdin, stdout=stdout) for stdin, stdout in pairs)
        return cls(cases=cases, comparer=comparer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of the entry point and the value it must return.

    Arguments and value are exact builtin types (nested as you like) or numpy arrays.
    """

    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    expected: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTests:
    """The program is loaded once, then `entry_point` is called; values are compared outside.

    entry_point: a name, or a dotted one such as `Solution.twoSum` (a method of a class that is
        made anew for each call, as LeetCode does).
    """

    entry_point: str
    calls: Sequence[Call]
    comparer: Comparer = EXACT
    stop_early: bool = True

    def __post_init__(self) -> None:
        if not self.calls:
            raise ValueError("CallTests needs at least one call")
        if not all(part.isidentifier() for part in self.entry_point.split(".")):
            raise ValueError(f"entry_point must be a dotted name, got {self.entry_point!r}")

    @classmethod
    def of(
        cls, entry_point: str, *pairs: tuple[Sequence[Any], Any], comparer: Comparer = EXACT
    ) -> CallTests:
        """Return the tests for (arguments, expected) pairs."""
        calls = tuple(Call(args=args, expected=expected) for args, expected in pairs)
        return cls(entry_point=entry_point, calls=calls, comparer=comparer)


@dataclass(frozen=True, slots=True, kw_only=True)
class AssertTests:
    """Test code that asserts. It runs in a box of its own and calls the candidate through a proxy.

    test: Python source. It finds the proxy under `entry_point` and under `candidate`.
    entry_point: the function of the program that the tests call.
    call: source run after `test`, such as `check(candidate)`; empty when `test` asserts by itself.
    context: Python source run before `test` in its box: the prompt, for tests that use names the
        prompt defines (HumanEval/32 and /38). Never the candidate's code.
    mode: "proxy"; "shared" runs test and program in one box; "auto" is "proxy", and "shared" only
        where an ARGUMENT of a test cannot cross as data (a value that the program returns and that
        cannot cross is wrong: otherwise a program could choose the weaker mode).
    """

    test: str
    entry_point: str
    call: str = ""
    context: str = ""
    mode: Literal["auto", "proxy", "shared"] = "auto"

    def __post_init__(self) -> None:
        if not self.test.strip() and not self.call.strip():
            raise ValueError("AssertTests needs test code")
        if not self.entry_point.isidentifier():
            raise ValueError(f"entry_point must be a name, got {self.entry_point!r}")
        if self.mode not in ("auto", "proxy", "shared"):
            raise ValueError(f"mode must be auto, proxy or shared, got {self.mode!r}")


Tests = StdioTests | CallTests | AssertTests | ProjectTests
