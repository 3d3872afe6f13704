"""HumanEval+ and MBPP+ (Liu et al. 2023, arXiv 2305.01210), judged as evalplus 0.3.1 judges.

humaneval+  v0.1.10, 164 tasks. Option `variant`: "mini" (few extra inputs), "noextreme" (without
            the longest-running).
mbpp+       v0.2.0, 378 tasks; option `version = "v0.1.0"` for the 399 of the release before, which
            the Seed-Coder paper used, where its file is given. Never compare the two.

A sample is run once over the base and the extra inputs, in their order. It passes ("pass@1", as
EvalPlus's "+" column) when all are answered rightly, and passes the base tests ("base pass@1",
EvalPlus's first column) when those are. Asking and sanitizing: `evals.evalplus.asking`. When an
answer is right: `evals.evalplus.oracle`. Expected values: `evals.evalplus.reference`.

Limits. EvalPlus gives each input max(1 s, 4 x the reference) of wall time, and a run of all base or
all extra inputs at most 60 s. Wall time makes verdicts depend on what else the machine does, so CPU
time decides here, of all inputs together: `cpu_s` (option, 5) + 4 x the reference, at most 120. A
solution that is slow on every single input fails here before EvalPlus's minute is over; give
`cpu_s = 60` to be as patient.

Differs from EvalPlus: base and extra inputs share a process, so that a program that keeps state
between calls sees all of them; values of types that are not plain data (Decimal, Fraction, an own
class that says it equals everything) are wrong answers, counted in a row's values as "not plain";
answers of more than 10,000 characters are compared by digest, without tolerance.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from evals.bench import Bench, Style
from evals.data import DataFile, Source, digests
from evals.evalplus import asking, reference
from evals.evalplus.adapter import ENTRY, Kind, adapted
from evals.evalplus.asking import Dataset
from evals.evalplus.disabled import disabled
from evals.evalplus.inputs import mbpp_arguments
from evals.evalplus.oracle import AS_SETS, NOT_NONE, accepts, wanted
from evals.evalplus.reference import Reference, Task
from evals.evalplus.releases import GET, RELEASES
from evals.problem import Problem, Score
from evals.scores import pass_scores
from evals.spoil import spoilt
from sandbox import Call, CallTests, Limits, Program, Verdict
from sandbox import Kind as Verdicts
from sandbox.compare import Custom
from seedcoder.completion import Request, Sampling
from seedcoder.errors import MachineLacks, UsageError

if TYPE_CHECKING:
    from evals.tally import Answer

Variant = Literal["full", "mini", "noextreme"]

_COLUMNS: Final = (
    "task_id", "prompt", "entry_point", "canonical_solution", "base_input", "plus_input", "atol",
)  # fmt: skip
_DATES: Final = {"humaneval": "2021-07-07", "mbpp": "2021-08-16"}  # the papers' first versions
_FACTOR: Final = 4.0  # DEFAULT_GT_TIME_LIMIT_FACTOR, evalplus/config.py
_MOST_CPU_S: Final = 120.0  # EVALPLUS_TIMEOUT_PER_TASK, for base and for extra inputs
_LEAST_MB, _MOST_MB = 1024, 4096  # ours; EvalPlus's own limit, of address space
_AHEAD: Final = 32
_READY: Final = 8  # problems whose tests are kept: samples of one problem come together

_SPOIL_SOME: Final = """

def _flip(function):
    return lambda *arguments: function(*arguments) is None


{name} = _flip({name})
"""


@dataclass(frozen=True, slots=True)
class _Judged:
    """What a problem is judged by."""

    tests: CallTests
    limits: Limits
    adapter: Kind | None


class EvalPlus(Bench):
    """One of the two benchmarks. See the module's words."""

    name = ""
    version = ""
    licence = "Apache-2.0"

    def __init__(
        self,
        dataset: Dataset,
        *,
        release: str,
        variant: Variant = "full",
        path: Path | None = None,
        cpu_s: float = 5.0,
        compatible: bool = False,
    ) -> None:
        """Take a release's file, or one of the same form at `path`."""
        self.name = f"{dataset}+"
        self.version = f"{release}, {variant}" if variant != "full" else release
        self._dataset: Dataset = dataset
        self._cpu_s = cpu_s
        self._compatible = compatible
        found = RELEASES.get((dataset, release, variant))
        if found is None:
            raise UsageError(f"{self.name}: release {release} has no variant {variant!r}")
        file, self._count, digest = found
        repo = f"{dataset}plus_release"
        self._data = DataFile(
            Source(
                bench=self.name,
                folder=f"{dataset}plus",
                file=file,
                sha256=digest if path is None else None,
                get=GET.format(file=file, version=release, repo=repo),
            ),
            path,
        )
        if path is None or digest is None:
            self.version += f", {self._count} tasks"
        else:
            self.version += ", a file of your own"
        self._whole = path is None or digest is None
        self._ready: OrderedDict[str, _Judged] = OrderedDict()

    @cached_property
    def _problems(self) -> tuple[Problem, ...]:
        found = tuple(
            self._problem(row, number)
            for number, row in enumerate(self._data.rows(needs=_COLUMNS), start=1)
        )
        if self._whole and len(found) != self._count:
            raise MachineLacks(
                f"{self.name}: {self._data.path} has {len(found)} tasks, and {self.version} "
                f"was expected; {self._data.source.get}"
            )
        return found

    def _problem(self, row: Mapping[str, Any], number: int) -> Problem:
        where = f"{self.name}: {self._data.path}, row {number}"
        for name in ("task_id", "prompt", "entry_point", "canonical_solution"):
            if not isinstance(row[name], str):
                raise UsageError(f"{where}: {name} is not a string")
        for name in ("base_input", "plus_input"):
            # MBPP+ has {} where there are no extra inputs.
            calls = row[name] or []
            if not isinstance(calls, list) or not all(isinstance(one, list) for one in calls):
                raise UsageError(f"{where}: {name} is not a list of argument lists")
        if not row["base_input"] or not isinstance(row["atol"], int | float):
            raise UsageError(f"{where}: no base_input, or an atol that is no number")
        return Problem(
            key=row["task_id"],
            prompt=row["prompt"],
            entry_point=row["entry_point"],
            # As text: a hundred thousand inputs as objects would fill memory.
            tests={
                "base": json.dumps(row["base_input"]),
                "plus": json.dumps(row["plus_input"] or []),
                "base_count": len(row["base_input"]),
                "atol": row["atol"],
            },
            canonical=row["canonical_solution"],
            date=_DATES[self._dataset],
        )

    @property
    def data_sha256(self) -> Mapping[str, str]:
        """The digest of the file as it was downloaded."""
        return digests(self._data)

    def problems(self) -> Sequence[Problem]:
        """Return the tasks. MachineLacks: no file, or not the published one."""
        return self._problems

    def request(self, problem: Problem, style: Style) -> Request:
        """Return what EvalPlus asks."""
        return asking.asked(problem, style)

    def sampling(self, style: Style) -> Sampling:
        """Return EvalPlus's sampling."""
        return asking.sampling(self._dataset, style)

    def program(self, problem: Problem, text: str, style: Style) -> Program:
        """Return the program in a reply, sanitized."""
        return self.solution(problem, asking.source(self._dataset, problem, text, style))

    def solution(self, problem: Problem, source: str) -> Program:
        """Return a whole program as it is judged: with an adapter where values do not cross."""
        if self._compatible:
            source = disabled(source)
        adapter = self._judged(problem).adapter
        if adapter:
            source = adapted(source, adapter, problem.entry_point)
        return Program.python(source)

    def tests(self, problem: Problem) -> CallTests:
        """Return the calls and what they must return: base inputs first, then the extra ones."""
        return self._judged(problem).tests

    def limits(self, problem: Problem) -> Limits:
        """Return what the reference took, four times over, and more."""
        return self._judged(problem).limits

    def canonical(self, problem: Problem) -> Program | None:
        """Return upstream's solution; None where `compatible` lets none pass."""
        if self._compatible and problem.entry_point == "find_zero":
            return None
        return self.solution(problem, problem.prompt + problem.canonical)

    def broken(self, problem: Problem) -> Program | None:
        """Return upstream's solution with each answer spoilt; None where every answer is right."""
        if self._dataset == "mbpp" and problem.entry_point == "are_equivalent":
            return None
        source = problem.prompt + problem.canonical
        if self._kind(problem) == "some":
            return self.solution(problem, source + _SPOIL_SOME.format(name=problem.entry_point))
        return self.solution(problem, spoilt(source, problem.entry_point))

    def values(self, problem: Problem, program: Program, verdict: Verdict) -> Mapping[str, float]:
        """Return whether the base tests passed, and whether a value did not cross."""
        failure = verdict.first_failure
        return {
            "base": float(verdict.passed >= problem.tests["base_count"]),
            "not plain": float(failure is not None and "is not plain data" in failure.reason),
        }

    def scores(self, answers: Sequence[Answer], ks: Sequence[int], *, seed: int = 0) -> list[Score]:
        """Return pass@k over all inputs, and over the base inputs alone."""
        base = pass_scores([_on_base(answer) for answer in answers], ks, seed=seed)
        named = [replace(score, metric=f"base {score.metric}") for score in base]
        return [*pass_scores(answers, ks, seed=seed), *named]

    def _kind(self, problem: Problem) -> Kind:
        if self._dataset == "mbpp" and problem.entry_point in NOT_NONE:
            return "some"
        if self._dataset == "mbpp" and problem.entry_point in AS_SETS:
            return "members"
        return "digest"

    def _calls(self, problem: Problem) -> tuple[list[Sequence[Any]], int]:
        """Return the arguments of all calls, and how many of them are base inputs."""
        found = []
        for part in ("base", "plus"):
            inputs = json.loads(problem.tests[part])
            if self._dataset == "mbpp":
                inputs = mbpp_arguments(problem.key, inputs)
            found += inputs
        return found, problem.tests["base_count"]

    def _judged(self, problem: Problem) -> _Judged:
        """Return the tests, kept for a problem's other samples, as the judge keeps them too."""
        ready = self._ready.get(problem.key)
        if ready is None:
            calls, base = self._calls(problem)
            ready = self._judge_by(problem, calls, base, self._reference(problem, calls))
            self._ready[problem.key] = ready
            if len(self._ready) > _READY:
                self._ready.popitem(last=False)
        else:
            self._ready.move_to_end(problem.key)
        return ready

    def _judge_by(
        self, problem: Problem, calls: Sequence[Sequence[Any]], base: int, known: Reference
    ) -> _Judged:
        kind = self._kind(problem)
        values: Sequence[Any] = known.values
        if kind == "some":
            values = [value is not None for value in values]
        adapter = kind if kind != "digest" or known.has_digests else None
        atol = problem.tests["atol"]
        # The tolerance starts anew with the extra inputs: they are a run of their own there.
        wants = [
            one
            for part in (slice(None, base), slice(base, None))
            for one in wanted(
                self._dataset,
                problem.entry_point,
                calls[part],
                values[part],
                atol,
                compatible=self._compatible,
            )
        ]
        pairs = zip(calls, wants, strict=True)
        return _Judged(
            CallTests(
                entry_point=ENTRY if adapter else problem.entry_point,
                calls=[Call(args=args, expected=one) for args, one in pairs],
                comparer=Custom(accepts),
            ),
            Limits(
                cpu_s=min(_MOST_CPU_S, self._cpu_s + _FACTOR * known.cpu_s),
                memory_mb=int(min(_MOST_MB, max(_LEAST_MB, 512 + 2 * known.peak_mb))),
                output_kb=16384,
            ),
            adapter,
        )

    def _reference(self, problem: Problem, calls: Sequence[Sequence[Any]]) -> Reference:
        task = self.task(problem, calls)
        known = reference.find(task)
        if known is None:
            place = next(i for i, one in enumerate(self._problems) if one.key == problem.key)
            ahead = [self.task(one) for one in self._problems[place + 1 : place + _AHEAD]]
            reference.compute([task, *(one for one in ahead if reference.find(one) is None)])
            known = reference.find(task)
        if known is None:
            raise MachineLacks(f"{self.name}: the cache of expected outputs cannot be read")
        return known

    def task(self, problem: Problem, calls: Sequence[Sequence[Any]] | None = None) -> Task:
        """Return the run of upstream's solution that says what is expected."""
        if calls is None:
            calls = self._calls(problem)[0]
        return Task(
            key=problem.key,
            source=problem.prompt + problem.canonical,
            entry_point=problem.entry_point,
            kind=self._kind(problem),
            calls=calls,
        )


def _on_base(answer: Answer) -> Answer:
    """Return the answer as if there were base inputs only."""
    if answer.verdict is None or answer.verdict.ok or not answer.values.get("base"):
        return answer
    passed = replace(answer.verdict, kind=Verdicts.PASSED, first_failure=None)
    return replace(answer, verdict=passed)


def humaneval_plus(
    *,
    path: Path | None = None,
    variant: Variant = "full",
    cpu_s: float = 5.0,
    evalplus_compatible: bool = False,
) -> EvalPlus:
    """Return HumanEval+ v0.1.10.

    path: a file of the same form. cpu_s: see the module. evalplus_compatible: copy two things of
    evalplus 0.3.1 that are no judgement of a program: HumanEval/32 fails every solution, and
    programs that use `os.system`, `open` and the like fail (`evals.evalplus.disabled`).
    """
    return EvalPlus(
        "humaneval",
        release="v0.1.10",
        variant=variant,
        path=path,
        cpu_s=cpu_s,
        compatible=evalplus_compatible,
    )


def mbpp_plus(
    *,
    path: Path | None = None,
    version: Literal["v0.2.0", "v0.1.0"] = "v0.2.0",
    variant: Literal["full", "noextreme"] = "full",
    cpu_s: float = 5.0,
    evalplus_compatible: bool = False,
) -> EvalPlus:
    """Return MBPP+. version: "v0.1.0" is the release of 399 tasks, whose file you must give.

    The other options are those of HumanEval+.
    """
    return EvalPlus(
        "mbpp",
        release=version,
        variant=variant,
        path=path,
        cpu_s=cpu_s,
        compatible=evalplus_compatible,
    )
