"""LiveCodeBench's outputs, in and out: a list of {"question_id", "code_list", "output_list", ...}.

LiveCodeBench/LiveCodeBench, lcb_runner/benchmarks/code_generation.py (`insert_output`,
`insert_output_evaluation`) and lcb_runner/runner/custom_evaluator.py, which takes such a list back:
sorted by question_id, with a `code_list` of extracted programs for every question of the release.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evals.contests.replies import between_last_fences
from evals.data import DataFile, Source
from evals.interop.judged import Judged, is_judged, passed, reply
from evals.problem import Problem
from seedcoder.errors import UsageError


def outputs(run: Judged) -> list[dict[str, Any]]:
    """Return an object for each problem with a judged sample, sorted by question_id.

    output_list: the replies. code_list: the programs taken out of them, without what our judge puts
    around them. graded_list, pass@1: as upstream's `_eval_all.json` has them.
    """
    chat = run.recipe.protocol == "chat"
    stops = run.sampling().stop
    found = []
    for problem in run.problems:
        answers = [one for one in run.by_problem.get(problem.key, ()) if is_judged(one)]
        if not answers:
            continue
        texts = [reply(answer).text for answer in answers]
        if run.recipe.whole_programs:
            codes = texts
        elif chat:
            codes = [between_last_fences(text) for text in texts]
        else:
            codes = [_cut(text, stops).strip() for text in texts]
        graded = [passed(answer) for answer in answers]
        tags = dict(tag.split(":", 1) for tag in problem.tags)
        found.append(
            {
                "question_id": problem.key,
                "platform": tags.get("platform", ""),
                "difficulty": tags.get("difficulty", ""),
                "contest_date": problem.date or "",
                "question_content": problem.prompt,
                "output_list": texts,
                "code_list": codes,
                "graded_list": graded,
                "pass@1": sum(graded) / len(graded),
            }
        )
    return sorted(found, key=lambda row: str(row["question_id"]))


def _cut(text: str, stops: Sequence[str]) -> str:
    for stop in stops:
        text = text.partition(stop)[0]
    return text


def programs(path: Path, problems: Sequence[Problem]) -> dict[str, list[str]]:
    """Return the programs in a file, by problem: its `code_list`s.

    Raises UsageError, with the place, for rows of another form and unknown questions.
    """
    known = {problem.key for problem in problems}
    found: dict[str, list[str]] = {}
    file = DataFile(Source(bench="import", folder="", file=path.name, get=""), path)
    for number, row in enumerate(file.rows(needs=("question_id", "code_list")), start=1):
        where, key, codes = f"{path}, row {number}", row["question_id"], row["code_list"]
        if key not in known:
            raise UsageError(f"{where}: the benchmark has no question {key!r}")
        if key in found:
            raise UsageError(f"{where}: question {key!r} comes twice")
        if not isinstance(codes, list) or not all(isinstance(code, str) for code in codes):
            raise UsageError(f"{where}: code_list must be a list of strings")
        found[key] = list(codes)
    return found
