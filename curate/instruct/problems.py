"""Problems for reinforcement learning: tests that hold, and a pass rate that leaves room to learn.

Problems that the model never solves, and those that it solves in more than 87.5% of the samples,
teach it nothing (paper, sec. 3.2). The model that is asked should be the one to be trained.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from curate.instruct.answers import problems_of, sampled
from curate.instruct.desk import Desk
from curate.instruct.item import Item, Settled
from curate.instruct.recipe import InstructRecipe, ProblemsTable
from sandbox.tests_json import tests_to_json

_CARRIED = ("topics", "difficulty", "language", "style", "document")


class Problems:
    """The stage. Rows: key, prompt (messages), tests, entry_point, solution, pass_rate, samples,
    passes, verified ("reference" solution or "sample": who passed the tests)."""

    def __init__(self, recipe: InstructRecipe, table: ProblemsTable) -> None:
        self._sampling = recipe.sampling.sampling()
        self._table = table

    def settle(self, items: Sequence[Item], desk: Desk) -> Iterator[Settled]:
        """Look at the tests, draw samples, keep by pass rate."""
        problems, why = problems_of(items, desk)
        yield from (Settled(key=key, reason=reason) for key, reason in why.items())
        answers = sampled(problems, desk, self._sampling, self._table.samples)
        for problem in problems:
            some = answers.get(problem.item.key)
            if some is None:
                continue
            passes = sum(answer.ok for answer in some)
            rate = passes / len(some)
            facts = {"samples": len(some), "passes": passes}
            if not passes:
                yield Settled(key=problem.item.key, reason="never solved", facts=facts)
                continue
            if rate > self._table.most:
                yield Settled(key=problem.item.key, reason="solved too often", facts=facts)
                continue
            row = {
                "key": problem.item.key,
                "prompt": [{"role": "user", "content": problem.words}],
                "tests": tests_to_json(problem.tests),
                "entry_point": problem.entry_point,
                "solution": problem.solution,
                "verified": problem.verified or "sample",
                "pass_rate": rate,
                "samples": len(some),
                "passes": passes,
                **{k: problem.item.data[k] for k in _CARRIED if k in problem.item.data},
            }
            yield Settled(key=problem.item.key, rows=(row,), facts=facts)
