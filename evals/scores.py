"""From judged answers to a benchmark's figures: pass@k, means of values, and the parts by tag.

Problems are what is counted: the samples of one problem are not independent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from evals.problem import Problem, Score
from evals.stats import bootstrap, grouped_bootstrap, pass_at_k, wilson

if TYPE_CHECKING:
    from evals.tally import Answer


def pass_scores(answers: Sequence[Answer], ks: Sequence[int], *, seed: int = 0) -> list[Score]:
    """Return pass@k for each k, over the problems that have k verdicts; of none, no score."""
    verdicts = _passes(answers)
    scores = (_pass_score(list(verdicts.values()), k, seed) for k in ks)
    return [score for score in scores if score]


def mean_score(
    metric: str,
    answers: Sequence[Answer],
    value: Callable[[Answer], float | None],
    *,
    seed: int = 0,
    unit: str = "share",
) -> Score | None:
    """Return the mean of `value` over problems (of each, the mean of its samples).

    value: of a judged answer; None leaves the answer out. unit: "share" for values within 0..1,
    which then have a Wilson interval too. None when no answer has a value.
    """
    found: dict[str, list[float]] = {}
    for answer in answers:
        values = found.setdefault(answer.problem, [])
        if answer.verdict and (number := value(answer)) is not None:
            values.append(number)
    means = [fmean(values) for values in found.values() if values]
    if not means:
        return None
    total = sum(means)
    return Score(
        metric=metric,
        value=total / len(means),
        wilson=wilson(min(max(total, 0.0), len(means)), len(means)) if unit == "share" else None,
        bootstrap=bootstrap(means, seed=seed),
        problems=len(means),
        left_out=len(found) - len(means),
        unit=unit,
    )


def scores_by_language(
    answers: Sequence[Answer], problems: Sequence[Problem], ks: Sequence[int], *, seed: int = 0
) -> list[Score]:
    """Return pass@k over all problems, and the mean of the languages as papers print it."""
    mean = language_mean(answers, problems, min(ks), seed=seed) if ks else None
    return [*pass_scores(answers, ks, seed=seed), *([mean] if mean else [])]


def language_mean(
    answers: Sequence[Answer], problems: Sequence[Problem], k: int, *, seed: int = 0
) -> Score | None:
    """Return the mean over languages of their pass@k, each language counting the same.

    The metric names how many there are ("mean of 13 languages"): over others it is another figure.
    None where fewer than two languages have a problem with k verdicts.
    """
    language = {problem.key: problem.language for problem in problems}
    verdicts = _passes(answers)
    groups: dict[str, list[float]] = {}
    for key, passes in verdicts.items():
        if len(passes) >= k:
            value = pass_at_k(len(passes), sum(passes), k)
            groups.setdefault(language[key], []).append(value)
    if len(groups) < 2:
        return None
    values = [groups[name] for name in sorted(groups)]
    counted = sum(map(len, values))
    return Score(
        metric=f"mean of {len(groups)} languages",
        value=fmean(map(fmean, values)),
        wilson=None,
        bootstrap=grouped_bootstrap(values, seed=seed),
        problems=counted,
        left_out=len(verdicts) - counted,
    )


def majority_score(
    answers: Sequence[Answer], ballot: Callable[[Answer], str | None], *, seed: int = 0
) -> Score | None:
    """Return the share of problems whose most frequent answer passes, over n samples each.

    ballot: what an answer votes for; None abstains. Of answers as frequent, the earliest counts.
    Problems with no verdict at all are left out; one where all abstain is not passed. None when no
    problem has a verdict.
    """
    found: dict[str, list[Answer]] = {}
    for answer in answers:
        judged = found.setdefault(answer.problem, [])
        if answer.verdict:
            judged.append(answer)
    passes = []
    for judged in found.values():
        votes: dict[str, list[Answer]] = {}
        for answer in judged:
            if (name := ballot(answer)) is not None:
                votes.setdefault(name, []).append(answer)
        if judged:
            winners = max(votes.values(), key=len, default=[])
            passes.append(float(bool(winners and winners[0].verdict and winners[0].verdict.ok)))
    if not passes:
        return None
    most = max(len(judged) for judged in found.values())
    return Score(
        metric=f"maj@{most}",
        value=sum(passes) / len(passes),
        wilson=wilson(sum(passes), len(passes)),
        bootstrap=bootstrap(passes, seed=seed),
        problems=len(passes),
        left_out=len(found) - len(passes),
    )


def by_tag(
    answers: Sequence[Answer],
    problems: Sequence[Problem],
    score: Callable[[Sequence[Answer]], Sequence[Score]],
) -> Mapping[str, Score]:
    """Return the first score of the problems under each tag ("language:java"), sorted by tag.

    Tags that all problems bear, and tags without a judged answer, are left out.
    """
    tags = {problem.key: problem.tags for problem in problems}
    groups: dict[str, list[Answer]] = {}
    for answer in answers:
        for tag in tags.get(answer.problem, ()):
            groups.setdefault(tag, []).append(answer)
    found = {}
    for tag in sorted(groups):
        if len(groups[tag]) < len(answers) and (scores := score(groups[tag])):
            found[tag] = scores[0]
    return found


def _passes(answers: Sequence[Answer]) -> dict[str, list[bool]]:
    """Return by problem which of its judged samples pass; a problem may have none."""
    found: dict[str, list[bool]] = {}
    for answer in answers:
        passes = found.setdefault(answer.problem, [])
        if answer.verdict:
            passes.append(answer.verdict.ok)
    return found


def _pass_score(verdicts: Sequence[Sequence[bool]], k: int, seed: int) -> Score | None:
    values = [pass_at_k(len(passes), sum(passes), k) for passes in verdicts if len(passes) >= k]
    if not values:
        return None
    successes = min(float(len(values)), sum(values))
    return Score(
        metric=f"pass@{k}",
        value=successes / len(values),
        wilson=wilson(successes, len(values)),
        bootstrap=bootstrap(values, seed=seed),
        problems=len(values),
        left_out=len(verdicts) - len(values),
    )
