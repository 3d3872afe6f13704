"""RepoEval (Zhang et al. 2023, arXiv 2303.12570): lines, calls of the repository's API, and bodies
of functions to fill in, with text from other files of the repository.

The data is that of the Qwen2.5-Coder suite, which the paper used (qwencoder-eval/base/benchmarks/
fim-bench/run_repoeval.sh): python_{line,api,function}_completion_sparse_oracle.jsonl, made by
amazon-science/Repoformer (repo_eval/data/convert.py, repo_eval/cfc_retrieval/attach_cfc.py). 8192
tokens in all, 2048 after the gap, 2048 of other files; replies of 50 tokens for lines and calls,
256 for functions; greedy. What follows the gap is the whole rest of the file.

One thing of that suite is not copied: repoeval.py fixes the length of replies before it sets 256
for functions, so that as published it gives functions 50 tokens too. Where tasks are run together
all may be as long as the longest; a reply to a line is cut to the lines of its answer anyway.

Graded as there (`evals.infilling.lines`, qwen); a function's reply is cut to its longest beginning
that parses behind the file so far, and of it the body of the function that the gap is in is
compared with the answer's (needs tree-sitter, and is left out without). The headline is exact
match, each kind of task counting alike as in Table 4's average; then edit similarity, and
RepoEval's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Final, Literal

from evals.data import DataFile, Source
from evals.infilling.lines import alike, qwen_marks
from evals.infilling.matching import Grader, Marks
from evals.infilling.repository import Budget, RepositoryBench
from evals.infilling.syntax import PACKAGE, parses, python_bodies, there
from evals.problem import Problem

Kind = Literal["line", "api", "function"]

_REPLY_TOKENS: Final[Mapping[str, int]] = {"line": 50, "api": 50, "function": 256}


class RepoEval(RepositoryBench):
    """The benchmark. See the module's words."""

    name = "repoeval"
    licence = "NOASSERTION"  # its repositories have licences of their own

    def __init__(
        self,
        *,
        files: Mapping[str, DataFile],
        budget: Budget | None = None,
        tokenizer: str | None = None,
    ) -> None:
        """Take the files by the kind of task."""
        super().__init__(files=files, budget=budget or Budget(), tokenizer=tokenizer)

    def _version(self) -> str:
        return "Qwen2.5-Coder fim-bench 2024-11, sparse oracle retrieval"

    def reply_tokens(self, group: str) -> int:
        """Return how long a reply may be."""
        return _REPLY_TOKENS[group]

    def tags(self, group: str) -> tuple[str, ...]:
        """Return the kind of task."""
        return (f"task:{group}",)

    def grader(self, problem: Problem) -> Grader:
        """Return the grader of the problem's kind."""
        gold = problem.tests["gold"]
        if problem.tests["group"] == "function":
            return partial(function_marks, gold=gold, prompt=problem.prompt)
        return partial(qwen_marks, gold=gold)

    def measures(self) -> Mapping[str, str]:
        """Return edit similarity, and the one that RepoEval's authors compute."""
        return {**super().measures(), "ES (RepoEval)": "es_edit"}

    def left_out(self) -> Mapping[str, str]:
        """Return functions, where there is nothing to parse them with."""
        if "function" in self._files and not there():
            return {"function": f"replies are cut by syntax trees: pip install {PACKAGE}"}
        return {}


def repoeval(
    *,
    path: Path | None = None,
    tasks: tuple[Kind, ...] = ("line", "api", "function"),
    tokenizer: str | None = None,
    max_seq_tokens: int = 8192,
    right_tokens: int = 2048,
    cross_tokens: int = 2048,
) -> RepoEval:
    """Return the benchmark. path: the folder of upstream's three files. tasks: which of them."""
    files: dict[str, DataFile] = {}
    for task in tasks:
        name = f"python_{task}_completion_sparse_oracle.jsonl"
        source = Source(
            bench="repoeval",
            folder="repoeval",
            file=name,
            get="get what fim-bench/run_repoeval.sh of the GitHub repository QwenLM/Qwen2.5-Coder "
            "reads, or make it with repo_eval/ of amazon-science/Repoformer",
        )
        files[task] = DataFile(source, path / name if path else None)
    return RepoEval(
        files=files,
        budget=Budget(max_seq=max_seq_tokens, right=right_tokens, cross=cross_tokens),
        tokenizer=tokenizer,
    )


@lru_cache(maxsize=256)  # judged, and then measured
def function_marks(text: str, gold: str, *, prompt: str) -> Marks:
    """Return the marks of a function's body, as `process_examples` gives them.

    Where a body cannot be found, what there is is compared: that is upstream's rule, too, for
    replies of which no beginning parses.
    """
    for end in range(len(text), -1, -1):
        if parses(prompt + text[:end], "python"):
            text = text[:end].rstrip()
            break
    else:
        return alike(text, gold)
    try:
        text = _body(prompt, text)
        gold = _body(prompt, gold)
    except (IndexError, ValueError):
        pass  # as there: no such function in one of them, and the rest is compared as it stands
    return alike(text, gold)


def _body(prompt: str, text: str) -> str:
    """Return the body of the function that is open at the prompt's end, with `text` in it."""
    place = len(python_bodies(prompt + "pass")) - 1
    return python_bodies(prompt + text)[place]
