"""A model that gets another try: its edit is judged, and what the tests said is shown to it.

First tries are asked together, and judged in boxes of this solver's own while others are written;
those that fail are asked again with the tests' output. What each try came to is kept as a row of
the kind "turn", so a run that was cut off asks nothing twice.

A judge that breaks makes the sample an error of ours, never a failed try.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from evals.aider.edits import whole_files
from evals.aider.prompts import conversation, fence_for, first_question, next_question
from evals.bench import Work
from evals.problem import Problem, sample_key
from evals.think import split
from sandbox import Limits, Outcome, Pool, Program, SandboxBroken, SandboxError, Tests, Verdict
from seedcoder.completion import Completion, Model, Request, Sampling


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """One reply and what came of it. files: those to edit, after it. passed: None if not judged.

    text: the reply without its thought. changed: whether it changed a file.
    """

    text: str
    files: Mapping[str, str]
    changed: bool
    question: str
    passed: bool | None = None
    errors: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`."""
        data = {name: getattr(self, name) for name in self.__slots__}
        return {**data, "files": dict(self.files)}


class Judge(Protocol):
    """How a benchmark judges an edit while it is worked on."""

    def verdict_job(self, problem: Problem, files: Mapping[str, str]) -> tuple[Program, Tests]:
        """Return what decides whether a try has passed."""
        ...

    def errors_job(
        self, problem: Problem, files: Mapping[str, str]
    ) -> tuple[Program, Tests | None]:
        """Return what is run for the output that the model is shown."""
        ...

    def errors(self, problem: Problem, result: Verdict | Outcome) -> str:
        """Return that output, as upstream shows it."""
        ...

    def limits(self, problem: Problem) -> Limits:
        """Return what a run may use."""
        ...


@dataclass(slots=True)
class _Task:
    """One sample under way."""

    problem: Problem
    n: int
    done: list[Try] = field(default_factory=list)
    last: Completion | None = None
    tokens: int = 0
    prompt_tokens: int = 0
    broken: int = 0

    @property
    def files(self) -> Mapping[str, str]:
        found: Mapping[str, str] = self.done[-1].files if self.done else files_of(self.problem)
        return found

    @property
    def turn(self) -> str:
        return f"{sample_key(self.problem.key, self.n)}/{len(self.done)}"


class TwoTries:
    """A model that answers exercises in up to `tries` tries; its text is their JSON."""

    def __init__(
        self, model: Model, work: Work, problems: Mapping[str, Problem], judge: Judge, tries: int
    ) -> None:
        self._model, self._work, self._judge = model, work, judge
        self._problems, self._tries = problems, tries
        self._pool: Pool | None = None
        self._waiting: dict[Future[Any], tuple[_Task, Callable[[Any], None]]] = {}
        self._again: list[_Task] = []
        self._ready: list[Completion] = []

    @property
    def name(self) -> str:
        """The model's own name: tries are the benchmark's."""
        return self._model.name

    def close(self) -> None:
        """Let go of the boxes."""
        if self._pool is not None:
            self._pool.close()

    def generate(
        self, requests: Iterable[Request], sampling: Sampling, n: int = 1
    ) -> Iterator[Completion]:
        """Yield one completion a request and sample, when its tries are over."""
        kept = {row["key"]: row for row in self._work.rows("turn")}
        tasks = [
            _Task(self._problems[request.key], number)
            for request in requests
            for number in range(n)
        ]
        waiting = tasks
        while waiting or self._waiting:
            fresh = []
            for task in waiting:
                row = kept.get(task.turn)
                if row is None:
                    fresh.append(task)
                else:
                    self._resume(task, row)
            for task, completion in self._asked(fresh, sampling):
                self._answered(task, completion)
                self._collect(wait_for_one=False)
                yield from self._taken()
            # All that failed is asked together: a batch is what a model is fastest at.
            while self._waiting:
                self._collect(wait_for_one=True)
                yield from self._taken()
            yield from self._taken()
            waiting, self._again = self._again, []

    def _asked(
        self, tasks: Iterable[_Task], sampling: Sampling
    ) -> Iterator[tuple[_Task, Completion]]:
        """Ask one reply for each; a sample draws by its own seed, whatever it is asked with."""
        by_number: dict[int, dict[str, _Task]] = {}
        for task in tasks:
            by_number.setdefault(task.n, {})[task.turn] = task
        for number, some in sorted(by_number.items()):
            drawn = replace(sampling, seed=sampling.seed + number)
            requests = (
                Request(key=key, prompt=conversation(task.files, *_asking(task)))
                for key, task in some.items()
            )
            for completion in self._model.generate(requests, drawn, 1):
                yield some[completion.key], completion

    def _answered(self, task: _Task, completion: Completion) -> None:
        task.last = completion
        task.tokens += completion.tokens
        task.prompt_tokens += completion.prompt_tokens
        if completion.finish == "error":
            self._fail(task, completion.error or "no reply")
            return
        text = split(completion.text).answer
        fence = fence_for(task.files)
        new = whole_files(text, task.files.keys(), fence)
        one = Try(
            text=text,
            files={**task.files, **new},
            changed=bool(new),
            question=_question(task),
        )
        task.done.append(one)
        if len(task.done) == self._tries or completion.finish == "overflow":
            self._finish(task)  # the runner judges the last one
            return
        self._judge_it(task)

    def _judge_it(self, task: _Task) -> None:
        program, tests = self._judge.verdict_job(task.problem, task.files)
        self._submit(task, program, tests, lambda result: self._judged(task, result))

    def _judged(self, task: _Task, result: Verdict) -> None:
        if result.ok:
            task.done[-1] = replace(task.done[-1], passed=True)
            self._keep(task)
            self._finish(task)
            return
        program, tests = self._judge.errors_job(task.problem, task.files)
        self._submit(task, program, tests, lambda found: self._shown(task, found))

    def _shown(self, task: _Task, result: Verdict | Outcome) -> None:
        errors = self._judge.errors(task.problem, result)
        task.done[-1] = replace(task.done[-1], passed=False, errors=errors)
        self._keep(task)
        self._again.append(task)

    def _submit(
        self, task: _Task, program: Program, tests: Tests | None, then: Callable[[Any], None]
    ) -> None:
        if self._pool is None:
            workers = min(2, len(os.sched_getaffinity(0)))
            self._pool = Pool(workers, box=self._work.box)
        limits = self._work.limits(self._judge.limits(task.problem))
        future = self._pool.submit(program, tests, limits)
        self._waiting[future] = (task, then)

    def _collect(self, *, wait_for_one: bool) -> None:
        """Take what has been judged. A box that broke is tried once more."""
        if wait_for_one:
            wait(self._waiting, return_when=FIRST_COMPLETED)
        for future in [future for future in self._waiting if future.done()]:
            task, then = self._waiting.pop(future)
            try:
                result = future.result()
            except SandboxBroken as error:
                task.broken += 1
                if task.broken > 1:
                    self._fail(task, str(error))
                else:
                    self._judge_it(task)
            except SandboxError as error:
                self._fail(task, str(error))
            else:
                then(result)

    def _keep(self, task: _Task) -> None:
        assert task.last is not None
        number = len(task.done) - 1
        self._work.keep(
            {
                "kind": "turn",
                "key": f"{sample_key(task.problem.key, task.n)}/{number}",
                "finish": task.last.finish,
                "tokens": task.last.tokens,
                "prompt_tokens": task.last.prompt_tokens,
                **task.done[-1].to_json(),
            }
        )

    def _resume(self, task: _Task, row: Mapping[str, Any]) -> None:
        one = Try(**{name: row[name] for name in Try.__slots__})
        task.last = Completion(
            key=task.problem.key, n=task.n, text=one.text, finish=row["finish"],
            tokens=row["tokens"], prompt_tokens=row["prompt_tokens"],
        )  # fmt: skip
        task.tokens += row["tokens"]
        task.prompt_tokens += row["prompt_tokens"]
        task.done.append(one)
        if one.passed:
            self._finish(task)
        else:
            self._again.append(task)

    def _finish(self, task: _Task) -> None:
        assert task.last is not None
        text = json.dumps({"tries": [one.to_json() for one in task.done]})
        self._ready.append(
            Completion(
                key=task.problem.key,
                n=task.n,
                text=text,
                finish=task.last.finish,
                tokens=task.tokens,
                prompt_tokens=task.prompt_tokens,
            )
        )

    def _fail(self, task: _Task, error: str) -> None:
        self._ready.append(
            Completion(key=task.problem.key, n=task.n, text="", finish="error", error=error)
        )

    def _taken(self) -> Iterator[Completion]:
        ready, self._ready = self._ready, []
        yield from ready


def files_of(problem: Problem) -> dict[str, str]:
    """Return the files that a problem asks to edit, as they are at first."""
    files = problem.tests["files"]
    return {name: files[name] for name in problem.tests["solution"]}


def tries_of(text: str) -> list[dict[str, Any]]:
    """Return the tries that a sample's text holds; none where it holds none."""
    try:
        found = json.loads(text)["tries"]
    except (ValueError, KeyError, TypeError):
        return []
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _question(task: _Task) -> str:
    names = task.problem.tests["solution"]
    if not task.done:
        return first_question(task.problem.prompt, names)
    return next_question(task.done[-1].errors, names)


def _asking(task: _Task) -> tuple[str, tuple[tuple[str, str, bool], ...]]:
    before = tuple((one.question, one.text, one.changed) for one in task.done)
    return _question(task), before
