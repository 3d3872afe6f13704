"""What a reward is made of."""

from __future__ import annotations

import dataclasses
import json
import math
import re

import pytest

from sandbox import Kind, Reward, Verdict
from sandbox.reward import Overlong, Scheme, ThinkAnswer, reward


def verdict(passed: int, total: int = 4, kind: Kind | None = None) -> Verdict:
    found = kind or (Kind.PASSED if passed == total else Kind.WRONG)
    return Verdict(
        kind=found, passed=passed, total=total, first_failure=None, outcomes=(), mode="stdio"
    )


def test_without_a_scheme_all_tests_or_nothing() -> None:
    assert reward(verdict(4)).value == 1.0
    assert reward(verdict(3)).value == 0.0
    assert reward(verdict(0, 4, Kind.NO_CODE)).parts == {"tests": 0.0}
    # Every test passed and a limit was still overrun: not a pass.
    assert reward(verdict(4, 4, Kind.TIMEOUT)).value == 0.0


def test_a_fraction_of_the_tests() -> None:
    scheme = Scheme(tests="fraction")
    assert [reward(verdict(n), scheme).value for n in range(5)] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert reward(verdict(0, 0, Kind.NO_CODE), scheme).value == 0.0


def test_points_where_a_verdict_has_them() -> None:
    scheme = Scheme(tests="points")
    assert reward(verdict(1), scheme).value == 0.25
    pointed = dataclasses.replace(verdict(1), points=30.0, points_most=40.0)
    assert reward(pointed, scheme).value == 0.75
    assert reward(pointed, Scheme(tests="fraction")).value == 0.25


def test_dapos_punishment_is_linear_between_its_bounds() -> None:
    overlong = Overlong(most=100, cache=40)
    wanted = {0: 0.0, 60: 0.0, 61: -0.025, 80: -0.5, 100: -1.0, 101: -1.0, 10**9: -1.0}
    assert {tokens: overlong(tokens) for tokens in wanted} == wanted
    for most, cache in ((100, 0), (100, 101), (0, 0)):
        with pytest.raises(ValueError, match="cache must be"):
            Overlong(most=most, cache=cache)


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        (
            ThinkAnswer(),
            ["<think>a</think><answer>b</answer>", " <think></think>\n<answer>b</answer>\n"],
            [
                "", "b", "<answer>b</answer>", "<think>a<answer>b</answer>",
                "<think>a</think><answer> </answer>", "x<think>a</think><answer>b</answer>",
                "<think>a</think>x<answer>b</answer>", "<think>a</think><answer>b</answer>x",
                "<think>a</think><think>a</think><answer>b</answer>",
                "</think>a<think><answer>b</answer>", "<answer>b</answer><think>a</think>",
                "<think><answer>b</answer></think>", "<THINK>a</THINK><answer>b</answer>",
            ],
        ),
        (
            ThinkAnswer(opened=True),
            ["a</think><answer>b</answer>"],
            ["<think>a</think><answer>b</answer>", "a<answer>b</answer>"],
        ),
        (
            ThinkAnswer(opened=True, bare=True),
            ["a</think>b", "</think>\n```python\nx\n```"],
            ["a</think>", "a", "a</think>b</think>c", "a</think><answer>b</answer>"],
        ),
        (r"(?s).*```python\n.*```", ["x ```python\ny\n```"], ["x ```python\ny\n``` z", "x"]),
        (re.compile("[a-z]+"), ["abc"], ["abc\n", "ABC"]),
        (lambda reply: len(reply) > 3, ["long"], ["no"]),
    ],
)  # fmt: skip
def test_a_form_is_kept_or_not(form: object, good: list[str], bad: list[str]) -> None:
    scheme = Scheme(format=form)  # type: ignore[arg-type]
    for reply in good:
        assert reward(verdict(4), scheme, reply=reply).parts["format"] == 1.0, reply
    for reply in bad:
        assert reward(verdict(4), scheme, reply=reply).parts["format"] == 0.0, reply


def test_the_value_is_the_weighted_sum_of_the_parts() -> None:
    scheme = Scheme(
        tests="fraction",
        format="x*",
        length=Overlong(most=10, cache=10),
        weights={"tests": 2.0, "format": 0.5, "length": 0.25},
    )
    given = reward(verdict(3), scheme, reply="xx", tokens=5)
    assert given.parts == {"tests": 0.75, "format": 1.0, "length": -0.5}
    assert given.value == 1.5 + 0.5 - 0.125
    assert given.verdict == verdict(3)
    again = reward(verdict(3), scheme, reply="xx", tokens=5)
    assert again == given and Reward.from_json(json.loads(json.dumps(given.to_json()))) == given
    off = dataclasses.replace(scheme, weights={"format": 0.0, "length": 0.0})
    assert reward(verdict(3), off, reply="xx", tokens=5).value == 0.75


def test_a_right_program_in_the_wrong_form_beats_a_wrong_one_in_the_right_form() -> None:
    scheme = Scheme(format=ThinkAnswer())
    wrong_form = reward(verdict(4), scheme, reply="code").value
    wrong_code = reward(verdict(3), scheme, reply="<think></think><answer>code</answer>").value
    assert wrong_form > wrong_code > reward(verdict(3), scheme, reply="code").value


def test_a_scheme_that_makes_no_sense_is_refused() -> None:
    for wrong in (
        {"tests": "most"}, {"weights": {"speed": 1.0}}, {"weights": {"tests": math.nan}},
        {"format": "("},
    ):  # fmt: skip
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Scheme(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="reply's text"):
        reward(verdict(4), Scheme(format="x"))
    with pytest.raises(ValueError, match="number of tokens"):
        reward(verdict(4), Scheme(length=Overlong(most=10, cache=5)))
