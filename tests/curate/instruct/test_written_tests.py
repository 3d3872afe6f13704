"""Which tests of a model count, and what is read out of replies."""

from __future__ import annotations

import pytest

from curate.instruct.replies import answer_of, blocks_of, python_of, score_of, task_of, topics_of
from curate.instruct.styles import STYLES, drawn
from curate.instruct.written_tests import called_of, read
from sandbox import AssertTests


def test_asserts_inside_test_functions_count_and_what_else_is_there_is_left_out() -> None:
    source = """
import sys, math
print("passed")
sys.exit(0)
def helper(x): return x
def test_it():
    assert f(1) == 2
    assert f(helper(1)) == 2
assert math.isclose(f(0.5), 1.0)
assert f(1) == 2
assert True
"""
    written = read(source, "f")
    assert written.asserts == ("assert f(1) == 2", "assert math.isclose(f(0.5), 1.0)")
    assert written.imports == ("import sys, math",)
    assert written.left_out == 2
    tests = written.tests()
    assert isinstance(tests, AssertTests)
    assert tests.mode == "proxy"
    assert "exit(0)" not in tests.test
    assert "print" not in tests.test


@pytest.mark.parametrize(
    "test",
    ["assert exit() or f(1)", "assert (f := str) and f(1)", "assert eval('f(1)') or f(2)"],
)
def test_an_assert_that_could_do_something_else_does_not_count(test: str) -> None:
    assert read(test, "f").asserts == ()
    assert read("assert f(1) == [x for x in range(2)]", "f").asserts != ()


def test_tests_that_do_not_parse_are_none() -> None:
    assert read("assert f(1 == 2", "f").asserts == ()


def test_the_function_that_tests_call_the_most_is_the_entry_point() -> None:
    assert called_of("assert f(g(1)) == 2\nassert f(3) == 1", ["g", "f", "h"]) == "f"
    assert called_of("assert h(1)", ["g", "f"]) == ""


def test_code_is_taken_from_closed_blocks_that_define_it() -> None:
    text = (
        "```python\nx = 1\n```\nthen\n```py\ndef f():\n    return 1\n```\n```python\ndef f(:\n```"
    )
    assert python_of(text, "f") == "def f():\n    return 1"
    assert python_of(text, "g") is None
    assert python_of("```python\ndef f():\n    return 1", "f") is None
    assert [block.language for block in blocks_of(text)] == ["python", "py", "python"]


def test_scores_are_the_last_whole_number_from_0_to_10() -> None:
    assert score_of("correctness: 3\nno:\n**Correctness: 8/10**", "correctness") == 8
    assert score_of("correctness: 11", "correctness") is None
    assert score_of("correctness: high", "correctness") is None
    assert score_of("correctness: 7.5", "correctness") is None
    assert topics_of("Topics: Graphs, dynamic  programming.") == ["graphs", "dynamic programming"]
    assert task_of("<task> a </task> and <task>b</task>") == "b"
    assert task_of("<task>a") is None


def test_a_reply_has_one_thought_at_its_start() -> None:
    tags = ("<think>", "</think>")
    assert answer_of("<think>a</think>b", *tags) == ("a", "b")
    for wrong in ("b", "<think>a", "a</think>b", "x<think>a</think>b", "<think><think>a</think>b"):
        assert answer_of(wrong, *tags) is None


def test_styles_are_blended_by_the_share_that_is_asked_and_do_not_change() -> None:
    keys = [str(n) for n in range(400)]
    some = [drawn(STYLES, key, seed=1, mixed=0.5) for key in keys]
    assert some == [drawn(STYLES, key, seed=1, mixed=0.5) for key in keys]
    assert 140 < sum(len(one) == 2 for one in some) < 260
    assert all(len(set(one)) == len(one) for one in some)
    assert {len(drawn(STYLES, key, seed=1, mixed=0.0)) for key in keys} == {1}
