"""FullStackBench (Liu et al. 2024, arXiv 2412.00535): 3,374 problems, 16 languages, 11 domains.

Rows as ByteDance/FullStackBench on the hub has them (configurations en and zh, split test): id,
content, canonical_solution, labels (programming_language, execution_language, category,
difficulty), test (code, asset).

Protocol of bytedance/FullStackBench `src/main.py` and of the judge that it calls, `AutoEvalDataset`
in bytedance/SandboxFusion `sandbox/datasets/auto_eval.py`: the model is asked `content` and nothing
else; the first code block of its reply is taken (`evals.fullstack.extraction`); code and test code
are one source, the answer in the place of `#<INSERT>` where the test has that, else ahead of the
test. Time limits: 50 s to compile and 50 s to run (`src/main.py`); that script draws at temperature
0.7 and top_p 0.95, which is a recipe's to say: the default here is greedy.

Upstream accepts what ends with exit code 0. Here the test code must have come to its end: Python's
by `evals.together`, that of other languages by a word that it prints last (`evals.fullstack.
endings`). Both are mode "shared".

Left out, aloud: languages that this machine or this judge has no runner for (Java's and
JavaScript's unit test frameworks, D's), and Python rows whose tests import what the box lacks
(`packages_dir`). Go imports of more than a word, which upstream's pattern leaves in the middle of
the file (a compile error there), are hoisted here too.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

from evals.bench import Bench, Style
from evals.data import DataFile, Hub, Source, digests
from evals.fullstack.endings import NoEnding, ending
from evals.fullstack.extraction import first_block, without_main
from evals.fullstack.go import go_answer, go_tests
from evals.problem import Problem
from evals.shelf import Shelf, imported
from evals.together import as_answer, inserted, laid, script, with_judge
from sandbox import Limits, Program, Tests
from sandbox.languages import canonical, found
from seedcoder.completion import Message, Request, Sampling
from seedcoder.errors import UsageError

Locale = Literal["en", "zh"]
_COLUMNS: Final = ("id", "content", "labels", "test")
_INSERT: Final = "#<INSERT>"
# src/main.py: 50 s each. Memory is ours: pandas and compilers.
_LIMITS: Final = Limits(
    cpu_s=50, wall_s=150, memory_mb=2048, processes=128, disk_mb=256, compile_cpu_s=50
)
_LANGUAGES: Final = {"nodejs": "javascript", "go_test": "go", "d_ut": "d", "D": "d", "R": "r"}


class FullStackBench(Bench):
    """One locale. See the module's words."""

    name = "fullstackbench"
    licence = "CC-BY-SA-4.0"

    def __init__(self, *, locale: Locale, shelf: Shelf, path: Path | None) -> None:
        """Take the rows from `path`, the data folder or the hub."""
        self._locale, self._shelf = locale, shelf
        self._data = DataFile(_source(locale), path)

    @property
    def version(self) -> str:
        """Which locale."""
        return f"20241201, {self._locale}"

    @property
    def data_sha256(self) -> Mapping[str, str]:
        """The digest of the rows."""
        return digests(self._data)

    @cached_property
    def _read(self) -> tuple[tuple[Problem, ...], dict[str, str]]:
        there = {language.language for language in found() if language.there}
        problems: list[Problem] = []
        out: dict[str, int] = {}
        for row in self._data.rows(needs=_COLUMNS):
            problem = _problem(row, f"{self.name}: {self._data.path}: {row['id']}")
            if why := self._lacking(problem, there):
                label = f"{problem.tests['language']}: {why}"
                out[label] = out.get(label, 0) + 1
            else:
                problems.append(problem)
        words = {
            f"{count} problems ({label.partition(': ')[0]})": label.partition(": ")[2]
            for label, count in out.items()
        }
        return tuple(problems), _numbered(out) if len(words) < len(out) else words

    def _lacking(self, problem: Problem, there: set[str]) -> str:
        """Return why a problem cannot be judged here, "" where it can."""
        runs = problem.tests["runs"]
        if runs == "python":
            solution = problem.canonical if problem.tests["language"] == "python" else ""
            needed = imported(problem.tests["code"].replace(_INSERT, "")) | imported(solution)
            missing = self._shelf.lacking(needed - _assets(problem))
            return f"{', '.join(missing)} cannot be imported in the box" if missing else ""
        if runs in ("jest", "junit", "pytest"):
            return f"its tests need {runs}, for which there is no runner here"
        try:
            if canonical(runs) not in there:
                return f"{runs} is not installed on this machine"
        except ValueError:
            return f"there is no runner for {runs} here"
        try:
            self.tests(problem)
        except NoEnding as error:
            return str(error)
        return ""

    def problems(self) -> Sequence[Problem]:
        """Return the problems that can be judged here, in the file's order."""
        return self._read[0]

    def left_out(self) -> Mapping[str, str]:
        """Return how many problems of which language are not among them, and why."""
        return self._read[1]

    def packages(self) -> tuple[str, ...]:
        """Return what Python programs may import."""
        return self._shelf.packages()

    def request(self, problem: Problem, style: Style) -> Request:
        """Return the problem's text. Chat only."""
        if style.protocol != "chat":
            raise UsageError(f"{self.name} is asked in chat only: set protocol = 'chat'")
        return Request(key=problem.key, prompt=(Message(role="user", content=problem.prompt),))

    def sampling(self, style: Style) -> Sampling:
        """Return greedy replies of at most 2,048 tokens (ours)."""
        return Sampling(max_tokens=2048)

    def program(self, problem: Problem, text: str, style: Style) -> Program:
        """Return the first code block, as the tests of its language take it."""
        return _program(problem, first_block(text, problem.tests["language"]))

    def tests(self, problem: Problem) -> Tests:
        """Return the row's test code."""
        code, runs = problem.tests["code"], problem.tests["runs"]
        if runs == "python":
            if _INSERT in code:
                return inserted(code, _INSERT)
            return laid(code, "index.html") if _is_page(problem) else script(code)
        head, token, tail = code.partition(_INSERT)
        before, after = (head, tail.partition(_INSERT)[0]) if token else ("", f"\n{code}")
        if runs == "go":
            return go_tests(before, after)
        return ending(canonical(runs), before, after)

    def limits(self, problem: Problem) -> Limits:
        """Return upstream's time limits."""
        return _LIMITS

    def canonical(self, problem: Problem) -> Program | None:
        """Return the row's solution; some rows have none."""
        if not problem.canonical.strip():
            return None
        code = problem.canonical
        if "```" in code:
            code = first_block(code, problem.tests["language"])
        return _program(problem, code)

    def broken(self, problem: Problem) -> Program | None:
        """Return a program that ends at once and well: nothing is passed by that."""
        ends = _ENDS.get(problem.tests["runs"])
        return _program(problem, ends) if ends else None


# Programs that load and do nothing that is asked for.
_ENDS: Final[Mapping[str, str]] = {
    "python": "import os\nos._exit(0)\n",
    "bash": "exit 0\n",
    "javascript": "process.exit(0)\n",
    "php": "<?php exit(0);\n",
    "ruby": "exit!(0)\n",
    "r": 'quit(save = "no", status = 0)\n',
    "cpp": "#include <cstdlib>\nstatic int ends = (std::_Exit(0), 0);\n",
    "go": 'import "os"\n\nfunc init() { os.Exit(0) }\n',
}


def fullstackbench(
    *,
    locale: Locale = "en",
    packages_dir: Path | None = None,
    packages: tuple[str, ...] = (),
    path: Path | None = None,
) -> FullStackBench:
    """Return the benchmark. packages_dir, packages: see `evals.shelf`; path: of the rows."""
    shelf = Shelf(folder=packages_dir, names=packages)
    return FullStackBench(locale=locale, shelf=shelf, path=path)


def _source(locale: Locale) -> Source:
    return Source(
        bench="fullstackbench",
        folder="fullstackbench",
        file=f"fsb_{locale}_20241201.jsonl",
        hub=Hub(repo="ByteDance/FullStackBench", config=locale, split="test"),
        get=f"the rows of ByteDance/FullStackBench on the hub, configuration {locale}, split test, "
        "as JSON lines (with the network and `datasets` they are fetched)",
    )


def _problem(row: Mapping[str, Any], where: str) -> Problem:
    labels, test = _object(row["labels"], where, "labels"), _object(row["test"], where, "test")
    language, code = labels.get("programming_language"), test.get("code")
    if not isinstance(language, str) or not isinstance(code, str):
        raise UsageError(f"{where}: labels.programming_language and test.code must be strings")
    if not isinstance(row["content"], str):
        raise UsageError(f"{where}: content: a string was expected")
    runs = labels.get("execution_language") or language
    return Problem(
        key=f"fullstack/{row['id']}",
        prompt=row["content"],
        entry_point="",
        tests={
            "code": code,
            "language": language.lower(),
            "runs": _LANGUAGES.get(runs, str(runs)).lower(),
            "asset": _asset(test.get("asset"), where),
        },
        canonical=row.get("canonical_solution") or "",
        tags=(f"language:{language}", *_tags(labels)),
        date="2024-12-01",
        language="python" if runs == "python" else _known(_LANGUAGES.get(runs, str(runs))),
    )


def _tags(labels: Mapping[str, Any]) -> tuple[str, ...]:
    names = (("domain", "category"), ("difficulty", "difficulty"))
    return tuple(f"{tag}:{labels[name]}" for tag, name in names if labels.get(name))


def _known(runs: str) -> str:
    try:
        return canonical(runs)
    except ValueError:
        return "text"


def _object(said: Any, where: str, name: str) -> Mapping[str, Any]:
    """Return an object, or the text of one, as some exports have it."""
    if isinstance(said, str):
        try:
            said = json.loads(said)
        except ValueError as error:
            raise UsageError(f"{where}: {name}: {error}") from error
    if not isinstance(said, dict):
        raise UsageError(f"{where}: {name}: an object was expected")
    return said


def _asset(said: Any, where: str) -> Mapping[str, str]:
    """Return the files that lie beside a program, in base64."""
    if not said:
        return {}
    files = {
        name: text for name, text in _object(said, where, "test.asset").items() if text is not None
    }
    try:
        for text in files.values():
            base64.b64decode(text, validate=True)
    except (TypeError, binascii.Error) as error:
        raise UsageError(f"{where}: test.asset: {error}") from error
    return files


def _program(problem: Problem, code: str) -> Program:
    tests = problem.tests
    files = {name: base64.b64decode(text) for name, text in tests["asset"].items()}
    if tests["runs"] == "python":
        if _INSERT in tests["code"] or _is_page(problem):
            made = as_answer(code)
        else:
            made = with_judge(without_main(code))
        return Program(source=made.source, files=files)
    if tests["runs"] == "go":
        head, token, tail = tests["code"].partition(_INSERT)
        code = go_answer(code, head if token else "", tail if token else head)
    elif _INSERT not in tests["code"]:
        code = without_main(code)
        if tests["runs"] == "php" and code.strip():
            code = _as_php(code)
    return Program(language=canonical(tests["runs"]), source=code, files=files)


def _as_php(code: str) -> str:
    """Return a script that is left in PHP at its end, where the test code begins."""
    opened = code if "<?php" in code else f"<?php\n{code}"  # runners/major.py adds the tag too
    return opened.rstrip().removesuffix("?>")


def _is_page(problem: Problem) -> bool:
    return problem.tests["language"] == "html" and _INSERT not in problem.tests["code"]


def _assets(problem: Problem) -> frozenset[str]:
    return frozenset(name.partition(".")[0].partition("/")[0] for name in problem.tests["asset"])


def _numbered(out: Mapping[str, int]) -> dict[str, str]:
    """Return them with the reason in the part's name, where a language has several."""
    return {f"{count} problems ({label})": label.partition(": ")[2] for label, count in out.items()}
