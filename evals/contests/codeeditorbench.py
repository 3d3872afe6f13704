"""CodeEditorBench (Guo et al. 2024, arXiv 2404.03543): code to debug, translate, switch or polish.

Data: eight files of `m-a-p/CodeEditorBench`, a file for each task of its "plus" and "primary" sets.
Asked zero-shot in upstream's words, greedily, up to 2048 tokens (vllm_inference.py); the program
is the first fenced block of the reply, or all of it (result_postprocess.py). Judged by a row's
private tests through stdin, one after the other.

Rows of LeetCode problems bring functions without a main: those are put behind templates
(`leetcode`). Upstream knows such problems, and their functions' names and types, from a database
that is not in the data; here a row is of that kind when its own code has no main.

Outputs are the same when they are equal line by line, or are equal values: upstream compares text,
but its templates write the same value differently by language (True, true; with quotes, without).

Polish: upstream's score of an accepted program is
    OptScore = max(0, ((T - t) / T + (M - m) / M) / 2)
with T, M time and memory of the code that was to be polished and t, m those of the reply's, means
over runs; 0 for others (evaluation/judge/scripts/compute_metrics.py). It is what the paper's tables
call Polish. A reply passes there when it is accepted and better in one of the two. Ours: CPU time
of all tests together, and the largest memory of any, each from one run in the same kind of box;
upstream takes the mean of the last 7 of 20 runs of the old code and of 2 of the new. Below a few
milliseconds both are noise. An interpreter's own start is not in our times.

Untested here for lack of data: the published rows, and the time limits of upstream's database
(ours: 5 s a test).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from evals.bench import Bench, Style, Work
from evals.contests import leetcode
from evals.contests.codeeditorbench_prompts import TaskName, instruction
from evals.contests.replies import first_block
from evals.contests.streamed import digest, rows
from evals.data import DataFile, Source
from evals.problem import Problem, Score
from evals.scores import mean_score, pass_scores
from sandbox import Limits, Pool, Program, StdioCase, StdioTests, Verdict
from sandbox.compare import LINES
from seedcoder.completion import Message, Model, Request, Sampling
from seedcoder.errors import UsageError

if TYPE_CHECKING:
    from evals.tally import Answer

Subset = Literal["plus", "primary"]
_FILES: Final[Mapping[TaskName, str]] = {
    "debug": "debug",
    "translate": "translate",
    "switch": "switch",
    "polish": "polishment",
}
_PUBLIC: Final = ("public_tests_input", "public_tests_output")
_COLUMNS: Final[Mapping[TaskName, tuple[str, ...]]] = {
    "debug": ("code_language", "incorrect_solutions", *_PUBLIC),
    "translate": ("source_code", "source_lang", "target_lang", *_PUBLIC),
    "switch": ("language", "similar_source_code", "public_similar_tests_input"),
    "polish": ("source_code", "source_lang", *_PUBLIC),
}
# Which column says the program's language, which holds the code at hand, and which a solution.
_LANGUAGE: Final = {
    "debug": "code_language",
    "translate": "target_lang",
    "switch": "language",
    "polish": "source_lang",
}
_GIVEN: Final = {
    "debug": "incorrect_solutions",
    "translate": "source_code",
    "switch": "similar_source_code",
    "polish": "source_code",
}
_SOLUTION: Final = {
    "debug": "solutions",
    "translate": "target_code",
    "switch": "target_source_code",
    "polish": "source_code",
}
_LANGUAGES: Final = {
    "c++": "cpp",
    "cpp": "cpp",
    "java": "java",
    "python": "python",
    "python3": "python",
}
_MAX_TOKENS: Final = 2_048  # vllm_inference.py
_SIGN: Final = "corrected code"  # result_postprocess.py, preprocess
_WORDS: Final = re.compile(r"\b(True|False|None)\b")
_AS_JSON: Final = {"True": "true", "False": "false", "None": "null"}
_TOLERANCE: Final = 1e-5  # ours; upstream's C++ template prints 5 digits


@dataclass(frozen=True, slots=True)
class SameOutput:
    """Text: the same lines, or the same value, however the languages write it."""

    def __call__(self, expected: Any, got: Any, /) -> bool:
        if LINES(expected, got):
            return True
        want, have = expected.strip().split("\n"), got.strip().split("\n")
        return len(want) == len(have) and all(map(_same_line, want, have))


class CodeEditorBench(Bench):
    """The benchmark. See the module's words."""

    name = "codeeditorbench"
    licence = "Apache-2.0"

    def __init__(self, *, path: Path | None, tasks: Sequence[TaskName], subset: Subset) -> None:
        """Take the tasks' files from the folder `path`; by default from SEEDCODER_DATA."""
        self._subset = subset
        self._files: dict[TaskName, DataFile] = {}
        for task in tasks:
            name = f"code_{_FILES[task]}_{subset}.jsonl"
            source = Source(
                bench="codeeditorbench",
                folder="codeeditorbench",
                file=name,
                get=f"download {name} from the data set m-a-p/CodeEditorBench on the hub",
            )
            self._files[task] = DataFile(source, path / name if path else None)
        self._box = "auto"
        self._before: dict[str, tuple[float, float] | None] = {}

    @property
    def version(self) -> str:
        """The set and its tasks."""
        return f"CodeEditorBench {self._subset}: {', '.join(self._files)}"

    @property
    def data_sha256(self) -> Mapping[str, str]:
        """The digests of the tasks' files."""
        return {file.source.file: digest(file.path) for file in self._files.values()}

    @cached_property
    def _read(self) -> tuple[tuple[Problem, ...], dict[str, str]]:
        problems, left = [], {}
        for task, file in self._files.items():
            for number, (where, row) in enumerate(
                rows("codeeditorbench", file.path, _COLUMNS[task])
            ):
                key = f"{task}/{row.get('idx', number)}"
                try:
                    problem = _problem(task, key, row)
                except (KeyError, TypeError, ValueError) as error:
                    raise UsageError(f"{where}: {error!r}") from error
                if problem is None:
                    left[key] = "its row has no private tests"
                else:
                    problems.append(problem)
        return tuple(problems), left

    def problems(self) -> Sequence[Problem]:
        """Return the tasks' problems, in the files' order. MachineLacks: no data."""
        return self._read[0]

    def left_out(self) -> Mapping[str, str]:
        """Return the rows that have no tests."""
        return self._read[1]

    def request(self, problem: Problem, style: Style) -> Request:
        """Return what the model is asked."""
        if style.protocol == "completion":
            return Request(key=problem.key, prompt=f"Question: {problem.prompt}\n\nAnswer:")
        return Request(key=problem.key, prompt=(Message(role="user", content=problem.prompt),))

    def sampling(self, style: Style) -> Sampling:
        """Return upstream's sampling for one sample: greedy."""
        return Sampling(max_tokens=_MAX_TOKENS)

    def program(self, problem: Problem, text: str, style: Style) -> Program:
        """Return the program to judge; without a fenced block, all of the reply is the code."""
        code = first_block(text)
        if code is None:
            at = text[:50].lower().find(_SIGN)
            code = (text if at < 0 else text[at + len(_SIGN) :]).strip()
        return self._program(problem, code)

    def _program(self, problem: Problem, code: str) -> Program:
        if problem.tests["whole"]:
            return Program(language=problem.language, source=code)
        return leetcode.program_of(code, problem.language)

    def tests(self, problem: Problem) -> StdioTests:
        """Return the row's private tests."""
        return StdioTests(
            cases=tuple(StdioCase(stdin=_ended(x), stdout=y) for x, y in problem.tests["private"]),
            comparer=SameOutput(),
        )

    def limits(self, problem: Problem) -> Limits:
        """Return our own: upstream's are in a database that is not in the data."""
        return Limits(cpu_s=5.0, memory_mb=512, output_kb=16_384)

    def canonical(self, problem: Problem) -> Program | None:
        """Return the row's solution; None where it has none."""
        return self._program(problem, problem.canonical) if problem.canonical else None

    def broken(self, problem: Problem) -> Program | None:
        """Return the code to debug; of other tasks there is no wrong code."""
        if not problem.key.startswith("debug/"):
            return None
        return self._program(problem, problem.tests["given"])

    def solver(self, model: Model, work: Work) -> Model:
        """Return the model; the box of the run is kept for measuring the code to polish."""
        self._box = work.box
        return model

    def values(self, problem: Problem, program: Program, verdict: Verdict) -> Mapping[str, float]:
        """Return, of polished code, time, memory and upstream's OptScore."""
        if not problem.key.startswith("polish/"):
            return {}
        if not verdict.ok:
            return {"opt_score": 0.0, "improved": 0.0}
        if problem.key not in self._before:
            self._before[problem.key] = self._measured(problem)
        before = self._before[problem.key]
        if before is None:
            return {}  # the code that was to be polished does not pass here: nothing to compare
        after = _cost(verdict)
        gains = [1 - new / old if old else 0.0 for old, new in zip(before, after, strict=True)]
        return {
            "cpu_s": after[0],
            "peak_mb": after[1],
            "source_cpu_s": before[0],
            "source_peak_mb": before[1],
            "opt_score": max(0.0, sum(gains) / 2),
            "improved": float(max(gains) > 0),
        }

    def _measured(self, problem: Problem) -> tuple[float, float] | None:
        program = self._program(problem, problem.canonical)
        with Pool(1, box=self._box) as pool:
            verdict = pool.judge(program, self.tests(problem), self.limits(problem))
        return _cost(verdict) if verdict.ok else None

    def scores(self, answers: Sequence[Answer], ks: Sequence[int], *, seed: int = 0) -> list[Score]:
        """Return pass@k of the tasks that are judged right or wrong, and of polish its OptScore."""
        polished = [answer for answer in answers if answer.problem.startswith("polish/")]
        others = [answer for answer in answers if not answer.problem.startswith("polish/")]
        found = [
            mean_score(
                "OptScore (polish)", polished, lambda x: x.values.get("opt_score"), seed=seed
            ),
            mean_score(
                "improved (polish)", polished, lambda x: x.values.get("improved"), seed=seed
            ),
        ]
        return [*pass_scores(others, ks, seed=seed), *(score for score in found if score)]


def codeeditorbench(
    *,
    path: Path | None = None,
    task: Literal["all", "debug", "translate", "switch", "polish"] = "all",
    subset: Subset = "plus",
) -> CodeEditorBench:
    """Return the benchmark.

    path: a folder with upstream's files. task: one of the four, or all. subset: "plus" is the set
    of its leaderboard, "primary" the larger one.
    """
    tasks: tuple[TaskName, ...] = get_args(TaskName) if task == "all" else (task,)
    return CodeEditorBench(path=path, tasks=tasks, subset=subset)


def _problem(task: TaskName, key: str, row: Mapping[str, Any]) -> Problem | None:
    """Return the problem of a row, None where it has no tests. Raises what is wrong with it."""
    name = str(row[_LANGUAGE[task]]).lower()
    if name not in _LANGUAGES:
        raise ValueError(f"language {row[_LANGUAGE[task]]!r} is none of C++, Java and Python")
    language = _LANGUAGES[name]
    which = "private_target_tests" if task == "switch" else "private_tests"
    private = list(zip(row[f"{which}_input"], row[f"{which}_output"], strict=True))
    if not private:
        return None
    given = _bare(str(row[_GIVEN[task]]))
    solution = _bare(str(row.get(_SOLUTION[task]) or ""))
    # Of code to translate and switch, what is at hand is of the same kind as the solution; code to
    # debug may not even parse.
    of = str(row["source_lang"]).lower() if task == "translate" else name
    shown = solution if task == "debug" and solution else given
    tags = [f"task:{task}", f"language:{language}"]
    tags += [f"difficulty:{str(row['difficulty']).lower()}"] if row.get("difficulty") else []
    tags += [f"error:{str(row['type']).partition(':')[0]}"] if row.get("type") else []
    return Problem(
        key=key,
        prompt=instruction(task, row),
        entry_point="",
        tests={
            "private": private,
            "given": given,
            "whole": leetcode.is_whole(shown, _LANGUAGES.get(of, of)),
        },
        canonical=solution,
        tags=tuple(tags),
        language=language,
    )


def _bare(code: str) -> str:
    """Return a row's code without the fence that some rows have around it."""
    found = first_block(code)
    return code.strip() if found is None else found


def _ended(text: str) -> str:
    return text if text.endswith("\n") else f"{text}\n"


def _cost(verdict: Verdict) -> tuple[float, float]:
    """Return CPU seconds of all runs together, and MiB of the largest."""
    runs = verdict.outcomes
    return sum(run.cpu_s for run in runs), max(run.peak_mb for run in runs)


def _same_line(want: str, have: str) -> bool:
    want, have = want.strip(), have.strip()
    # A text that looks like a number is one only without its quotes.
    return want.strip('"') == have.strip('"') or _same(_value(want), _value(have))


def _value(text: str) -> Any:
    """Return what a line says; the line itself where it is no value."""
    try:
        return json.loads(_WORDS.sub(lambda word: _AS_JSON[word[0]], text))
    except (ValueError, RecursionError):
        return text


def _same(want: Any, have: Any) -> bool:
    if isinstance(want, list) and isinstance(have, list):
        return len(want) == len(have) and all(map(_same, want, have))
    if isinstance(want, bool) or isinstance(have, bool):
        return want is have
    if isinstance(want, float) or isinstance(have, float):
        if not (isinstance(want, int | float) and isinstance(have, int | float)):
            return False
        try:
            return abs(want - have) <= _TOLERANCE * max(1.0, abs(want))
        except OverflowError:
            return False
    return type(want) is type(have) and bool(want == have)
