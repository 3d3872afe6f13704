"""What CrossCodeEval and RepoEval share: a gap in a file of a repository, other files beside it.

Prompts are those of the suite that the paper used (QwenLM/Qwen2.5-Coder, qwencoder-eval/base/
benchmarks/fim-bench/utils.py, `prepare_prompt`):

[fim]  before the gap, its last tokens that fit; after the gap, right_tokens; and behind that, in
    the same part, two newlines and cross_tokens of the text from other files, which the data
    holds as comments. An author of Seed-Coder says they forked this with two modifications that
    are not told (ByteDance-Seed/Seed-Coder, issue 4); that Seed-Coder takes the suffix first is
    left to the [fim] format here.
no [fim]  the text from other files, a newline, what stands before the gap: as amazon-science/cceval
    continues (scripts/vllm_inference.py). What follows the gap is not shown.
chat   the suite's own words for instruct models.

max_seq_tokens holds all of it and the reply. How tokens are counted: `evals.infilling.budget`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final

from evals.bench import Bench, Style
from evals.data import DataFile, digests
from evals.infilling.asking import Gap, ask, middle, stops
from evals.infilling.budget import Cutter
from evals.infilling.matching import Grader, MatchTests, mean_of_groups
from evals.problem import Problem, Score
from sandbox import Program, Verdict
from seedcoder.completion import Request, Sampling
from seedcoder.errors import MachineLacks, UsageError

if TYPE_CHECKING:
    from evals.tally import Answer

LANGUAGES: Final[Mapping[str, tuple[str, str]]] = {
    "python": ("Python", "python"),
    "java": ("Java", "java"),
    "typescript": ("TypeScript", "typescript"),
    "csharp": ("C#", "csharp"),
}
COLUMNS: Final = ("prompt", "groundtruth", "right_context", "metadata")

# qwencoder-eval/base/benchmarks/fim-bench/utils.py: instruct_mode.
_SYSTEM: Final = "You are a code completion assistant."
_QUESTION: Final = """\
Please complete the middle code, based on the given prefix/suffix code of the current file and \
context code of other files.
##Context Code##:
{cross}
##Prefix Code##:
{before}
##Suffix Code##:
{after}
##Middle Code##:
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Tokens: of all, of what follows the gap, of other files."""

    max_seq: int = 8192
    right: int = 2048
    cross: int = 2048

    def left(self, *, reply: int, right: bool, cross: bool) -> int:
        """Return what is left for before the gap. Raises UsageError where that is nothing."""
        left = self.max_seq - reply - right * self.right - cross * self.cross
        if left < 1:
            raise UsageError(
                f"options.max_seq_tokens: {self.max_seq} leave no room before the gap beside "
                f"{reply} for the reply, {self.right} after the gap, {self.cross} of other files"
            )
        return left


class RepositoryBench(Bench):
    """The base of both. A problem's `tests["group"]` is what figures are averaged over."""

    def __init__(
        self, *, files: Mapping[str, DataFile], budget: Budget, tokenizer: str | None
    ) -> None:
        """Take `files` by the group they hold: a language, or a kind of task."""
        self._files = files
        self._budget = budget
        self._cutter = Cutter(tokenizer)

    @property
    def version(self) -> str:
        """Which data and which grader."""
        return self._version()

    @abstractmethod
    def _version(self) -> str: ...

    @abstractmethod
    def reply_tokens(self, group: str) -> int:
        """Return how long a reply of a group may be."""

    @abstractmethod
    def grader(self, problem: Problem) -> Grader:
        """Return what marks the answers to a problem."""

    @property
    def _read(self) -> Mapping[str, DataFile]:
        """The files of the groups that can be graded here; MachineLacks where none can."""
        out = self.left_out()
        read = {group: file for group, file in self._files.items() if group not in out}
        if not read:
            raise MachineLacks(f"{self.name}: {'; '.join(out.values())}")
        return read

    @cached_property
    def _problems(self) -> tuple[Problem, ...]:
        return tuple(
            self._problem(group, row, f"{file.path}, row {number}")
            for group, file in self._read.items()
            for number, row in enumerate(file.rows(needs=COLUMNS), start=1)
        )

    def _problem(self, group: str, row: Mapping[str, Any], where: str) -> Problem:
        task = row["metadata"].get("task_id") if isinstance(row["metadata"], dict) else None
        if task is None:
            raise UsageError(f"{self.name}: {where}: no 'metadata.task_id'")
        return Problem(
            key=f"{group}/{task}",
            prompt=row["prompt"],
            entry_point="",
            tests={
                "gold": row["groundtruth"],
                "after": row.get("full_right_context") or row["right_context"],
                "cross": _cross(row),
                "group": group,
            },
            canonical=row["groundtruth"],
            tags=self.tags(group),
            language="text",
        )

    @abstractmethod
    def tags(self, group: str) -> tuple[str, ...]:
        """Return the tags of a group's problems."""

    @property
    def data_sha256(self) -> Mapping[str, str]:
        """The digests of the files that are read."""
        return digests(*self._read.values())

    def problems(self) -> Sequence[Problem]:
        """Return the problems, a file after the other. MachineLacks: a file is nowhere."""
        return self._problems

    def request(self, problem: Problem, style: Style) -> Request:
        """Return what the model is asked."""
        parts, cut, budget = problem.tests, self._cutter, self._budget
        after, cross = parts["after"], parts["cross"]
        sees_after = style.protocol == "chat" or style.fim is not None
        room = budget.left(
            reply=self.reply_tokens(parts["group"]), right=sees_after, cross=cross is not None
        )
        left = cut.last(problem.prompt, room)
        right = cut.first(after, budget.right)
        language = LANGUAGES[parts.get("language", "python")]
        if style.protocol == "chat":
            question = _QUESTION.format(
                cross=cut.first(cross or "", budget.cross), before=left, after=right
            )
            gap = Gap(before=left, after=right, language=language)
            return ask(problem.key, gap, style, question=question, system=_SYSTEM)
        if style.fim:
            others = cut.first("\n\n" + cross, budget.cross) if cross is not None else ""
            return ask(problem.key, Gap(before=left, after=right + others), style)
        others = cut.first(cross, budget.cross) + "\n" if cross is not None else ""
        return ask(problem.key, Gap(before=others + left, after=""), style)

    def sampling(self, style: Style) -> Sampling:
        """Return upstream's sampling: greedy, so many tokens, no stop but the model's own."""
        return Sampling(
            max_tokens=max(self.reply_tokens(group) for group in self._read),
            stop=stops(style),
            stop_after_fence=style.protocol == "chat",
        )

    def program(self, problem: Problem, text: str, style: Style) -> Program:
        """Return the reply as it is graded; what is blank is no answer."""
        written = middle(text, style)
        return Program(language="text", source=written if written.strip() else "")

    def tests(self, problem: Problem) -> MatchTests:
        """Return the exact match of the grader."""
        return MatchTests(grader=self.grader(problem))

    def canonical(self, problem: Problem) -> Program | None:
        """Return the answer; None where the grader's cutting spoils the answer itself."""
        exact = self.grader(problem)(problem.canonical).exact
        return Program(language="text", source=problem.canonical) if exact else None

    def broken(self, problem: Problem) -> Program:
        """Return the answer with another word before it."""
        return Program(language="text", source="wrong_" + problem.canonical.lstrip())

    def values(self, problem: Problem, program: Program, verdict: Verdict) -> Mapping[str, float]:
        """Return what the grader measures besides the exact match."""
        return self.grader(problem)(program.source).numbers

    def ballot(self, answer: Answer) -> str | None:
        """Return the words that an answer votes for."""
        return " ".join(answer.program.split()) or None

    def scores(self, answers: Sequence[Answer], ks: Sequence[int], *, seed: int = 0) -> list[Score]:
        """Return the exact match and what else is measured, each group counting alike.

        As the paper's tables average. `ks` is of no meaning here: one answer counts.
        """
        groups = {problem.key: problem.tests["group"] for problem in self._problems}
        found = []
        for metric, name in {"EM": "", **self.measures()}.items():
            value = partial(_value, name=name)
            found.append(
                mean_of_groups(metric, answers, value, lambda one: groups[one.problem], seed=seed)
            )
        return [score for score in found if score]

    def measures(self) -> Mapping[str, str]:
        """Return the other figures: what reports call them, to the value they are means of."""
        return {"ES": "es", "ES (python-Levenshtein)": "es_indel"}


def _value(answer: Answer, *, name: str) -> float | None:
    if not name:
        return float(bool(answer.verdict and answer.verdict.ok))
    return answer.values.get(name)


def _cross(row: Mapping[str, Any]) -> str | None:
    """Return the text from other files: None where the data has none, "" where none was found."""
    found = row.get("crossfile_context")
    if isinstance(found, dict):
        text = found.get("text", "")
        return text if isinstance(text, str) else ""
    return found if isinstance(found, str) else None
