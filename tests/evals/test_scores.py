"""Means, majority votes and parts, from answers that are written here."""

from __future__ import annotations

import pytest

from evals.plain import plain
from evals.problem import Problem
from evals.scores import by_tag, language_mean, majority_score, mean_score, pass_scores
from evals.tally import Answer
from sandbox import Kind, Verdict


def _answer(problem: str, n: int, ok: bool | None, program: str = "x", **values: float) -> Answer:
    verdict = None
    if ok is not None:
        kind = Kind.PASSED if ok else Kind.WRONG
        verdict = Verdict(
            kind=kind, passed=int(ok), total=1, first_failure=None, outcomes=(), mode="calls"
        )
    return Answer(
        key=f"{problem}#{n}",
        problem=problem,
        n=n,
        program=program,
        verdict=verdict,
        values=values,
    )


def test_a_mean_is_over_problems_and_leaves_out_those_without_a_value() -> None:
    answers = [
        _answer("a", 0, False, es=0.5),
        _answer("a", 1, True, es=1.0),
        _answer("b", 0, False, es=0.25),
        _answer("c", 0, None),
    ]
    score = mean_score("edit similarity", answers, lambda answer: answer.values.get("es"))
    assert score is not None
    assert (score.value, score.problems, score.left_out) == (0.5, 2, 1)
    assert score.wilson is not None and score.wilson[0] < 0.5 < score.wilson[1]
    points = mean_score("points", answers, lambda answer: 40.0, unit="points")
    assert points is not None and points.wilson is None and points.words() == "40.0 points"
    assert mean_score("none", answers, lambda answer: None) is None


def test_each_language_counts_the_same_however_many_problems_it_has() -> None:
    def problem(key: str, language: str) -> Problem:
        return Problem(key=key, prompt="", entry_point="f", tests={}, language=language)

    problems = [problem(key, "java") for key in "abc"] + [problem("d", "go")]
    answers = [
        *(_answer(key, 0, ok) for key, ok in (("a", True), ("b", False), ("c", False))),
        _answer("d", 0, True),
    ]
    score = language_mean(answers, problems, 1)
    assert score is not None
    assert score.metric == "mean of 2 languages"
    assert score.value == pytest.approx((1 / 3 + 1) / 2)
    assert pass_scores(answers, [1])[0].value == 0.5  # over problems it is another figure
    assert score.bootstrap[0] == pytest.approx(0.5)  # go's only problem is always drawn
    assert language_mean(answers[:3], problems, 1) is None
    assert language_mean(answers, problems, 2) is None


def test_the_most_frequent_answer_is_the_one_that_counts() -> None:
    answers = [
        _answer("a", 0, False, "return 1"),
        _answer("a", 1, True, "return 2"),
        _answer("a", 2, True, "return 2  # sure"),
        _answer("b", 0, True, "return 3"),
        _answer("b", 1, False, "return 4"),
        _answer("b", 2, False, "return 4"),
        _answer("c", 0, False, ""),
        _answer("d", 0, None),
    ]
    score = majority_score(answers, lambda answer: plain(answer.program))
    assert score is not None
    assert (score.metric, score.value, score.problems, score.left_out) == ("maj@3", 1 / 3, 3, 1)
    assert pass_scores(answers, [1])[0].value == pytest.approx((2 / 3 + 1 / 3 + 0) / 3)


def test_of_answers_as_frequent_the_earliest_counts() -> None:
    first_right = [_answer("a", 0, True, "p = 1"), _answer("a", 1, False, "p = 2")]
    first_wrong = [_answer("a", 0, False, "p = 2"), _answer("a", 1, True, "p = 1")]
    for answers, value in ((first_right, 1.0), (first_wrong, 0.0)):
        score = majority_score(answers, lambda answer: plain(answer.program))
        assert score is not None and score.value == value


def test_parts_are_the_tags_that_not_all_problems_bear() -> None:
    problems = [
        Problem(
            key=key, prompt="", entry_point="", tests={}, tags=("all:x", f"language:{language}")
        )
        for key, language in (("a", "java"), ("b", "go"), ("c", "java"))
    ]
    answers = [_answer("a", 0, True), _answer("b", 0, False), _answer("c", 0, False)]
    parts = by_tag(answers, problems, lambda some: pass_scores(some, [1]))
    assert {tag: (score.value, score.problems) for tag, score in parts.items()} == {
        "language:go": (0.0, 1),
        "language:java": (0.5, 2),
    }


def test_layout_and_comments_are_not_votes() -> None:
    assert plain("x = 1 # one\n") == plain("x=1")
    assert plain("x = 1") != plain("x = 2")
    assert plain("int  main( ) { }") == plain("int main( ) {\n}")
    assert plain(" \n") is None
