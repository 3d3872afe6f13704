"""Judging by conversation: the program and an interactor, each in a box of its own, on two pipes.

What each writes to its stdout the other reads; the interactor's exit code is the verdict, and
nothing that the program writes elsewhere counts. The input and answer files lie in the
interactor's box alone. Each has its own CPU limit.

Ends: whoever ends first takes its ends of the pipes with it, so the other reads an end of file and
gets SIGPIPE when it writes. A program that the interactor accepted may die of that; one that was
rejected is not waited for. Where all is asleep for `idle_s`, the program is ended: if the
interactor then ends too, it had been waiting for the program, which is out of time; if it does not,
the tests are broken. Where sleep cannot be seen (see `stillness`), the wall clock ends it.

Bounded by the pipes alone: how much is said. A program that floods is read at the interactor's
pace, and both use up their time. A program that closes its stdout and goes on is not seen to have
closed it before it ends: its zygote holds the pipe too.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import re
import select
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass

from sandbox import reasons, stillness, subtasks
from sandbox.cases import InteractiveCase, InteractiveTests
from sandbox.checker import FILES, Word, limits_of, prepared, read
from sandbox.compiled import text_of
from sandbox.errors import TestsBroken
from sandbox.inside.assertions import short
from sandbox.outcome import Kind, Outcome
from sandbox.program import Limits, Program
from sandbox.ready import Ready, Slots, ready
from sandbox.slot import Slot
from sandbox.subtasks import Mark
from sandbox.verdict import Failure, Verdict

MODE = "interactive"

# All ours.
_TICK_S = 0.1
_GRACE_S = 1.0  # for a program that was rejected to end by itself
_LONGER_S = 10.0  # the interactor outlives the program's wall clock, to say its word
_STREAMS_LOST = 120  # the exit code of a Python program whose last words found no reader
_HUNG_UP = re.compile(r"BrokenPipeError|Broken pipe|EPIPE")


@dataclass(slots=True, kw_only=True)
class _Talk:
    """How a conversation went. first: who ended first. idle: what both did while all was still."""

    program: Outcome | None = None
    interactor: Outcome | None = None
    first: str = ""
    idle: str = ""
    stuck: bool = False  # the interactor slept on when the program was gone


def judge_interactive(
    program: Program, tests: InteractiveTests, limits: Limits, slots: Slots
) -> Verdict:
    """Judge a program by conversations. Raises SandboxBroken, TestsBroken."""
    largest = max(4 * (len(case.input) + len(case.answer)) for case in tests.cases)
    room = limits_of(limits, largest, longer_s=_LONGER_S)
    interactor = prepared(tests.interactor, room, slots, "interactor")
    started = ready(program, limits, slots)
    if isinstance(started, Outcome):
        return subtasks.refused(tests, MODE, started.kind, started)
    judge = _Judge(started, interactor, tests)
    return subtasks.verdict(tests, MODE, judge.mark)


class _Judge:
    """The program and the interactor, ready for any case."""

    def __init__(self, program: Ready, interactor: Ready, tests: InteractiveTests) -> None:
        self._program, self._interactor, self._tests = program, interactor, tests
        self._argv = (*FILES, *tests.interactor.argv)

    def mark(self, index: int) -> Mark:
        """Judge one case."""
        case = self._tests.cases[index]
        talk = self._talk(case)
        assert talk.program is not None and talk.interactor is not None
        kind, score, why = self._decide(index, case, talk, talk.program, talk.interactor)
        if kind is Kind.PASSED:
            return Mark(score=1.0, outcome=talk.program)
        failure = Failure(
            index=index,
            test=f"input {short(case.input)}",
            expected=short(case.answer) if case.answer else "",
            got="",
            reason=why,
        )
        return Mark(score=score, outcome=talk.program, kind=kind, failure=failure)

    def _decide(
        self,
        index: int,
        case: InteractiveCase,
        talk: _Talk,
        program: Outcome,
        interactor: Outcome,
    ) -> tuple[Kind, float, str]:
        """Return the case's kind, its score, and why it failed."""
        failed = program.kind is not Kind.PASSED
        if talk.stuck and (talk.idle or not failed):
            raise TestsBroken(f"case {index}: the interactor slept on when the program had ended")
        if talk.first == "program" and failed:
            if program.kind is Kind.TIMEOUT and interactor.kind is Kind.TIMEOUT and not talk.idle:
                self._doubt(index, case, program)
            return program.kind, 0.0, talk.idle or reasons.why(program)
        word = read(interactor, "interactor", self._tests.full_mark)
        if word.broken:
            word = self._blamed(index, case, word)
        if word.score < 1:
            return Kind.WRONG, word.score, word.reason("interactor")
        if not failed or _hung_up(program):
            return Kind.PASSED, 1.0, ""
        why = talk.idle or reasons.why(program)
        return program.kind, 0.0, f"after the interactor had accepted: {why}"

    def _doubt(self, index: int, case: InteractiveCase, program: Outcome) -> None:
        """Raise TestsBroken where an interactor that ran on for ever kept the program waiting."""
        if program.cpu_s < self._program.limits.cpu_s / 2:
            self._blamed(index, case, Word(score=0.0, words="out of time", broken=True))

    def _blamed(self, index: int, case: InteractiveCase, word: Word) -> Word:
        """Return the word on a program that broke the interactor.

        Raises TestsBroken where it breaks as well when nobody speaks to it; a Python interactor
        that ends with EOFError then has only missed an answer.
        """
        outcome = self._interactor.run(stdin=b"", argv=self._argv, files=_files(case))
        alone = read(outcome, "interactor", self._tests.full_mark)
        if alone.broken and not alone.words.startswith("EOFError"):
            raise TestsBroken(
                f"case {index}: the interactor broke ({word.words}), and breaks too when nothing"
                f" is said to it ({alone.words})"
            )
        return Word(score=0.0, words=f"nothing, for it broke on what was said: {word.words}")

    def _talk(self, case: InteractiveCase) -> _Talk:
        with contextlib.ExitStack() as stack:
            ends = _Ends(self._program.slot, self._interactor.slot)
            stack.enter_context(ends)
            with _pipe() as (asked, ask), _pipe() as (answered, answer):
                self._interactor.begin(
                    stdin_fd=answered, stdout_fd=ask, argv=self._argv, files=_files(case)
                )
                stack.callback(_end_if, ends, "interactor", self._interactor)
                ends.look_again()
                self._program.begin(stdin_fd=asked, stdout_fd=answer)
                stack.callback(_end_if, ends, "program", self._program)
                ends.look_again()
            return self._listen(ends)

    def _listen(self, ends: _Ends) -> _Talk:
        """Wait for both to end, ending what must be."""
        talk = _Talk()
        both = {"program": self._program, "interactor": self._interactor}
        before: list[object] = []
        still_since, end_at = time.monotonic(), math.inf
        while ends.waiting:
            who = ends.next(_TICK_S)
            now = time.monotonic()
            if who:
                outcome = both[who].finish().outcome
                setattr(talk, who, outcome)
                talk.first = talk.first or who
                still_since, before = now, []
                if who == "interactor" and outcome.exit_code != 0:
                    end_at = now + _GRACE_S
                continue
            if now >= end_at and "program" in ends.waiting:
                stillness.end(self._program.slot.pid)
                end_at = math.inf
            glances = [stillness.glance(both[one].slot.pid) for one in ends.waiting]
            if None in glances or glances != before:
                still_since, before = now, [*glances]
            elif now - still_since >= self._tests.idle_s:
                self._end_idle(talk, ends)
                still_since = now
        if talk.idle and talk.program is not None:
            talk.program = dataclasses.replace(talk.program, kind=Kind.TIMEOUT)
        return talk

    def _end_idle(self, talk: _Talk, ends: _Ends) -> None:
        program, interactor = self._program.slot.pid, self._interactor.slot.pid
        for_s = f"nothing moved for {self._tests.idle_s:g} s"
        if "program" not in ends.waiting:
            talk.stuck = True
            stillness.end(interactor)
            return
        other = "had ended"
        if "interactor" in ends.waiting:
            other = stillness.waits(interactor)
        talk.idle = f"{for_s}: the program {stillness.waits(program)}, the interactor {other}"
        stillness.end(program)


class _Ends:
    """Tells which of the two runs has ended, the earlier one first."""

    def __init__(self, program: Slot, interactor: Slot) -> None:
        self._slots = {"program": program, "interactor": interactor}
        self._epoll = select.epoll()
        self._watched: dict[str, int] = {}
        self.waiting: list[str] = ["program", "interactor"]
        self.look_again()

    def look_again(self) -> None:
        """Watch the zygotes that there are now: a beginning run may have had to start another.

        Before any run begins, so that the kernel notes their ends in the order they came in.
        """
        for who, slot in self._slots.items():
            fd = self._watched[who] = slot.fileno()
            with contextlib.suppress(FileExistsError):  # another zygote may have the same number
                self._epoll.register(fd, select.EPOLLIN)

    def next(self, timeout_s: float) -> str:
        """Return who has ended next, "" when nobody has in that time."""
        for fd, _ in self._epoll.poll(timeout_s, maxevents=1):
            for who in self.waiting:
                if self._watched[who] == fd:
                    self._epoll.unregister(fd)
                    self.waiting.remove(who)
                    return who
        return ""

    def __enter__(self) -> _Ends:
        return self

    def __exit__(self, *_: object) -> None:
        self._epoll.close()


def _end_if(ends: _Ends, who: str, run: Ready) -> None:
    """End a run that nobody will wait for any more: the other's box was lost."""
    if who in ends.waiting:
        stillness.end(run.slot.pid)


@contextlib.contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    """Both ends of a pipe, closed in our process once the runs have them."""
    reader, writer = os.pipe()
    try:
        yield reader, writer
    finally:
        os.close(reader)
        os.close(writer)


def _files(case: InteractiveCase) -> dict[str, bytes]:
    given, _, answer = FILES
    return {given: text_of(case.input), answer: text_of(case.answer)}


def _hung_up(outcome: Outcome) -> bool:
    """Return whether a program died only because nobody listened any more."""
    return (
        outcome.signal == signal.SIGPIPE
        or outcome.exit_code == _STREAMS_LOST
        or (outcome.kind is Kind.CRASHED and bool(_HUNG_UP.search(outcome.stderr)))
    )
