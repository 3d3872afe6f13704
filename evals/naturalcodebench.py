"""NaturalCodeBench (Zhang et al. 2024, arXiv 2405.04520): problems from users, in two languages.

402 problems, each in English and in Chinese, in Python and in Java; 140 of them, the development
set, are public (THUDM/NaturalCodeBench `data/<language>_<natural>/ncb_<language>_<natural>.jsonl`).
`options.path` is a folder of that layout; `languages` and `natural` choose the parts.

Protocol of that repository: the model is asked `prompt`, which holds one test, and nothing else;
the code is taken as `ncb/test_setup.py` takes it (`extract_python_code`); `testcases` and
`setup_code` are a pytest file that imports the answer's module, whose stdin is a thousand lines "1"
(`write_python_test_files`); files of `input_files/<id>` lie beside them. A problem is passed when
every test is (`ncb/exec_python.py`, `ncb/execution.py`: 100% of pytest's tests). Greedy.

Judged by `sandbox.ProjectTests`, by the ids of the tests: never by an exit code. Left out, aloud:
Python problems whose tests are parametrized (their ids are not in the source) or import what
`packages_dir` lacks; Java, whose tests need JUnit in the box's compiler, which has no jars.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

from evals.bench import Bench, Style
from evals.data import DataFile, Source, digests
from evals.problem import Problem
from evals.shelf import Shelf, imported
from evals.tree import patch, snapshot
from sandbox import Limits, Program, ProjectTests
from seedcoder.completion import Message, Request, Sampling
from seedcoder.errors import UsageError

Language = Literal["python", "java"]
Natural = Literal["en", "zh"]

PYTEST: Final = ("pytest==8.4.2",)  # ours; upstream's image has one of 2024
_COLUMNS: Final = (
    "_id", "prompt", "problem", "testcases", "setup_code", "reference_solution", "classification",
)  # fmt: skip
_HEAD: Final = (
    "import pytest\nimport sys\nwith open('stdin.txt', 'w') as f:\n    for i in range(1000):\n"
    '        f.write("1\\n")\nsys.stdin = open("stdin.txt")\n'
)
# Upstream: 840 s of wall time for a problem. The rest is ours.
_LIMITS: Final = Limits(cpu_s=120, wall_s=840, memory_mb=2048, processes=128, disk_mb=512)
_MOST_BYTES: Final = 32 << 20


class NaturalCodeBench(Bench):
    """The parts that were chosen. See the module's words."""

    name = "naturalcodebench"
    licence = "Apache-2.0"

    def __init__(
        self,
        *,
        languages: tuple[Language, ...],
        natural: tuple[Natural, ...],
        packages_dir: Path | None,
        path: Path | None,
    ) -> None:
        """path: of the folder with the parts, by default the data folder."""
        if not languages or not natural:
            raise UsageError("naturalcodebench: options: languages and natural need one name each")
        self._shelf = Shelf(folder=packages_dir)
        self._packages_dir = packages_dir
        self._parts = tuple(
            (language, tongue, DataFile(_source(language, tongue), _place(path, language, tongue)))
            for tongue in natural
            for language in languages
        )

    @property
    def version(self) -> str:
        """Which parts."""
        return ", ".join(f"{language}_{tongue}" for language, tongue, _ in self._parts)

    @property
    def data_sha256(self) -> Mapping[str, str]:
        """The digest of each part."""
        return digests(*(data for _, _, data in self._parts))

    @cached_property
    def _read(self) -> tuple[tuple[Problem, ...], dict[str, str]]:
        problems: list[Problem] = []
        out: dict[str, int] = {}
        for language, tongue, data in self._parts:
            for row in data.rows(needs=_COLUMNS):
                where = f"{self.name}: {data.path}: {row['_id']}"
                if why := self._lacking(row, language, where):
                    out[f"{language}: {why}"] = out.get(f"{language}: {why}", 0) + 1
                else:
                    problems.append(_problem(row, language, tongue, data.path.parent))
        words = {
            f"{count} problems ({said})": said.partition(": ")[2] for said, count in out.items()
        }
        return tuple(problems), words

    def _lacking(self, row: Mapping[str, Any], language: str, where: str) -> str:
        """Return why a row cannot be judged here, "" where it can. Raises UsageError."""
        for name in _COLUMNS[1:]:
            if not isinstance(row[name], str):
                raise UsageError(f"{where}: {name}: a string was expected")
        if language == "java":
            return "its tests need JUnit, and the box's compiler has no jars"
        code = python_code(row["reference_solution"])
        missing = self._modules_lacking(imported(row["testcases"]) | imported(code))
        if missing:
            return f"options.packages_dir lacks {', '.join(missing)}"
        try:
            ids, plain = _ids(f"{row['testcases']}\n{row['setup_code']}")
        except (SyntaxError, ValueError) as error:
            raise UsageError(f"{where}: testcases: {error}") from error
        if not plain:
            return "its tests are parametrized: their ids are not in the source"
        return "" if ids else "no test in it can be told by name"

    def _modules_lacking(self, modules: frozenset[str]) -> tuple[str, ...]:
        # A project sees its own packages and no others: not even numpy.
        there = self._shelf.modules() if self._packages_dir is not None else {"pytest"}
        own = set(there) - ({"numpy"} if not self._has_numpy else set())
        return tuple(sorted(modules - own - sys.stdlib_module_names))

    @property
    def _has_numpy(self) -> bool:
        return self._packages_dir is not None and (self._packages_dir / "numpy").is_dir()

    def problems(self) -> Sequence[Problem]:
        """Return the problems that can be judged here, part by part."""
        return self._read[0]

    def left_out(self) -> Mapping[str, str]:
        """Return how many problems are not among them, and why."""
        return self._read[1]

    def request(self, problem: Problem, style: Style) -> Request:
        """Return the row's prompt. Chat only."""
        if style.protocol != "chat":
            raise UsageError(f"{self.name} is asked in chat only: set protocol = 'chat'")
        return Request(key=problem.key, prompt=(Message(role="user", content=problem.prompt),))

    def sampling(self, style: Style) -> Sampling:
        """Return greedy replies of at most 2,048 tokens (ours)."""
        return Sampling(max_tokens=2048)

    def program(self, problem: Problem, text: str, style: Style) -> Program:
        """Return the answer's module as a patch; "" where the reply holds no code."""
        return _answer(problem, python_code(text))

    def tests(self, problem: Problem) -> ProjectTests:
        """Return the row's tests. MachineLacks: pytest cannot be fetched for them."""
        tests = problem.tests
        return ProjectTests(
            snapshot=snapshot({"test.txt": b"", **_inputs(Path(tests["inputs"]))}),
            fail_to_pass=tuple(f"{tests['file']}::{one}" for one in tests["ids"]),
            test_files={tests["file"]: tests["code"].encode()},
            packages_dir=str(self._packages),
        )

    def limits(self, problem: Problem) -> Limits:
        """Return upstream's time limit."""
        return _LIMITS

    def canonical(self, problem: Problem) -> Program:
        """Return upstream's reference solution."""
        return _answer(problem, python_code(problem.canonical))

    def broken(self, problem: Problem) -> Program:
        """Return a module that defines nothing."""
        return _answer(problem, "pass")

    @cached_property
    def _packages(self) -> Path:
        if self._packages_dir is not None:
            return self._packages_dir
        from evals.swe.environments import packages

        return packages(PYTEST, f"{sys.version_info.major}.{sys.version_info.minor}")


def naturalcodebench(
    *,
    languages: tuple[Language, ...] = ("python", "java"),
    natural: tuple[Natural, ...] = ("en", "zh"),
    packages_dir: Path | None = None,
    path: Path | None = None,
) -> NaturalCodeBench:
    """Return the benchmark.

    packages_dir: a folder with pytest and what the problems import, made by `pip install --target`;
    by default pytest alone is fetched into the cache. path: upstream's folder `data`.
    """
    return NaturalCodeBench(
        languages=languages, natural=natural, packages_dir=packages_dir, path=path
    )


def python_code(reply: str) -> str:
    """Return the code of a reply by upstream's rules; "" where they find none."""
    tagged = re.search(r"\[Python\](.*?)\[/Python\]", reply, re.DOTALL)
    if tagged and "```" not in tagged[1]:
        return tagged[1]
    if "[Python]" in reply and not tagged and "```python" not in reply:
        return reply[reply.index("[Python]") + len("[Python]") :].partition("```")[0]
    for mark, pattern in (
        ("```python", r"```python[\n\r](.*?)[\n\r]```"),
        ("```", r"```[\n\r](.*?)[\n\r]```"),
    ):
        if mark in reply:
            found = re.search(pattern, reply, re.DOTALL)
            return found[1] if found else ""
    words = ["from ", "import ", "class ", "def "]
    if "from " in reply and "import " in reply and reply.find("from") >= reply.find("import"):
        words.remove("from ")
    start = next((reply.index(word) for word in words if word in reply), -1)
    return reply[start:] if start >= 0 else ""


def _source(language: str, tongue: str) -> Source:
    part = f"{language}_{tongue}"
    return Source(
        bench="naturalcodebench",
        folder="naturalcodebench",
        file=f"{part}/ncb_{part}.jsonl",
        get=f"data/{part}/ of the repository THUDM/NaturalCodeBench on GitHub",
    )


def _place(path: Path | None, language: str, tongue: str) -> Path | None:
    part = f"{language}_{tongue}"
    return path / part / f"ncb_{part}.jsonl" if path is not None else None


def _problem(row: Mapping[str, Any], language: str, tongue: str, folder: Path) -> Problem:
    number = row["_id"]
    module = f"python_{number}"
    code = f"import pytest\nfrom {module} import *\n{row['testcases']}\n{row['setup_code']}"
    ids, _ = _ids(f"{row['testcases']}\n{row['setup_code']}")
    return Problem(
        key=f"{language}_{tongue}/{number}",
        prompt=row["prompt"],
        entry_point="",
        tests={
            "file": f"test_{module}.py",
            "module": f"{module}.py",
            "code": code,
            "ids": ids,
            "inputs": str(folder / "input_files" / str(number)),
        },
        canonical=row["reference_solution"],
        tags=(f"language:{language}", f"natural:{tongue}", f"domain:{row['classification']}"),
        date="2024-05-07",  # the paper's first version
        language="diff",
    )


def _answer(problem: Problem, code: str) -> Program:
    if not code.strip():
        return Program(language="diff", source="")
    return patch({}, {problem.tests["module"]: f"{_HEAD}import pytest\n{code}\n"})


def _ids(source: str) -> tuple[list[str], bool]:
    """Return the ids of the tests in a file, and whether they are all that pytest will find."""
    tree = ast.parse(source)
    ids: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and (node.name.startswith("Test") or _unittest(node)):
            ids += [f"{node.name}::{name}" for name in _named(node.body)]
    ids += _named(tree.body)
    decorators = (
        ast.unparse(decorator)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef | ast.FunctionDef)
        for decorator in node.decorator_list
    )
    plain = not any("parametrize" in words or "params=" in words for words in decorators)
    return list(dict.fromkeys(ids)), plain


def _named(body: Sequence[ast.stmt]) -> list[str]:
    found = (node for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return [node.name for node in found if node.name.startswith("test")]


def _unittest(node: ast.ClassDef) -> bool:
    return any("TestCase" in ast.unparse(base) for base in node.bases)


def _inputs(folder: Path) -> dict[str, bytes]:
    """Return the files that lie beside a problem. Raises UsageError for too much of them."""
    files: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if path.is_file():
            files[str(path.relative_to(folder))] = path.read_bytes()
    if sum(map(len, files.values())) > _MOST_BYTES:
        raise UsageError(f"{folder}: more than {_MOST_BYTES >> 20} MiB of files")
    return files
