"""CanItEdit (Cassano et al. 2023, arXiv 2312.12450): 105 Python programs to edit as told.

Each is asked twice: by a descriptive instruction, and by a lazy one, as people write them
(`options.instruction`: "both", "descriptive", "lazy"). Rows as nuprl/CanItEdit on the hub has them.

Prompts of nuprl/CanItEdit `benchmark/generate_completions.py`: chat models get its system message
and the zero-shot form (`chat_edit_prompt_zeroshot`), and the first fenced block of the reply is the
program (`python_markdown_codeblock_extract`); base models get `direct_edit_prompt`, with its stop
strings, and the continuation is the program. Upstream draws 20 samples at temperature 0.2 and top_p
0.95 (`--completion-limit`); that is a recipe's to say.

A program passes when the hidden tests, put behind it, run to their end (upstream: exit code 0 of
both as one file, within MultiPL-E's 15 s): mode "shared", see `evals.together`.

Beside pass@1 stands ExcessCode (`benchmark/pass_k.py`): 100 less the mean over problems of the
median, over the programs that pass, of the percentage of statements that the tests execute. It is
how much was written that was not asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING, Any, Final, Literal

from evals.bench import Bench, Style
from evals.covered import MEASURE, covered_percent
from evals.data import DataFile, Hub, Source, digests
from evals.problem import Problem, Score
from evals.scores import pass_scores
from evals.shelf import Shelf, imported, in_words
from evals.stats import bootstrap
from evals.together import script, with_judge
from sandbox import AssertTests, Limits, Program, Verdict
from seedcoder.completion import Message, Request, Sampling
from seedcoder.errors import UsageError

if TYPE_CHECKING:
    from evals.tally import Answer

Instruction = Literal["both", "descriptive", "lazy"]

SOURCE: Final = Source(
    bench="canitedit",
    folder="canitedit",
    file="canitedit.jsonl",
    hub=Hub(repo="nuprl/CanItEdit", split="test"),
    get="the rows of nuprl/CanItEdit on the hub, split test, as JSON lines (with the network and "
    "`datasets` they are fetched)",
)
_COLUMNS: Final = (
    "full_name", "before", "after", "tests", "instruction_descriptive", "instruction_lazy",
)  # fmt: skip
_SYSTEM: Final = (
    "You are PythonEditGPT. You will be provided the original code snippet and an instruction that "
    "specifies the changes you need to make. You will produce the changed code, based on the "
    "original code and the instruction given. Only produce the code, do not include any additional "
    "prose."
)
_STOPS: Final = (
    "## Code After:", "## Instruction:", "## Code Before:", "## Test Case:", "## Explanation:",
)  # fmt: skip
_MAX_TOKENS: Final = 2048
# MultiPL-E gives a program 15 s of wall time; then it is measured, for 5 s at the most.
_LIMITS: Final = Limits(cpu_s=25, wall_s=75, memory_mb=1024, processes=64)
_COVERED: Final = "covered_percent"


class CanItEdit(Bench):
    """The benchmark. See the module's words."""

    name = "canitedit"
    licence = "MIT"

    def __init__(self, *, instruction: Instruction, shelf: Shelf, path: Path | None) -> None:
        """Take the rows from `path`, the data folder or the hub."""
        self._kinds = ("descriptive", "lazy") if instruction == "both" else (instruction,)
        self._shelf = shelf
        self._data = DataFile(SOURCE, path)

    @property
    def version(self) -> str:
        """Which instructions."""
        return f"split test, {' and '.join(self._kinds)}"

    @property
    def data_sha256(self) -> Mapping[str, str]:
        """The digest of the rows."""
        return digests(self._data)

    @cached_property
    def _read(self) -> tuple[tuple[Problem, ...], dict[str, Sequence[str]]]:
        problems: list[Problem] = []
        lacking: dict[str, Sequence[str]] = {}
        for row in self._data.rows(needs=_COLUMNS):
            where = f"{self.name}: {self._data.path}: {row['full_name']}"
            for column in _COLUMNS:
                if not isinstance(row[column], str):
                    raise UsageError(f"{where}: {column}: a string was expected")
            needed = imported(row["after"]) | imported(row["tests"])
            if missing := self._shelf.lacking(needed):
                lacking[row["full_name"]] = missing
            else:
                problems += [_problem(row, kind) for kind in self._kinds]
        return tuple(problems), lacking

    def problems(self) -> Sequence[Problem]:
        """Return each program with each instruction, but for those whose libraries are lacking."""
        return self._read[0]

    def left_out(self) -> Mapping[str, str]:
        """Return how many programs lack which libraries."""
        return in_words(self._read[1], "programs")

    def packages(self) -> tuple[str, ...]:
        """Return what programs may import."""
        return self._shelf.packages()

    def request(self, problem: Problem, style: Style) -> Request:
        """Return what the model is asked."""
        before = problem.tests["before"]
        if style.protocol == "completion":
            asked = f"## Code Before:\n{before}\n## Instruction:\n{problem.prompt}\n## Code After:"
            return Request(key=problem.key, prompt=asked + ("" if style.strip_prompt else "\n"))
        asked = (
            f"## Code Before\n```py\n{before}\n```\n\n## Instruction\n{problem.prompt}\n\n"
            "## Code After"
        )
        messages = (Message(role="system", content=_SYSTEM), Message(role="user", content=asked))
        return Request(key=problem.key, prompt=messages)

    def sampling(self, style: Style) -> Sampling:
        """Return upstream's stops and length."""
        stop = _STOPS if style.protocol == "completion" else ()
        return Sampling(max_tokens=_MAX_TOKENS, temperature=0.2, top_p=0.95, stop=stop)

    def program(self, problem: Problem, text: str, style: Style) -> Program:
        """Return the edited program."""
        if style.protocol == "chat":
            return with_judge(_first_block(text))
        for stop in _STOPS:
            text = text.partition(stop)[0]
        return with_judge(text)

    def tests(self, problem: Problem) -> AssertTests:
        """Return the hidden tests, and the measuring of what they execute."""
        return script(problem.tests["tests"], after=MEASURE)

    def limits(self, problem: Problem) -> Limits:
        """Return upstream's time limit."""
        return _LIMITS

    def canonical(self, problem: Problem) -> Program:
        """Return upstream's edited program."""
        return with_judge(problem.canonical)

    def broken(self, problem: Problem) -> Program:
        """Return a program that defines nothing: the one to edit passes the tests of some."""
        return with_judge("pass")

    def values(self, problem: Problem, program: Program, verdict: Verdict) -> Mapping[str, float]:
        """Return the percentage of a passing program's statements that the tests execute."""
        percent = covered_percent(verdict)
        return {_COVERED: float(percent)} if percent else {}  # upstream takes 0 for no figure

    def scores(self, answers: Sequence[Answer], ks: Sequence[int], *, seed: int = 0) -> list[Score]:
        """Return pass@k and ExcessCode."""
        return [*pass_scores(answers, ks, seed=seed), *_excess(answers, seed)]


def canitedit(
    *,
    instruction: Instruction = "both",
    packages_dir: Path | None = None,
    packages: tuple[str, ...] = (),
    path: Path | None = None,
) -> CanItEdit:
    """Return the benchmark. packages_dir, packages: see `evals.shelf`; path: of the rows."""
    shelf = Shelf(folder=packages_dir, names=packages)
    return CanItEdit(instruction=instruction, shelf=shelf, path=path)


def _problem(row: Mapping[str, Any], kind: str) -> Problem:
    taxonomy = row.get("taxonomy")
    said = taxonomy if isinstance(taxonomy, dict) else {}
    tags = [f"instruction:{kind}"]
    tags += [f"{tag}:{said[tag]}" for tag in ("change_kind", "topic") if said.get(tag)]
    return Problem(
        key=f"{row['full_name']}/{kind}",
        prompt=row[f"instruction_{kind}"],
        entry_point="",
        tests={"tests": row["tests"], "before": row["before"]},
        canonical=row["after"],
        tags=tuple(tags),
        date="2023-12-11",  # the paper's first version
    )


def _first_block(reply: str) -> str:
    """Return the lines between the first two that begin with a fence, as upstream does."""
    found: list[str] = []
    inside = False
    for line in reply.split("\n"):
        if line.startswith("```"):
            if inside:
                break
            inside = True
        elif inside:
            found.append(line)
    return "".join(f"{line}\n" for line in found)


def _excess(answers: Sequence[Answer], seed: int) -> list[Score]:
    covered: dict[str, list[float]] = {}
    for answer in answers:
        values = covered.setdefault(answer.problem, [])
        if answer.verdict and answer.verdict.ok and _COVERED in answer.values:
            values.append(answer.values[_COVERED])
    excess = [100 - median(values) for values in covered.values() if values]
    if not excess:
        return []
    return [
        Score(
            metric="ExcessCode",
            value=fmean(excess),
            wilson=None,
            bootstrap=bootstrap(excess, seed=seed),
            problems=len(excess),
            left_out=len(covered) - len(excess),
            unit="percent",
        )
    ]
