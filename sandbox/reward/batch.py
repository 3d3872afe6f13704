"""Rewards of many rollouts at once: judged in a pool, equal ones once, known ones not at all.

An infrastructure failure raises, after as many new tries as `retries`; it is never a reward of 0.
What was judged before it is kept, so that the batch can be asked for again at little cost.

What is kept of verdicts (`sandbox.reward.key` says under which key): all kinds, as they follow from
program, tests and limits, but a time-out, of whichever test, only where CPU time decided it and the
pool found it twice, the second time alone. A verdict by the wall clock depends on what else the
machine did; one by CPU time depends on it too, by the caches that programs share, and a program
near its limit may pass alone. A program that uses chance or the clock has the verdict of its first
judgement.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from sandbox.cases import CallTests, InteractiveTests, StdioTests, Tests
from sandbox.errors import SandboxBroken, SandboxError
from sandbox.jobs import Job
from sandbox.outcome import Kind, Outcome
from sandbox.program import Limits, Program
from sandbox.reward import key as key_of
from sandbox.reward.cache import VerdictCache, default_path
from sandbox.reward.parts import Scheme
from sandbox.verdict import Reward, Verdict

_CPU_DECIDED = 0.95  # ours: of the limit; less, and it was the wall clock
_REMOTE = ("http://", "https://")
_KEEP_AFTER = 64  # verdicts written at once
Extractor = Callable[[str], "Program | str | None"]
Result = Verdict | Outcome | SandboxError


class Judges(Protocol):
    """What a `Pool` offers, and a fleet of them."""

    @property
    def box_name(self) -> str: ...
    @property
    def packages(self) -> tuple[str, ...]: ...
    @property
    def confirms_timeouts(self) -> bool: ...
    def map_jobs(
        self, jobs: Iterable[Job], *, ordered: bool = True
    ) -> Iterator[tuple[Job, Verdict | Outcome | SandboxError]]: ...
    def amap(
        self, jobs: Iterable[Job], *, ordered: bool = True
    ) -> AsyncIterator[Verdict | Outcome | SandboxError]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One reply of a model, or the program out of it, and what it is judged by.

    program: None: the extractor takes it out of `reply`. tokens: of the reply, for a length part.
    extract: in place of the rewarder's; a reply without a program has the verdict NO_CODE.
    """

    tests: Tests
    program: Program | None = None
    reply: str | None = None
    tokens: int | None = None
    limits: Limits = field(default_factory=Limits)
    extract: Extractor | None = None


@dataclass(slots=True)
class _Task:
    """What is judged once, for all rollouts that are equal in it. key: None: it is not kept."""

    job: Job
    key: bytes | None
    rollouts: list[int]
    tries: int = 0


class Rewarder:
    """Turns rollouts into rewards in a pool, which stays the caller's.

    scheme: how a verdict becomes a number. extract: takes the program out of replies.
    cache: a `VerdictCache`, or the path of its file; False switches it off, True is one file of the
        user's (`sandbox.reward.default_path`).
    version: told apart from others in the cache. A pool on a remote server needs one to use the
        cache at all, since a server's own version does not show in its address; so do tests of
        projects with a folder of packages.
    retries: how often a program is judged again whose box broke.
    """

    def __init__(
        self,
        pool: Judges,
        *,
        scheme: Scheme | None = None,
        extract: Extractor | None = None,
        cache: VerdictCache | Path | str | bool = True,
        version: str = "",
        retries: int = 2,
    ) -> None:
        if retries < 0:
            raise ValueError(f"retries must not be negative, got {retries}")
        self.scheme = scheme or Scheme()
        self.cache: VerdictCache | None
        self._pool = pool
        self._extract = extract
        self._version = version
        self._retries = retries
        self._owns_cache = not isinstance(cache, VerdictCache)
        self.cache = None
        if not pool.box_name.startswith(_REMOTE) or version:
            self.cache = _opened(cache)

    def reward(self, rollout: Rollout) -> Reward:
        """Return one reward."""
        return self.rewards([rollout])[0]

    def rewards(self, rollouts: Sequence[Rollout]) -> list[Reward]:
        """Return a reward for each rollout, in order.

        Raises SandboxBroken where a box broke again and again, SandboxUnavailable, TestsBroken, and
        ValueError for a rollout that lacks what the scheme needs.
        """
        found = dict(self.stream(rollouts))
        return [found[index] for index in range(len(rollouts))]

    def stream(self, rollouts: Sequence[Rollout]) -> Iterator[tuple[int, Reward]]:
        """Yield (index, reward) as they come to be known; else as `rewards`."""
        tasks, known = self._prepared(rollouts)
        yield from self._rewarded(rollouts, known)
        fresh: dict[bytes, Verdict] = {}
        try:
            while tasks:
                again: list[_Task] = []
                by_key = {task.job.key: task for task in tasks}
                for job, result in self._pool.map_jobs([t.job for t in tasks], ordered=False):
                    task = by_key[job.key]
                    verdict = self._settled(task, result, fresh)
                    if verdict is None:
                        again.append(task)
                        continue
                    yield from self._rewarded(rollouts, [(task, verdict)])
                tasks = again
        finally:
            self._keep(fresh, least=1)

    async def arewards(self, rollouts: Sequence[Rollout]) -> list[Reward]:
        """Return a reward for each rollout, in order, without blocking the event loop."""
        tasks, known = await asyncio.to_thread(self._prepared, rollouts)
        found = dict(self._rewarded(rollouts, known))
        fresh: dict[bytes, Verdict] = {}
        try:
            while tasks:
                again: list[_Task] = []
                results = self._pool.amap([task.job for task in tasks])
                waiting = iter(tasks)
                async for result in results:
                    task = next(waiting)
                    verdict = self._settled(task, result, fresh)
                    if verdict is None:
                        again.append(task)
                        continue
                    found |= self._rewarded(rollouts, [(task, verdict)])
                tasks = again
        finally:
            await asyncio.to_thread(self._keep, fresh, least=1)
        return [found[index] for index in range(len(rollouts))]

    def _prepared(
        self, rollouts: Sequence[Rollout]
    ) -> tuple[list[_Task], list[tuple[_Task, Verdict]]]:
        """Return what is to be judged, and what is known already."""
        tasks: dict[object, _Task] = {}
        digests: dict[tuple[str, int], bytes | None] = {}
        places: dict[str, bytes] = {}
        for index, rollout in enumerate(rollouts):
            self._check(rollout)
            program = self._program(rollout)
            tests = rollout.tests
            # One problem's tests judge many rollouts, and are the same object.
            if ("tests", id(tests)) not in digests:
                digests["tests", id(tests)] = key_of.of_tests(tests, self._version)
            if ("limits", id(rollout.limits)) not in digests:
                digests["limits", id(rollout.limits)] = key_of.of_limits(rollout.limits)
            if program.language not in places:
                places[program.language] = key_of.of_place(
                    self._pool, program.language, self._version
                )
            of_tests = digests["tests", id(tests)]
            of_limits = digests["limits", id(rollout.limits)] or b""
            rest = (key_of.of_program(program), of_limits, places[program.language])
            key = None if of_tests is None else key_of.of_all(of_tests, *rest)
            same: object = (id(tests), *rest) if key is None else key
            if same in tasks:
                tasks[same].rollouts.append(index)
            else:
                job = Job(program=program, tests=tests, limits=rollout.limits, key=str(index))
                tasks[same] = _Task(job=job, key=key, rollouts=[index])
        found: dict[bytes, Verdict] = {}
        if self.cache is not None:
            found = self.cache.get([task.key for task in tasks.values() if task.key is not None])
        unknown, known = [], []
        for task in tasks.values():
            if task.key is not None and task.key in found:
                known.append((task, found[task.key]))
            else:
                unknown.append(task)
        return unknown, known

    def _check(self, rollout: Rollout) -> None:
        if self.scheme.format is not None and rollout.reply is None:
            raise ValueError("a rollout without its reply, which the format part needs")
        if self.scheme.length is not None and rollout.tokens is None:
            raise ValueError("a rollout without its tokens, which the length part needs")
        if self.scheme.tests != "all" and _stops_early(rollout.tests):
            raise ValueError(
                f"tests={self.scheme.tests!r} counts every test that passes:"
                " it needs tests with stop_early=False"
            )

    def _program(self, rollout: Rollout) -> Program:
        if rollout.program is not None:
            return rollout.program
        extract = rollout.extract or self._extract
        if rollout.reply is None or extract is None:
            raise ValueError("a rollout needs a program, or a reply and an extractor")
        found = extract(rollout.reply)
        return found if isinstance(found, Program) else Program.python(found or "")

    def _settled(self, task: _Task, result: Result, fresh: dict[bytes, Verdict]) -> Verdict | None:
        """Return a task's verdict, None where it is to be tried again; else raise."""
        task.tries += 1
        if isinstance(result, SandboxBroken) and task.tries <= self._retries:
            return None
        if isinstance(result, SandboxError):
            raise result
        if isinstance(result, Outcome):
            raise TypeError("a pool returned an outcome where a verdict was due")
        # Without its runs: their output may be large, and their times differ from run to run.
        verdict = dataclasses.replace(result, outcomes=())
        if task.key is not None and self.cache is not None and self._is_settled(task, result):
            fresh[task.key] = verdict
            self._keep(fresh, least=_KEEP_AFTER)
        return verdict

    def _is_settled(self, task: _Task, verdict: Verdict) -> bool:
        """Return whether the verdict would be the same again: see the module's words."""
        # Behind another kind, a later test may have timed out, and counts in a fraction.
        late = [outcome for outcome in verdict.outcomes if outcome.kind is Kind.TIMEOUT]
        if verdict.kind is not Kind.TIMEOUT and not late:
            return True
        limit_s = _CPU_DECIDED * task.job.limits.cpu_s
        by_cpu = bool(late) and all(outcome.cpu_s >= limit_s for outcome in late)
        return by_cpu and self._pool.confirms_timeouts

    def _keep(self, fresh: dict[bytes, Verdict], *, least: int) -> None:
        if self.cache is not None and len(fresh) >= least:
            self.cache.put(fresh)
            fresh.clear()

    def _rewarded(
        self, rollouts: Sequence[Rollout], judged: Iterable[tuple[_Task, Verdict]]
    ) -> Iterator[tuple[int, Reward]]:
        for task, verdict in judged:
            for index in task.rollouts:
                rollout = rollouts[index]
                yield (
                    index,
                    self.scheme.reward(verdict, reply=rollout.reply, tokens=rollout.tokens),
                )

    def close(self) -> None:
        """Close the cache, where it is this rewarder's own."""
        if self.cache is not None and self._owns_cache:
            self.cache.close()

    def __enter__(self) -> Rewarder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _stops_early(tests: Tests) -> bool:
    """Return whether passes after the first failure go uncounted. Subtasks count as they must."""
    if isinstance(tests, StdioTests | InteractiveTests):
        return tests.stop_early and not tests.subtasks
    return isinstance(tests, CallTests) and tests.stop_early


def _opened(cache: VerdictCache | Path | str | bool) -> VerdictCache | None:
    if isinstance(cache, bool):
        return VerdictCache(default_path()) if cache else None
    return cache if isinstance(cache, VerdictCache) else VerdictCache(cache)
