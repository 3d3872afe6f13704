"""The parts of a run's page that only some benchmarks have, from answers made up by hand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from evals.cost import cost
from evals.humaneval import HumanEval
from evals.problem import Problem, Sample, Score
from evals.report import render
from evals.report.fate import path
from evals.report.parts import grids, months, parts_table
from evals.report.spread import distributions
from evals.result import Result
from evals.scores import mean_score, pass_scores
from evals.tally import Answer, tally
from sandbox import Kind, Verdict


def verdict(kind: Kind) -> Verdict:
    return Verdict(kind=kind, passed=0, total=1, first_failure=None, outcomes=(), mode="text")


def problem(key: str, *tags: str, date: str | None = None, language: str = "python") -> Problem:
    return Problem(
        key=key, prompt="p", entry_point="", tests={}, tags=tags, date=date, language=language
    )


def answer(key: str, kind: Kind | None, finish: str = "stop", **keys: object) -> Answer:
    sample = Sample(key=f"{key}#0", problem=key, n=0, text="<think>h</think>x", finish=finish)  # type: ignore[arg-type]
    said = {"sample": sample, "verdict": kind and verdict(kind), **keys}
    return Answer(key=f"{key}#0", problem=key, n=0, **said)  # type: ignore[arg-type]


def test_lengths_by_depths_become_a_heat_map_in_the_order_of_their_numbers() -> None:
    problems = [
        problem(f"{length}/{depth}", f"length:{length}", f"depth:{depth}")
        for length in ("16K", "1K", "512")
        for depth in ("100", "0", "50")
    ]
    answers = [
        answer(one.key, Kind.WRONG if one.key == "16K/50" else Kind.PASSED) for one in problems
    ]
    ((heading, drawn, _),) = grids(answers, problems)
    assert heading == "Depth by length"
    assert re.findall(r'scope="col">(\w+)<', drawn) == ["512", "1K", "16K"]
    assert re.findall(r'scope="row">(\w+)<', drawn) == ["0", "50", "100"]
    assert re.findall(r'title="([^"]*0 of 1 pass)"', drawn) == ["depth 50, length 16K: 0 of 1 pass"]


def test_languages_by_kinds_are_shown_only_where_there_are_several_languages() -> None:
    problems = [problem("a"), problem("b", language="java"), problem("c", language="java")]
    answers = [answer("a", Kind.PASSED), answer("b", Kind.TIMEOUT), answer("c", Kind.PASSED)]
    ((heading, drawn, _),) = grids(answers, problems)
    assert heading == "Languages"
    assert "java, time-out: 1 of 2" in drawn
    assert grids(answers[:1], problems[:1]) == []


def test_months_are_in_order_and_one_alone_is_no_trend() -> None:
    problems = [
        problem("a", date="2024-11-03"),
        problem("b", date="2024-02-01"),
        problem("c", date="2024-02-28"),
    ]
    answers = [answer("a", Kind.WRONG), answer("b", Kind.PASSED), answer("c", Kind.WRONG)]
    drawn = months(answers, problems)
    assert drawn is not None
    assert drawn.index("2024-02: 50%") < drawn.index("2024-11: 0%")
    assert "2 problems" in drawn
    assert months(answers[1:], problems) is None


def test_parts_are_sorted_by_kind_and_number_with_their_intervals() -> None:
    scores = {
        tag: Score(metric="m", value=0.5, wilson=(0.2, 0.8), bootstrap=(0.1, 0.9), problems=4)
        for tag in ("length:16K", "length:4K", "language:java")
    }
    drawn = parts_table(scores)
    places = [drawn.index(f">{name}<") for name in ("java", "4K", "16K")]
    assert places == sorted(places)
    assert "20.0% to 80.0%" in drawn
    assert drawn.count('class="spark') == 3


def test_values_are_drawn_by_name_and_whole_numbers_get_a_bar_each() -> None:
    answers = [
        answer(str(n), Kind.PASSED, values={"lines": n % 3, "edit": n / 10}) for n in range(10)
    ]
    drawn = dict(zip(("lines", "edit"), distributions(answers), strict=True))
    assert drawn["lines"].count("<rect") == 3
    assert "mean 0.450" in drawn["edit"]
    assert distributions([answer("a", Kind.PASSED)]) == []


def test_every_answer_comes_to_one_end() -> None:
    def labels(one: Answer) -> list[str]:
        return [step.label for step in path(one)][1:]

    assert labels(answer("a", Kind.PASSED)) == ["replied", "code found", "passed"]
    assert labels(answer("a", Kind.NO_CODE, "length")) == ["cut at the most tokens", "no code"]
    assert labels(answer("a", Kind.NO_CODE, "overflow"))[0] == "prompt beyond the context"
    assert labels(answer("a", None, error="box broke")) == ["replied", "lost"]
    assert labels(Answer(key="a#0", problem="a", n=0, error="server gone")) == ["lost"]
    assert labels(Answer(key="a#0", problem="a", n=0)) == ["not tried"]


def test_a_page_shows_scores_that_are_no_shares_thinking_and_price() -> None:
    problems = [problem("a", "k:x"), problem("b", "k:y")]
    answers = [
        answer("a", Kind.PASSED, values={"points": 30}),
        answer("b", Kind.WRONG, values={"points": 0}),
    ]

    def scored(some: Sequence[Answer]) -> list[Score]:
        found = mean_score("mean", some, lambda a: a.values.get("points"), unit="points")
        return [*([found] if found else []), *pass_scores(some, [1])]

    figures = tally(answers, problems, scored, think=("<think>", "</think>"))
    manifest = {
        "recipe": {"bench": "x", "model": "hf:m", "protocol": "chat", "samples": 1},
        "model": "m",
    }
    price = {"prompt": 1.0, "reply": 1.0}
    page = render(
        Result(
            folder=Path("eval-x-000000000000"),
            status="complete",
            tally=figures,
            manifest=manifest,
            worked=True,
            changed={},
            cost=cost(figures, manifest, price),
        ),
        problems,
        HumanEval(),
    )
    assert "15.0 points" in page
    assert "50.0%" in page
    assert "2 replies" in page
    assert "$0.0000" in page
    assert "30.0 points" in page  # the part k:x
