"""Scaffolds as models: an instance is an episode of questions to the model and work in a sandbox.

A scaffold is a generator. It yields `Ask` and is sent the replies, yields `Do` and is sent what
came of it, and returns its `Ending`. What it was sent is kept as rows of the kind "turn", so an
episode that was cut off is played again from them, without the model and without the sandbox, up to
where it was. A row counts only while its question is the same.

Some episodes are under way at a time. Their questions are asked together, and their work is done by
a few threads while others wait for the model. A server that is gone ends an episode as an error,
which is ours; a prompt beyond the context ends it as an overflow, which is the model's.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any

from evals.bench import Work
from evals.problem import Problem, sample_key
from evals.swe.workplace import Workplace, workplace
from sandbox import SandboxBroken, SandboxError
from seedcoder.completion import Completion, Finish, Message, Model, Request, Sampling


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Messages for the model. n: replies wanted. temperature: None is the recipe's."""

    messages: tuple[Message, ...]
    n: int = 1
    temperature: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Do:
    """Work for a thread. work: returns plain data, for it is kept. about: what it depends on."""

    work: Callable[[], Any]
    about: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One reply; see `Completion`."""

    text: str
    finish: Finish


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What came of an episode. patch: "" for none. finish: as for a completion: "length" for one
    that went on until its steps were used up, "overflow" for one whose context was."""

    patch: str
    finish: Finish = "stop"


Episode = Generator[Ask | Do, Any, Ending]
Scaffold = Callable[[Workplace, Mapping[str, Any]], Episode]


@dataclass(slots=True)
class _Running:
    """An episode under way. step: the number of its question. effect: what it waits for."""

    key: str
    n: int
    problem: Problem
    episode: Episode | None = None
    step: int = -1
    effect: Ask | Do | None = None
    tokens: int = 0
    prompt_tokens: int = 0
    tries: int = 0

    @property
    def turn(self) -> str:
        return f"{sample_key(self.key, self.n)}/{self.step}"


class Episodes:
    """A model that works on instances through a scaffold, and answers with patches."""

    def __init__(
        self,
        model: Model,
        work: Work,
        problems: Mapping[str, Problem],
        scaffold: str,
        settings: Mapping[str, Any],
    ) -> None:
        """scaffold: "agentless" or "mini". settings: its numbers, and "parallel"."""
        self._model = model
        self._work = work
        self._problems = problems
        self._settings = settings
        self._scaffold = _scaffold(scaffold)
        self._kept: dict[str, Mapping[str, Any]] | None = None

    @property
    def name(self) -> str:
        """The model's own name: the scaffold is the benchmark's."""
        return self._model.name

    def close(self) -> None:
        """Nothing is held: the model is its opener's to close."""

    def generate(
        self, requests: Iterable[Request], sampling: Sampling, n: int = 1
    ) -> Iterator[Completion]:
        """Yield one completion an instance and sample; its text is the patch."""
        if self._kept is None:
            self._kept = {row["key"]: row for row in self._work.rows("turn")}
        waiting = (
            _Running(key=request.key, n=sample, problem=self._problems[request.key])
            for request in requests
            for sample in range(n)
        )
        parallel = int(self._settings["parallel"])
        threads = min(parallel, len(os.sched_getaffinity(0)))
        executor = ThreadPoolExecutor(threads, thread_name_prefix="scaffold")
        try:
            yield from self._rounds(waiting, parallel, sampling, executor)
        finally:
            executor.shutdown(wait=True, cancel_futures=True)

    def _rounds(
        self,
        waiting: Iterator[_Running],
        parallel: int,
        sampling: Sampling,
        executor: ThreadPoolExecutor,
    ) -> Iterator[Completion]:
        working: dict[Future[Any], _Running] = {}
        asking: list[_Running] = []

        def next_of(running: _Running, sent: Any) -> Completion | None:
            """Send a result in; queue what the episode wants next, or return how it ended."""
            ending = self._advance(running, sent)
            if ending is not None:
                return self._completion(running, ending)
            if isinstance(running.effect, Ask):
                asking.append(running)
            else:
                assert running.effect is not None
                working[executor.submit(running.effect.work)] = running
            return None

        while True:
            while len(working) + len(asking) < parallel:
                fresh = next(waiting, None)
                if fresh is None:
                    break
                box = self._work.box
                work = executor.submit(workplace, fresh.problem, box)
                working[work] = fresh
            if not working and not asking:
                return
            if not asking:
                wait(working, return_when=FIRST_COMPLETED)
            for future in [future for future in working if future.done()]:
                running = working.pop(future)
                error = future.exception()
                if isinstance(error, SandboxBroken) and running.tries < 1:
                    running.tries += 1
                    again = running.effect.work if isinstance(running.effect, Do) else None
                    working[
                        executor.submit(again)
                        if again
                        else executor.submit(workplace, running.problem, self._work.box)
                    ] = running
                    continue
                if isinstance(error, SandboxError):
                    yield self._completion(running, str(error))
                    continue
                result = future.result()
                running.tries = 0
                if running.episode is None:
                    running.episode = self._scaffold(result, self._settings)
                    done = next_of(running, None)
                else:
                    self._keep(running, {"did": result})
                    done = next_of(running, result)
                if done:
                    yield done
            batch, asking[:] = list(asking), []
            for running, replies in self._ask(batch, sampling):
                failed = [reply for reply in replies if reply.finish == "error"]
                if failed:
                    yield self._completion(running, failed[0].error or "no reply")
                    continue
                told = [
                    {"text": reply.text, "finish": reply.finish, "tokens": reply.tokens,
                     "prompt_tokens": reply.prompt_tokens}
                    for reply in replies
                ]  # fmt: skip
                self._keep(running, {"replies": told})
                done = next_of(running, self._told(running, told))
                if done:
                    yield done

    def _advance(self, running: _Running, sent: Any) -> Ending | None:
        """Let an episode go on, through all that was kept of it before."""
        assert running.episode is not None and self._kept is not None
        while True:
            try:
                running.effect = running.episode.send(sent)
            except StopIteration as stop:
                ending: Ending = stop.value
                return ending
            running.step += 1
            row = self._kept.get(running.turn)
            if row is None or row["asked"] != _digest(running.effect):
                return None
            sent = self._told(running, row["replies"]) if "replies" in row else row["did"]

    def _told(self, running: _Running, replies: Iterable[Mapping[str, Any]]) -> list[Reply]:
        found = []
        for reply in replies:
            running.tokens += reply["tokens"]
            running.prompt_tokens += reply["prompt_tokens"]
            found.append(Reply(text=reply["text"], finish=reply["finish"]))
        return found

    def _keep(self, running: _Running, what: Mapping[str, Any]) -> None:
        assert running.effect is not None
        row = {"kind": "turn", "key": running.turn, "asked": _digest(running.effect), **what}
        self._work.keep(row)

    def _ask(
        self, batch: list[_Running], sampling: Sampling
    ) -> Iterator[tuple[_Running, list[Completion]]]:
        """Ask all questions of a round, those with equal sampling together."""
        groups: dict[tuple[Sampling, int], dict[str, _Running]] = {}
        for running in batch:
            ask = running.effect
            assert isinstance(ask, Ask)
            warmth = sampling.temperature if ask.temperature is None else ask.temperature
            own = replace(sampling, temperature=warmth, seed=sampling.seed + 1000 * running.n)
            groups.setdefault((own, ask.n), {})[running.turn] = running
        for (own, n), members in groups.items():
            requests = [
                Request(key=turn, prompt=running.effect.messages)
                for turn, running in members.items()
                if isinstance(running.effect, Ask)
            ]
            replies: dict[str, list[Completion]] = {turn: [] for turn in members}
            for completion in self._model.generate(requests, own, n):
                found = replies[completion.key]
                found.append(completion)
                if len(found) == n:
                    yield members[completion.key], sorted(found, key=lambda reply: reply.n)
            for turn, found in replies.items():
                if len(found) < n:
                    lost = Completion(key=turn, text="", finish="error", error="no reply came")
                    yield members[turn], [lost]

    def _completion(self, running: _Running, ending: Ending | str) -> Completion:
        """Return an episode's end as a completion; text is an error of ours."""
        if running.episode is not None:
            running.episode.close()
        failed = isinstance(ending, str)
        return Completion(
            key=running.key,
            n=running.n,
            text="" if isinstance(ending, str) else ending.patch,
            finish="error" if isinstance(ending, str) else ending.finish,
            tokens=running.tokens,
            prompt_tokens=running.prompt_tokens,
            error=str(ending) if failed else None,
        )


def _digest(effect: Ask | Do) -> str:
    if isinstance(effect, Do):
        said: Any = effect.about
    else:
        said = [[m.role, m.content] for m in effect.messages] + [effect.n, effect.temperature]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


def _scaffold(name: str) -> Scaffold:
    if name == "mini":
        from evals.swe.mini import episode

        return episode
    from evals.swe.agentless import episode as agentless

    return agentless
