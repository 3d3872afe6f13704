"""Run what is on the page in the sandbox, and say what it did as plain data.

Guards: as the box of `sandbox` does, with the limits of the recipe's [sandbox]; no more programs
wait than a few a worker. Does not guard: who may run at all (`rights` does), nor
fairness between visitors.
"""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from sandbox import Kind, Limits, Outcome, Pool, Program, SandboxError, Tests, TestsBroken, Verdict
from sandbox.languages import LANGUAGES
from sandbox.reasons import why
from serve.config import SandboxTable
from serve.playground.asking import Refused

# What models write behind a fence beside our names and the suffixes of files.
_OTHER_NAMES: Final = {
    "": "python",  # of a code model, mostly
    "python3": "python",
    "pycon": "python",
    "c++": "cpp",
    "golang": "go",
    "node": "javascript",
    "nodejs": "javascript",
    "shell": "bash",
    "zsh": "bash",
}
_WAITING_A_WORKER: Final = 8  # ours
SOURCE_MOST: Final = 200_000  # characters, ours

# A kind's word for people and its tone. A run is not judged: that it ended well is all it says.
_WORDS: Final[Mapping[Kind, tuple[str, str]]] = {
    Kind.PASSED: ("ended well", "good"),
    Kind.WRONG: ("wrong", "bad"),
    Kind.CRASHED: ("crashed", "bad"),
    Kind.TIMEOUT: ("out of time", "warn"),
    Kind.MEMORY: ("out of memory", "warn"),
    Kind.OUTPUT: ("too much output", "warn"),
    Kind.COMPILE_ERROR: ("does not compile", "bad"),
    Kind.FORBIDDEN: ("forbidden", "bad"),
    Kind.NO_CODE: ("no code", "bad"),
}


class TestCannotRun(Refused):
    """A test is at fault itself; it says nothing of the program."""

    __test__ = False  # pytest takes the name for a test class


def language_of(word: str) -> str | None:
    """Return the language that a fence's word names; None where the sandbox runs none such."""
    word = word.strip().lower()
    if word in LANGUAGES:
        return word
    if word in _OTHER_NAMES:
        return _OTHER_NAMES[word]
    for name, language in LANGUAGES.items():
        if f".{word}" in language.suffixes:
            return name
    return None


class Runner:
    """One pool of boxes, opened when the first program comes."""

    def __init__(self, table: SandboxTable) -> None:
        self._table = table
        self._pool: Pool | None = None
        self._opening = asyncio.Lock()
        self._waiting = 0
        self.limits = Limits(cpu_s=table.cpu_s, wall_s=table.wall_s, memory_mb=table.memory_mb)

    async def run(self, source: str, *, language: str, stdin: str = "") -> dict[str, Any]:
        """Return what a program did; see `shown`. Raises Refused."""
        program = _program(source, language, stdin)
        async with self._place() as pool:
            try:
                outcome = await pool.arun(program, self.limits)
            except SandboxError as error:
                raise Refused(_line(error)) from error
        return shown(outcome)

    async def judge(self, source: str, tests: Tests) -> Verdict:
        """Return the verdict on a Python program. Raises Refused, TestCannotRun for bad tests."""
        program = _program(source, "python", "")
        async with self._place() as pool:
            try:
                return await pool.ajudge(program, tests, self.limits)
            except TestsBroken as error:
                raise TestCannotRun(_line(error)) from error
            except SandboxError as error:
                raise Refused(_line(error)) from error

    def words(self) -> str:
        """Return the limits of a run in words."""
        limits = self.limits
        return f"{limits.cpu_s:g} s of CPU, {limits.memory_mb} MiB, no network"

    def close(self) -> None:
        """End the boxes; programs that wait are not run."""
        if self._pool is not None:
            self._pool.close(wait_for_jobs=False)

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[Pool]:
        if self._waiting >= _WAITING_A_WORKER * self._table.workers:
            raise Refused("the sandbox is busy: try again in a moment")
        self._waiting += 1
        try:
            yield await self._opened()
        finally:
            self._waiting -= 1

    async def _opened(self) -> Pool:
        async with self._opening:
            if self._pool is None:
                table = self._table
                try:
                    # A time-out is not tried again alone, as a judge would: the visitor waits.
                    self._pool = await asyncio.to_thread(
                        Pool,
                        table.workers,
                        box=table.box,
                        require=table.require,
                        confirm_timeouts=False,
                    )
                except (SandboxError, ValueError) as error:  # ValueError: no such box
                    raise Refused(f"the sandbox cannot be opened: {_line(error)}") from error
                atexit.register(self.close)
            return self._pool


def shown(outcome: Outcome) -> dict[str, Any]:
    """Return what one run did, for the page: words, tone, streams, figures."""
    word, tone = _WORDS[outcome.kind]
    detail = ""
    if outcome.kind is Kind.CRASHED and outcome.signal is None:
        detail = f"exit code {outcome.exit_code}"
    elif outcome.kind in (Kind.CRASHED, Kind.FORBIDDEN, Kind.COMPILE_ERROR):
        detail = why(outcome)
    return {
        "kind": outcome.kind.value,
        "word": word,
        "tone": tone,
        "detail": detail,
        "stdout": outcome.stdout,
        "stderr": outcome.stderr,
        "truncated": outcome.truncated,
        "figures": [
            f"{outcome.wall_s:.2f} s",
            f"{outcome.cpu_s:.2f} s CPU",
            f"{outcome.peak_mb:.1f} MiB",
        ],
    }


def verdict_words(kind: Kind) -> tuple[str, str]:
    """Return a verdict's word and its tone."""
    return ("passed", "good") if kind is Kind.PASSED else _WORDS[kind]


def _program(source: str, language: str, stdin: str) -> Program:
    known = language_of(language)
    if known is None:
        raise Refused(f"the sandbox does not run {language[:40]!r}")
    if not source.strip():
        raise Refused("there is no code to run")
    if len(source) + len(stdin) > SOURCE_MOST:
        raise Refused(f"the program and its stdin are over {SOURCE_MOST} characters")
    return Program(language=known, source=source, stdin=stdin)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:600]
