"""Outcomes, verdicts and rewards survive JSON; rewards are what their names say."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import (
    Failure,
    Kind,
    Limits,
    Outcome,
    Program,
    Reward,
    StdioTests,
    SubtaskResult,
    Verdict,
)
from sandbox.box import LocalBox

texts = st.text(max_size=20)
numbers = st.floats(0, 1e6)
outcomes = st.builds(
    Outcome,
    kind=st.sampled_from(Kind),
    exit_code=st.none() | st.integers(0, 255),
    signal=st.none() | st.integers(1, 64),
    stdout=texts,
    stderr=texts,
    truncated=st.booleans(),
    cpu_s=numbers,
    wall_s=numbers,
    peak_mb=numbers,
    files=st.dictionaries(texts, st.binary(max_size=9), max_size=2),
)
failures = st.builds(
    Failure, index=st.integers(0, 99), test=texts, expected=texts, got=texts, reason=texts
)
subtasks = st.builds(
    SubtaskResult,
    name=texts,
    points=numbers,
    points_most=numbers,
    failed=st.none() | st.integers(0, 99),
    why=texts,
)
verdicts = st.builds(
    Verdict,
    kind=st.sampled_from(Kind),
    passed=st.integers(0, 5),
    total=st.integers(5, 9),
    first_failure=st.none() | failures,
    outcomes=st.lists(outcomes, max_size=3).map(tuple),
    mode=st.sampled_from(["stdio", "calls", "proxy", "shared"]),
    points=numbers,
    points_most=numbers,
    subtasks=st.lists(subtasks, max_size=2).map(tuple),
)
rewards = st.builds(
    Reward,
    value=numbers,
    parts=st.dictionaries(texts, numbers, max_size=3),
    verdict=st.none() | verdicts,
)


@given(outcomes)
def test_an_outcome_survives_json(outcome: Outcome) -> None:
    assert Outcome.from_json(json.loads(json.dumps(outcome.to_json()))) == outcome


@given(verdicts)
def test_a_verdict_survives_json(verdict: Verdict) -> None:
    assert Verdict.from_json(json.loads(json.dumps(verdict.to_json()))) == verdict


@given(verdicts)
def test_a_verdict_of_before_there_were_points_is_still_read(verdict: Verdict) -> None:
    data = verdict.to_json()
    for name in ("points", "points_most", "subtasks"):
        del data[name]
    old = Verdict.from_json(json.loads(json.dumps(data)))
    assert (old.points, old.points_most, old.subtasks) == (0.0, 0.0, ())
    assert old.outcomes == verdict.outcomes


@given(rewards)
def test_a_reward_survives_json(reward: Reward) -> None:
    assert Reward.from_json(json.loads(json.dumps(reward.to_json()))) == reward


def _verdict(kind: Kind, passed: int, total: int) -> Verdict:
    return Verdict(
        kind=kind, passed=passed, total=total, first_failure=None, outcomes=(), mode="calls"
    )


@pytest.mark.parametrize("kind", Kind)
def test_only_passed_is_worth_one(kind: Kind) -> None:
    verdict = _verdict(kind, 1, 2)
    assert verdict.ok is (kind is Kind.PASSED)
    assert Reward.all_or_nothing(verdict).value == float(kind is Kind.PASSED)


def test_a_fraction_is_the_share_of_tests_and_zero_without_any() -> None:
    assert Reward.fraction(_verdict(Kind.WRONG, 1, 4)).value == 0.25
    assert Reward.fraction(_verdict(Kind.NO_CODE, 0, 0)).value == 0.0
    assert Reward.fraction(_verdict(Kind.PASSED, 3, 3)).parts == {"tests": 1.0}


def test_a_real_verdict_survives_json(box: LocalBox, limits: Limits) -> None:
    tests = StdioTests.of(("1", "1"), ("2", "3"))
    for source in ("print(input())", "print('ž\\ud800')", "1 / 0", "def f(:", ""):
        verdict = box.judge(Program.python(source), tests, limits)
        text = json.dumps(verdict.to_json(), ensure_ascii=False)
        text.encode()  # it can be written to a file
        assert Verdict.from_json(json.loads(text)) == verdict
