"""What a benchmark is: problems, how they are asked, what of a reply is run, and by what tests.

bench = open_bench("humaneval")
for problem in bench.problems():
    request = bench.request(problem, style)
    ...
    program = bench.program(problem, reply, style)      # its source is "" when there is no code
    verdict = pool.judge(program, bench.tests(problem), bench.limits(problem))
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from pydantic import ConfigDict, ValidationError, validate_call

from evals.catalogue import BENCHES
from evals.plain import plain
from evals.problem import Problem, Score
from evals.scores import pass_scores
from sandbox import Limits, Program, Tests, Verdict
from sandbox.box import DEFAULT_PACKAGES
from seedcoder.completion import Model, Request, Sampling
from seedcoder.errors import UsageError
from seedcoder.fim import Fim

if TYPE_CHECKING:
    from evals.tally import Answer

Protocols = Literal["completion", "chat"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How problems are asked.

    protocol: "completion" (the model continues the prompt) or "chat" (it is told what to do).
    prefill: chat only; the reply is begun for the model, up to an open code fence. Off for servers
        that cannot continue a reply.
    prelude: chat only; the program begins with what the prompt has before its function (imports,
        helpers), so that a reply need not repeat it.
    strip_prompt: completion only; white space at the prompt's end is taken off before it is asked.
    fim: how the model is asked to fill in a middle; None for a model that cannot.
    """

    protocol: Protocols
    prefill: bool = True
    prelude: bool = False
    strip_prompt: bool = True
    fim: Fim | None = None


class TextTests(Protocol):
    """Tests that run nothing: they look at the text that was written (exact match and its like)."""

    def judge(self, text: str) -> Verdict:
        """Return the verdict on `text`; its mode is "text" and it has no outcomes."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a solver (several turns, tools, a sandbox of its own) may use while it works.

    box: the recipe's box, as `sandbox.open_box` takes it. limits: over the benchmark's own.
    keep: append a row to the run; it needs "kind" (not sample, verdict or error) and "key".
    rows: what was kept before, of that kind: a run that was cut off goes on.
    """

    style: Style
    sampling: Sampling
    box: str
    limits: Callable[[Limits], Limits]
    keep: Callable[[Mapping[str, Any]], None]
    rows: Callable[[str], Sequence[Mapping[str, Any]]]


class Bench(Protocol):
    """One benchmark; its classes derive from this one, and so have its defaults.

    Its data is read when it is first asked for, and checked against a digest.
    """

    @property
    def name(self) -> str:
        """The name that recipes use."""
        ...

    @property
    def version(self) -> str:
        """Which release of the data this is, and which part of it."""
        ...

    @property
    def licence(self) -> str:
        """The licence of the data, as SPDX."""
        ...

    @property
    def data_sha256(self) -> Mapping[str, str]:
        """Name of each data file to its SHA-256, for the manifest."""
        ...

    def problems(self) -> Sequence[Problem]:
        """Return all problems in upstream's order. Raises MachineLacks when the data is absent."""
        ...

    def count(self) -> int:
        """Return how many problems there are; raises as `problems` does."""
        return len(self.problems())

    def request(self, problem: Problem, style: Style) -> Request:
        """Return what the model is asked; its key is the problem's."""
        ...

    def sampling(self, style: Style) -> Sampling:
        """Return upstream's own sampling for this style, its stop strings above all."""
        ...

    def program(self, problem: Problem, text: str, style: Style) -> Program:
        """Return what to judge, out of a reply; its source is "" when the reply holds no code.

        `text` has no thinking in it: that was taken off before.
        """
        ...

    def solution(self, problem: Problem, source: str) -> Program:
        """Return what to judge, of an answer that is whole already (samples of other suites).

        By default the source as it stands; benchmarks that put code of theirs around a program, or
        whose answers are no programs, do that here.
        """
        return Program(language=problem.language, source=source)

    def tests(self, problem: Problem) -> Tests | TextTests:
        """Return the tests that judge a program."""
        ...

    def canonical(self, problem: Problem) -> Program | None:
        """Return a program that must pass; None where upstream gives none."""
        ...

    def broken(self, problem: Problem) -> Program | None:
        """Return a program that must not pass, though it loads; None where none can be made."""
        ...

    def limits(self, problem: Problem) -> Limits:
        """Return what a program may use; a recipe's `[limits]` goes on top."""
        return Limits(cpu_s=5.0, memory_mb=512)  # ours

    def packages(self) -> tuple[str, ...]:
        """Return what programs may import, as `sandbox.Pool` takes it; see `evals.shelf`."""
        return DEFAULT_PACKAGES

    def values(self, problem: Problem, program: Program, verdict: Verdict) -> Mapping[str, float]:
        """Return what else is measured of a judged program, by name: it is kept in its row."""
        return {}

    def scores(self, answers: Sequence[Answer], ks: Sequence[int], *, seed: int = 0) -> list[Score]:
        """Return the benchmark's own figures, the one it is known by first."""
        return pass_scores(answers, ks, seed=seed)

    def ballot(self, answer: Answer) -> str | None:
        """Return what an answer votes for in a majority vote; None when it has nothing to say.

        By default its program without comments and layout: two programs that differ in a name are
        two candidates. Benchmarks whose answers are values vote with the value.
        """
        return plain(answer.program)

    def left_out(self) -> Mapping[str, str]:
        """Return what of the benchmark cannot be run here, and why: it is said aloud."""
        return {}

    def solver(self, model: Model, work: Work) -> Model:
        """Return what answers: the model itself, or something that works with it over many turns.

        Its completions come one a request, their text what `program` reads. Its `close` lets go of
        what it holds itself; the model is its owner's to close.
        """
        return model


def open_bench(name: str, options: Mapping[str, Any] | None = None) -> Bench:
    """Return the benchmark of that name.

    options: the recipe's `[options]`, the keyword arguments of the benchmark. Raises UsageError,
    with the nearest name, for a name or an option that is not there, and for a value of a wrong
    type.
    """
    entry = BENCHES.get(name)
    if entry is None:
        near = difflib.get_close_matches(name, BENCHES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "see `seedcoder eval list`"
        raise UsageError(f"no benchmark {name!r}; {hint}")
    module, _, attribute = entry.place.partition(":")
    make = getattr(importlib.import_module(module), attribute)
    checked = validate_call(config=ConfigDict(arbitrary_types_allowed=True))(make)
    try:
        return cast(Bench, checked(**(options or {})))
    except ValidationError as error:
        first = error.errors()[0]
        option = ".".join(map(str, first["loc"])) or "options"
        raise UsageError(f"{name}: options.{option}: {_complaint(first)}") from error


def _complaint(error: Mapping[str, Any]) -> str:
    if error["type"] == "unexpected_keyword_argument":
        return "this benchmark has no such option"
    return f"{error['msg']}, got {error.get('input')!r}"
