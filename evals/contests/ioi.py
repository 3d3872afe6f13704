"""The International Olympiad in Informatics, by Open-R1's protocol (huggingface/ioi).

Data: rows of `open-r1/ioi`, one a subtask, with the prompt, the points and the task's own files
(header, grader, checker, manager), and of `open-r1/ioi-test-cases`. IOI'2024 has six problems of
100 points; a model is asked for each subtask by itself, 50 times at temperature 0.7 and top_p 0.8
(generate/evaluate.py). Subtasks worth nothing are the examples: they are judged, never asked.

The program is the last "```cpp" block of the reply, C++17, compiled with the task's grader
(`ioi_sources`), and judged on all subtasks of its problem: a subtask earns the least share that any
of its tests was given by the checker, or by the manager that talks to the program. Which programs
are handed in, and what a problem's points are: `ioi_submissions`.

The score is in points: of 600, or of what is left. Left out, aloud: problems whose manager speaks
to more than one process of the program.

Where we differ: CPU time where upstream takes wall time; without a checker, words are compared
(upstream: `diff -b`). Untested here for lack of data: the six problems themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from evals.bench import Bench, Style
from evals.contests.ioi_sources import Task
from evals.contests.ioi_submissions import MOST, Submission, handed_in, points
from evals.contests.replies import last_block
from evals.contests.streamed import digest, rows
from evals.data import DataFile, Hub, Source
from evals.problem import Problem, Score
from evals.stats import bootstrap
from sandbox import (
    InteractiveCase,
    InteractiveTests,
    Kind,
    Limits,
    Program,
    StdioCase,
    StdioTests,
    Subtask,
    Verdict,
)
from sandbox.compare import TOKENS
from seedcoder.completion import Message, Request, Sampling
from seedcoder.errors import UsageError

if TYPE_CHECKING:
    from evals.tally import Answer

_COLUMNS: Final = (
    "year",
    "id",
    "subtask",
    "score",
    "time_limit",
    "memory_limit",
    "test_names",
    "problem",
    "grader_files",
)
_TEST_COLUMNS: Final = ("problem_id", "test_name", "test_input", "test_output")
_MAX_TOKENS: Final = 32_768  # ours: evaluate.py leaves it to the server
_PRECISION: Final = 2  # ioi_scoring.py, score_precision where a row has none


class Ioi(Bench):
    """The benchmark. See the module's words."""

    name = "ioi"
    licence = "CC-BY-4.0"  # as the data set's card has it; not checked here

    def __init__(self, *, path: Path | None, tests: Path | None, year: int) -> None:
        """Take the rows from `path` and the test cases from `tests`, by default from the hub."""
        split = "test" if year == 2024 else "train"
        self._data = DataFile(
            Source(
                bench="ioi",
                folder="ioi",
                file=f"ioi-{split}.jsonl",
                hub=Hub(repo="open-r1/ioi", split=split),
                get=f"save the data set open-r1/ioi (split {split}) from the hub as JSON lines",
            ),
            path,
        )
        self._cases = DataFile(
            Source(
                bench="ioi",
                folder="ioi",
                file=f"ioi-test-cases-{year}.jsonl",
                hub=Hub(repo="open-r1/ioi-test-cases", split="train", config=str(year)),
                get=f"save the data set open-r1/ioi-test-cases ({year}) from the hub as JSON lines",
            ),
            tests,
        )
        self._year = year
        self._made: dict[str, StdioTests | InteractiveTests] = {}

    @property
    def version(self) -> str:
        """The year."""
        return f"IOI {self._year}, open-r1/ioi"

    @property
    def data_sha256(self) -> Mapping[str, str]:
        """The digests of the rows and of the test cases."""
        return {file.source.file: digest(file.path) for file in (self._data, self._cases)}

    @cached_property
    def _rows(self) -> Mapping[str, list[dict[str, Any]]]:
        """The subtasks of each problem of the year, in upstream's order."""
        found: dict[str, list[dict[str, Any]]] = {}
        for _, row in rows("ioi", self._data.path, _COLUMNS):
            if int(row["year"]) == self._year:
                found.setdefault(row["id"], []).append(row)
        if not found:
            raise UsageError(f"ioi: {self._data.path} has no problem of {self._year}")
        return found

    @cached_property
    def _tasks(self) -> Mapping[str, Task]:
        try:
            return {id: Task.of(id, some[0]["grader_files"]) for id, some in self._rows.items()}
        except ValueError as error:
            raise UsageError(f"ioi: {self._data.path}: {error}") from error

    @cached_property
    def _problems(self) -> tuple[Problem, ...]:
        return tuple(
            _problem(row)
            for id, subtasks in self._rows.items()
            for row in subtasks
            if float(row["score"]) > 0 and not self._tasks[id].unfit
        )

    def problems(self) -> Sequence[Problem]:
        """Return the subtasks that a model is asked for. MachineLacks: no data."""
        return self._problems

    def left_out(self) -> Mapping[str, str]:
        """Return the problems that cannot be judged here, and why."""
        return {id: task.unfit for id, task in self._tasks.items() if task.unfit}

    def request(self, problem: Problem, style: Style) -> Request:
        """Return the row's own prompt, in one turn. Raises UsageError for base models."""
        if style.protocol != "chat":
            raise UsageError("ioi is for chat models: set protocol = 'chat'")
        return Request(key=problem.key, prompt=(Message(role="user", content=problem.prompt),))

    def sampling(self, style: Style) -> Sampling:
        """Return upstream's sampling."""
        return Sampling(max_tokens=_MAX_TOKENS, temperature=0.7, top_p=0.8)

    def program(self, problem: Problem, text: str, style: Style) -> Program:
        """Return the submission with the task's grader; its source is "" for a reply without."""
        return self._tasks[problem.tests["task"]].program(last_block(text, "cpp"))

    def tests(self, problem: Problem) -> StdioTests | InteractiveTests:
        """Return the tests of all subtasks of the problem's task."""
        id = problem.tests["task"]
        if id not in self._made:
            try:
                self._made[id] = self._tests(id)
            except ValueError as error:
                raise UsageError(f"ioi: {id}: {error}") from error
        return self._made[id]

    def _tests(self, id: str) -> StdioTests | InteractiveTests:
        names = list(dict.fromkeys(name for row in self._rows[id] for name in row["test_names"]))
        places = {name: place for place, name in enumerate(names)}
        subtasks = tuple(
            Subtask(
                name=row["subtask"],
                points=float(row["score"]),
                cases=tuple(places[name] for name in row["test_names"]),
            )
            for row in self._rows[id]
        )
        cases = self._cases_of(id, names)
        task = self._tasks[id]
        if task.communicates:
            return InteractiveTests(
                interactor=task.manager,
                cases=tuple(InteractiveCase(input=x, answer=y) for x, y in cases),
                subtasks=subtasks,
            )
        return StdioTests(
            cases=tuple(StdioCase(stdin=x, stdout=y) for x, y in cases),
            comparer=TOKENS,
            checker=task.checker,
            subtasks=subtasks,
        )

    def _cases_of(self, id: str, names: Sequence[str]) -> list[tuple[str, str]]:
        """Return input and output of each test of a task. Raises ValueError for one not there."""
        found = {
            row["test_name"]: (row["test_input"], row["test_output"])
            for _, row in rows("ioi", self._cases.path, _TEST_COLUMNS)
            if row["problem_id"] == id and int(row.get("year", self._year)) == self._year
        }
        for name in names:
            if name not in found:
                raise ValueError(f"no test {name!r} in {self._cases.path}")
        return [found[name] for name in names]

    def limits(self, problem: Problem) -> Limits:
        """Return the task's own limits."""
        return Limits(
            cpu_s=float(problem.tests["time_limit_s"]),
            memory_mb=int(problem.tests["memory_limit_mb"]),
            output_kb=65_536,
        )

    def canonical(self, problem: Problem) -> Program | None:
        """Return None: the official solutions are a data set of their own."""
        return None

    def broken(self, problem: Problem) -> Program | None:
        """Return None: there is no solution to spoil."""
        return None

    def values(self, problem: Problem, program: Program, verdict: Verdict) -> Mapping[str, float]:
        """Return what the program earned of its task's points, by itself."""
        return {"points": sum(_earned(verdict)[1])}

    def scores(self, answers: Sequence[Answer], ks: Sequence[int], *, seed: int = 0) -> list[Score]:
        """Return the points of what is handed in, of everything, and of the best single program."""
        found = self._submissions(answers)
        if not any(found.values()):
            return []
        most = sum(float(row["score"]) for id in found for row in self._rows[id])
        ways: dict[str, Callable[[str, Sequence[Submission]], float]] = {
            f"{MOST} submissions": lambda id, some: points(handed_in(some, self._names(id))),
            "all submissions": lambda id, some: points(some),
            "best submission": lambda id, some: max(sum(one.points) for one in some),
        }
        scores = []
        for way, earned in ways.items():
            each = [earned(id, some) if some else 0.0 for id, some in found.items()]
            low, high = bootstrap(each, seed=seed)
            scores.append(
                Score(
                    metric=f"points of {most:g}, {way}",
                    value=sum(each),
                    wilson=None,
                    bootstrap=(len(each) * low, len(each) * high),
                    problems=len(each),
                    left_out=sum(not some for some in found.values()),
                    unit="points",
                )
            )
        return scores

    def _names(self, id: str) -> list[str]:
        return [row["subtask"] for row in self._rows[id]]

    def _submissions(self, answers: Sequence[Answer]) -> dict[str, list[Submission]]:
        """Return what was judged of each task that was asked; in the order of the answers."""
        asked = {problem.key: problem for problem in self.problems()}
        found: dict[str, list[Submission]] = {}
        for answer in answers:
            problem = asked[answer.problem]
            some = found.setdefault(problem.tests["task"], [])
            if answer.verdict is None:
                continue
            shares, earned = _earned(answer.verdict)
            sample = answer.sample
            some.append(
                Submission(
                    target=problem.tests["subtask"],
                    thought=(sample.tokens or len(sample.text)) if sample else 0,
                    compiles=answer.verdict.kind is not Kind.COMPILE_ERROR,
                    shares=shares,
                    points=earned,
                )
            )
        return found


def ioi(*, path: Path | None = None, tests: Path | None = None, year: int = 2024) -> Ioi:
    """Return the benchmark.

    path: of a file of rows of open-r1/ioi. tests: of a file of rows of open-r1/ioi-test-cases.
    year: which IOI; the rows hold 2020 to 2024.
    """
    return Ioi(path=path, tests=tests, year=year)


def _problem(row: Mapping[str, Any]) -> Problem:
    memory = float(row["memory_limit"])
    # Bytes, as CMS has it; a few exports have MiB.
    memory_mb = memory / (1 << 20) if memory >= 1 << 20 else memory
    return Problem(
        key=f"{row['id']}/{row['subtask']}",
        prompt=row["problem"],
        entry_point="",
        tests={
            "task": row["id"],
            "subtask": row["subtask"],
            "time_limit_s": float(row["time_limit"]),
            "memory_limit_mb": memory_mb,
        },
        tags=(f"problem:{row['id']}", f"day:{row.get('day', '')}"),
        language="cpp",
    )


def _earned(verdict: Verdict) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the share and the points of each subtask, rounded as upstream rounds them.

    huggingface/open-r1 src/open_r1/utils/competitive_programming/ioi_scoring.py. Of subtasks worth
    nothing the sandbox keeps no share: they are done or not.
    """
    shares = []
    for one in verdict.subtasks:
        whole = float(one.failed is None and not one.why)
        share = one.points / one.points_most if one.points_most else whole
        shares.append(round(share, _PRECISION))
    return tuple(shares), tuple(round(one.points, _PRECISION) for one in verdict.subtasks)
