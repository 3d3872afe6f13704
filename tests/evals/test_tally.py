"""From rows to scores, in whatever order the rows were written."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.problem import Problem, sample_key
from evals.scores import pass_scores
from evals.tally import Tally, read_answers, tally, verdict_kind
from sandbox import Kind, Verdict

PROBLEMS = [
    Problem(key=f"P/{i}", prompt="", entry_point="f", tests={}, canonical="") for i in range(4)
]


def _sample(key: str, n: int = 0, finish: str = "stop") -> dict[str, Any]:
    return {
        "kind": "sample",
        "key": sample_key(key, n),
        "problem": key,
        "n": n,
        "text": "x",
        "finish": finish,
        "tokens": 5,
    }


def _verdict(
    key: str, n: int = 0, kind: Kind = Kind.PASSED, grading: int = 1, mode: str = "proxy"
) -> dict[str, Any]:
    verdict = Verdict(
        kind=kind,
        passed=int(kind is Kind.PASSED),
        total=1,
        first_failure=None,
        outcomes=(),
        mode=mode,
    )
    return {
        "kind": verdict_kind(grading),
        "key": sample_key(key, n),
        "program": "x",
        "verdict": verdict.to_json(),
    }


def _error(key: str, n: int = 0, stage: str = "model") -> dict[str, Any]:
    return {"kind": "error", "key": sample_key(key, n), "stage": stage, "error": f"no {stage}"}


ROWS = [
    _sample("P/0"),
    _verdict("P/0"),
    _sample("P/1", finish="length"),
    _verdict("P/1", kind=Kind.TIMEOUT),
    _error("P/2"),
    _sample("P/3"),
    _error("P/3", stage="sandbox"),
]


def _tally(
    rows: list[dict[str, Any]],
    problems: Sequence[Problem],
    samples: int,
    grading: int,
    ks: list[int],
) -> Tally:
    answers = read_answers(rows, problems, samples, grading)
    return tally(answers, problems, lambda some: pass_scores(some, ks))


def test_what_was_lost_is_counted_apart_and_not_in_the_score() -> None:
    found = _tally(ROWS, PROBLEMS, 1, 1, ks=[1])
    assert found.scores[0].value == 0.5
    assert (found.scores[0].problems, found.scores[0].left_out) == (2, 2)
    assert found.judged == 2
    assert found.kinds == {Kind.PASSED: 1, Kind.TIMEOUT: 1}
    assert [(a.key, a.stage) for a in found.errors] == [("P/2#0", "model"), ("P/3#0", "sandbox")]
    assert (found.cut, found.tokens) == (1, 15)
    assert found.summary()["errors"] == {"model": 1, "sandbox": 1}


@given(st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(rng: random.Random) -> None:
    rows = list(ROWS)
    rng.shuffle(rows)
    assert read_answers(rows, PROBLEMS, 1, 1) == read_answers(ROWS, PROBLEMS, 1, 1)


def test_a_failure_is_forgotten_once_the_sample_has_been_had_and_judged() -> None:
    rows = [*ROWS, _sample("P/2"), _verdict("P/2"), _verdict("P/3", kind=Kind.WRONG)]
    found = _tally(rows, PROBLEMS, 1, 1, ks=[1])
    assert found.errors == []
    assert found.scores[0].value == 0.5
    half = [*ROWS, _sample("P/2")]  # asked again, not judged yet
    assert [a.key for a in _tally(half, PROBLEMS, 1, 1, ks=[1]).errors] == ["P/3#0"]


def test_only_the_verdicts_of_the_grading_that_counts_are_read() -> None:
    rows = [*ROWS, _verdict("P/0", kind=Kind.WRONG, grading=2)]
    assert _tally(rows, PROBLEMS, 1, 1, ks=[1]).scores[0].value == 0.5
    assert _tally(rows, PROBLEMS, 1, 2, ks=[1]).scores[0].value == 0.0


def test_several_samples_make_pass_at_k_by_problem() -> None:
    rows = [
        row
        for n in range(4)
        for row in (
            _sample("P/0", n),
            _verdict("P/0", n, Kind.PASSED if n < 1 else Kind.WRONG),
            _sample("P/1", n),
            _verdict("P/1", n, Kind.WRONG, mode="shared"),
        )
    ]
    found = _tally(rows, PROBLEMS[:2], 4, 1, ks=[1, 2, 4])
    assert [score.metric for score in found.scores] == ["pass@1", "pass@2", "pass@4"]
    assert [score.value for score in found.scores] == pytest.approx([0.125, 0.25, 0.5])
    assert found.scores[0].problems == 2
    assert found.shared == 4


def test_a_run_without_a_single_verdict_has_no_score() -> None:
    found = _tally([_error("P/0")], PROBLEMS, 1, 1, ks=[1])
    assert list(found.scores) == []
    assert found.judged == 0
