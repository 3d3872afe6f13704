"""Why a run gave no answer, in one line for a person; and what every judge sends of a program."""

from __future__ import annotations

import errno
from typing import Any

from sandbox.outcome import Kind, Outcome
from sandbox.program import Program
from sandbox.ran import Ran
from sandbox.verdict import Failure

_TOO_LARGE = f"[Errno {errno.EFBIG}]"


def why(outcome: Outcome) -> str:
    """Return one line on a run that did not end well."""
    if outcome.kind is Kind.TIMEOUT:
        return f"out of time after {outcome.cpu_s:.2f} CPU s, {outcome.wall_s:.2f} s"
    if outcome.kind is Kind.MEMORY:
        return f"out of memory at {outcome.peak_mb:.0f} MiB"
    if outcome.kind is Kind.OUTPUT:
        return "too much output"
    if outcome.kind is Kind.FORBIDDEN:
        return "killed for a forbidden system call"
    lines = [line for line in outcome.stderr.splitlines() if line.strip()]
    if outcome.kind in (Kind.CRASHED, Kind.COMPILE_ERROR) and lines:
        return lines[-1][:400]
    if outcome.signal is not None:
        return f"ended by signal {outcome.signal}"
    return f"ended with exit code {outcome.exit_code} before it had answered"


def ended(index: int, outcome: Outcome) -> Failure:
    """Return the failure of a run that ended before test `index` was answered."""
    return Failure(index=index, test="", expected="", got="", reason=why(outcome))


def unanswered(ran: Ran) -> Kind:
    """Return the kind of a run that left a test without an answer; never PASSED."""
    if any(line.startswith("L") and "defines no function" in line for line in ran.answers):
        return Kind.WRONG
    return Kind.CRASHED if ran.outcome.kind is Kind.PASSED else ran.outcome.kind


def answered(outcome: Outcome, words: str) -> Kind:
    """Return the kind of a run whose answer to a test fails for the reason in `words`.

    A run may write all it can in the instant before it is ended for that: its next write raises,
    and the raise is only how it met its cap.
    """
    return Kind.OUTPUT if outcome.kind is Kind.OUTPUT and _TOO_LARGE in words else Kind.WRONG


def job(program: Program, **more: Any) -> dict[str, Any]:
    """Return what a box needs of a program, and `more`."""
    return {"source": program.source, "files": dict(program.files), **more}


def printable(text: object) -> str:
    """Return words of a box as text that every file and terminal takes: no lone surrogates."""
    return str(text).encode("utf-8", "backslashreplace").decode()
