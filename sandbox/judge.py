"""The judge: it holds the answers, sends programs into boxes, and compares what comes out.

A pass is earned by returned values: every test must have been answered, and rightly. Exit codes,
printed words and anything else that a program can choose never decide for it. (`BesideTests` have
no values to look at, but a word that the program does not know: the weaker mode.)
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from sandbox import proof, reasons, subtasks
from sandbox.beside import judge_beside
from sandbox.cases import (
    AssertTests,
    BesideTests,
    Call,
    CallTests,
    InteractiveTests,
    StdioTests,
    Tests,
)
from sandbox.errors import TestsBroken
from sandbox.inside import settings, wire
from sandbox.inside.assertions import short
from sandbox.interactive import MODE, judge_interactive
from sandbox.outcome import Kind, Outcome
from sandbox.program import Limits, Program
from sandbox.project.tests import ProjectTests
from sandbox.ready import Slots
from sandbox.scripts import judge_stdio, mode_of
from sandbox.slot import Slot
from sandbox.verdict import Failure, Verdict

_ANSWER_FLOOR = 1 << 16  # characters; a longer answer than 64 x the expected one is not read
_ANSWER_FACTOR = 64


def judge(program: Program, tests: Tests, limits: Limits, slots: Slots) -> Verdict:
    """Judge one program in the zygotes of `slots`.

    Raises SandboxBroken when a box failed, TestsBroken when the tests themselves cannot run.
    """
    if isinstance(tests, ProjectTests):
        from sandbox.project.environment import environment
        from sandbox.project.judging import judge_project

        slot, packages = slots.project_slot(environment(tests.packages_dir))
        return judge_project(program, tests, limits, slot, packages)
    if not program.source.strip():
        return _no_code(tests)
    if isinstance(tests, StdioTests):
        return judge_stdio(program, tests, limits, slots)
    if isinstance(tests, InteractiveTests):
        return judge_interactive(program, tests, limits, slots)
    if isinstance(tests, BesideTests):
        return judge_beside(program, tests, limits, slots)
    if program.language != "python":
        raise TestsBroken(
            f"{type(tests).__name__} call Python functions, and this program's language is"
            f" {program.language}: StdioTests and BesideTests serve every language"
        )
    slot = slots.slot("candidate")
    if isinstance(tests, CallTests):
        return _judge_calls(program, tests, limits, slot)
    if tests.mode != "shared":
        verdict = proof.by_proxy(program, tests, limits, slot, slots.slot("tests"))
        if verdict is not None:
            return verdict
    return proof.beside(program, tests, limits, slot)


def _no_code(
    tests: StdioTests | InteractiveTests | CallTests | AssertTests | BesideTests,
) -> Verdict:
    if isinstance(tests, StdioTests):
        return subtasks.refused(tests, mode_of(tests), Kind.NO_CODE)
    if isinstance(tests, InteractiveTests):
        return subtasks.refused(tests, MODE, Kind.NO_CODE)
    mode = "calls" if isinstance(tests, CallTests) else "proxy"
    return Verdict(
        kind=Kind.NO_CODE,
        passed=0,
        total=len(tests.calls) if isinstance(tests, CallTests) else 1,
        first_failure=None,
        outcomes=(),
        mode="shared" if isinstance(tests, BesideTests) else mode,
    )


def _judge_calls(program: Program, tests: CallTests, limits: Limits, slot: Slot) -> Verdict:
    texts, room = _prepared(tests)
    slot.begin(
        settings.CALLS, reasons.job(program, entry_point=tests.entry_point, calls=texts), limits
    )
    # A call may leave two lines: that memory ran out, and its answer.
    ran = slot.finish(answers=2 * len(texts), room=room)
    answers = [line for line in ran.answers if line[:1] in ("r", "x", "u")]
    passed, first, kind = 0, None, Kind.PASSED
    # More answers than calls means that the program wrote some of them itself.
    honest = len(answers) <= len(tests.calls)
    for index, call in enumerate(tests.calls if honest else ()):
        failure = _call_failure(tests, index, call, answers, ran.outcome)
        if failure is None:
            passed += 1
            continue
        if first is None:
            first = failure
            if index < len(answers):
                kind = reasons.answered(ran.outcome, failure.reason)
            else:
                kind = reasons.unanswered(ran)
        if tests.stop_early:
            break
    if not honest:
        first = Failure(
            index=0,
            test="",
            expected=f"{len(tests.calls)} answers",
            got=f"{len(answers)} answers",
            reason="the program wrote answers of its own beside those to the calls",
        )
        kind = Kind.WRONG
    elif first is None and ran.outcome.kind in (Kind.TIMEOUT, Kind.MEMORY, Kind.OUTPUT):
        kind, first = ran.outcome.kind, reasons.ended(len(tests.calls), ran.outcome)
    return Verdict(
        kind=kind,
        passed=passed,
        total=len(tests.calls),
        first_failure=first,
        outcomes=(ran.outcome,),
        mode="calls",
    )


_KEPT_MOST, _KEPT_CHARS = 256, 500_000


class _Prepared:
    """Tests as texts, kept for the next samples of the same problem.

    The tests are kept too, so that the identity by which they are found again cannot pass to
    others. As objects they take several times their characters, so these are bounded.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[int, tuple[CallTests, tuple[str, ...], int]] = OrderedDict()
        self._chars = 0
        self._lock = threading.Lock()

    def find(self, tests: CallTests) -> tuple[tuple[str, ...], int] | None:
        with self._lock:
            found = self._kept.get(id(tests))
            if found is None:
                return None
            self._kept.move_to_end(id(tests))
            return found[1], found[2]

    def keep(self, tests: CallTests, texts: tuple[str, ...], room: int) -> None:
        with self._lock:
            if id(tests) in self._kept:
                return
            self._kept[id(tests)] = (tests, texts, room)
            self._chars += sum(map(len, texts))
            # The newest stays, however large: its samples are what comes next.
            while len(self._kept) > (_KEPT_MOST if self._chars <= _KEPT_CHARS else 1):
                _, (_, dropped, _) = self._kept.popitem(last=False)
                self._chars -= sum(map(len, dropped))


_kept = _Prepared()


def _prepared(tests: CallTests) -> tuple[tuple[str, ...], int]:
    """Return the calls as text, and the characters that all answers together may take."""
    found = _kept.find(tests)
    if found is not None:
        return found
    try:
        texts = tuple(wire.encode((list(call.args), dict(call.kwargs))) for call in tests.calls)
    except wire.WireError as error:
        raise TestsBroken(f"calls of {tests.entry_point}: an argument is {error}") from None
    room = sum(_room(call) for call in tests.calls) + _ANSWER_FLOOR
    _kept.keep(tests, texts, room)
    return texts, room


def _room(call: Call) -> int:
    return max(_ANSWER_FLOOR, _ANSWER_FACTOR * len(repr(call.expected)))


def _call_failure(
    tests: CallTests, index: int, call: Call, answers: list[str], outcome: Outcome
) -> Failure | None:
    def failure(got: str, reason: str) -> Failure:
        # Words for failures only: most calls are right, and their arguments can be long.
        words = [short(arg) for arg in call.args]
        words += [f"{name}={short(value)}" for name, value in call.kwargs.items()]
        return Failure(
            index=index,
            test=f"{tests.entry_point}({', '.join(words)})",
            expected=short(call.expected),
            got=got,
            reason=reason,
        )

    if index >= len(answers):
        return failure("", reasons.why(outcome))
    letter, text = answers[index][:1], answers[index][1:]
    if letter == "x":
        return failure(short(text), f"raised {text[:300]}")
    if letter == "u":
        return failure("", text[:300])
    if len(text) > _ANSWER_FLOOR and len(text) > _room(call):
        return failure(text[:100], f"the answer is {len(text)} characters long")
    try:
        value = wire.decode(text)
    except wire.WireError as error:
        return failure(text[:100], str(error)[:300])
    if tests.comparer(call.expected, value):
        return None
    return failure(short(value), "the value differs")
