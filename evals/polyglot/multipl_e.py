"""MultiPL-E (Cassano et al. 2023, arXiv 2208.08227): HumanEval and MBPP in other languages.

The rows are those of nuprl/MultiPL-E on the hub, one configuration a language, or of files in that
form. The languages are those of Seed-Coder's Table 2; Python, which MultiPL-E translates from, is
HumanEval itself.

Completion only, as upstream has it: the reply is cut at the row's own `stop_tokens`; the program is
prompt, completion, a newline, and tests (`evaluation/src/main.py`), which in some languages begin
with the brace that a stop took away. Prompts are asked without the white space at their end, as
upstream's `automodel.py` does. Upstream draws 20 samples at temperature 0.2 and top_p 0.95 for
pass@1; here sampling is greedy, as far as is known of the paper, and a recipe may say otherwise.

Limits: 15 s of a run, upstream's `timeout` of wall time, of CPU time here. Upstream's flags are
kept where they decide (`java -ea`, `csc /d:DEBUG`): what asserts is called by a name drawn for each
run and needs no flag. C# is compiled by mono's mcs; TypeScript is not checked for types, as nothing
is known of the version of tsc that the published figures are of. The package javatuples is not at
hand: its Pair and Triplet are written anew.

Judged by test code beside the program: `BesideTests`, mode "shared", the weaker one; Python by
HumanEval's own way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from evals.bench import Bench, Style
from evals.data import DataFile, Hub, Source, digests
from evals.humaneval import SOURCE as PYTHON
from evals.polyglot import equality
from evals.polyglot.dialects import before_last, edited
from evals.polyglot.files import Series, check_languages, chosen, lacks, nothing
from evals.problem import Problem, Score
from evals.scores import scores_by_language
from evals.spoil import spoilt
from sandbox import AssertTests, BesideTests, Limits, Program
from seedcoder.completion import Request, Sampling
from seedcoder.errors import MachineLacks, UsageError

if TYPE_CHECKING:
    from evals.tally import Answer

# Ours to theirs, in the order of Seed-Coder's Table 2 ([P], section 5).
CODES: Final[Mapping[str, str]] = {
    "cpp": "cpp", "java": "java", "php": "php", "typescript": "ts", "csharp": "cs", "bash": "sh",
    "javascript": "js",
}  # fmt: skip
_COLUMNS: Final = ("name", "language", "prompt", "tests", "stop_tokens")
_PYTHON_STOPS: Final = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")
_MAX_TOKENS: Final = 1024  # upstream's automodel.py
_WRONG: Final = ("check failed", "Test failed!", "AssertionError")

Part = Literal["humaneval", "mbpp"]


def _series(part: Part) -> Series:
    sources = {"python": PYTHON} if part == "humaneval" else {}
    for language, code in CODES.items():
        config = f"{part}-{code}"
        sources[language] = Source(
            bench="multipl-e",
            folder="multipl-e",
            file=f"{config}.jsonl",
            hub=Hub(repo="nuprl/MultiPL-E", config=config, split="test"),
            get=f"configuration {config}, split test, of nuprl/MultiPL-E on the hub, as JSON lines",
        )
    return Series(
        name="multipl-e",
        version=f"nuprl/MultiPL-E, {part}",
        licence="MIT",
        sources=sources,
    )


class MultiplE(Bench):
    """The benchmark. See the module's words."""

    name = "multipl-e"
    licence = "MIT"

    def __init__(
        self, part: Part, *, path: Path | None = None, languages: Sequence[str] = ()
    ) -> None:
        """Take the rows from `path`: a folder of files, or one file with rows of any language."""
        self._series = _series(part)
        check_languages(self._series, languages)
        self._path, self._languages = path, tuple(languages)

    @property
    def version(self) -> str:
        """Which translations these are."""
        return self._series.version

    @cached_property
    def _chosen(self) -> tuple[dict[str, DataFile], dict[str, str]]:
        if self._path is None or self._path.is_dir():
            return chosen(self._series, self._path, self._languages)
        source = Source(
            bench="multipl-e", folder="multipl-e", file=self._path.name, get="bring the file"
        )
        return {"": DataFile(source, self._path)}, {}

    @cached_property
    def _read(self) -> tuple[tuple[Problem, ...], dict[str, str]]:
        """The problems, and what of a mixed file is left out."""
        files, left_out = self._chosen
        left_out = dict(left_out)
        problems: list[Problem] = []
        for language, file in files.items():
            if language:
                problems += _problems(file, language)
                continue
            by_code = {code: name for name, code in CODES.items()}
            for row in file.rows(needs=_COLUMNS):
                name = by_code.get(row["language"], "")
                why = lacks(name) if name else "not one of the languages of this benchmark"
                if self._languages and name not in self._languages:
                    continue
                if why:
                    left_out[name or str(row["language"])] = why
                else:
                    problems.append(_problem(row, name, file))
        if not problems:
            raise nothing(self.name, left_out)
        if self._languages and left_out:
            raise MachineLacks("; ".join(f"multipl-e: {k}: {why}" for k, why in left_out.items()))
        return tuple(problems), left_out

    @property
    def data_sha256(self) -> Mapping[str, str]:
        """The digest of each file."""
        return digests(*self._chosen[0].values())

    def problems(self) -> Sequence[Problem]:
        """Return the problems, language by language. MachineLacks: no data for any of them."""
        return self._read[0]

    def left_out(self) -> Mapping[str, str]:
        """Return the languages without data or tools here, and why."""
        return self._read[1]

    def scores(self, answers: Sequence[Answer], ks: Sequence[int], *, seed: int = 0) -> list[Score]:
        """Return pass@k over all problems, and the mean of the languages as papers print it."""
        return scores_by_language(answers, self.problems(), ks, seed=seed)

    def request(self, problem: Problem, style: Style) -> Request:
        """Return the prompt. UsageError: upstream has no protocol for chat models."""
        if style.protocol == "chat":
            raise UsageError("multipl-e: protocol: upstream completes; 'chat' is not known here")
        return Request(key=problem.key, prompt=_asked(problem, style))

    def sampling(self, style: Style) -> Sampling:
        """Return greedy sampling, with the stops that all rows have in common, four at most.

        Rows of several languages have none in common: then `program` alone cuts.
        """
        lists = {_stops(problem) for problem in self.problems()}
        return Sampling(max_tokens=_MAX_TOKENS, stop=lists.pop()[:4] if len(lists) == 1 else ())

    def program(self, problem: Problem, text: str, style: Style) -> Program:
        """Return the program to judge; its source is "" when there is no code in the reply."""
        for stop in _stops(problem):
            text = text.partition(stop)[0]
        return _program(problem, _asked(problem, style) + text if text.strip() else "")

    def tests(self, problem: Problem) -> AssertTests | BesideTests:
        """Return upstream's tests, in which what asserts has a name of its own."""
        test = problem.tests["test"]
        if problem.language == "python":
            return AssertTests(
                test=test,
                entry_point=problem.entry_point,
                call=f"check({problem.entry_point})",
                context=problem.prompt,
            )
        before, make = _LANGUAGES[problem.language]
        try:
            after = make(test)
            if problem.language == "java" and re.search(
                r"\b(Pair|Triplet)\b", test + problem.prompt
            ):
                after += equality.JAVA_TUPLES
            return BesideTests(before=before, after=f"\n{after}", wrong_words=_WRONG)
        except ValueError as error:
            raise UsageError(f"multipl-e: {problem.key}: {error}") from error

    def limits(self, problem: Problem) -> Limits:
        """Return upstream's 15 s; the memory is ours."""
        return Limits(cpu_s=15.0, memory_mb=1024)

    def canonical(self, problem: Problem) -> Program | None:
        """Return HumanEval's solution in Python; upstream has none in other languages."""
        return Program.python(problem.prompt + problem.canonical) if problem.canonical else None

    def broken(self, problem: Problem) -> Program | None:
        """Return a body that answers nothing right."""
        if problem.language == "python":
            whole = problem.prompt + problem.canonical
            return Program.python(spoilt(whole, problem.entry_point))
        body = _SPOILT[problem.language]
        if "}" not in problem.tests["test"].lstrip()[:1]:  # else the tests close the function
            body += "\n}"
        return _program(problem, f"{problem.prompt.rstrip()}\n{body}")


def multipl_e(
    *, path: Path | None = None, part: Part = "humaneval", languages: Sequence[str] = ()
) -> MultiplE:
    """Return the benchmark. path: a folder of files `humaneval-java.jsonl`..., or one file of rows.

    part: what was translated. languages: those to run; by default all with data and tools here.
    """
    return MultiplE(part, path=path, languages=languages)


def _problems(file: DataFile, language: str) -> Iterator[Problem]:
    if language == "python":
        for row in file.rows(needs=("task_id", "prompt", "entry_point", "test")):
            yield Problem(
                key=f"{row['task_id']}_py",
                prompt=row["prompt"],
                entry_point=row["entry_point"],
                tests={"test": row["test"]},
                canonical=row["canonical_solution"],
                tags=("language:python",),
                date="2021-07-07",
            )
        return
    for row in file.rows(needs=_COLUMNS):
        if row["language"] != CODES[language]:
            raise UsageError(f"multipl-e: {file.path}: {row['name']} is in {row['language']!r}")
        yield _problem(row, language, file)


def _problem(row: Mapping[str, Any], language: str, file: DataFile) -> Problem:
    stops = row["stop_tokens"]
    if isinstance(stops, str):  # some exports hold lists as text
        try:
            stops = json.loads(stops)
        except ValueError as error:
            raise UsageError(
                f"multipl-e: {file.path}: {row['name']}: stop_tokens is no list: {error}"
            ) from error
    return Problem(
        key=f"{row['name']}_{row['language']}",
        prompt=row["prompt"],
        entry_point="",
        tests={"test": row["tests"], "stops": list(stops)},
        tags=(f"language:{language}",),
        date="2022-08-17",  # the paper's first version
        language=language,
    )


def _program(problem: Problem, source: str) -> Program:
    if problem.language == "java":
        # A line stays a line: compilers tell of lines.
        source = re.sub(r"^import org\.javatuples\.[^;]*;", "", source, flags=re.MULTILINE)
    return Program(language=problem.language, source=source)


def _stops(problem: Problem) -> tuple[str, ...]:
    return tuple(problem.tests.get("stops", _PYTHON_STOPS))


def _asked(problem: Problem, style: Style) -> str:
    return problem.prompt.rstrip() if style.strip_prompt else problem.prompt


def _script(test: str) -> str:
    named = edited(test, (r"^(\s*)assert\.deepEqual\(", r"\1SEEDCODER_NAME.deepEqual("))
    # Inside of `test`, which a program could replace: it would not print the word.
    return before_last(named, 1, "  SEEDCODER_NAME.say('\\nSEEDCODER_WORD\\n');")


def _php(test: str) -> str:
    edited(test, (r"throw new Exception\(", ""))
    return before_last(test, 1, '    echo "\\nSEEDCODER_WORD\\n";')


def _java(test: str) -> str:
    named = edited(test, (r"^(\s*)assert\(", r"\1SEEDCODER_NAME.check("))
    said = before_last(named, 2, '    System.out.println("\\nSEEDCODER_WORD");')
    return said + (
        "\nclass SEEDCODER_NAME { static void check(boolean right) "
        '{ if (!right) throw new AssertionError("check failed"); } }\n'
    )


def _csharp(test: str) -> str:
    named = edited(test, (r"^(\s*)Debug\.Assert\(", r"\1global::SEEDCODER_NAME.Check("))
    said = before_last(named, 2, '    global::System.Console.WriteLine("\\nSEEDCODER_WORD");')
    return said + (
        "\nstatic class SEEDCODER_NAME { public static void Check(bool right) "
        '{ if (!right) throw new global::System.Exception("check failed"); } }\n'
    )


def _cpp(test: str) -> str:
    check = (
        "#undef main\n#undef if\nstatic void SEEDCODER_NAME(bool right) "
        '{ if (!right) { fputs("check failed\\\\n", stderr); __builtin_trap(); } }\n'
    )
    named = edited(
        test, (r"^(\s*)assert\(", r"\1SEEDCODER_NAME("), (r"^int main\(", f"{check}int main(")
    )
    return before_last(named, 1, '    puts("\\nSEEDCODER_WORD");')


def _bash(test: str) -> str:
    edited(test, (r"^set -e$", ""))
    # `set` can be a function of the program's: that the option is on is looked at by syntax.
    return before_last(
        test, 1, "    if [[ $- = *e* ]]; then builtin printf '\\nSEEDCODER_WORD\\n'; fi"
    )


_LANGUAGES: Final[Mapping[str, tuple[str, Callable[[str], str]]]] = {
    "bash": ("", _bash),
    "cpp": ("", _cpp),
    "csharp": ("", _csharp),
    "java": ("", _java),
    "javascript": (equality.JAVASCRIPT, _script),
    "php": ("", _php),
    "typescript": (f"// @ts-nocheck\n{equality.JAVASCRIPT}", _script),
}
_SPOILT: Final[Mapping[str, str]] = {
    "bash": "    echo spoilt",
    "cpp": "    throw 1;",
    "csharp": "        throw new Exception();",
    "java": "        throw new RuntimeException();",
    "javascript": "  return {spoilt: 1};",
    "php": '    return ["spoilt"];',
    "typescript": "  return {spoilt: 1} as any;",
}
