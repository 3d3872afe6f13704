"""When an answer is right, as EvalPlus has it; each rule with an answer that must fail."""

from __future__ import annotations

from typing import Any

import pytest

from evals.evalplus.inputs import mbpp_arguments
from evals.evalplus.oracle import accepts, wanted
from evals.evalplus.tolerance import all_close, is_floats
from seedcoder.errors import UsageError


def one(dataset: str, name: str, args: list[Any], value: Any, atol: float = 0) -> Any:
    return wanted(dataset, name, [args], [value], atol)[0]


@pytest.mark.parametrize(
    ("dataset", "name", "args", "value", "atol", "right", "wrong"),
    [
        ("humaneval", "add", [1, 2], 3, 0, 3.0, 4),
        ("humaneval", "area", [5], 7.5, 0, 7.5000001, 7.51),
        ("humaneval", "pair", [5], [1.0, 2.0], 0, [1.0, 2.0 + 1e-7], [1.0, 2.01]),
        ("humaneval", "pair", [5], [1.0, 2.0], 0, [1.0, 2.0 + 1e-7], (1.0, 2.0 + 1e-7)),
        ("humaneval", "find_zero", [[1, 2]], None, 1e-4, -0.50001, -0.6),
        ("mbpp", "sum_div", [8], 7, 0, 0, 1),
        ("mbpp", "surface_Area", [3, 4], 33, 0, 35, 34),
        ("mbpp", "digit_distance_nums", [1, 20], 1, 0, 3, 2),
        ("mbpp", "Diff", [[1], [2]], [1, 2], 0, (2, 1, 2), [1]),
        ("mbpp", "check_str", ["a"], True, 0, "something", None),
        ("mbpp", "check_str", ["b"], False, 0, None, "something"),
        ("mbpp", "volume", [2], 33.5, 1e-4, 33.50001, 33.6),
    ],
)  # fmt: skip
def test_each_rule_takes_the_right_answer_and_refuses_the_wrong_one(
    dataset: str, name: str, args: list[Any], value: Any, atol: float, right: Any, wrong: Any
) -> None:
    want = one(dataset, name, args, value, atol)
    assert accepts(want, right)
    assert not accepts(want, wrong)


def test_a_tolerance_once_switched_on_stays_on_for_the_inputs_that_follow() -> None:
    before, floats, after = wanted("humaneval", "f", [[1], [2], [3]], [[1, 2.0], 2.5, [1, 2.0]], 0)
    near = [1, 2.0000001]
    assert not accepts(before, near), "no float alone was expected so far"
    assert accepts(floats, 2.5000001)
    assert accepts(after, near)


def test_every_answer_is_right_where_upstream_says_so_and_an_error_is_none() -> None:
    assert accepts(one("mbpp", "are_equivalent", [1, 2], True), "anything")
    assert not accepts(one("mbpp", "Diff", [[1], [2]], [1]), 5), "a number has no members"


def test_find_zero_passes_nothing_in_the_compatible_mode() -> None:
    (want,) = wanted("humaneval", "find_zero", [[[1, 2]]], [None], 1e-4, compatible=True)
    assert not accepts(want, -0.5)


def test_closeness_is_numpys() -> None:
    numpy = pytest.importorskip("numpy", reason="numpy is what this is compared with")
    values: list[Any] = [
        1, 1.0, True, 1 + 0j, 1.0000001, 2.0, float("inf"), float("nan"), 1 << 63, -1,
        [1.0], [1], [[1.0]], [[1.0], [1.0]], [1.0, 1.0], [[1.0, 1.0], [1.0]], ["1.0"], None,
        (1.0,), [1.0, None], {1.0}, {1: 1.0}, "1", [1.0, 1.00001], [[1.0, 1.0]], [True],
    ]  # fmt: skip
    for got in values:
        for want in values:
            try:
                theirs = bool(numpy.allclose(got, want, rtol=1e-07, atol=1e-6))
            except (TypeError, ValueError):
                theirs = False
            assert all_close(got, want, 1e-6) == theirs, (got, want)


def test_what_counts_as_floats() -> None:
    assert is_floats(1.0)
    assert is_floats((1.0, 2.0))
    assert not any(map(is_floats, (1, [], [1, 2.0], [[1.0]], "1.0")))


@pytest.mark.parametrize(
    ("key", "given", "taken"),
    [
        ("Mbpp/2", [[1, 2], [3]], [(1, 2), (3,)]),
        ("Mbpp/63", [[[1, 2], [3, 4]]], [[(1, 2), (3, 4)]]),
        ("Mbpp/75", [[[1, 2]], 3], [[(1, 2)], 3]),
        ("Mbpp/106", [[1], [2]], [[1], (2,)]),
        ("Mbpp/115", [[[1, 1], []]], [[{1}, {}]]),
        ("Mbpp/124", ["0", "1j"], (0.0, 1j)),
        ("Mbpp/252", ["1+2j"], [1 + 2j]),
        ("Mbpp/259", [[[1, 2]]], [((1, 2),)]),
        ("Mbpp/278", [[1, [2]]], [(1, (2,))]),
        ("Mbpp/307", [[1, 2], 3, 4], [(1, 2), 3, 4]),
        ("Mbpp/580", [[[1, [2]]]], (((1, (2,)),),)),
        ("Mbpp/722", [{"a": [1, 2]}, 3], [{"a": (1, 2)}, 3]),
        ("Mbpp/9", [[1, 2]], [[1, 2]]),
    ],
)
def test_inputs_become_what_json_could_not_hold(key: str, given: Any, taken: Any) -> None:
    assert mbpp_arguments(key, [given]) == [taken]


def test_an_input_of_another_form_is_told_by_its_task() -> None:
    with pytest.raises(UsageError, match="Mbpp/252"):
        mbpp_arguments("Mbpp/252", [["no number"]])
