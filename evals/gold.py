"""Check the judge before it judges: canonical solutions must pass, spoilt ones must not.

A score from a harness that fails right programs, or passes wrong ones, is worth nothing; this is
found out in seconds, before a model is asked. It does not show that the tests are good ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evals.bench import Bench
from evals.judging import judge_all
from evals.problem import Problem
from sandbox import Job, Limits, Pool, Program, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Gold:
    """How many canonical and how many spoilt solutions passed, of `total` each.

    faults: for each program that came out the wrong way, its key and what was said of it.
    """

    canonical_passed: int
    broken_passed: int
    total: int
    faults: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """True when the judge can be trusted with this benchmark."""
        return self.canonical_passed == self.total and self.broken_passed == 0

    def words(self) -> str:
        """Return one line."""
        line = (
            f"{self.canonical_passed} of {self.total} canonical solutions pass, "
            f"{self.broken_passed} of {self.total} broken ones"
        )
        return line if self.ok else f"{line}: {'; '.join(self.faults[:3])}"

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`."""
        data = {name: getattr(self, name) for name in self.__slots__}
        return {**data, "faults": list(self.faults)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Gold:
        """Return the result that `to_json` wrote."""
        return cls(**{**data, "faults": tuple(data["faults"])})


def check_gold(bench: Bench, problems: Sequence[Problem], pool: Pool, limits: Limits) -> Gold:
    """Judge the canonical and the spoilt solution of each problem.

    A box that breaks is a fault too: no wrong verdict, but nothing to start a run on.
    """
    jobs = [
        Job(program=Program.python(source), tests=bench.tests(problem), limits=limits, key=key)
        for problem in problems
        for key, source in (
            (f"{problem.key} canonical", bench.canonical(problem)),
            (f"{problem.key} broken", bench.broken(problem)),
        )
    ]
    passed = {"canonical": 0, "broken": 0}
    faults = []
    for job, result in judge_all(pool, jobs):
        which = job.key.rsplit(" ", 1)[1]
        ok = isinstance(result, Verdict) and result.ok
        passed[which] += ok
        if ok is not (which == "canonical") or not isinstance(result, Verdict):
            faults.append(f"{job.key}: {_words(result)}")
    return Gold(
        canonical_passed=passed["canonical"],
        broken_passed=passed["broken"],
        total=len(problems),
        faults=tuple(sorted(faults)),
    )


def _words(result: object) -> str:
    if not isinstance(result, Verdict):
        return str(result)
    reason = f" ({result.first_failure.reason})" if result.first_failure else ""
    return f"{result.kind.value}{reason}"
