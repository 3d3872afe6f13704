"""Judging by test code in the program's own language: both are one source, and one process.

The weaker mode, for benchmarks whose tests are written in the language of the candidate. That the
test code ran to its end is told by a word that it prints last and that the program cannot know
beforehand: it is drawn for each run, and put into the test code's part alone. An exit code, and
whatever else the program prints, passes nothing.

What is not stopped is what the word cannot hide from: the program's own source, binary and memory.
Nor is a program stopped that hands the test code values which claim to equal all others, or that
replaces what a check calls; test code can make that harder with names that the program cannot write
down (`BesideTests.name`).
"""

from __future__ import annotations

import dataclasses
import re
import secrets

from sandbox import reasons
from sandbox.cases import BesideTests
from sandbox.outcome import Kind, Outcome
from sandbox.program import Limits, Program
from sandbox.ready import Slots, ready
from sandbox.verdict import Failure, Verdict

_WORD_BYTES = 16
_LINE_SHOWN = 400  # characters
_TELLING = re.compile("error|exception|panic", re.IGNORECASE)


def judge_beside(program: Program, tests: BesideTests, limits: Limits, slots: Slots) -> Verdict:
    """Judge a program by the test code around it. Raises SandboxBroken, SandboxUnavailable."""
    # Both begin with a letter, and so are names in every language.
    word = f"w{secrets.token_hex(_WORD_BYTES)}"
    name = f"n{secrets.token_hex(_WORD_BYTES)}"
    before = tests.before.replace(tests.name, name)
    after = tests.after.replace(tests.name, name).replace(tests.word, word)
    # Never in the program's own text: it would be told the word.
    whole = dataclasses.replace(program, source=f"{before}{program.source}{after}")
    started = ready(whole, limits, slots)
    outcome = started if isinstance(started, Outcome) else started.run(stdin=program.stdin)
    last = outcome.stdout.rstrip().rpartition("\n")[2].strip()
    passed = outcome.kind is Kind.PASSED and last == word
    # What is kept of the run must not change from run to run.
    outcome = dataclasses.replace(
        outcome,
        stdout=outcome.stdout.replace(word, tests.word).replace(name, tests.name),
        stderr=outcome.stderr.replace(word, tests.word).replace(name, tests.name),
    )
    kind, why = (Kind.PASSED, "") if passed else _failed(tests, outcome)
    failure = None if passed else Failure(index=0, test="", expected="", got="", reason=why)
    return Verdict(
        kind=kind,
        passed=int(passed),
        total=1,
        first_failure=failure,
        outcomes=(outcome,),
        mode="shared",
    )


def _failed(tests: BesideTests, outcome: Outcome) -> tuple[Kind, str]:
    """Return what a run that did not pass was, and why in a line."""
    if outcome.kind is Kind.PASSED:
        return Kind.WRONG, "it ended well, but not behind the last check of its tests"
    kind, lines = outcome.kind, outcome.stderr.splitlines()
    if kind is Kind.CRASHED:
        for line in lines:
            if any(words in line for words in tests.wrong_words):
                return Kind.WRONG, line.strip()[:_LINE_SHOWN]
    if kind in (Kind.CRASHED, Kind.COMPILE_ERROR):
        for line in lines:  # the last one, otherwise shown, is often of the runtime itself
            if _TELLING.search(line):
                return kind, line.strip()[:_LINE_SHOWN]
    return kind, reasons.why(outcome)
