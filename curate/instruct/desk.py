"""Ask models and judge programs, each once: what is in a run's rows is not asked or judged again.

A failure of ours (a model that gives no reply, a box that breaks twice) is a row of its own kind,
"error"; it is never a reply and never a verdict, and the next sitting tries it again.

Does not cover: a model that answers differently when asked again (the rows keep what came first).
All replies of unfinished items are held in memory.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence, Set
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from typing import Any, Final

from sandbox import (
    Limits,
    Outcome,
    Pool,
    Program,
    SandboxBroken,
    SandboxError,
    Tests,
    TestsBroken,
    Verdict,
)
from sandbox.tests_json import tests_to_json
from seedcoder.completion import Completion, Model, Request, Sampling
from seedcoder.errors import SeedcoderError
from seedcoder.run import Run

log = logging.getLogger(__name__)

_KEPT_CHARS: Final = 2_000  # ours: of each stream of an outcome in a row
_STOP_AFTER: Final = 25  # ours: errors before their share can end a sitting


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A program to judge. key: names it in the answer, and in the rows."""

    key: str
    program: Program
    tests: Tests


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What came of a task: a verdict, or that its tests cannot run (`tests_fault` says why)."""

    verdict: Verdict | None
    tests_fault: str = ""

    @property
    def ok(self) -> bool:
        """Whether every test passed."""
        return self.verdict is not None and self.verdict.ok

    @property
    def kind(self) -> str:
        """The verdict's kind, or "tests_broken"."""
        return self.verdict.kind.value if self.verdict else "tests_broken"

    @property
    def why(self) -> str:
        """What went wrong first, in words for whoever mends it; "" where nothing did."""
        if self.verdict is None or self.verdict.first_failure is None:
            return self.tests_fault
        failure = self.verdict.first_failure
        parts = [failure.test, failure.reason]
        if failure.expected or failure.got:
            parts.append(f"expected {failure.expected}, got {failure.got}")
        return "; ".join(part for part in parts if part)


class Desk:
    """One stage's models and sandbox, over the rows of its run. For one thread."""

    def __init__(
        self,
        run: Run,
        pool: Pool,
        models: Mapping[str, Model],
        limits: Limits,
        keys: Set[str],
        *,
        max_error_rate: float,
    ) -> None:
        """keys: of the items that are still open; rows of others are not looked at."""
        self._run = run
        self._pool = pool
        self._models = models
        self._limits = limits
        self._max_error_rate = max_error_rate
        self._replies: dict[str, Completion] = {}
        self._rulings: dict[str, Ruling] = {}
        self.tried = 0
        self.errors: dict[str, str] = {}  # key to stage, of this sitting
        for row in run.rows():
            if _item_of(row["key"]) not in keys:
                continue
            if row["kind"] == "reply":
                self._replies[row["key"]] = Completion.from_json(row["completion"])
            elif row["kind"] == "verdict":
                self._rulings[_ruling_key(row["key"], row["of"])] = _ruling(row)

    def ask(
        self, requests: Sequence[Request], sampling: Sampling, n: int = 1, *, who: str = "writer"
    ) -> dict[str, list[Completion]]:
        """Return what was replied to each request; samples lost to our failures are left out.

        who: "writer" or "judge".
        """
        wanted = {f"{request.key}#{sample}" for request in requests for sample in range(n)}
        unasked = wanted - self._replies.keys()
        by_count: dict[int, list[Request]] = {}
        for request in requests:
            missing = [at for at in range(n) if f"{request.key}#{at}" in unasked]
            if missing:
                by_count.setdefault(missing[-1] + 1, []).append(request)
        for count, asked in sorted(by_count.items(), reverse=True):
            for completion in self._models[who].generate(asked, sampling, count):
                key = f"{completion.key}#{completion.n}"
                if key not in unasked:
                    continue  # had before the run was cut off
                unasked.discard(key)
                if completion.finish == "error":
                    self._lose(key, "model", completion.error or "no reply")
                    continue
                self.tried += 1
                self._replies[key] = completion
                self._run.append({"kind": "reply", "key": key, "completion": completion.to_json()})
        for key in sorted(unasked):
            self._lose(key, "model", "the model gave no answer")
        found: dict[str, list[Completion]] = {}
        for request in requests:
            had = (self._replies.get(f"{request.key}#{at}") for at in range(n))
            found[request.key] = [one for one in had if one is not None]
        return found

    def judge(self, tasks: Sequence[Task]) -> dict[str, Ruling]:
        """Return the ruling of each task; tasks lost to a broken sandbox are left out."""
        found: dict[str, Ruling] = {}
        fresh: list[tuple[Task, str]] = []
        for task in tasks:
            of = _digest(task, self._limits)
            ruling = self._rulings.get(_ruling_key(task.key, of))
            if ruling is not None:
                found[task.key] = ruling
            else:
                fresh.append((task, of))
        for task, of, result in self._judged(fresh):
            if isinstance(result, SandboxError) and not isinstance(result, TestsBroken):
                self._lose(task.key, "sandbox", str(result))
                continue
            self.tried += 1
            row: dict[str, Any] = {"kind": "verdict", "key": task.key, "of": of}
            if isinstance(result, Verdict):
                row["verdict"] = _shortened(result).to_json()
            else:
                row["tests_fault"] = " ".join(str(result).split())
            self._run.append(row)
            found[task.key] = self._rulings[_ruling_key(task.key, of)] = _ruling(row)
        return found

    def forget(self, keys: Set[str]) -> None:
        """Let go of the replies and rulings of items."""
        self._replies = {k: v for k, v in self._replies.items() if _item_of(k) not in keys}
        self._rulings = {k: v for k, v in self._rulings.items() if _item_of(k) not in keys}

    def _judged(
        self, tasks: Sequence[tuple[Task, str]]
    ) -> Iterator[tuple[Task, str, Verdict | Outcome | SandboxError]]:
        """Yield results as they are ready; a box that breaks gets one more try."""
        waiting: dict[Future[Verdict | Outcome], tuple[Task, str, int]] = {}

        def submit(task: Task, of: str, tries: int) -> None:
            future = self._pool.submit(task.program, task.tests, self._limits)
            waiting[future] = (task, of, tries)

        todo = list(reversed(tasks))
        while todo or waiting:
            while todo and len(waiting) < 4 * self._pool.workers:
                submit(*todo.pop(), 1)
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                task, of, tries = waiting.pop(future)
                try:
                    yield task, of, future.result()
                except SandboxBroken as error:
                    if tries > 1:
                        yield task, of, error
                    else:
                        submit(task, of, tries + 1)
                except SandboxError as error:
                    yield task, of, error

    def _lose(self, key: str, stage: str, error: str) -> None:
        line = " ".join(error.split())
        log.warning("lost key=%s stage=%s error=%s", key, stage, line)
        self.tried += 1
        self.errors[key] = stage
        self._run.append({"kind": "error", "key": key, "stage": stage, "error": line})
        count = len(self.errors)
        if count >= _STOP_AFTER and count > self._max_error_rate * self.tried:
            raise SeedcoderError(
                f"{count} of {self.tried} replies and verdicts were lost to failures of the model"
                f" or the sandbox, the last: {line[:200]}; what was had is kept: run the same"
                f" command again to go on"
            )


def _digest(task: Task, limits: Limits) -> str:
    """A verdict is of one program under certain tests: another program is judged anew."""
    data = [task.program.to_json(), tests_to_json(task.tests), limits.to_json()]
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:32]


def _item_of(key: str) -> str:
    return key.partition("/")[0]


def _ruling_key(key: str, of: str) -> str:
    return f"{key} {of}"


def _ruling(row: Mapping[str, Any]) -> Ruling:
    if "verdict" in row:
        return Ruling(verdict=Verdict.from_json(row["verdict"]))
    return Ruling(verdict=None, tests_fault=row["tests_fault"])


def _shortened(verdict: Verdict) -> Verdict:
    outcomes = tuple(
        replace(one, stdout=one.stdout[:_KEPT_CHARS], stderr=one.stderr[-_KEPT_CHARS:], files={})
        for one in verdict.outcomes
    )
    return replace(verdict, outcomes=outcomes)
