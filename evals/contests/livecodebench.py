"""LiveCodeBench (Jain et al. 2024, arXiv 2403.07974): contest problems by their dates.

Data: `code_generation_lite`, six files of JSON lines that six releases are made of (release_v1 is
`test.jsonl`, release_v6 all six). A window of dates is taken as upstream's `--start_date` and
`--end_date` do: both days belong to it, each from its first second on (lcb_runner/benchmarks/
code_generation.py). Problems come in the order of their ids, as in its scenario_router.py.

Asked zero-shot in upstream's words (`livecodebench_prompts`), sampled 10 times at temperature 0.2
and top_p 0.95 (lcb_runner/runner/parser.py); a recipe says so, or asks greedily. The program is
what stands between the last two fences of the reply; of a base model, all of it. Judged by all
public and private tests, 6 s each (`livecodebench_tests`).

Upstream's ERRATA.md names twelve problems: nine accept several outputs, two are interactive, one
has wrong tests. Upstream counts them all the same; here they have a tag, and `errata = "drop"`
leaves them out.
"""

from __future__ import annotations

import calendar
import datetime
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

from evals.bench import Bench, Style
from evals.contests.livecodebench_prompts import Shot, Wording, chat, completion
from evals.contests.livecodebench_tests import cases_of, function_of, program_of, tests_of
from evals.contests.replies import between_last_fences
from evals.contests.streamed import digest, rows
from evals.data import DataFile, Source
from evals.problem import Problem
from sandbox import Limits, Program, StdioTests
from seedcoder.completion import Request, Sampling
from seedcoder.errors import UsageError

Release = Literal[
    "release_v1", "release_v2", "release_v3", "release_v4", "release_v5", "release_v6"
]
_FILES: Final = ("test.jsonl", *(f"test{number}.jsonl" for number in range(2, 7)))
_COLUMNS: Final = [
    "question_title",
    "question_content",
    "platform",
    "question_id",
    "contest_date",
    "starter_code",
    "difficulty",
    "public_test_cases",
    "private_test_cases",
    "metadata",
]
_CPU_S: Final = 6.0  # parser.py, --timeout
_MAX_TOKENS: Final = 2_000  # parser.py, --max_tokens
_STOP: Final = ("###",)  # parser.py, --stop

# ERRATA.md at 174aacf: ids, and titles where it gives those.
_ERRATA: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        [
            "abc311_c",
            "abc326_d",
            "abc327_b",
            "abc333_e",
            "abc343_e",
            "abc362_c",
            "find-words-containing-character",
            "find-the-peaks",
            "generate-binary-strings-without-adjacent-zeros",
        ],
        "several-outputs",
    ),
    **dict.fromkeys(("abc337_e", "abc355_e"), "interactive"),
    "abc350_c": "wrong-tests",
}


class LiveCodeBench(Bench):
    """The benchmark. See the module's words."""

    name = "livecodebench"
    licence = "CC-BY-4.0"  # as the data set's card has it; not checked here

    def __init__(
        self,
        files: Sequence[DataFile],
        *,
        release: Release,
        first: datetime.datetime | None,
        last: datetime.datetime | None,
        wording: Wording,
        errata: Literal["keep", "drop"],
        shots: Path | None,
    ) -> None:
        """Take the files of a release. first, last: the window; the rest as in `livecodebench`."""
        self._files = files
        self._release = release
        self._first, self._last = first, last
        self._wording = wording
        self._errata = errata
        self._shots = shots

    @property
    def version(self) -> str:
        """The release, the window and the wording."""
        window = ""
        if self._first or self._last:
            days = (when.date().isoformat() if when else "" for when in (self._first, self._last))
            window = f", {'..'.join(days)}"
        return f"code_generation_lite {self._release}{window}, prompt {self._wording}"

    @property
    def data_sha256(self) -> Mapping[str, str]:
        """The digests of the release's files (read in pieces: they are large)."""
        found = {}
        for file in self._files:
            found[file.path.name] = digest(file.path)
        if self._shots is not None:
            for name in ("func.json", "stdin.json"):
                found[name] = digest(self._shots / name)
        return found

    @cached_property
    def _problems(self) -> tuple[Problem, ...]:
        found: dict[str, Problem] = {}
        for file in self._files:
            for where, row in rows("livecodebench", file.path, _COLUMNS):
                try:
                    problem = self._problem(row)
                except (ValueError, TypeError) as error:
                    raise UsageError(f"{where}: {error}") from error
                if problem is None:
                    continue
                if problem.key in found:
                    raise UsageError(f"{where}: question_id {problem.key!r} is there twice")
                found[problem.key] = problem
        if not found:
            raise UsageError(f"livecodebench: no problem of {self._release} lies in the window")
        return tuple(found[key] for key in sorted(found))

    def _problem(self, row: Mapping[str, Any]) -> Problem | None:
        """Return the problem of a row, None outside the window. Raises ValueError."""
        when = datetime.datetime.fromisoformat(row["contest_date"]).replace(tzinfo=None)
        if (self._first and when < self._first) or (self._last and when > self._last):
            return None
        fault = _ERRATA.get(row["question_id"]) or _ERRATA.get(row["question_title"])
        if fault and self._errata == "drop":
            return None
        tags = [
            f"difficulty:{row['difficulty']}",
            f"platform:{row['platform']}",
            f"month:{when:%Y-%m}",
        ]
        return Problem(
            key=row["question_id"],
            prompt=row["question_content"],
            entry_point=function_of(row["metadata"]),
            # Private tests stay packed until a program is judged by them: unpacked, a release
            # takes many gigabytes.
            tests={name: row[name] for name in ("public_test_cases", "private_test_cases")}
            | {"starter_code": row["starter_code"] or ""},
            tags=(*tags, *([f"errata:{fault}"] if fault else ())),
            date=when.date().isoformat(),
        )

    def problems(self) -> Sequence[Problem]:
        """Return the window's problems. MachineLacks: no data. UsageError: an empty window."""
        return self._problems

    def request(self, problem: Problem, style: Style) -> Request:
        """Return what the model is asked; its reply is never begun for it, as upstream does."""
        starter = problem.tests["starter_code"]
        if style.protocol == "chat":
            messages = chat(self._wording, problem.prompt, starter)
            return Request(key=problem.key, prompt=messages)
        shot = self._shot("func.json" if starter else "stdin.json")
        text = completion(problem.prompt, starter, shot)
        return Request(key=problem.key, prompt=text.rstrip() if style.strip_prompt else text)

    def _shot(self, name: str) -> Shot | None:
        if self._shots is None:
            return None
        path = self._shots / name
        try:
            first = json.loads(path.read_text(encoding="utf-8"))[0]
            code = first.get("sample_code", "")
            return Shot(question=first["question"], sample_code=code, answer=first["answer"])
        except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise UsageError(f"livecodebench: options.shots: {path}: {error!r}") from error

    def sampling(self, style: Style) -> Sampling:
        """Return upstream's sampling; its stop string is for base models, who go on for ever."""
        return Sampling(
            max_tokens=_MAX_TOKENS,
            temperature=0.2,
            top_p=0.95,
            stop=_STOP if style.protocol == "completion" else (),
        )

    def program(self, problem: Problem, text: str, style: Style) -> Program:
        """Return the program to judge; its source is "" when there is no code in the reply."""
        if style.protocol == "completion":
            code = text.partition(_STOP[0])[0].strip()
        else:
            code = between_last_fences(text)
        return program_of(code, problem.entry_point)

    def solution(self, problem: Problem, source: str) -> Program:
        """Return code that was taken out of its reply before, as it is judged."""
        return program_of(source, problem.entry_point)

    def tests(self, problem: Problem) -> StdioTests:
        """Return all tests, public ones first. Raises UsageError for a row that holds none."""
        try:
            columns = ("public_test_cases", "private_test_cases")
            cases = [case for name in columns for case in cases_of(problem.tests, name)]
            return tests_of(cases, problem.entry_point)
        except ValueError as error:
            raise UsageError(f"livecodebench: {problem.key}: {error}") from error

    def limits(self, problem: Problem) -> Limits:
        """Return 6 s a test; the memory is ours (upstream sets no limit)."""
        return Limits(cpu_s=_CPU_S, memory_mb=1024, output_kb=16_384)

    def canonical(self, problem: Problem) -> None:
        """Return None: the data holds no solutions."""

    def broken(self, problem: Problem) -> None:
        """Return None: there is no solution to spoil."""


def livecodebench(
    *,
    path: Path | None = None,
    release: Release = "release_v6",
    start_date: datetime.date | None = None,
    end_date: datetime.date | None = None,
    window: str = "",
    prompt: Wording = "generic",
    errata: Literal["keep", "drop"] = "keep",
    shots: Path | None = None,
) -> LiveCodeBench:
    """Return the benchmark.

    path: a folder with upstream's files, or one file of any of its rows. release: which files.
    start_date, end_date: ISO days. window: the same as papers write it, "2410-2502" for
    2024-10-01..2025-02-28. prompt: whose wording chat models are asked in. errata: "drop" leaves
    out what upstream's ERRATA.md lists. shots: upstream's folder few_shot_examples/generation, for
    base models; without it they see no example.
    """
    first, last = _bounds(start_date, end_date, window)
    if path is not None and path.is_file():
        files = [DataFile(_source(path.name), path)]
    else:
        names = _FILES[: int(release[-1])]
        files = [DataFile(_source(name), path / name if path else None) for name in names]
    return LiveCodeBench(
        files, release=release, first=first, last=last, wording=prompt, errata=errata, shots=shots
    )


def _source(name: str) -> Source:
    return Source(
        bench="livecodebench",
        folder="livecodebench",
        file=name,
        get=f"download {name} from the data set livecodebench/code_generation_lite on the hub"
        " (its files are JSON lines; its loading script is not needed)",
    )


def _bounds(
    first: datetime.date | None, last: datetime.date | None, window: str
) -> tuple[datetime.datetime | None, datetime.datetime | None]:
    """Return the window's ends. Raises UsageError for a window that is none."""
    if window:
        if first or last:
            raise UsageError("livecodebench: say options.window, or its dates, not both")
        try:
            ends = [datetime.datetime.strptime(part, "%y%m") for part in window.split("-")]
            begin, end = ends
        except ValueError:
            raise UsageError(
                f"livecodebench: options.window: 'YYMM-YYMM' was expected, got {window!r}"
            ) from None
        first = begin.date()
        last = end.date().replace(day=calendar.monthrange(end.year, end.month)[1])
    if first and last and first > last:
        raise UsageError(f"livecodebench: the window ends ({last}) before it begins ({first})")
    midnight = datetime.time()
    return (
        datetime.datetime.combine(first, midnight) if first else None,
        datetime.datetime.combine(last, midnight) if last else None,
    )
