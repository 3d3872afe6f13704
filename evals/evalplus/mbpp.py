"""MBPP (Austin et al. 2021, arXiv 2108.07732): small Python functions from a sentence and tests.

mbpp       the hand-checked part ("sanitized", 427 tasks), all of them.
mbpp-full  974 tasks; by default the split that the paper tests on, tasks 11 to 510.

`split`: "prompt" (tasks 1-10), "test" (11-510), "validation" (511-600), "train" (601-974), "all".
The numbers are those of the README at google-research/google-research, mbpp/; the same README gives
the prompt:

    You are an expert Python programmer, and here is your task: {prompt} Your code should pass
    these tests:

    {tests}
    [BEGIN]
    {code}
    [DONE]

completion  Three-shot, with tasks 2, 3 and 4 as that README says, of the file in use; greedy until
    "[DONE]". A task is never its own example: where it is one of them, task 6 takes its place. All
    three asserts are shown, as the paper does. What comes back is the program as it stands.
chat        The same task text, without examples (ours: no chat protocol was ever published with
    the data), an answer in a code block asked for; the program is what `evals.extract` finds.

A program passes when all asserts of `test_list` do, after `test_imports` and `test_setup_code`.
`challenge_test_list` is not run, as in the paper. The asserts run in a box of their own and call
the program through a proxy; those whose arguments do not cross as data run beside it ("shared" in
reports). Upstream runs them in the program's own namespace, and some need it: what they use of the
solution besides its function, a class (full 367, 601, 927) or an import (596), is defined for them
from upstream's solution. So a program that forgets its own `class Node` passes here.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

from evals.bench import Bench, Style
from evals.data import DataFile, Source, digests
from evals.evalplus.adapter import ENTRY, adapted
from evals.extract import extract
from evals.problem import Problem
from evals.prune import prune
from evals.spoil import spoilt
from sandbox import AssertTests, Limits, Program
from seedcoder.completion import Message, Request, Sampling
from seedcoder.errors import MachineLacks, UsageError

Split = Literal["prompt", "test", "validation", "train", "all"]

_REPO: Final = "github.com/google-research/google-research, folder mbpp (CC-BY-4.0)"
SANITIZED: Final = Source(
    bench="mbpp",
    folder="mbpp",
    file="sanitized-mbpp.json",
    get=f"sanitized-mbpp.json of {_REPO}",
)
FULL: Final = Source(
    bench="mbpp-full",
    folder="mbpp",
    file="mbpp.jsonl",
    get=f"mbpp.jsonl of {_REPO}",
)
_SPLITS: Final[Mapping[str, range]] = {
    "prompt": range(1, 11),
    "test": range(11, 511),
    "validation": range(511, 601),
    "train": range(601, 975),
    "all": range(1, 975),
}
_SHOTS: Final = (2, 3, 4)
_SPARE: Final = 6
_STOP: Final = "[DONE]"
_MAX_TOKENS: Final = 512  # ours
_HEAD: Final = "You are an expert Python programmer, and here is your task:"

# The asserts ask only whether a match was returned, and match objects do not cross as data.
_TRUTH: Final = frozenset({"mbpp/737", "mbpp/787", "mbpp/794"})
# The solution puts tuples where the test had lists, which cannot be done to the test's own objects.
_SHARED: Final = frozenset({"mbpp-full/839"})
# Asserts with a tolerance wide enough for an answer that is off by one.
_ROUGH: Final = frozenset({"mbpp/82", "mbpp/85"})
_ROWS_SHA256: Final[Mapping[str, str]] = {
    "mbpp": "f11777c47c50a6f44de6aaf8147681c82e43c99fa17525b57f09f23b7aa9ea7b",
    "mbpp-full": "5ce6c53a6a0bedd2ac670124617f229db941bd6e169a7d6e5a67ea6f585508ac",
}


class Mbpp(Bench):
    """One of the two files. See the module's words."""

    name = ""
    version = ""
    licence = "CC-BY-4.0"

    def __init__(self, source: Source, *, split: Split, path: Path | None = None) -> None:
        """Take upstream's file, or one of the same form at `path`."""
        self.name = source.bench
        self.version = f"{source.file}, split {split}"
        self._split = split
        self._text = "prompt" if source is SANITIZED else "text"
        self._published = path is None
        self._data = DataFile(source, path)

    @cached_property
    def _all(self) -> Mapping[int, Problem]:
        needs = ("task_id", "code", "test_list", self._text)
        rows = list(self._data.rows(needs=needs))
        if self._published and _rows_sha256(rows) != _ROWS_SHA256[self.name]:
            raise MachineLacks(
                f"{self.name}: {self._data.path} does not hold the rows that were published; "
                f"{self._data.source.get}"
            )
        found = [self._problem(row, number) for number, row in enumerate(rows, start=1)]
        return {int(problem.key.rpartition("/")[2]): problem for problem in found}

    def _problem(self, row: Mapping[str, Any], number: int) -> Problem:
        where = f"{self.name}: {self._data.path}, row {number}"
        asserts, imports = row["test_list"], row.get("test_imports", [])
        if type(row["task_id"]) is not int:
            raise UsageError(f"{where}: task_id is not a number")
        for name, value in ((self._text, row[self._text]), ("code", row["code"])):
            if not isinstance(value, str):
                raise UsageError(f"{where}: {name} is not a string")
        if not asserts or not all(isinstance(one, str) for one in [*asserts, *imports]):
            raise UsageError(f"{where}: test_list is not a list of asserts")
        code = row["code"].replace("\r\n", "\n")
        asserts = [one.replace("\r\n", "\n") for one in asserts]
        setup = "\n".join([*imports, row.get("test_setup_code", "")]).replace("\r", "")
        name = _called(code, asserts, where)
        return Problem(
            key=f"{self.name}/{row['task_id']}",
            prompt=row[self._text],
            entry_point=name,
            tests={
                "asserts": asserts,
                "setup": _borrowed(code, [setup, *asserts], name, where) + setup,
            },
            canonical=code,
            date="2021-08-16",  # the paper's first version
        )

    @property
    def data_sha256(self) -> Mapping[str, str]:
        """The digest of the file."""
        return digests(self._data)

    def problems(self) -> Sequence[Problem]:
        """Return the tasks of the split. MachineLacks: no file, or none of its tasks in it."""
        wanted = _SPLITS[self._split]
        found = tuple(problem for number, problem in self._all.items() if number in wanted)
        if not found:
            raise MachineLacks(f"{self.name}: {self._data.path} has no task of {self._split!r}")
        return found

    def request(self, problem: Problem, style: Style) -> Request:
        """Return what the model is asked."""
        if style.protocol == "completion":
            shots = [f"{_task(one)}{one.canonical}\n{_STOP}\n\n" for one in self._shots(problem)]
            return Request(key=problem.key, prompt="".join(shots) + _task(problem).rstrip("\n"))
        question = f"{_task(problem, chat=True)}\nAnswer with a Python code block."
        return Request(
            key=problem.key,
            prompt=(Message(role="user", content=question),),
            prefill="```python\n" if style.prefill else "",
        )

    def _shots(self, problem: Problem) -> list[Problem]:
        """Return the examples: tasks 2, 3 and 4; task 6 in place of the one that is asked."""
        numbers = [one for one in _SHOTS if self._all.get(one) is not problem]
        numbers += [_SPARE] * (len(numbers) < len(_SHOTS))
        absent = [number for number in numbers if number not in self._all]
        if absent:
            raise UsageError(
                f"{self.name}: {self._data.path} has no task {absent[0]}, which is an example of "
                "the prompt; protocol = 'chat' needs none"
            )
        return [self._all[number] for number in numbers]

    def sampling(self, style: Style) -> Sampling:
        """Return greedy sampling until the end mark, or the end of the code block."""
        completing = style.protocol == "completion"
        return Sampling(
            max_tokens=_MAX_TOKENS,
            stop=(_STOP,) if completing else (),
            stop_after_fence=not completing and style.prefill,
        )

    def program(self, problem: Problem, text: str, style: Style) -> Program:
        """Return the program in a reply; its source is "" when there is none."""
        if style.protocol == "completion":
            code = text.partition(_STOP)[0].replace("\r\n", "\n").strip("\n")
            return self.solution(problem, code + "\n" if code.strip() else "")
        found = extract(text, problem.entry_point, fence_open=style.prefill)
        return self.solution(problem, prune(found, problem.entry_point) if found else "")

    def solution(self, problem: Problem, source: str) -> Program:
        """Return a whole program as it is judged."""
        if problem.key in _TRUTH:
            source = adapted(source, "truth", problem.entry_point)
        return Program.python(source)

    def tests(self, problem: Problem) -> AssertTests:
        """Return upstream's asserts."""
        name = problem.entry_point
        asserts = "\n".join(problem.tests["asserts"])
        truth = problem.key in _TRUTH
        return AssertTests(
            test=f"{name} = candidate\n{asserts}" if truth else asserts,
            entry_point=ENTRY if truth else name,
            context=problem.tests["setup"],
            mode="shared" if problem.key in _SHARED else "auto",
        )

    def limits(self, problem: Problem) -> Limits:
        """Return what a program may use."""
        return Limits(cpu_s=10.0, memory_mb=1024)  # ours; upstream states none

    def canonical(self, problem: Problem) -> Program:
        """Return upstream's solution."""
        return self.solution(problem, problem.canonical)

    def broken(self, problem: Problem) -> Program:
        """Return upstream's solution with each answer spoilt."""
        name = problem.entry_point
        if problem.key in _ROUGH:
            return Program.python(f"{problem.canonical}\n\n\ndef {name}(*_):\n    return None\n")
        return self.solution(problem, spoilt(problem.canonical, name))


def mbpp(*, path: Path | None = None, split: Split = "all") -> Mbpp:
    """Return the sanitized MBPP. path: a file of the same form."""
    return Mbpp(SANITIZED, split=split, path=path)


def mbpp_full(*, path: Path | None = None, split: Split = "test") -> Mbpp:
    """Return MBPP as it was first published. path: a file of the same form."""
    return Mbpp(FULL, split=split, path=path)


def _task(problem: Problem, *, chat: bool = False) -> str:
    asserts = "\n".join(problem.tests["asserts"])
    words = f"{_HEAD} {problem.prompt.strip()} Your code should pass these tests:\n\n{asserts}\n"
    return words if chat else f"{words}[BEGIN]\n"


def _called(code: str, asserts: Sequence[str], where: str) -> str:
    """Return the function that the tests call: the one of the solution's that they name first."""
    try:
        defined = {
            node.name
            for node in ast.parse(code).body
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
        }
        names = [node.id for node in ast.walk(ast.parse(asserts[0])) if isinstance(node, ast.Name)]
    except SyntaxError as error:
        raise UsageError(f"{where}: its code or its first assert is no Python: {error}") from None
    for name in names:
        if name in defined:
            return name
    raise UsageError(f"{where}: its first assert calls no function of its code")


def _borrowed(code: str, tests: Sequence[str], name: str, where: str) -> str:
    """Return the classes and imports of the solution that the tests use by name."""
    try:
        nodes = [node for test in tests for node in ast.walk(ast.parse(test))]
    except SyntaxError as error:
        raise UsageError(f"{where}: an assert or its setup is no Python: {error}") from None
    used = {node.id for node in nodes if isinstance(node, ast.Name) and node.id != name}
    found = []
    for node in ast.parse(code).body:
        names = set()
        if isinstance(node, ast.ClassDef):
            names = {node.name}
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = {one.asname or one.name for one in node.names}
        if names & used:
            found.append(f"{ast.unparse(node)}\n")
    return "".join(found)


def _rows_sha256(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the digest of the rows, however the file that holds them is spelt."""
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()
