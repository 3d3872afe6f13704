"""The tests a program is judged by. They hold the answers, and so never enter its box."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sandbox.compare import EXACT, TOKENS, Comparer
from sandbox.program import Program
from sandbox.project.tests import ProjectTests


@dataclass(frozen=True, slots=True, kw_only=True)
class Subtask:
    """A group of cases that earns points together, as in the IOI.

    points: for all of it. A program earns the least share that any of the cases was given, and no
        more than the share that it earned of each subtask in `needs`.
    cases: their places in the tests, from 0. A case may be in several subtasks; it is run once.
    needs: names of subtasks that come before this one.
    """

    name: str
    points: float
    cases: tuple[int, ...]
    needs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.points) and self.points >= 0):
            raise ValueError(f"subtask {self.name!r}: points must be 0 or more, got {self.points}")
        if not self.cases:
            raise ValueError(f"subtask {self.name!r} has no cases")


@dataclass(frozen=True, slots=True, kw_only=True)
class StdioCase:
    """One stdin and the stdout that it must bring forth.

    accepted: other outputs that are as right, each compared by the tests' comparer.
    """

    stdin: str
    stdout: str
    accepted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StdioTests:
    """The program is run as a script, once a case; its stdout is compared outside.

    stop_early: end at the first case that fails (its number of passes then counts only those
        before it). Switch it off where partial credit is wanted. Subtasks go by their own rules.
    checker: decides in place of the comparer. In a box of its own, it is called with the names of
        three files: input, output (the candidate's), answer (`StdioCase.stdout`); its exit code
        decides, as `sandbox.checker` says.
    full_mark: what a checker's "points X" counts as all that there is for a case.
    subtasks: for points; each case must be in one at least.
    """

    cases: Sequence[StdioCase]
    comparer: Comparer = TOKENS
    stop_early: bool = True
    checker: Program | None = None
    full_mark: float = 1.0
    subtasks: tuple[Subtask, ...] = ()

    def __post_init__(self) -> None:
        if not self.cases:
            raise ValueError("StdioTests needs at least one case")
        if self.checker is not None and any(case.accepted for case in self.cases):
            raise ValueError("accepted: the checker alone decides which outputs are right")
        _check_points(self.full_mark, self.subtasks, len(self.cases))

    @classmethod
    def of(cls, *pairs: tuple[str, str], comparer: Comparer = TOKENS) -> StdioTests:
        """Return the tests for (stdin, stdout) pairs."""
        cases = tuple(StdioCase(stdin=stdin, stdout=stdout) for stdin, stdout in pairs)
        return cls(cases=cases, comparer=comparer)


@dataclass(frozen=True, slots=True, kw_only=True)
class InteractiveCase:
    """One conversation. input, answer: files for the interactor; the program sees neither."""

    input: str = ""
    answer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InteractiveTests:
    """The program talks to an interactor: what each writes to its stdout, the other reads.

    interactor: runs in a box of its own, called with the names of three files: input, output (its
        own to write), answer. Its exit code decides, as `sandbox.checker` says.
    idle_s: seconds after which the program is ended when nobody does anything any more.
    stop_early, full_mark, subtasks: as for `StdioTests`.
    """

    interactor: Program
    cases: Sequence[InteractiveCase]
    idle_s: float = 3.0
    stop_early: bool = True
    full_mark: float = 1.0
    subtasks: tuple[Subtask, ...] = ()

    def __post_init__(self) -> None:
        if not self.cases:
            raise ValueError("InteractiveTests needs at least one case")
        if not self.idle_s > 0:
            raise ValueError(f"idle_s must be positive, got {self.idle_s}")
        _check_points(self.full_mark, self.subtasks, len(self.cases))


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


@dataclass(frozen=True, slots=True, kw_only=True)
class BesideTests:
    """Test code in the program's own language: one source with it, compiled and run together.

    before, after: source on both sides of the program's. The judge puts random words in the place
    of two placeholders, fresh ones for each run:
    word: stands in `after` where the test code prints it on a line of its own, behind its last
        check. The program passes when it ends well and its last line of stdout is this word.
    name: stands in `before` and `after` for names that the program shall not be able to write
        down, and so to replace: what tests compare with, or print with.
    wrong_words: what stderr has of a check that failed: such a run is WRONG, any other that ends
        badly is CRASHED. Neither passes.

    Every verdict has the mode "shared": program and test are one process.
    Stops: exits, printed words, early returns, and the rest of the file being commented out.
    Does not stop: a program that looks for the word in its own source, binary or memory; nor one
    that replaces what the test code calls by a name that it can know.
    """

    before: str = ""
    after: str
    word: str = "SEEDCODER_WORD"
    name: str = "SEEDCODER_NAME"
    wrong_words: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.word.isidentifier() or not self.name.isidentifier():
            raise ValueError(f"word and name must be names, got {self.word!r} and {self.name!r}")
        if self.word in self.name or self.name in self.word:
            raise ValueError(f"word and name must differ, got {self.word!r} and {self.name!r}")
        if self.word not in self.after:
            raise ValueError(f"BesideTests: after never prints {self.word!r}: nothing could pass")
        if self.word in self.before:
            raise ValueError(f"BesideTests: before holds {self.word!r}, ahead of the last check")


Tests = StdioTests | InteractiveTests | CallTests | AssertTests | BesideTests | ProjectTests


def _check_points(full_mark: float, subtasks: tuple[Subtask, ...], cases: int) -> None:
    """Raise ValueError where subtasks do not fit the cases, or each other."""
    if not (math.isfinite(full_mark) and full_mark > 0):
        raise ValueError(f"full_mark must be positive, got {full_mark}")
    before: set[str] = set()
    covered: set[int] = set()
    for one in subtasks:
        if one.name in before:
            raise ValueError(f"two subtasks are called {one.name!r}")
        for index in one.cases:
            if not 0 <= index < cases:
                raise ValueError(f"subtask {one.name!r}: there is no case {index} of {cases}")
        for name in one.needs:
            if name not in before:
                raise ValueError(f"subtask {one.name!r} needs {name!r}, which is not before it")
        before.add(one.name)
        covered.update(one.cases)
    if subtasks and len(covered) < cases:
        lost = next(index for index in range(cases) if index not in covered)
        raise ValueError(f"case {lost} is in no subtask")
