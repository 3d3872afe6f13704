"""SantaCoder's fill-in-the-middle task (Allal et al. 2023, arXiv 2301.03988): one line taken out of
a solution to HumanEval in Python, Java or JavaScript, and the exact line wanted.

The data is bigcode/santacoder-fim-task (4,792 rows). Settings and comparison are those of the
paper's Table 5, by the suite of Qwen2.5-Coder (qwencoder-eval/base/benchmarks/fim-bench/hm_fim/
humaneval_fim.py and utils.py): 2048 tokens in all, 512 after the gap, replies of 64, greedy. Of a
reply the first line counts, or the second where the first is empty or one space; both ends of it
and of the answer are stripped. BigCode's own harness (bigcode_eval/tasks/santacoder_fim.py)
compares the whole reply with the answer, white space and all: its numbers are not these.

The headline is the exact match over all problems, so that each language counts as many times as it
has problems: Table 5's weighted average. Then edit similarity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from evals.bench import Bench, Style
from evals.data import DataFile, Hub, Source, digests
from evals.infilling.asking import Gap, ask, middle, stops
from evals.infilling.budget import Cutter
from evals.infilling.matching import Marks, MatchTests
from evals.infilling.similarity import indel_ratio, ratio
from evals.problem import Problem, Score
from evals.scores import mean_score
from sandbox import Program, Verdict
from seedcoder.completion import Request, Sampling
from seedcoder.errors import UsageError

if TYPE_CHECKING:
    from evals.tally import Answer

Language = Literal["python", "java", "javascript"]

SOURCE: Final = Source(
    bench="santacoder-fim",
    folder="santacoder-fim-task",
    file="train.jsonl",
    hub=Hub(repo="bigcode/santacoder-fim-task", split="train"),
    get="pip install datasets and let it fetch bigcode/santacoder-fim-task, or save that data set "
    "as JSON lines",
)
_COLUMNS: Final = ("name", "language", "prompt", "suffix", "canonical_solution")
_NAMES: Final[Mapping[str, Language]] = {"py": "python", "java": "java", "js": "javascript"}
_TITLES: Final[Mapping[str, str]] = {
    "python": "Python",
    "java": "Java",
    "javascript": "JavaScript",
}
_MAX_SEQ_TOKENS: Final = 2048
_RIGHT_TOKENS: Final = 512
_REPLY_TOKENS: Final = 64


class SantaCoderFim(Bench):
    """The benchmark. See the module's words."""

    name = "santacoder-fim"
    version = "bigcode/santacoder-fim-task 2023-04"
    licence = "OpenRAIL"

    def __init__(
        self,
        *,
        data: DataFile,
        languages: Sequence[Language] = ("python", "java", "javascript"),
        tokenizer: str | None = None,
    ) -> None:
        """Take the rows of those languages from `data`."""
        self._data = data
        self._languages = tuple(languages)
        self._cutter = Cutter(tokenizer)

    @cached_property
    def _problems(self) -> tuple[Problem, ...]:
        found = []
        for number, row in enumerate(self._data.rows(needs=_COLUMNS), start=1):
            language = _NAMES.get(row["language"])
            if language is None:
                raise UsageError(
                    f"{self.name}: {self._data.path}, row {number}: language must be "
                    f"{', '.join(_NAMES)}, not {row['language']!r}"
                )
            if language in self._languages:
                found.append(_problem(row, number, language))
        return tuple(found)

    @property
    def data_sha256(self) -> Mapping[str, str]:
        """The digest of the rows as they were had."""
        return digests(self._data)

    def problems(self) -> Sequence[Problem]:
        """Return the problems in the data's order. MachineLacks where there is no data."""
        return self._problems

    def request(self, problem: Problem, style: Style) -> Request:
        """Return what the model is asked."""
        sees_after = style.protocol == "chat" or style.fim is not None
        room = _MAX_SEQ_TOKENS - _REPLY_TOKENS - sees_after * _RIGHT_TOKENS
        language = problem.tests["language"]
        gap = Gap(
            before=self._cutter.last(problem.prompt, room),
            after=self._cutter.first(problem.tests["after"], _RIGHT_TOKENS),
            language=(_TITLES[language], language),
        )
        return ask(problem.key, gap, style)

    def sampling(self, style: Style) -> Sampling:
        """Return upstream's sampling: greedy, 64 tokens, no stop but the model's own."""
        return Sampling(
            max_tokens=_REPLY_TOKENS,
            stop=stops(style),
            stop_after_fence=style.protocol == "chat",
        )

    def program(self, problem: Problem, text: str, style: Style) -> Program:
        """Return the reply as it is compared; what is blank is no answer."""
        written = middle(text, style)
        return Program(language="text", source=written if written.strip() else "")

    def tests(self, problem: Problem) -> MatchTests:
        """Return the exact match with the line that was taken out."""
        return MatchTests(grader=partial(marks, gold=problem.canonical))

    def canonical(self, problem: Problem) -> Program:
        """Return the line that was taken out."""
        return Program(language="text", source=problem.canonical)

    def broken(self, problem: Problem) -> Program:
        """Return that line with another word before it."""
        return Program(language="text", source="wrong_" + problem.canonical.lstrip())

    def values(self, problem: Problem, program: Program, verdict: Verdict) -> Mapping[str, float]:
        """Return edit similarity."""
        return marks(program.source, problem.canonical).numbers

    def ballot(self, answer: Answer) -> str | None:
        """Return the line that an answer votes for."""
        return line(answer.program) or None

    def scores(self, answers: Sequence[Answer], ks: Sequence[int], *, seed: int = 0) -> list[Score]:
        """Return exact match and edit similarity, over all problems. `ks` has no meaning here."""
        measures = {"EM": "", "ES": "es", "ES (python-Levenshtein)": "es_indel"}
        found = (
            mean_score(metric, answers, partial(_value, name=name), seed=seed)
            for metric, name in measures.items()
        )
        return [score for score in found if score]


def santacoder_fim(
    *,
    path: Path | None = None,
    languages: tuple[Language, ...] = ("python", "java", "javascript"),
    tokenizer: str | None = None,
) -> SantaCoderFim:
    """Return the benchmark.

    path: of the data set's rows as JSON lines. tokenizer: of the model, for cutting contexts.
    """
    return SantaCoderFim(data=DataFile(SOURCE, path), languages=languages, tokenizer=tokenizer)


def line(text: str) -> str:
    """Return the line that counts of a reply: the first, or the second behind an empty one."""
    lines = text.split("\n")
    behind = len(lines) > 1 and lines[0] in ("", " ")
    return lines[1 if behind else 0].strip()


def marks(text: str, gold: str) -> Marks:
    """Return the marks of a reply."""
    written, gold = line(text), gold.strip()
    return Marks(
        written=written,
        gold=gold,
        exact=written == gold,
        numbers={"es": ratio(written, gold), "es_indel": indel_ratio(written, gold)},
    )


def _value(answer: Answer, *, name: str) -> float | None:
    if not name:
        return float(bool(answer.verdict and answer.verdict.ok))
    return answer.values.get(name)


def _problem(row: Mapping[str, Any], number: int, language: Language) -> Problem:
    return Problem(
        # Names are those of HumanEval's problems: several lines of one are rows of one name.
        key=f"{row['language']}/{row['name']}/{number}",
        prompt=row["prompt"],
        entry_point="",
        tests={"after": row["suffix"], "language": language},
        canonical=row["canonical_solution"],
        tags=(f"language:{language}",),
        date="2021-07-07",  # of HumanEval, whose solutions these are
        language="text",
    )
