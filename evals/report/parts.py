"""A run's score by what its problems belong to: tags, pairs of tags, months."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from evals.problem import Problem, Score
from evals.report.words import WORDS
from evals.stats import wilson
from evals.tally import Answer
from sandbox import Kind
from seedcoder import report
from seedcoder.report import Heat, Html

# Kinds of tags that are the two sides of a grid: what stands left, what stands on top.
_GRIDS: Final = (("depth", "length"),)
_MOST_CELLS: Final = 40
_PASSES: Final = "Percent of the samples that pass."


def parts_table(parts: Mapping[str, Score]) -> Html:
    """Return the first score of each tag, with its interval drawn."""
    several = len({_kind_of(tag) for tag in parts}) > 1
    columns = [
        report.Column(title="Kind", choose=True),
        report.Column(title="Part", align="left"),
        report.Column(title="Problems"),
        report.Column(title="Score", high_first=True),
        report.Column(title="95% interval"),
        report.Column(title="", align="left"),
    ]
    span = _span(list(parts.values()))
    rows = []
    by_place = sorted(parts, key=lambda tag: (_kind_of(tag), _number(_name_of(tag)), tag))
    for tag in by_place:
        score = parts[tag]
        low, high = map(score.words, score.interval)
        bounds = min(score.interval[0], score.value), max(score.interval[1], score.value)
        cells: list[report.Content | report.Cell] = [
            _kind_of(tag),
            report.Cell(content=_name_of(tag), sort=_number(_name_of(tag))),
            score.problems,
            report.Cell(content=score.words(), sort=score.value),
            f"{low} to {high}",
            report.spark(score.value, *bounds, span=span, said=f"{tag} {score.words()}"),
        ]
        rows.append(report.Row(cells=cells if several else cells[1:]))
    return report.table(columns if several else columns[1:], rows, name="parts")


def grids(answers: Sequence[Answer], problems: Sequence[Problem]) -> list[tuple[str, Html, str]]:
    """Return heat maps, each with its heading and a note: pairs of tags that make a grid, and
    languages by kind of verdict; none where the problems have neither."""
    tags = {problem.key: dict(map(_split, problem.tags)) for problem in problems}
    judged = [answer for answer in answers if answer.verdict]
    found = []
    for left, top in _GRIDS:
        cells: dict[tuple[str, str], list[bool]] = {}
        for answer in judged:
            own = tags[answer.problem]
            if left in own and top in own and answer.verdict:
                cells.setdefault((own[left], own[top]), []).append(answer.verdict.ok)
        if len(cells) > 1:
            found.append((f"{left.capitalize()} by {top}", _shares(cells, left, top), _PASSES))
    languages = _languages(judged, problems)
    if languages:
        found.append(("Languages", languages, "Share of each language's samples."))
    return found


def months(answers: Sequence[Answer], problems: Sequence[Problem]) -> Html | None:
    """Return the pass rate by the month in which problems became public; None for fewer than two.

    A drop after a model's training data ends is what contamination looks like.
    """
    dates = {problem.key: problem.date[:7] for problem in problems if problem.date}
    passes: dict[str, dict[str, list[bool]]] = {}
    for answer in answers:
        if answer.verdict and answer.problem in dates:
            own = passes.setdefault(dates[answer.problem], {})
            own.setdefault(answer.problem, []).append(answer.verdict.ok)
    if len(passes) < 2:
        return None
    points = []
    for month in sorted(passes):
        rates = [sum(found) / len(found) for found in passes[month].values()]
        low, high = wilson(sum(rates), len(rates))
        value = sum(rates) / len(rates)
        points.append(
            report.Point(
                label=month,
                value=value,
                low=min(low, value),
                high=max(high, value),
                note=f"{len(rates)} problems",
            )
        )
    return report.panel("Share of samples that pass", report.trend(points))


def _shares(cells: Mapping[tuple[str, str], Sequence[bool]], left: str, top: str) -> Html:
    rows = sorted({row for row, _ in cells}, key=_number)[:_MOST_CELLS]
    columns = sorted({column for _, column in cells}, key=_number)[:_MOST_CELLS]
    heats = {
        place: Heat(
            value=sum(passes) / len(passes),
            text=f"{100 * sum(passes) / len(passes):.0f}",
            note=f"{left} {place[0]}, {top} {place[1]}: {sum(passes)} of {len(passes)} pass",
        )
        for place, passes in cells.items()
    }
    label = f"Share in percent of samples that pass, {left} by {top}"
    return report.heat_map(rows, columns, heats, corner=f"{left} ↓  {top} →", label=label)


def _languages(judged: Sequence[Answer], problems: Sequence[Problem]) -> Html | None:
    language = {problem.key: problem.language for problem in problems}
    counts = Counter(
        (language[answer.problem], answer.verdict.kind) for answer in judged if answer.verdict
    )
    names = sorted({name for name, _ in counts})
    if len(names) < 2:
        return None
    kinds = [kind for kind in Kind if any(found is kind for _, found in counts)]
    whole = Counter(language[answer.problem] for answer in judged)
    heats = {
        (name, WORDS[kind]): Heat(
            value=count / whole[name],
            text=f"{100 * count / whole[name]:.0f}%",
            note=f"{name}, {WORDS[kind]}: {count} of {whole[name]}",
        )
        for (name, kind), count in counts.items()
    }
    return report.heat_map(
        names[:_MOST_CELLS],
        [WORDS[kind] for kind in kinds],
        heats,
        corner="language ↓  verdict →",
        label="Share of each kind of verdict by language",
    )


def _span(scores: Sequence[Score]) -> tuple[float, float]:
    if all(score.unit == "share" for score in scores):
        return 0.0, 1.0
    low = min(0.0, *(score.interval[0] for score in scores))
    high = max(score.interval[1] for score in scores)
    return low, high if high > low else low + 1.0


def _split(tag: str) -> tuple[str, str]:
    return _kind_of(tag), _name_of(tag)


def _kind_of(tag: str) -> str:
    return tag.partition(":")[0] if ":" in tag else "tag"


def _name_of(tag: str) -> str:
    return tag.partition(":")[2] if ":" in tag else tag


def _number(text: str) -> float:
    """Return the first number in a text, a K behind it as a thousand; texts without one last."""
    found = re.search(r"\d+(?:\.\d+)?", text)
    if not found:
        return float("inf")
    thousand = text[found.end() : found.end() + 1] in ("k", "K")
    return float(found.group()) * (1000 if thousand else 1)
