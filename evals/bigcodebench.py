"""BigCodeBench (Zhuo et al. 2024, arXiv 2406.15877): 1,140 functions that call many libraries.

split   "complete": the model continues a function's signature and long docstring; "instruct": it is
    told in short what to do. subset: "full", or the 148 of "hard".

Asked and cut as upstream (bigcode-project/bigcodebench): the two sentences and the form of
`bigcodebench/generate.py` and `provider/utility.py` (`make_raw_chat_prompt`, `EOS`,
`extra_eos_for_direct_completion`); base models get the prompt as it is and only "complete";
1,280 tokens (`provider/base.py`), greedy. Tabs of a reply become four spaces (`provider/vllm.py`).

The reply is sanitized, which `bigcodebench/sanitize.py` does by the longest run of lines that
parses and what the entry point reaches: we take the block that defines it (`evals.extract`) and
prune by Python's own scopes (`evals.prune`). Then it is calibrated, as the leaderboard's figures
are: `code_prompt` (the imports and the signature, with `pass` as its body) comes before it
(`bigcodebench/evaluate.py`), so that a forgotten import does not count. `calibrate = false` leaves
that out.

Judged by the task's `unittest` class `TestCases` behind the program, in one module called
`__test__`, as `bigcodebench/eval/__init__.py` (`unsafe_execute`) does: they patch its names, and
use its imports. That cannot cross between boxes: see `evals.together`. A task passes when no
method failed or raised. Upstream's time limit is 240 s of wall time for a task; memory 30 GiB.

Tasks import some 140 libraries. Those that the box lacks are left out, by the row's `libs`; so are
none when `check_libs = false` (a docker image that has them all). Tasks that fetch from the network
fail here, as they do in upstream's evaluator without one.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

from evals.begun import EOS, begun, greedy
from evals.bench import Bench, Style
from evals.data import DataFile, Hub, Source, digests
from evals.extract import extract
from evals.problem import Problem
from evals.prune import prune
from evals.shelf import Shelf, in_words
from evals.together import unittests, with_judge
from sandbox import AssertTests, Limits, Program
from seedcoder.completion import Request, Sampling
from seedcoder.errors import UsageError

Split = Literal["complete", "instruct"]
Subset = Literal["full", "hard"]

VERSION: Final = "v0.1.4"  # bigcodebench/data/bigcodebench.py, BIGCODEBENCH_VERSION
_COLUMNS: Final = (
    "task_id", "complete_prompt", "instruct_prompt", "canonical_solution", "code_prompt", "test",
    "entry_point", "libs",
)  # fmt: skip
_KLASS: Final = "TestCases"

# bigcodebench/generate.py and provider/utility.py have EvalPlus's words and stops, and these.
_COMPLETION_EOS: Final = ("\ndef ", "\nclass ", "\nimport ", "\nfrom ", "\nassert ")
_MAX_TOKENS: Final = 1280  # bigcodebench/provider/base.py
# eval/utils.py: 240 s of wall time. The rest is ours: numpy's threads count as processes.
_LIMITS: Final = Limits(
    cpu_s=120, wall_s=240, memory_mb=4096, processes=256, disk_mb=512, output_kb=4096
)


class BigCodeBench(Bench):
    """One split and subset. See the module's words."""

    name = "bigcodebench"
    licence = "Apache-2.0"

    def __init__(
        self,
        *,
        split: Split = "complete",
        subset: Subset = "full",
        calibrate: bool = True,
        check_libs: bool = True,
        shelf: Shelf | None = None,
        path: Path | None = None,
    ) -> None:
        """Take the rows from `path`, the data folder or the hub."""
        self._split, self._subset = split, subset
        self._calibrate, self._check_libs = calibrate, check_libs
        self._shelf = shelf or Shelf()
        self._data = DataFile(_source(subset), path)

    @property
    def version(self) -> str:
        """Which rows, which prompt, and whether programs are calibrated."""
        how = "calibrated" if self._calibrate else "not calibrated"
        return f"{VERSION}, {self._split}, {self._subset}, {how}"

    @property
    def data_sha256(self) -> Mapping[str, str]:
        """The digest of the rows."""
        return digests(self._data)

    @cached_property
    def _read(self) -> tuple[tuple[Problem, ...], dict[str, Sequence[str]]]:
        problems: list[Problem] = []
        lacking: dict[str, Sequence[str]] = {}
        for row in self._data.rows(needs=_COLUMNS):
            where = f"bigcodebench: {self._data.path}: {row['task_id']}"
            libs = _libs(row["libs"], where)
            if self._check_libs and (missing := self._shelf.lacking(libs)):
                lacking[row["task_id"]] = missing
            else:
                problems.append(_problem(row, self._split, libs, where))
        return tuple(problems), lacking

    def problems(self) -> Sequence[Problem]:
        """Return the tasks whose libraries the box has."""
        return self._read[0]

    def left_out(self) -> Mapping[str, str]:
        """Return how many tasks lack which libraries."""
        return in_words(self._read[1], "tasks")

    def packages(self) -> tuple[str, ...]:
        """Return what programs may import."""
        return self._shelf.packages()

    def request(self, problem: Problem, style: Style) -> Request:
        """Return what the model is asked. UsageError: "instruct" is not for base models."""
        if style.protocol == "completion":
            if self._split == "instruct":
                raise UsageError(
                    "bigcodebench: base models have no instructions to follow: set protocol = "
                    "'chat', or options.split = 'complete'"
                )
            prompt = problem.prompt.rstrip() if style.strip_prompt else problem.prompt
            return Request(key=problem.key, prompt=prompt)
        asked = problem.prompt.strip()
        if self._split == "complete":
            asked = f"```\n{asked}\n```"
        return begun(problem.key, asked, style)

    def sampling(self, style: Style) -> Sampling:
        """Return upstream's sampling: greedy, its stop strings, its length."""
        return greedy(style, (*EOS, *_COMPLETION_EOS), _MAX_TOKENS)

    def program(self, problem: Problem, text: str, style: Style) -> Program:
        """Return the sanitized and calibrated program."""
        for stop in self.sampling(style).stop:
            text = text.partition(stop)[0]
        text = text.replace("\t", "    ")
        if not text.strip():
            return Program.python("")
        whole = problem.tests["complete_prompt"]
        if style.protocol == "completion":
            head = whole.rstrip() if style.strip_prompt else whole
            code: str | None = head + text
        else:
            code = extract(text, problem.entry_point, prompt=whole, fence_open=style.prefill)
        if not code:
            return Program.python("")
        return self._calibrated(problem, prune(code, problem.entry_point))

    def tests(self, problem: Problem) -> AssertTests:
        """Return the task's `TestCases`, behind the program."""
        return unittests(problem.tests["test"], klass=_KLASS)

    def limits(self, problem: Problem) -> Limits:
        """Return upstream's time; memory for pandas and its like."""
        return _LIMITS

    def canonical(self, problem: Problem) -> Program:
        """Return upstream's solution."""
        return with_judge(_gold(problem))

    def broken(self, problem: Problem) -> Program:
        """Return a function that raises: tasks whose tests take any value of a type are many."""
        stub = f"def {problem.entry_point}(*args, **kwargs):\n    raise NotImplementedError\n"
        return with_judge(f"{_gold(problem)}\n\n{stub}")

    def _calibrated(self, problem: Problem, code: str) -> Program:
        # A reply with a __future__ import, which must come first, brings its own imports.
        if self._calibrate and "from __future__" not in code:
            code = f"{problem.tests['code_prompt']}\n    pass\n{code}"
        return with_judge(code)


def bigcodebench(
    *,
    split: Split = "complete",
    subset: Subset = "full",
    calibrate: bool = True,
    check_libs: bool = True,
    packages_dir: Path | None = None,
    packages: tuple[str, ...] = (),
    path: Path | None = None,
) -> BigCodeBench:
    """Return the benchmark.

    packages_dir: a folder of the libraries, made by `pip install --target`. packages: names of
    those that a docker image has. path: of the rows, as JSON lines.
    """
    return BigCodeBench(
        split=split,
        subset=subset,
        calibrate=calibrate,
        check_libs=check_libs,
        shelf=Shelf(folder=packages_dir, names=packages),
        path=path,
    )


def _source(subset: Subset) -> Source:
    repo = "bigcode/bigcodebench" if subset == "full" else "bigcode/bigcodebench-hard"
    return Source(
        bench="bigcodebench",
        folder="bigcodebench",
        file=f"{'BigCodeBench' if subset == 'full' else 'BigCodeBench-Hard'}-{VERSION}.jsonl",
        hub=Hub(repo=repo, split=VERSION),
        get=f"the rows of {repo} on the hub, split {VERSION}, as JSON lines with upstream's column "
        "names (with the network and `datasets` they are fetched)",
    )


def _problem(row: Mapping[str, Any], split: Split, libs: Sequence[str], where: str) -> Problem:
    for name in _COLUMNS[:-1]:
        if not isinstance(row[name], str):
            raise UsageError(f"{where}: {name}: a string was expected")
    try:
        unittests(row["test"], klass=_KLASS)
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"{where}: test: {error}") from error
    return Problem(
        key=row["task_id"],
        prompt=row["complete_prompt" if split == "complete" else "instruct_prompt"],
        entry_point=row["entry_point"],
        tests={name: row[name] for name in ("test", "code_prompt", "complete_prompt")},
        canonical=row["canonical_solution"],
        tags=tuple(f"library:{name}" for name in sorted({lib.partition(".")[0] for lib in libs})),
        date="2024-06-22",  # the paper's first version
    )


def _libs(said: Any, where: str) -> Sequence[str]:
    """Return the row's libraries: a list, or the text of one, as the hub has it."""
    if isinstance(said, str):
        try:
            said = ast.literal_eval(said)
        except (SyntaxError, ValueError) as error:
            raise UsageError(f"{where}: libs: {error}") from error
    if not isinstance(said, list) or not all(isinstance(name, str) for name in said):
        raise UsageError(f"{where}: libs: a list of names was expected")
    return said


def _gold(problem: Problem) -> str:
    return f"{problem.tests['complete_prompt']}\n{problem.canonical}"
