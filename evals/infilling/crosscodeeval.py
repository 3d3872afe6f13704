"""CrossCodeEval (Ding et al. 2023, arXiv 2310.11248): lines that need a repository's other files.

Python, Java, TypeScript and C#; data: amazon-science/cceval. Settings are those of the paper, which
used the suite of Qwen2.5-Coder (qwencoder-eval/base/benchmarks/fim-bench/run_cceval.sh): the file
line_completion_oracle_bm25, 8192 tokens in all, 2048 after the gap, 2048 of other files, replies of
50, greedy. How it is asked: `evals.infilling.repository`; how it is graded: `.lines` beside it.

The headline is the exact match, each language counting alike (as Table 3's average does: its rows
agree with that and not with a mean over problems), then edit similarity.

options: retrieval says which file (how what other files hold was found; "oracle" searched with the
answer). grader: "qwen", as the paper; "cceval", as the authors, with identifier match; its
Python part needs tree-sitter and is left out without.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final, Literal

from evals.data import DataFile, Source
from evals.infilling.lines import cceval_marks, qwen_marks
from evals.infilling.matching import Grader
from evals.infilling.repository import Budget, RepositoryBench
from evals.infilling.syntax import PACKAGE, there
from evals.problem import Problem

Language = Literal["python", "java", "typescript", "csharp"]
Retrieval = Literal["none", "rg1_bm25", "oracle_bm25"]
LineGrader = Literal["qwen", "cceval"]

_REPLY_TOKENS: Final = 50


class CrossCodeEval(RepositoryBench):
    """The benchmark. See the module's words."""

    name = "crosscodeeval"
    licence = "Apache-2.0"

    def __init__(
        self,
        *,
        files: Mapping[str, DataFile],
        retrieval: Retrieval = "oracle_bm25",
        grader: LineGrader = "qwen",
        budget: Budget | None = None,
        tokenizer: str | None = None,
    ) -> None:
        """Take the files by language."""
        super().__init__(files=files, budget=budget or Budget(), tokenizer=tokenizer)
        self._retrieval = retrieval
        self._grader = grader

    def _version(self) -> str:
        return f"cceval 2023, {_file(self._retrieval)}, graded by {self._grader}"

    def reply_tokens(self, group: str) -> int:
        """Return 50, for every language."""
        return _REPLY_TOKENS

    def tags(self, group: str) -> tuple[str, ...]:
        """Return the language."""
        return (f"language:{group}",)

    def grader(self, problem: Problem) -> Grader:
        """Return the chosen grader with the problem's answer in it."""
        gold = problem.tests["gold"]
        if self._grader == "qwen":
            return partial(qwen_marks, gold=gold)
        return partial(
            cceval_marks, gold=gold, prompt=problem.prompt, language=problem.tests["group"]
        )

    def measures(self) -> Mapping[str, str]:
        """Return edit similarity, and with the authors' grader identifier match."""
        if self._grader == "qwen":
            return super().measures()
        return {**super().measures(), "identifier EM": "id_em", "identifier F1": "id_f1"}

    def left_out(self) -> Mapping[str, str]:
        """Return Python, where the authors' grader lacks the means to cut it."""
        if self._grader == "cceval" and "python" in self._files and not there():
            return {"python": f"its statements are cut by syntax trees: pip install {PACKAGE}"}
        return {}


def crosscodeeval(
    *,
    path: Path | None = None,
    languages: tuple[Language, ...] = ("python", "java", "typescript", "csharp"),
    retrieval: Retrieval = "oracle_bm25",
    grader: LineGrader = "qwen",
    tokenizer: str | None = None,
    max_seq_tokens: int = 8192,
    right_tokens: int = 2048,
    cross_tokens: int = 2048,
) -> CrossCodeEval:
    """Return the benchmark.

    path: the folder with one folder a language, as upstream's archive unpacks. tokenizer: of the
    model, for cutting contexts as upstream does.
    """
    name = _file(retrieval)
    files: dict[str, DataFile] = {
        language: DataFile(
            Source(
                bench="crosscodeeval",
                folder="crosscodeeval",
                file=f"{language}/{name}",
                get="unpack data/crosscodeeval_data.tar.xz of the GitHub repository "
                "amazon-science/cceval",
            ),
            path / language / name if path else None,
        )
        for language in languages
    }
    return CrossCodeEval(
        files=files,
        retrieval=retrieval,
        grader=grader,
        budget=Budget(max_seq=max_seq_tokens, right=right_tokens, cross=cross_tokens),
        tokenizer=tokenizer,
    )


def _file(retrieval: Retrieval) -> str:
    middle = "" if retrieval == "none" else f"_{retrieval}"
    return f"line_completion{middle}.jsonl"
