"""Aider's benchmarks: exercises of Exercism, solved by editing files, with two tries.

aider-edit       the older one: 133 exercises in Python (`exercism/python`), edit format "whole".
                 Seed-Coder's Table 13 reports it with tries = 2.
aider-polyglot   225 hard ones in six languages (Aider-AI/polyglot-benchmark).

Protocol of `benchmark/benchmark.py` of Aider-AI/aider, read at 00f1cdb (aider-edit) and 1c5d306
(polyglot): the user's first message is introduction, instructions and what is appended to them,
with `instructions_addendum`; the reply's files replace those on disk (`evals.aider.edits`); the
test files are put back and the tests run. If they fail, their output (aider-edit: its first 50
lines) and `test_failures` are the next message, once. pass_rate_2 is the share that passes by the
second try, pass_rate_1 by the first; percent_well_formed the share where each reply gave a file.
Messages: `evals.aider.prompts`. Greedy, as aider asks (temperature 0).

A try passes when every test in the test files passes, by id, in `sandbox.ProjectTests` with pytest:
never by an exit code. aider-edit is judged upstream by `unittest discover`, whose output (without
timings and with its rulers shortened, `cleanup_test_output`) is what the model is shown here too.

Not as upstream: within a try aider asks up to three more times where a reply cannot be applied or
its linter complains; here a try is one reply. New files are not made. Only "whole": edits by
search and replace are not read. Of polyglot, Python alone has a runner here that leaves a report
which the box can vouch for; other languages are left out, aloud.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from evals.aider.exercise import Exercise, read_exercises, test_ids
from evals.aider.prompts import conversation, first_question
from evals.aider.tries import TwoTries, files_of, tries_of
from evals.bench import Bench, Style, Work
from evals.data import ENV
from evals.problem import Problem, Score
from evals.scores import mean_score
from evals.tree import patch, snapshot
from sandbox import (
    Kind,
    Limits,
    Outcome,
    Program,
    ProjectResult,
    ProjectTests,
    Tests,
    Verdict,
)
from seedcoder.cache import cache_folder
from seedcoder.completion import Model, Request, Sampling
from seedcoder.errors import MachineLacks, UsageError

if TYPE_CHECKING:
    from evals.tally import Answer

Name = Literal["aider-edit", "aider-polyglot"]
PYTEST: Final = ("pytest==8.4.2",)  # ours; upstream takes the newest
_WHERE: Final = {
    "aider-edit": "git clone https://github.com/exercism/python (aider's own copy is of 2023, with "
    "133 exercises)",
    "aider-polyglot": "git clone https://github.com/Aider-AI/polyglot-benchmark",
}
# benchmark.py: 60 s of wall time, and 180 s in the newer one; the rest is ours.
_LIMITS: Final = {
    "aider-edit": Limits(cpu_s=60, wall_s=120, memory_mb=1024, processes=64, disk_mb=256),
    "aider-polyglot": Limits(cpu_s=180, wall_s=360, memory_mb=1024, processes=64, disk_mb=256),
}
_SHOWN_LINES: Final = 50  # aider-edit only
_TIMED_OUT: Final = "Tests timed out!"
# What upstream runs, said from within: `python -m unittest discover -s . -t . -p "*_test.py"`.
_DISCOVER: Final = """\
import os, sys
os.dup2(1, 2)
print(os.getcwd(), flush=True)
import unittest
unittest.main(
    module=None,
    argv=["python -m unittest", "discover", "-s", ".", "-t", ".", "-p", "*_test.py"],
)
"""


class Aider(Bench):
    """One of the two. See the module's words."""

    licence = "MIT"

    def __init__(
        self, name: Name, *, tries: int, path: Path | None, packages_dir: Path | None
    ) -> None:
        """tries: how often a model may answer."""
        if not 1 <= tries <= 4:
            raise UsageError(f"{name}: options.tries must be from 1 to 4, got {tries}")
        self._name, self._tries, self._path = name, tries, path
        self._packages_dir = packages_dir

    @property
    def name(self) -> str:
        """The name that recipes use."""
        return self._name

    @property
    def version(self) -> str:
        """The edit format and the tries; which exercises, the digest says."""
        return f"whole, tries={self._tries}"

    @property
    def data_sha256(self) -> Mapping[str, str]:
        """The digest of all exercises."""
        return {"exercises": self._read[1]}

    @cached_property
    def _folder(self) -> Path:
        if self._path is not None:
            return self._path
        places = [Path(place) for place in (os.environ.get(ENV), cache_folder() / "data") if place]
        for place in places:
            if (place / self.name).is_dir():
                return place / self.name
        raise MachineLacks(
            f"{self.name} needs its exercises: {_WHERE[self._name]}; name the folder in "
            f"options.path, or put it at {places[-1] / self.name}"
        )

    @cached_property
    def _read(self) -> tuple[tuple[Exercise, ...], str]:
        return read_exercises(self._folder, by_config=self.name == "aider-polyglot")

    @cached_property
    def _problems(self) -> tuple[Problem, ...]:
        return tuple(
            _problem(exercise) for exercise in self._read[0] if not self._lacking(exercise)
        )

    def problems(self) -> Sequence[Problem]:
        """Return the exercises that can be judged here, by name."""
        return self._problems

    def left_out(self) -> Mapping[str, str]:
        """Return how many exercises of which language are not among them, and why."""
        found: dict[str, list[str]] = {}
        for exercise in self._read[0]:
            if why := self._lacking(exercise):
                found.setdefault(f"{exercise.language}: {why}", []).append(exercise.name)
        return {
            f"{len(names)} exercises ({words.partition(': ')[0]})": words.partition(": ")[2]
            for words, names in found.items()
        }

    def _lacking(self, exercise: Exercise) -> str:
        if exercise.language != "python":
            return "nothing here runs its tests and reports each, in a way that a box can vouch for"
        return "" if test_ids(exercise) else "no test in its files can be told by name"

    def request(self, problem: Problem, style: Style) -> Request:
        """Return the messages of the first try. Chat only."""
        if style.protocol != "chat":
            raise UsageError(f"{self.name} is asked in chat only: set protocol = 'chat'")
        question = first_question(problem.prompt, problem.tests["solution"])
        return Request(key=problem.key, prompt=conversation(files_of(problem), question))

    def sampling(self, style: Style) -> Sampling:
        """Return greedy replies of at most 4,096 tokens (ours; aider sets no limit)."""
        return Sampling(max_tokens=4096)

    def solver(self, model: Model, work: Work) -> Model:
        """Return the model with another try."""
        problems = {problem.key: problem for problem in self.problems()}
        return TwoTries(model, work, problems, self, self._tries)

    def program(self, problem: Problem, text: str, style: Style) -> Program:
        """Return the last try's edits as a patch; "" where nothing was changed."""
        tries = tries_of(text)
        names = set(problem.tests["solution"])
        files = tries[-1].get("files", {}) if tries else {}
        return patch(files_of(problem), {n: x for n, x in files.items() if n in names})

    def tests(self, problem: Problem) -> ProjectTests:
        """Return the exercise's tests. MachineLacks: pytest cannot be fetched for them."""
        tests = problem.tests
        return ProjectTests(
            snapshot=snapshot({name: text.encode() for name, text in tests["files"].items()}),
            fail_to_pass=tuple(tests["ids"]),
            test_files={name: tests["files"][name].encode() for name in tests["tests"]},
            packages_dir=str(self._packages),
        )

    def limits(self, problem: Problem) -> Limits:
        """Return upstream's time limit, for pytest too."""
        return _LIMITS[self._name]

    def canonical(self, problem: Problem) -> Program | None:
        """Return the exercise's example solution, where it has one for each file."""
        example: Mapping[str, str] = problem.tests["example"]
        if set(example) != set(problem.tests["solution"]):
            return None
        return patch(files_of(problem), example)

    def broken(self, problem: Problem) -> Program | None:
        """Return the files as they are at first: they load, and do nothing."""
        return patch(files_of(problem), {})

    def scores(self, answers: Sequence[Answer], ks: Sequence[int], *, seed: int = 0) -> list[Score]:
        """Return pass_rate_N, the rates of earlier tries, and how many replies gave a file."""

        def passed_by(tries: int, answer: Answer) -> float | None:
            if answer.verdict is None or answer.sample is None:
                return None
            return float(answer.verdict.ok and len(tries_of(answer.sample.text)) <= tries)

        def well_formed(answer: Answer) -> float | None:
            tries = tries_of(answer.sample.text) if answer.sample else []
            return float(all(one.get("changed") for one in tries)) if tries else None

        found = [
            mean_score(f"pass_rate_{n}", answers, partial(passed_by, n), seed=seed)
            for n in range(self._tries, 0, -1)
        ]
        found.append(mean_score("percent_well_formed", answers, well_formed, seed=seed))
        return [score for score in found if score]

    # What the solver asks.

    def verdict_job(self, problem: Problem, files: Mapping[str, str]) -> tuple[Program, Tests]:
        """Return the patch and the exercise's tests."""
        return patch(files_of(problem), files), self.tests(problem)

    def errors_job(
        self, problem: Problem, files: Mapping[str, str]
    ) -> tuple[Program, Tests | None]:
        """Return what upstream runs: `unittest discover`, or pytest in polyglot."""
        if self.name == "aider-polyglot":
            # Without the planted tests, whose failures would be shown to the model.
            return patch(files_of(problem), files), replace(self.tests(problem), canaries=False)
        laid = {**problem.tests["files"], **files}
        return Program(
            source=_DISCOVER, files={name: text.encode() for name, text in laid.items()}
        ), None

    def errors(self, problem: Problem, result: Verdict | Outcome) -> str:
        """Return the output as the model is shown it."""
        name = problem.key.rpartition("/")[2]
        if isinstance(result, Verdict):
            if result.kind is Kind.TIMEOUT:
                return _TIMED_OUT
            words = re.sub(r"\bin \d+\.\d+s\b", "", ProjectResult.of(result).log)
            return words.replace("testbed", name)
        if result.kind is Kind.TIMEOUT:
            return _TIMED_OUT
        place, _, words = result.stdout.partition("\n")
        words = re.sub(r"^Ran \d+ tests? in \d+\.\d+s$", "", words, flags=re.MULTILINE)
        words = re.sub(r"^====*$", "====", words, flags=re.MULTILINE)
        words = re.sub(r"^----*$", "----", words, flags=re.MULTILINE)
        words = words.replace(place, name) if place else words
        return "\n".join(words.splitlines()[:_SHOWN_LINES])

    @cached_property
    def _packages(self) -> Path:
        if self._packages_dir is not None:
            return self._packages_dir
        from evals.swe.environments import packages

        return packages(PYTEST, f"{sys.version_info.major}.{sys.version_info.minor}")


def aider_edit(
    *, path: Path | None = None, tries: int = 2, packages_dir: Path | None = None
) -> Aider:
    """Return the older benchmark.

    path: the folder of exercises, or a clone of exercism/python. packages_dir: a folder with
    pytest, made by `pip install --target`; by default it is fetched into the cache.
    """
    return Aider("aider-edit", tries=tries, path=path, packages_dir=packages_dir)


def aider_polyglot(
    *, path: Path | None = None, tries: int = 2, packages_dir: Path | None = None
) -> Aider:
    """Return the newer benchmark. path: a clone of Aider-AI/polyglot-benchmark."""
    return Aider("aider-polyglot", tries=tries, path=path, packages_dir=packages_dir)


def _problem(exercise: Exercise) -> Problem:
    return Problem(
        key=exercise.name,
        prompt=exercise.instructions,
        entry_point="",
        tests={
            "files": dict(exercise.files),
            "solution": list(exercise.solution),
            "tests": list(exercise.tests),
            "ids": list(test_ids(exercise)),
            "example": dict(exercise.example),
        },
        tags=(f"language:{exercise.language}",),
        language="diff",
    )
