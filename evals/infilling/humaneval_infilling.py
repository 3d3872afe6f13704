"""HumanEval-Infilling (Bavarian et al. 2022, arXiv 2207.14255; single-line and multi-line by Fried
et al. 2022, arXiv 2204.05999): parts of HumanEval's solutions taken out, to be filled in again.

Four parts: single-line (1,033), multi-line (5,815), random-span (1,640) and random-span-light
(164); "test" is upstream's one example problem. Data and protocol: openai/human-eval-infilling.

The program is prefix + middle + suffix, judged by upstream's `check` in a box of its own, as
`human_eval_infilling/execution.py` puts it together. An empty middle is run like any other, as
there: it is a wrong answer of the model, except where the missing piece did nothing.

How it is asked: `evals.infilling.asking`. Upstream leaves prompts and stops to its user; ours are:
stops     the five that an author of Seed-Coder names for Python infilling
          (ByteDance-Seed/Seed-Coder, issue 3), and those of the model's [fim] format.
length    512 tokens, as Seed-Coder's base card fills a middle; 128 for a single line.
cutting   single-line: the first line that is not blank, with its indentation and a newline.
          multi-line: as it stands, with a newline at the end where it has none (a stop string that
          begins with one takes it away). random-span: as it stands.
limits    upstream's 3 seconds, of CPU time, so that a busy machine changes no verdict; and 9 by
          the clock, for programs that sleep, which upstream ends after 3.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

from evals.bench import Bench, Style
from evals.data import DataFile, Source, digests
from evals.infilling.asking import Gap, ask, before, middle, stops
from evals.problem import Problem
from evals.spoil import spoilt
from sandbox import AssertTests, Limits, Program
from seedcoder.completion import Request, Sampling

Part = Literal["single-line", "multi-line", "random-span", "random-span-light", "test"]

_FILES: Final[Mapping[str, tuple[str, str]]] = {
    "single-line": (
        "HumanEval-SingleLineInfilling.jsonl.gz",
        "1277073e7ddce163ef68598c2bca777f688a53df99422f097e37362090f88e1f",
    ),
    "multi-line": (
        "HumanEval-MultiLineInfilling.jsonl.gz",
        "2f341612eee1d35da1357a4f365e0c0b3ba6e2b62eb491e88aaefa4855af0349",
    ),
    "random-span": (
        "HumanEval-RandomSpanInfilling.jsonl.gz",
        "b4f330d8a8ff97bf85d9def497dffcae4d741e506449386a877236e422e33e8d",
    ),
    "random-span-light": (
        "HumanEval-RandomSpanInfillingLight.jsonl.gz",
        "1432250ecac0cb56e6f97f8faf0970419ef892a98fda7e1f5aa4c4b87209b760",
    ),
    "test": (
        "example_problem.jsonl",
        "f066a37097c9bc7fb19a8bcb736cbfbc19e42cb0597766066e75ec6b1187ee9c",
    ),
}
_COLUMNS: Final = ("task_id", "entry_point", "prompt", "suffix", "canonical_solution", "test")
_STOPS: Final = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")
_MAX_TOKENS: Final = 512
_MAX_TOKENS_A_LINE: Final = 128  # ours: the longest line that is missing has 141 characters
_WHOLE_LINES: Final = ("single-line", "multi-line")


def source(part: Part) -> Source:
    """Return where the file of a part may be had."""
    file, sha256 = _FILES[part]
    return Source(
        bench="humaneval-infilling",
        folder="humaneval-infilling",
        file=file,
        sha256=sha256,
        get=f"fetch data/{file} of the GitHub repository openai/human-eval-infilling",
    )


class HumanEvalInfilling(Bench):
    """One part of the benchmark. See the module's words."""

    name = "humaneval-infilling"
    licence = "MIT"

    def __init__(self, *, part: Part, data: DataFile) -> None:
        """Take the problems of `part` from `data`."""
        self._part = part
        self._data = data

    @property
    def version(self) -> str:
        """The part."""
        return f"human-eval-infilling 1.0, {self._part}"

    @cached_property
    def _problems(self) -> tuple[Problem, ...]:
        return tuple(_problem(row) for row in self._data.rows(needs=_COLUMNS))

    @property
    def data_sha256(self) -> Mapping[str, str]:
        """The digest of the compressed file."""
        return digests(self._data)

    def problems(self) -> Sequence[Problem]:
        """Return the problems in the file's order. MachineLacks: no file, or not upstream's."""
        return self._problems

    def request(self, problem: Problem, style: Style) -> Request:
        """Return what the model is asked."""
        return ask(problem.key, Gap(before=problem.prompt, after=problem.tests["suffix"]), style)

    def sampling(self, style: Style) -> Sampling:
        """Return our sampling: greedy."""
        return Sampling(
            max_tokens=_MAX_TOKENS_A_LINE if self._part == "single-line" else _MAX_TOKENS,
            stop=stops(style, _STOPS),
            stop_after_fence=style.protocol == "chat",
        )

    def program(self, problem: Problem, text: str, style: Style) -> Program:
        """Return prefix + middle + suffix; an empty middle makes a program too."""
        filled = middle(text, style, _STOPS)
        if self._part == "single-line":
            lines = (line for line in filled.split("\n") if line.strip())
            # What is continued from a stripped prompt begins with the newline that was stripped.
            opening = "\n" if before(problem.prompt, style) != problem.prompt else ""
            filled = opening + next(lines, "") + "\n"
        elif self._part in _WHOLE_LINES and not filled.endswith("\n"):
            filled += "\n"
        return Program.python(before(problem.prompt, style) + filled + problem.tests["suffix"])

    def tests(self, problem: Problem) -> AssertTests:
        """Return upstream's `check`, called with the candidate."""
        return AssertTests(
            test=problem.tests["test"],
            entry_point=problem.entry_point,
            call=f"check({problem.entry_point})",
            context=_around(_whole(problem, problem.canonical), problem.entry_point),
        )

    def canonical(self, problem: Problem) -> Program:
        """Return upstream's solution, put together again."""
        return Program.python(_whole(problem, problem.canonical))

    def broken(self, problem: Problem) -> Program:
        """Return upstream's solution with each answer spoilt: off by one, negated, longer."""
        return Program.python(spoilt(_whole(problem, problem.canonical), problem.entry_point))

    def limits(self, problem: Problem) -> Limits:
        """Return what a program may use."""
        return Limits(cpu_s=3.0, wall_s=9.0, memory_mb=512)


def humaneval_infilling(
    *, part: Part = "single-line", path: Path | None = None
) -> HumanEvalInfilling:
    """Return one part of the benchmark. path: of upstream's file for that part."""
    return HumanEvalInfilling(part=part, data=DataFile(source(part), path))


def _problem(row: Mapping[str, Any]) -> Problem:
    return Problem(
        key=row["task_id"],
        prompt=row["prompt"],
        entry_point=row["entry_point"],
        tests={"test": row["test"], "suffix": row["suffix"]},
        canonical=row["canonical_solution"],
        date="2021-07-07",  # of HumanEval, whose solutions these are
    )


def _whole(problem: Problem, filled: str) -> str:
    suffix: str = problem.tests["suffix"]
    return problem.prompt + filled + suffix


def _around(source: str, entry_point: str) -> str:
    """Return a solution's file without the function itself: imports, and helpers tests call.

    `poly` of HumanEval/32, `encode_cyclic` of /38 and `encode_shift` of /50 are given in the
    prompt and called by the tests.
    """
    kept = [
        node
        for node in ast.parse(source).body
        if not (isinstance(node, ast.FunctionDef) and node.name == entry_point)
    ]
    return ast.unparse(ast.Module(body=kept, type_ignores=[]))
