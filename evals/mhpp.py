"""MHPP (Dai et al. 2024, arXiv 2405.11430): 210 hard Python functions, seven kinds of challenge.

The authors publish the questions (SparksofAGI/MHPP `data/MHPP.jsonl`: id, difficulty_types,
question, prompt, function_name, parameters) and keep answers and tests to themselves: a figure that
compares with the published ones comes from their server alone. So there are two things here:

submission   the replies of a run in the form that the server takes (README, "Quick Start":
    function_name, prompt, difficulty_types, response a line): `submission`.
local tests  rows may have a column "test" of assertions, which then judges; rows without are judged
    by the examples of their own docstring, and by no more. The metric says so: "pass@1 on
    examples". The model has seen those examples, so this is an upper bound and no MHPP score.

Chat models are asked `prompt`, as the paper asks; base models continue `question`. Greedy. The
program begins with what the question has before its function (imports, helper classes): ours.
"""

from __future__ import annotations

import ast
import doctest
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from evals.bench import Bench, Style
from evals.data import DataFile, Source, digests
from evals.extract import extract
from evals.problem import Problem, Sample, Score
from evals.prune import prune
from evals.scores import pass_scores
from sandbox import AssertTests, Limits, Program
from seedcoder.completion import Message, Request, Sampling
from seedcoder.errors import UsageError

if TYPE_CHECKING:
    from evals.tally import Answer

SOURCE: Final = Source(
    bench="mhpp",
    folder="mhpp",
    file="MHPP.jsonl",
    get="data/MHPP.jsonl of the repository SparksofAGI/MHPP on GitHub",
)
_COLUMNS: Final = ("id", "difficulty_types", "question", "prompt", "function_name")
_CHALLENGES: Final = (  # the paper, table 2; the rows number them from 1
    "distraction", "redefinition", "shortcut", "commonsense", "cornercase", "complexity",
    "codesense",
)  # fmt: skip
_STOPS: Final = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")  # HumanEval's; upstream has none
_CLOSE: Final = """\
def same(got, wanted):
    if isinstance(wanted, float) and isinstance(got, (int, float)):
        return abs(got - wanted) <= 1e-5  # what the questions allow
    return got == wanted

"""


class Mhpp(Bench):
    """The benchmark. See the module's words."""

    name = "mhpp"
    licence = "Apache-2.0"
    version = "data/MHPP.jsonl"

    def __init__(self, *, path: Path | None) -> None:
        """Take the rows from `path` or the data folder."""
        self._data = DataFile(SOURCE, path)

    @property
    def data_sha256(self) -> Mapping[str, str]:
        """The digest of the rows."""
        return digests(self._data)

    @cached_property
    def _read(self) -> tuple[tuple[Problem, ...], tuple[str, ...]]:
        problems, without = [], []
        for row in self._data.rows(needs=_COLUMNS):
            problem = _problem(row, f"{self.name}: {self._data.path}: {row['id']}")
            if problem.tests["test"]:
                problems.append(problem)
            else:
                without.append(problem.key)
        return tuple(problems), tuple(without)

    def problems(self) -> Sequence[Problem]:
        """Return the problems that have something to be judged by."""
        return self._read[0]

    def left_out(self) -> Mapping[str, str]:
        """Return how many have neither tests nor an example that can be read."""
        without = self._read[1]
        why = "neither tests in the file nor examples in the docstring"
        return {f"{len(without)} problems": why} if without else {}

    def request(self, problem: Problem, style: Style) -> Request:
        """Return what the model is asked."""
        if style.protocol == "completion":
            return Request(key=problem.key, prompt=problem.tests["question"].rstrip())
        return Request(key=problem.key, prompt=(Message(role="user", content=problem.prompt),))

    def sampling(self, style: Style) -> Sampling:
        """Return greedy replies of at most 1,024 tokens (ours)."""
        return Sampling(max_tokens=1024, stop=_STOPS if style.protocol == "completion" else ())

    def program(self, problem: Problem, text: str, style: Style) -> Program:
        """Return the function out of a reply, with the question's imports and helpers."""
        question = problem.tests["question"]
        if style.protocol == "completion":
            for stop in _STOPS:
                text = text.partition(stop)[0]
            return Program.python(question.rstrip() + text if text.strip() else "")
        code = extract(text, problem.entry_point, prompt=question)
        if not code:
            return Program.python("")
        if "from __future__" not in code:
            code = _head(question, problem.entry_point) + code
        return Program.python(prune(code, problem.entry_point))

    def tests(self, problem: Problem) -> AssertTests:
        """Return the row's assertions, or those made of its examples."""
        return AssertTests(test=problem.tests["test"], entry_point=problem.entry_point)

    def limits(self, problem: Problem) -> Limits:
        """Return ours: upstream's are not published."""
        return Limits(cpu_s=10, memory_mb=512)

    def canonical(self, problem: Problem) -> Program | None:
        """Return none: the authors keep the answers."""
        return None

    def broken(self, problem: Problem) -> Program | None:
        """Return a function that answers nothing."""
        return Program.python(f"def {problem.entry_point}(*args, **kwargs):\n    return None\n")

    def scores(self, answers: Sequence[Answer], ks: Sequence[int], *, seed: int = 0) -> list[Score]:
        """Return pass@k; "on examples" where any problem had no other tests."""
        full = {problem.key for problem in self.problems() if problem.tests["kind"] == "full"}
        found = pass_scores(answers, ks, seed=seed)
        if all(answer.problem in full for answer in answers):
            return found
        return [replace(score, metric=f"{score.metric} on examples") for score in found]


def mhpp(*, path: Path | None = None) -> Mhpp:
    """Return the benchmark. path: of the rows, as JSON lines."""
    return Mhpp(path=path)


def submission(bench: Mhpp, samples: Iterable[Sample]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a submission: first samples only, as pass@1 is what the server scores."""
    problems = {problem.key: problem for problem in bench.problems()}
    for sample in samples:
        problem = problems.get(sample.problem)
        if problem is not None and sample.n == 0:
            yield {
                "id": problem.tests["id"],
                "function_name": problem.entry_point,
                "prompt": problem.prompt,
                "difficulty_types": problem.tests["difficulty_types"],
                "response": sample.text,
            }


def _problem(row: Mapping[str, Any], where: str) -> Problem:
    for name in ("question", "prompt", "function_name"):
        if not isinstance(row[name], str) or not row[name].strip():
            raise UsageError(f"{where}: {name}: a string was expected")
    entry_point, kind = row["function_name"], row["difficulty_types"]
    if not entry_point.isidentifier():
        raise UsageError(f"{where}: function_name: {entry_point!r} is no name")
    full = row.get("test") or ""
    if not isinstance(full, str):
        raise UsageError(f"{where}: test: a string was expected")
    known = isinstance(kind, int) and 1 <= kind <= len(_CHALLENGES)
    return Problem(
        key=f"MHPP/{row['id']}",
        prompt=row["prompt"],
        entry_point=entry_point,
        tests={
            "id": row["id"],
            "question": row["question"],
            "difficulty_types": kind,
            "kind": "full" if full.strip() else "examples",
            "test": full if full.strip() else _examples(row["question"], entry_point),
        },
        tags=(f"challenge:{_CHALLENGES[kind - 1] if known else kind}",),
        date="2024-05-19",  # the paper's first version
    )


def _function(question: str, entry_point: str) -> ast.FunctionDef | None:
    try:
        body = ast.parse(question).body
    except (SyntaxError, ValueError):
        return None
    named = (n for n in body if isinstance(n, ast.FunctionDef) and n.name == entry_point)
    return next(named, None)


def _head(question: str, entry_point: str) -> str:
    """Return what the question has before its function."""
    node = _function(question, entry_point)
    lines = question.split("\n")[: node.lineno - 1] if node else []
    return "\n".join([*lines, ""]).lstrip("\n")


def _examples(question: str, entry_point: str) -> str:
    """Return assertions for the examples whose results are literals; "" where there are none."""
    node = _function(question, entry_point)
    words = ast.get_docstring(node) if node else None
    try:
        examples = doctest.DocTestParser().get_examples(words or "")
    except ValueError:
        return ""
    checks = []
    for example in examples:
        # Some have an explanation behind the result, without a blank line.
        first = example.want.strip().partition("\n")[0]
        try:
            wanted = ast.literal_eval(first)
            call = ast.parse(example.source.strip(), mode="eval")
        except (SyntaxError, ValueError):
            continue
        if isinstance(call.body, ast.Call) and ast.unparse(call.body.func) == entry_point:
            checks.append(f"assert same({ast.unparse(call)}, {wanted!r})\n")
    return _CLOSE + "".join(checks) if checks else ""
