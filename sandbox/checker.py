"""Programs that judge: checkers and interactors, and what their exit codes mean.

The codes are those of testlib.h (MikeMirzayanov/testlib, `*_EXIT_CODE` without EJUDGE, CONTESTER or
TESTSYS): 0 right, 1 wrong, 2 wrong in its form, 3 the judge's own failure, 4 something right and
more after it, 7 points, 8 ended too early. Forks that end with the number of `_points` itself give
5 for points. Points are read from the judge's words, as `quitp` writes them: "points 0.5 ...".
Its words are the first line of its stderr, or of its stdout where that is empty.

A judge runs in a zygote that no candidate ever runs in, and its words and codes are trusted. What
it reads is not: a checker with a fault in its memory may be made to say anything, which no box
around it can mend.

A judge that breaks (a signal, another code, a Python traceback, a limit) says nothing of the
candidate. Who broke it is found out by trying again without the candidate: a checker is given the
expected output as if the program had printed it. If it breaks on that too, the tests are broken; if
it does not, the program's output did it, and is wrong. Otherwise printing nonsense would be a way
out of being judged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sandbox import reasons
from sandbox.cases import StdioCase
from sandbox.compiled import text_of
from sandbox.errors import TestsBroken
from sandbox.outcome import Kind, Outcome
from sandbox.program import Limits, Program
from sandbox.ready import Ready, Slots, ready

RIGHT, WRONG, MALFORMED, FAILED, DIRT, POINTS_OF_FORKS, POINTS, ENDED_EARLY = (
    0,
    1,
    2,
    3,
    4,
    5,
    7,
    8,
)
_WRONG = (WRONG, MALFORMED, DIRT, ENDED_EARLY)
_POINTS = (POINTS_OF_FORKS, POINTS)
FILES = ("input", "output", "answer")  # ours: what the arguments name

_NUMBER = re.compile(r"\s*(?:points\s+)?(\d+(?:\.\d*)?|\.\d+)(?=\s|$)")
_TRACEBACK = re.compile(r"^Traceback \(most recent call last\):$", re.MULTILINE)
_MIB = 1 << 20
# Ours: a judge gets at least this much, however little the candidate gets.
_LEAST_CPU_S = 10.0
_LEAST_MEMORY_MB = 512
_LEAST_OUTPUT_KB = 4096
_DISK_MB = 64  # beside the files that it is given


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What a judge said. score: 0 to 1. broken: it said nothing, and `words` are why."""

    score: float
    words: str = ""
    broken: bool = False

    def reason(self, who: str) -> str:
        """Return why it is not right, in a line."""
        said = f": {self.words}" if self.words else " that it is wrong"
        return f"the {who} says{said}"


def limits_of(limits: Limits, files_bytes: int, *, longer_s: float = 0.0) -> Limits:
    """Return a judge's limits for a candidate with `limits`. longer_s: of wall time."""
    files_mb = -(-files_bytes // _MIB)
    return Limits(
        cpu_s=max(limits.cpu_s, _LEAST_CPU_S),
        wall_s=max(limits.wall_s, 10 * _LEAST_CPU_S) + longer_s,
        memory_mb=max(limits.memory_mb, _LEAST_MEMORY_MB) + files_mb,  # they count as memory
        processes=limits.processes,
        output_kb=max(2 * limits.output_kb, _LEAST_OUTPUT_KB),
        disk_mb=_DISK_MB + files_mb,
        compile_cpu_s=limits.compile_cpu_s,
    )


def prepared(program: Program, limits: Limits, slots: Slots, who: str) -> Ready:
    """Return a judge ready to start. Raises TestsBroken where it does not compile."""
    if not program.source.strip():
        raise TestsBroken(f"the {who} has no code")
    started = ready(program, limits, slots, role="tests")
    if isinstance(started, Outcome):
        raise TestsBroken(f"the {who} does not compile: {reasons.why(started)}")
    return started


def read(outcome: Outcome, who: str, full_mark: float) -> Word:
    """Return what a judge said by how it ended.

    Raises TestsBroken where the fault is its own beyond doubt: it says so, or does not compile, or
    gives points without saying how many.
    """
    if outcome.kind is Kind.COMPILE_ERROR:
        raise TestsBroken(f"the {who} does not compile: {reasons.why(outcome)}")
    code, words = outcome.exit_code, _words(outcome)
    if outcome.kind not in (Kind.PASSED, Kind.CRASHED, Kind.OUTPUT) or code is None:
        return Word(score=0.0, words=reasons.why(outcome), broken=True)
    if code == RIGHT:
        return Word(score=1.0, words=words)
    if code == FAILED:
        raise TestsBroken(f"the {who} failed: {words or 'it did not say why'}")
    # Python's own end after an exception is 1 too.
    if code in _WRONG and not _TRACEBACK.search(outcome.stderr):
        return Word(score=0.0, words=words)
    if code in _POINTS:
        found = _NUMBER.match(words)
        if found is None:
            raise TestsBroken(f"the {who} gave points (code {code}), but its words begin {words!r}")
        score = float(found[1]) / full_mark
        if score > 1:
            raise TestsBroken(f"the {who} gave {found[1]} points of {full_mark:g}")
        return Word(score=score, words=words)
    return Word(score=0.0, words=reasons.why(outcome), broken=True)


def _words(outcome: Outcome) -> str:
    for text in (outcome.stderr, outcome.stdout):
        line = next((line for line in text.splitlines() if line.strip()), "")
        if line:
            return line.strip()[:300]
    return ""


class Checker:
    """A checker made ready, once for all cases."""

    def __init__(
        self,
        program: Program,
        cases: tuple[StdioCase, ...],
        full_mark: float,
        limits: Limits,
        slots: Slots,
    ) -> None:
        largest = max(4 * (len(case.stdin) + len(case.stdout)) for case in cases)
        room = limits_of(limits, largest + limits.output_kb * 1024)
        self._ready = prepared(program, room, slots, "checker")
        self._argv = (*FILES, *program.argv)
        self._full_mark = full_mark

    def judge(self, index: int, case: StdioCase, output: str) -> Word:
        """Return what it says of an output. Raises TestsBroken where it is at fault itself."""
        word = self._ask(case, output)
        if not word.broken:
            return word
        control = self._ask(case, case.stdout)
        if control.broken:
            raise TestsBroken(
                f"case {index}: the checker broke ({word.words}), and on the expected output too"
            )
        words = f"nothing, for it broke on this output, not on the expected one: {word.words}"
        return Word(score=0.0, words=words)

    def _ask(self, case: StdioCase, output: str) -> Word:
        contents = map(text_of, (case.stdin, output, case.stdout))
        files = dict(zip(FILES, contents, strict=True))
        return read(self._ready.run(argv=self._argv, files=files), "checker", self._full_mark)
