"""From the rows of a run to its scores. Pure: the order in which rows were written cannot matter.

Rows
    {"kind": "sample", ...Sample}                         an answer, as the model gave it
    {"kind": "verdict", "key", "program", "verdict", "values"}
                                                          what was judged of it, how it came out,
                                                          and what else was measured
    {"kind": "error", "key", "stage", "error"}            what went wrong on our side
A regrade writes its verdicts as "verdict-2", "verdict-3"...; the manifest's `grading` says which
count, so that a regrade that was killed half-way changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evals.problem import Problem, Sample, Score, sample_key
from evals.scores import by_tag
from evals.thinking import Thinking, thinking
from sandbox import Kind, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is known of one planned sample.

    program: the source taken out of the reply; "" when it held no code.
    values: what the benchmark measured besides the verdict.
    error: our failure, when there is no verdict for it; "" while it was not tried.
    """

    key: str
    problem: str
    n: int
    sample: Sample | None = None
    program: str = ""
    verdict: Verdict | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    stage: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """A run in figures. answers: all that were planned, in the benchmark's order.

    parts: the first score of the problems under each tag. thinking: what of the replies was
    thought, None where none was.
    """

    answers: Sequence[Answer]
    scores: Sequence[Score]
    parts: Mapping[str, Score] = field(default_factory=dict)
    thinking: Thinking | None = None

    @property
    def kinds(self) -> dict[Kind, int]:
        """Each kind of verdict that came up, most severe last, and how often."""
        found = Counter(answer.verdict.kind for answer in self.answers if answer.verdict)
        return {kind: found[kind] for kind in Kind if found[kind]}

    @property
    def judged(self) -> int:
        """Samples that have a verdict."""
        return sum(answer.verdict is not None for answer in self.answers)

    @property
    def errors(self) -> list[Answer]:
        """Samples lost to a failure of ours."""
        return [answer for answer in self.answers if answer.verdict is None and answer.error]

    @property
    def shared(self) -> int:
        """Samples judged in the weaker mode, test code beside the candidate."""
        return sum(answer.verdict.mode == "shared" for answer in self.answers if answer.verdict)

    @property
    def cut(self) -> int:
        """Replies that reached max_tokens."""
        return sum(answer.sample.finish == "length" for answer in self.answers if answer.sample)

    @property
    def overflows(self) -> int:
        """Prompts that did not fit the model's context: no reply, and no failure of ours."""
        return sum(answer.sample.finish == "overflow" for answer in self.answers if answer.sample)

    @property
    def tokens(self) -> int:
        """Tokens of all replies, as the model counts them."""
        return sum(answer.sample.tokens for answer in self.answers if answer.sample)

    @property
    def prompt_tokens(self) -> int:
        """Tokens of all prompts, each counted for every sample of it."""
        return sum(answer.sample.prompt_tokens for answer in self.answers if answer.sample)

    def summary(self) -> dict[str, Any]:
        """Return the figures for summary.json."""
        stages = Counter(answer.stage for answer in self.errors)
        return {
            "scores": [score.to_json() for score in self.scores],
            "parts": {tag: score.to_json() for tag, score in self.parts.items()},
            "planned": len(self.answers),
            "judged": self.judged,
            "kinds": {kind.value: count for kind, count in self.kinds.items()},
            "shared": self.shared,
            "cut": self.cut,
            "overflows": self.overflows,
            "thinking": self.thinking.to_json() if self.thinking else None,
            "tokens": self.tokens,
            "prompt_tokens": self.prompt_tokens,
            "errors": {stage: stages[stage] for stage in sorted(stages)},
        }


def verdict_kind(grading: int) -> str:
    """Return the kind of the verdict rows of a grading, counted from 1."""
    return "verdict" if grading == 1 else f"verdict-{grading}"


def read_answers(
    rows: Iterable[Mapping[str, Any]], problems: Sequence[Problem], samples: int, grading: int
) -> list[Answer]:
    """Return what the rows say of each planned sample, in the benchmark's order."""
    by_kind: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        by_kind.setdefault(row["kind"], {})[row["key"]] = row
    had = by_kind.get("sample", {})
    judged = by_kind.get(verdict_kind(grading), {})
    failed = by_kind.get("error", {})
    answers = []
    for problem in problems:
        for n in range(samples):
            key = sample_key(problem.key, n)
            sample, verdict, error = had.get(key), judged.get(key), failed.get(key)
            # A failure counts until what failed has been had: the reply, or the verdict on it.
            stage = "sandbox" if sample else "model"
            counts = error is not None and verdict is None and error["stage"] == stage
            answers.append(
                Answer(
                    key=key,
                    problem=problem.key,
                    n=n,
                    sample=Sample.from_json(sample) if sample else None,
                    program=verdict["program"] if verdict else "",
                    verdict=Verdict.from_json(verdict["verdict"]) if verdict else None,
                    values=verdict.get("values", {}) if verdict else {},
                    stage=stage if counts else "",
                    error=error["error"] if error and counts else "",
                )
            )
    return answers


def tally(
    answers: Sequence[Answer],
    problems: Sequence[Problem],
    scored: Callable[[Sequence[Answer]], list[Score]],
    *,
    think: Sequence[str] = (),
) -> Tally:
    """Return the figures of a run; `scored` makes scores of answers, as `Bench.scores` does.

    think: the tags around a model's thought, for measuring it.
    """
    return Tally(
        answers=tuple(answers),
        scores=scored(answers),
        parts=by_tag(answers, problems, scored),
        thinking=thinking([answer.sample for answer in answers if answer.sample], think),
    )
