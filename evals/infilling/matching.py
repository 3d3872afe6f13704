"""Answers that are compared as text: the verdict, and the figures over groups of problems."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Final

from evals.problem import Score
from evals.stats import bootstrap
from sandbox import Failure, Kind, Verdict

if TYPE_CHECKING:
    from evals.tally import Answer

_SHOWN_CHARS: Final = 400
# Ours: a set of ten thousand problems has a narrow interval, and takes long to draw from.
_MANY_PROBLEMS: Final = 2000
_RESAMPLES, _RESAMPLES_OF_MANY = 5000, 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What a grader found. written, gold: what it compared, after its cutting.

    exact: its exact match. numbers: what else it measures, by name, shares of 1.
    """

    written: str
    gold: str
    exact: bool
    numbers: Mapping[str, float]


Grader = Callable[[str], Marks]


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchTests:
    """Text tests that pass what a grader calls an exact match."""

    grader: Grader

    def judge(self, text: str) -> Verdict:
        """Return the verdict; no text at all is `no_code`."""
        marks = self.grader(text)
        failure = Failure(
            index=0,
            test="exact match",
            expected=_short(marks.gold),
            got=_short(marks.written),
            reason="another text",
        )
        kind = Kind.PASSED if marks.exact else Kind.WRONG if text.strip() else Kind.NO_CODE
        return Verdict(
            kind=kind,
            passed=int(marks.exact),
            total=1,
            first_failure=None if marks.exact else failure,
            outcomes=(),
            mode="text",
        )


def mean_of_groups(
    metric: str,
    answers: Sequence[Answer],
    value: Callable[[Answer], float | None],
    group: Callable[[Answer], str],
    *,
    seed: int = 0,
) -> Score | None:
    """Return the mean of the groups' means, as tables with a column a language average them.

    Each group counts alike, however many problems it has. value: of a judged answer, a share.
    The interval is a bootstrap over all problems, weighted so; there is none of Wilson's. None
    when no answer has a value.
    """
    samples: dict[str, list[float]] = {}
    groups: dict[str, str] = {}
    for answer in answers:
        found = samples.setdefault(answer.problem, [])
        groups[answer.problem] = group(answer)
        if answer.verdict and (number := value(answer)) is not None:
            found.append(number)
    means = {problem: fmean(found) for problem, found in samples.items() if found}
    if not means:
        return None
    sizes: dict[str, int] = {}
    for problem in means:
        sizes[groups[problem]] = sizes.get(groups[problem], 0) + 1
    weighted = [
        mean * len(means) / (len(sizes) * sizes[groups[problem]]) for problem, mean in means.items()
    ]
    return Score(
        metric=metric,
        value=sum(weighted) / len(weighted),
        wilson=None,
        bootstrap=bootstrap(
            weighted,
            seed=seed,
            resamples=_RESAMPLES if len(weighted) <= _MANY_PROBLEMS else _RESAMPLES_OF_MANY,
        ),
        problems=len(means),
        left_out=len(samples) - len(means),
    )


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "..."
