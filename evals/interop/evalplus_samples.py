"""EvalPlus's samples.jsonl, in and out: {"task_id", "solution"} or {"task_id", "completion"}.

As evalplus 0.3.1 reads it (`evalplus/data/utils.py`, `load_solutions`; `evalplus/evaluate.py`): a
line a sample, a task as often as it has samples, a solution whole, a completion put behind the
task's prompt as it stands. HumanEval's own files are of the second kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from evals.data import DataFile, Source
from evals.interop.judged import Judged, is_judged
from evals.problem import Problem
from seedcoder.errors import UsageError

Form = Literal["solution", "completion"]


def samples(run: Judged, form: Form = "solution") -> Iterator[dict[str, str]]:
    """Yield a row for each judged sample, in the benchmark's order.

    A reply without code is an empty solution: it counts there too. Raises UsageError where a
    program does not begin with its prompt and completions are wanted.
    """
    for problem in run.problems:
        for answer in run.by_problem.get(problem.key, ()):
            if not is_judged(answer):
                continue
            text = answer.program
            if form == "completion":
                text = _completion(problem, text)
            yield {"task_id": problem.key, form: text}


def _completion(problem: Problem, program: str) -> str:
    if not program.strip():
        return ""
    for prompt in (problem.prompt, problem.prompt.rstrip()):
        if program.startswith(prompt):
            return program[len(prompt) :]
    raise UsageError(
        f"{problem.key}: its program does not begin with the prompt, so there is no completion; "
        "export solutions"
    )


def programs(path: Path, problems: Sequence[Problem]) -> dict[str, list[str]]:
    """Return the whole programs in a file, by problem, in the file's order.

    Raises UsageError, with the line, for a row of another form or of a task that is not there.
    """
    prompts = {problem.key: problem.prompt for problem in problems}
    found: dict[str, list[str]] = {}
    file = DataFile(Source(bench="import", folder="", file=path.name, get=""), path)
    for number, row in enumerate(file.rows(needs=("task_id",)), start=1):
        key, text = _program(row, prompts, f"{path}, row {number}")
        found.setdefault(key, []).append(text)
    return found


def _program(row: Mapping[str, Any], prompts: Mapping[str, str], where: str) -> tuple[str, str]:
    key = row["task_id"]
    if key not in prompts:
        raise UsageError(f"{where}: the benchmark has no task {key!r}")
    for form in ("solution", "completion"):
        if form in row:
            text = row[form]
            if not isinstance(text, str):
                raise UsageError(
                    f"{where}: {form} must be a string; several samples are several rows"
                )
            return key, text if form == "solution" else prompts[key] + text
    raise UsageError(f"{where}: neither 'solution' nor 'completion'")
