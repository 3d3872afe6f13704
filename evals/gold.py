"""Check the judge before it judges: canonical solutions must pass, spoilt ones must not.

A score from a harness that fails right programs, or passes wrong ones, is worth nothing; this is
found out in seconds, before a model is asked. It does not show that the tests are good ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evals.bench import Bench
from evals.judging import Task, judge_all
from evals.problem import Problem
from sandbox import Limits, Pool, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Gold:
    """How many canonical and how many spoilt solutions passed, and of how many.

    total: canonical solutions there are. broken_total: spoilt ones. without: problems for which
    upstream gives no solution: nothing is known of those.
    faults: for each program that came out the wrong way, its key and what was said of it.
    """

    canonical_passed: int
    broken_passed: int
    total: int
    broken_total: int = -1
    without: int = 0
    faults: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.broken_total < 0:
            object.__setattr__(self, "broken_total", self.total)

    @property
    def ok(self) -> bool:
        """True when the judge can be trusted with this benchmark."""
        return self.canonical_passed == self.total and self.broken_passed == 0

    def words(self) -> str:
        """Return one line."""
        line = (
            f"{self.canonical_passed} of {self.total} canonical solutions pass, "
            f"{self.broken_passed} of {self.broken_total} broken ones"
        )
        if self.without:
            line += f" ({self.without} problems have no solution to check with)"
        return line if self.ok else f"{line}: {'; '.join(self.faults[:3])}"

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`."""
        data = {name: getattr(self, name) for name in self.__slots__}
        return {**data, "faults": list(self.faults)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Gold:
        """Return the result that `to_json` wrote."""
        return cls(**{**data, "faults": tuple(data["faults"])})


def check_gold(
    bench: Bench,
    problems: Sequence[Problem],
    pool: Pool,
    limits: Callable[[Limits], Limits] = lambda upstream: upstream,
) -> Gold:
    """Judge the canonical and the spoilt solution of each problem.

    limits: puts a recipe's limits over the benchmark's own. A box that breaks is a fault too: no
    wrong verdict, but nothing to start a run on.
    """
    tasks, without = [], 0
    for problem in problems:
        canonical, broken = bench.canonical(problem), bench.broken(problem)
        without += canonical is None
        for which, program in (("canonical", canonical), ("broken", broken)):
            if program is not None:
                tasks.append(
                    Task(
                        key=f"{problem.key} {which}",
                        program=program,
                        tests=bench.tests(problem),
                        limits=limits(bench.limits(problem)),
                    )
                )
    passed = {"canonical": 0, "broken": 0}
    faults = []
    for task, result in judge_all(pool, tasks):
        which = task.key.rsplit(" ", 1)[1]
        ok = isinstance(result, Verdict) and result.ok
        passed[which] += ok
        if ok is not (which == "canonical") or not isinstance(result, Verdict):
            faults.append(f"{task.key}: {_words(result)}")
    return Gold(
        canonical_passed=passed["canonical"],
        broken_passed=passed["broken"],
        total=len(problems) - without,
        broken_total=sum(task.key.endswith(" broken") for task in tasks),
        without=without,
        faults=tuple(sorted(faults)),
    )


def _words(result: object) -> str:
    if not isinstance(result, Verdict):
        return str(result)
    reason = f" ({result.first_failure.reason})" if result.first_failure else ""
    return f"{result.kind.value}{reason}"
