"""Codeforces problems, and a rating by the method of CodeElo (arXiv 2501.01257).

Data: rows of `open-r1/codeforces`. CodeElo submits to the real judge; here the data set's official
tests judge, with its `generated_checker` where several outputs are right. Where it has none,
outputs are compared word by word (ours: upstream's own comparison is inside a Piston package that
is not public text). Left out, aloud: problems that talk to the judge, that read and write files,
or whose official tests are not all there.

Asked and extracted as QwenLM/CodeElo main.py does: its instruction, the statement as HTML, and the
first fenced block of the reply, whose tag says the language (C++ where it says none). Up to eight
attempts a problem, in the order in which they were drawn.

The rating (`elo`) needs the standings of the contests, which a user brings (`standings`): a file
of the answers of Codeforces' API. A contest counts when all its problems here were asked; those
that are left out count as not solved, as the paper counts what a model did not solve. Without
standings the score is pass@k.

Untested here for lack of data: the hub's rows themselves, and the ratings that the paper gives.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final

from evals.bench import Bench, Style
from evals.contests.checkers import python_checker
from evals.contests.elo import Contest, read_contests
from evals.contests.streamed import digest
from evals.data import DataFile, Hub, Source, digests
from evals.problem import Problem, Score
from evals.scores import pass_scores
from evals.stats import bootstrap
from sandbox import Limits, Program, StdioCase, StdioTests
from sandbox.compare import TOKENS
from seedcoder.completion import Message, Request, Sampling
from seedcoder.errors import UsageError

if TYPE_CHECKING:
    from evals.tally import Answer

SOURCE: Final = Source(
    bench="codeforces",
    folder="codeforces",
    file="codeforces.jsonl",
    hub=Hub(repo="open-r1/codeforces", split="test"),
    get="save the data set open-r1/codeforces (split test) from the hub as JSON lines",
)
_COLUMNS: Final = (
    "id",
    "contest_id",
    "contest_start",
    "index",
    "time_limit",
    "memory_limit",
    "title",
    "description",
    "input_format",
    "output_format",
    "examples",
    "official_tests",
)
_ATTEMPTS: Final = 8  # main.py
_MAX_TOKENS: Final = 4_096  # ours
_INSTRUCTION: Final = (
    "You are a coding expert. Given a competition-level coding problem, you need to write a C++ "
    "program to solve it. You may start by outlining your thought process. In the end, please "
    "provide the complete code in a code block enclosed with ``` ```."
)
_BLOCK: Final = re.compile(r"```(\w*)\n(.*?)\n```", re.DOTALL)  # main.py, extract_code_blocks
# main.py's lang_map, as far as the sandbox has the language.
_LANGUAGES: Final[Mapping[str, str]] = {
    "": "cpp",
    "cpp": "cpp",
    "c": "c",
    "csharp": "csharp",
    "d": "d",
    "go": "go",
    "haskell": "haskell",
    "java": "java",
    "javascript": "javascript",
    "kotlin": "kotlin",
    "perl": "perl",
    "php": "php",
    "python": "python",
    "ruby": "ruby",
    "rust": "rust",
    "scala": "scala",
}


class Codeforces(Bench):
    """The benchmark. See the module's words."""

    name = "codeforces"
    licence = "CC-BY-4.0"  # as the data set's card has it; not checked here

    def __init__(self, *, path: Path | None, standings: Path | None) -> None:
        """Take the rows from `path`, by default from the hub; `standings` for ratings."""
        self._data = DataFile(SOURCE, path)
        self._standings = standings

    @property
    def version(self) -> str:
        """Which rows, and whether there is a rating."""
        rated = "rated by contest" if self._standings else "no standings"
        return f"open-r1/codeforces, official tests, {rated}"

    @property
    def data_sha256(self) -> Mapping[str, str]:
        """The digests of the rows and of the standings."""
        found = dict(digests(self._data))
        if self._standings is not None and self._standings.is_file():
            found["standings"] = digest(self._standings)
        return found

    @cached_property
    def _read(self) -> tuple[tuple[Problem, ...], dict[str, str]]:
        problems: list[Problem] = []
        left: dict[str, list[str]] = {}
        for row in self._data.rows(needs=_COLUMNS):
            why = _unfit(row)
            if why:
                left.setdefault(why, []).append(row["id"])
            else:
                try:
                    problems.append(_problem(row))
                except (KeyError, TypeError, ValueError) as error:
                    place = f"codeforces: {self._data.path}: problem {row['id']}"
                    raise UsageError(f"{place}: {error!r}") from error
        return tuple(problems), {
            f"{len(ids)} problems ({ids[0]}{', ...' if len(ids) > 1 else ''})": why
            for why, ids in left.items()
        }

    @cached_property
    def _contests(self) -> dict[str, Contest]:
        return read_contests(self._standings) if self._standings else {}

    def problems(self) -> Sequence[Problem]:
        """Return the problems that can be judged here. MachineLacks: no data."""
        return self._read[0]

    def left_out(self) -> Mapping[str, str]:
        """Return how many problems cannot be judged here, and why."""
        return self._read[1]

    def request(self, problem: Problem, style: Style) -> Request:
        """Return what the model is asked, in one turn. Raises UsageError for base models."""
        if style.protocol != "chat":
            raise UsageError("codeforces is for chat models: set protocol = 'chat'")
        content = f"{_INSTRUCTION}\n\n{problem.prompt}"
        return Request(key=problem.key, prompt=(Message(role="user", content=content),))

    def sampling(self, style: Style) -> Sampling:
        """Return the length; how attempts are drawn is the recipe's to say."""
        return Sampling(max_tokens=_MAX_TOKENS)

    def program(self, problem: Problem, text: str, style: Style) -> Program:
        """Return the first block of the reply; its source is "" for none, or no known language."""
        found = _BLOCK.search(text)
        language = _LANGUAGES.get(found[1]) if found else None
        if found is None or language is None:
            return Program(language="cpp", source="")
        return Program(language=language, source=found[2])

    def tests(self, problem: Problem) -> StdioTests:
        """Return the official tests, with the problem's checker where it has one."""
        checker = problem.tests["checker"]
        return StdioTests(
            cases=tuple(
                StdioCase(stdin=case["input"], stdout=case["output"])
                for case in problem.tests["official_tests"]
            ),
            comparer=TOKENS,
            checker=python_checker(checker) if checker else None,
        )

    def limits(self, problem: Problem) -> Limits:
        """Return the problem's own limits; CPU time where Codeforces takes wall time."""
        return Limits(
            cpu_s=float(problem.tests["time_limit_s"]),
            memory_mb=int(problem.tests["memory_limit_mb"]),
            output_kb=65_536,
        )

    def canonical(self, problem: Problem) -> Program | None:
        """Return None: the data holds no solutions."""
        return None

    def broken(self, problem: Problem) -> Program | None:
        """Return None: there is no solution to spoil."""
        return None

    def scores(self, answers: Sequence[Answer], ks: Sequence[int], *, seed: int = 0) -> list[Score]:
        """Return the rating where there are standings, then pass@k."""
        rated = self._elo(answers, seed) if self._standings else None
        return [*([rated] if rated else []), *pass_scores(answers, ks, seed=seed)]

    def _elo(self, answers: Sequence[Answer], seed: int) -> Score | None:
        """Return the mean rating over contests all of whose problems were asked."""
        here: dict[str, set[str]] = {}
        for problem in self.problems():
            here.setdefault(problem.tests["contest"], set()).add(problem.key)
        asked = {answer.problem for answer in answers}
        names = {problem.key: problem.tests["names"] for problem in self.problems()}
        attempts: dict[str, list[bool]] = {}
        for answer in sorted(answers, key=lambda one: one.n):
            if answer.verdict is None or answer.n >= _ATTEMPTS:
                continue  # what we lost is no attempt of the model's
            for name in names.get(answer.problem, ()):
                attempts.setdefault(name, []).append(answer.verdict.ok)
        whole = [name for name, keys in here.items() if keys <= asked]
        ratings = [
            float(self._contests[name].rating(attempts)) for name in whole if name in self._contests
        ]
        if not ratings:
            return None
        return Score(
            metric=f"Elo, {len(ratings)} contests",
            value=fmean(ratings),
            wilson=None,
            bootstrap=bootstrap(ratings, seed=seed),
            problems=sum(len(here[name]) for name in whole if name in self._contests),
            left_out=sum(len(keys) for name, keys in here.items() if name not in self._contests),
            unit="Elo",
        )


def codeforces(*, path: Path | None = None, standings: Path | None = None) -> Codeforces:
    """Return the benchmark.

    path: of a file of rows. standings: of a JSON file {contest id: {"standings": ...,
    "rating_changes": ...}}, the answers of Codeforces' API methods contest.standings and
    contest.ratingChanges.
    """
    return Codeforces(path=path, standings=standings)


def _unfit(row: Mapping[str, Any]) -> str:
    """Return why a row's problem cannot be judged here; "" when it can."""
    if row.get("interaction_format"):
        return "they talk to an interactor, which the data does not hold"
    if (row.get("input_mode") or "stdio") != "stdio":
        return "they read and write files of a name"
    if not row["official_tests"]:
        return "they have no official tests"
    if row.get("official_tests_complete") is False:
        return "their official tests are not all there"
    return ""


def _problem(row: Mapping[str, Any]) -> Problem:
    rating = row.get("rating")
    contest = str(row["contest_id"])
    names = [f"{contest}{row['index']}"]
    names += [alias.replace("/", "") for alias in row.get("aliases") or ()]
    day = datetime.datetime.fromtimestamp(int(row["contest_start"]), datetime.UTC).date()
    tags = [f"contest:{contest}", f"year:{day.year}"]
    if rating:
        tags.append(f"difficulty:{_difficulty(int(rating))}")
    tags += [f"tag:{tag}" for tag in row.get("tags") or ()]
    return Problem(
        key=str(row["id"]),
        prompt=_statement(row),
        entry_point="",
        tests={
            "official_tests": row["official_tests"],
            "checker": row.get("generated_checker") or "",
            "time_limit_s": float(row["time_limit"]),
            "memory_limit_mb": float(row["memory_limit"]),
            "contest": contest,
            "names": sorted(set(names)),
        },
        tags=tuple(tags),
        date=day.isoformat(),
        language="cpp",
    )


def _difficulty(rating: int) -> str:
    """Return the paper's three grades: below 1000, below 1300, and the rest."""
    return "easy" if rating < 1000 else "medium" if rating < 1300 else "hard"


def _statement(row: Mapping[str, Any]) -> str:
    """Return the statement as main.py (`make_html_problem`) writes it."""
    examples = "".join(
        f"<div>Input<pre>{example['input']}</pre>Output<pre>{example['output']}</pre></div>"
        for example in row["examples"] or ()
    )
    sections = [
        ("Input", row["input_format"]),
        ("Output", row["output_format"]),
        ("Examples", examples),
        ("Note", row.get("note")),
    ]
    parts = [f"<html><body><h1>{row['title']}</h1><div>{row['description']}</div>"]
    parts += [f"<h2>{title}</h2><div>{text}</div>" for title, text in sections if text]
    return "".join([*parts, "</body></html>"])
