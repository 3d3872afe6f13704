"""MBXP and multilingual HumanEval (Athiwaratkun et al. 2023, arXiv 2210.14868): functions to write
in up to 13 languages, from amazon-science/mxeval.

The data is upstream's own files, one a language, found by their names and checked against the
digests of the published ones where these are known here.

completion  A program is prompt + completion + test, as `mxeval/execution.py` puts it together;
    10 s a run (`mxeval/evaluation.py`), of CPU time here, and 100 s for a compiler. Stop strings
    are ours, for mxeval leaves generation to its user: a function ends where its brace closes in
    the column in which it began; what follows is dropped and the function closed. Prompts are asked
    without the white space at their end (`strip_prompt`), as in HumanEval.
    Where our toolchain is another than upstream's: C# is compiled by mono's mcs, not dotnet; Swift
    with -O, its `assert` made a `precondition`; TypeScript to ES2022, unchecked, where upstream
    compiles to ES5 and runs it whatever tsc says of types.
chat  Ours, as upstream has none: the instruction of DeepSeek-Coder's multilingual evaluation
    (`multiple-eval/eval_instruct.py` of QwenLM/Qwen2.5-Coder has it too) and a fenced prompt; the
    program is what `evals.polyglot.replies` finds. Seed-Coder's own protocol for its Table 8 is not
    published.

Python is judged as HumanEval is, by test code in a box of its own. The other languages are judged
by test code beside the program: `BesideTests`, mode "shared", the weaker one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from evals.bench import Bench, Style
from evals.data import DataFile, digests
from evals.extract import extract
from evals.polyglot import faulty, replies
from evals.polyglot.dialects import DIALECTS
from evals.polyglot.files import HUMANEVAL, MBXP, Series, check_languages, chosen, nothing
from evals.problem import Problem, Score
from evals.prune import prune
from evals.scores import scores_by_language
from evals.spoil import spoilt
from sandbox import AssertTests, BesideTests, Limits, Program
from seedcoder.completion import Message, Request, Sampling

if TYPE_CHECKING:
    from evals.tally import Answer

_COLUMNS: Final = ("task_id", "prompt", "entry_point", "test", "language")
# As evals.humaneval has them: Chen et al. 2021.
_PYTHON_STOPS: Final = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")
_MAX_TOKENS: Final = {"completion": 512, "chat": 1024}  # ours; eval_instruct.py
_INSTRUCTION: Final = (
    "Please continue to complete the function. You are not allowed to modify the given code and do "
    "the completion only. Please return all completed function in a codeblock. Here is the given "
    "code to do completion:"
)
_RESPONSE: Final = "Here is the completed function:"  # ours


class Mxeval(Bench):
    """One of the two benchmarks. See the module's words."""

    name: str = ""
    version: str = ""
    licence: str = ""

    def __init__(
        self, series: Series, *, path: Path | None = None, languages: Sequence[str] = ()
    ) -> None:
        """Take the files of `series` from `path`, a folder, by default from where data lies."""
        self.name, self.version, self.licence = series.name, series.version, series.licence
        check_languages(series, languages)
        self._series, self._path, self._languages = series, path, tuple(languages)

    @cached_property
    def _chosen(self) -> tuple[dict[str, DataFile], dict[str, str]]:
        return chosen(self._series, self._path, self._languages)

    @property
    def _files(self) -> dict[str, DataFile]:
        return self._chosen[0]

    @cached_property
    def _problems(self) -> tuple[Problem, ...]:
        if not self._files:
            raise nothing(self.name, self.left_out())
        return tuple(
            problem for language, file in self._files.items() for problem in _read(file, language)
        )

    @property
    def data_sha256(self) -> Mapping[str, str]:
        """The digest of each language's file."""
        return digests(*self._files.values())

    def problems(self) -> Sequence[Problem]:
        """Return the problems, language by language. MachineLacks: no data for any of them."""
        return self._problems

    def left_out(self) -> Mapping[str, str]:
        """Return the languages without data or tools here, and why."""
        return self._chosen[1]

    def scores(self, answers: Sequence[Answer], ks: Sequence[int], *, seed: int = 0) -> list[Score]:
        """Return pass@k over all problems, and the mean of the languages as papers print it."""
        return scores_by_language(answers, self.problems(), ks, seed=seed)

    def request(self, problem: Problem, style: Style) -> Request:
        """Return what the model is asked."""
        if style.protocol == "completion":
            return Request(key=problem.key, prompt=_asked(problem, style))
        fence = _fence(problem)
        question = f"{_INSTRUCTION}\n```{fence}\n{problem.prompt.strip()}\n```"
        return Request(
            key=problem.key,
            prompt=(Message(role="user", content=question),),
            prefill=f"{_RESPONSE}\n```{fence}\n" if style.prefill else "",
        )

    def sampling(self, style: Style) -> Sampling:
        """Return greedy sampling. Stops differ by language: they are cut at in `program`."""
        return Sampling(
            max_tokens=_MAX_TOKENS[style.protocol],
            stop=self._stops() if style.protocol == "completion" else (),
            stop_after_fence=style.protocol == "chat" and style.prefill,
        )

    def _stops(self) -> tuple[str, ...]:
        """Return what ends a function in every language that is run: a server has one list.

        None where the languages have none in common: `program` cuts in any case.
        """
        lists = [_stops_of(language) for language in self._files]
        return lists[0] if lists and all(stops == lists[0] for stops in lists) else ()

    def program(self, problem: Problem, text: str, style: Style) -> Program:
        """Return the program to judge; its source is "" when there is no code in the reply."""
        if style.protocol == "completion":
            return self._continued(problem, text, style)
        if problem.language == "python":
            code = extract(
                text, problem.entry_point, prompt=problem.prompt, fence_open=style.prefill
            )
            return Program.python(prune(code, problem.entry_point) if code else "")
        source = replies.program(
            text,
            language=problem.language,
            prompt=problem.prompt,
            entry_point=problem.entry_point,
            test=problem.tests["test"],
            fence_open=style.prefill,
        )
        return _program(problem, source)

    def _continued(self, problem: Problem, text: str, style: Style) -> Program:
        if not text.strip():
            return _program(problem, "")
        for stop in _stops_of(problem.language):
            text = text.partition(stop)[0]
        text = text.rstrip("\n")
        # Some close their function in another column than it began in.
        end = "" if problem.language == "python" else replies.missing_end(text, problem.language)
        return _program(problem, _asked(problem, style) + text + end)

    def assembled(self, problem: Problem, completion: str) -> Program:
        """Return prompt + completion as it is, as upstream's own sample files are judged."""
        return _program(problem, problem.prompt + completion)

    def tests(self, problem: Problem) -> AssertTests | BesideTests:
        """Return upstream's test: in a box of its own for Python, else beside the program."""
        test = problem.tests["test"]
        if problem.language == "python":
            if _number(problem) in faulty.PYTHON_TOGETHER and self.name == "mbxp":
                said = f"\ncheck({problem.entry_point})\nprint('\\nSEEDCODER_WORD')\n"
                return BesideTests(after=test + said, wrong_words=("AssertionError",))
            return AssertTests(
                test=test,
                entry_point=problem.entry_point,
                call=f"check({problem.entry_point})",
                context=problem.prompt,
            )
        return DIALECTS[problem.language].tests(test, f"{self.name}: {problem.key}")

    def limits(self, problem: Problem) -> Limits:
        """Return upstream's 10 s of a run and 100 s of a compiler; the memory is ours."""
        return Limits(cpu_s=10.0, memory_mb=1024, compile_cpu_s=100.0)

    def canonical(self, problem: Problem) -> Program | None:
        """Return upstream's solution; None where there is none, as in all HumanEval but Python, or
        where it fails upstream's own grading."""
        known = {"python": faulty.PYTHON, "javascript": faulty.JAVASCRIPT}
        wrong = self.name == "mbxp" and _number(problem) in known.get(problem.language, ())
        return (
            self.assembled(problem, problem.canonical) if problem.canonical and not wrong else None
        )

    def broken(self, problem: Problem) -> Program | None:
        """Return a body that answers nothing right; in Python upstream's solution, spoilt."""
        if problem.language == "python":
            whole = problem.prompt + problem.canonical
            return Program.python(spoilt(whole, problem.entry_point)) if problem.canonical else None
        dialect = DIALECTS[problem.language]
        return _program(problem, f"{problem.prompt.rstrip()}\n{dialect.spoilt}{dialect.end}")


def multilingual_humaneval(*, path: Path | None = None, languages: Sequence[str] = ()) -> Mxeval:
    """Return multilingual HumanEval. path: the folder of upstream's files.

    languages: those to run; by default all that have data and tools here.
    """
    return Mxeval(HUMANEVAL, path=path, languages=languages)


def mbxp(*, path: Path | None = None, languages: Sequence[str] = ()) -> Mxeval:
    """Return MBXP. Options as for `multilingual_humaneval`."""
    return Mxeval(MBXP, path=path, languages=languages)


def _read(file: DataFile, language: str) -> Iterator[Problem]:
    for row in file.rows(needs=_COLUMNS if language != "python" else _COLUMNS[:4]):
        yield _problem(row, language)


def _problem(row: Mapping[str, Any], language: str) -> Problem:
    return Problem(
        key=row["task_id"],
        prompt=row["prompt"],
        entry_point=row["entry_point"],
        tests={"test": row["test"]},
        canonical=row.get("canonical_solution") or "",
        tags=(f"language:{language}",),
        date="2022-10-26",  # the paper's first version
        language=language,
    )


def _program(problem: Problem, source: str) -> Program:
    if source and problem.language in DIALECTS:
        source = DIALECTS[problem.language].source(source)
    return Program(language=problem.language, source=source)


def _number(problem: Problem) -> int:
    number = problem.key.rpartition("/")[2]
    return int(number) if number.isdecimal() else -1


def _stops_of(language: str) -> tuple[str, ...]:
    return _PYTHON_STOPS if language == "python" else (DIALECTS[language].stop,)


def _fence(problem: Problem) -> str:
    return "python" if problem.language == "python" else DIALECTS[problem.language].fence


def _asked(problem: Problem, style: Style) -> str:
    return problem.prompt.rstrip() if style.strip_prompt else problem.prompt
