"""A run with its benchmark: what all exports are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from evals.bench import Bench, open_bench
from evals.problem import Problem, Sample
from evals.recipe import EvalRecipe
from evals.stored import Stored, read_run
from evals.tally import Answer
from seedcoder.completion import Request, Sampling
from seedcoder.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A run, its benchmark, and the answers to each problem in the benchmark's order.

    by_problem: of each problem that has an answer, its answers by number. Lost samples are in it,
    without a sample or a verdict.
    """

    stored: Stored
    recipe: EvalRecipe
    bench: Bench
    problems: Sequence[Problem]
    by_problem: Mapping[str, Sequence[Answer]]

    @property
    def model(self) -> str:
        """The model's name."""
        return self.stored.model

    @property
    def lost(self) -> int:
        """Samples without a reply or without a verdict."""
        return sum(not is_judged(one) for some in self.by_problem.values() for one in some)

    def request(self, problem: Problem) -> Request:
        """Return what was asked."""
        return self.bench.request(problem, self.recipe.style())

    def sampling(self) -> Sampling:
        """Return how it was asked."""
        return self.recipe.sampling_over(self.bench.sampling(self.recipe.style()))


def read_judged(folder: Path) -> Judged:
    """Return the run in a folder with its benchmark's problems.

    UsageError for a folder that is no run of evals, that is cut off or has no verdict yet, or whose
    data has changed; MachineLacks where the benchmark's data is not here.
    """
    stored = read_run(folder)
    try:
        recipe = EvalRecipe.model_validate(stored.recipe)
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        raise UsageError(f"{folder}: its recipe is of another version: {place}") from error
    if stored.state == "unfinished":
        raise UsageError(f"{folder} is not finished: {stored.why}")
    bench = open_bench(recipe.bench, recipe.options)
    problems = recipe.chosen(bench.problems())
    for file, digest in bench.data_sha256.items():
        if stored.data_sha256.get(file) != digest:
            raise UsageError(f"{folder}: {file} is not the data that this run was made with")
    found: dict[str, list[Answer]] = {problem.key: [] for problem in problems}
    for answer in stored.answers():
        if answer.problem in found:
            found[answer.problem].append(answer)
    by_problem = {key: sorted(some, key=lambda one: one.n) for key, some in found.items() if some}
    if not any(map(is_judged, (one for some in by_problem.values() for one in some))):
        raise UsageError(f"{folder} has no judged answers")
    return Judged(
        stored=stored, recipe=recipe, bench=bench, problems=problems, by_problem=by_problem
    )


def is_judged(answer: Answer) -> bool:
    """Return whether there is a reply and a verdict on it."""
    return answer.sample is not None and answer.verdict is not None


def passed(answer: Answer) -> bool:
    """Return whether a judged answer passed."""
    return answer.verdict is not None and answer.verdict.ok


def reply(answer: Answer) -> Sample:
    """Return the reply of a judged answer."""
    if answer.sample is None:
        raise ValueError(f"{answer.key} has no reply")
    return answer.sample
