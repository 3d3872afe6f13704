"""The values of a benchmark go through JSON and come back the same."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.problem import Problem, Sample, Score, sample_key
from seedcoder.completion import Completion

_TEXT = st.text(max_size=40)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)
_SHARE = st.floats(0, 1)


@pytest.mark.slow
@given(
    st.builds(
        Problem,
        key=st.text(min_size=1, max_size=20),
        prompt=_TEXT,
        entry_point=_TEXT,
        tests=st.dictionaries(_TEXT, _JSON, max_size=4),
        canonical=_TEXT,
        tags=st.lists(_TEXT, max_size=3).map(tuple),
        date=st.none() | st.dates().map(str),
    )
)
def test_a_problem_survives_json(problem: Problem) -> None:
    assert Problem.from_json(json.loads(json.dumps(problem.to_json()))) == problem


@given(
    st.builds(
        Sample,
        key=_TEXT,
        problem=_TEXT,
        n=st.integers(0, 10**6),
        text=st.text(st.characters(), max_size=40),
        finish=st.sampled_from(["stop", "length"]),
        tokens=st.integers(0),
        prompt_tokens=st.integers(0),
    )
)
def test_a_sample_survives_json_and_a_row_that_holds_more(sample: Sample) -> None:
    row = json.loads(json.dumps({"kind": "sample", **sample.to_json(), "seconds": 1}))
    assert Sample.from_json(row) == sample


@given(
    st.builds(
        Score,
        metric=_TEXT,
        value=_SHARE,
        wilson=st.tuples(_SHARE, _SHARE),
        bootstrap=st.tuples(_SHARE, _SHARE),
        problems=st.integers(0),
        left_out=st.integers(0),
    )
)
def test_a_score_survives_json(score: Score) -> None:
    assert Score.from_json(json.loads(json.dumps(score.to_json()))) == score


def test_a_sample_takes_its_key_from_the_problem_and_its_number() -> None:
    sample = Sample.of(Completion(key="HumanEval/7", n=2, text="x", finish="length", tokens=9))
    assert (sample.key, sample.problem, sample.n, sample.tokens) == (
        "HumanEval/7#2",
        "HumanEval/7",
        2,
        9,
    )
    assert sample.key == sample_key("HumanEval/7", 2)


def test_a_reply_that_was_never_had_is_no_sample() -> None:
    with pytest.raises(ValueError, match="error row"):
        Sample.of(Completion(key="a", text="", finish="error", error="connection lost"))
