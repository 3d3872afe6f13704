"""What a reply only shows off with is dropped; what its function needs is kept."""

from __future__ import annotations

import ast
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.prune import prune

_F = "def f(x):\n    return x\n"


def _code(text: str) -> str:
    return textwrap.dedent(text).strip("\n") + "\n"


@pytest.mark.parametrize(
    "extra",
    [
        "print(f(1))",
        "assert f(1) == 2",
        "if __name__ == '__main__':\n    f(int(input()))",
        "for case in [1, 2]:\n    print(f(case))",
        "result = f(3)\nprint(result)",
        "x = input()",
        "def test_f():\n    assert f(1) == 2\n\ntest_f()",
        "import sys; sys.exit(3)",
        "while True:\n    pass",
        '"""A module docstring, late."""',
        "class TestF:\n    def test(self):\n        assert f(1) == 2",
    ],
)
def test_what_shows_the_function_off_is_dropped(extra: str) -> None:
    kept = ast.parse(prune(_F + "\n" + extra + "\n", "f")).body
    names = [getattr(node, "name", "") for node in kept]
    assert "f" in names
    assert not [node for node in kept if not isinstance(node, ast.FunctionDef | ast.Import)]


@pytest.mark.parametrize(
    "code",
    [
        _F,
        "import math\n\n" + _F,
        "from __future__ import annotations\n" + _F,
        _code("""
            LIMIT = 3
            def helper(x):
                return x + LIMIT
            def f(x):
                return helper(x)
            """),
        _code("""
            TABLE = [0] * 9
            for i in range(9):
                TABLE[i] = i * i
            TABLE.append(81)
            def f(x):
                return TABLE[x]
            """),
        _code("""
            import sys
            sys.setrecursionlimit(10000)
            def f(x):
                return x
            """),
        _code("""
            try:
                from math import isqrt
            except ImportError:
                isqrt = None
            def f(x):
                return isqrt(x)
            """),
        _code("""
            class Node:
                default = 0
                def __init__(self, value=None):
                    self.value = value
            Node.empty = Node()
            def f(x):
                return Node(x).value
            """),
        _code("""
            from functools import lru_cache
            SIZE = 5
            @lru_cache(SIZE)
            def f(x, step=SIZE):
                return x
            """),
        _code("""
            count = 0
            def f(x):
                global count
                count += 1
                return count
            """),
        "f = lambda x: g(x)\ng = abs\n",
        _code("""
            def f(x):
                def inner():
                    return [helper(y) for y in range(x)]
                return inner()
            helper = str
            """),
    ],
)
def test_what_the_function_needs_is_kept_to_the_letter(code: str) -> None:
    kept = [line for line in prune(code, "f").split("\n") if line.strip()]
    assert kept == [line for line in code.split("\n") if line.strip()]
    assert prune(code + "\n\nprint(f(1))  # so\n", "f") == code


def test_a_local_name_does_not_keep_a_global_of_the_same_name() -> None:
    code = "def f(x):\n    result = x\n    return result\n\nresult = f(input())\n"
    assert "input" not in prune(code, "f")


@pytest.mark.parametrize("code", ["def f(:", "x = 1\n", "", "\x00", "def g():\n    pass\n"])
def test_code_that_does_not_bind_the_entry_point_stays_as_it_is(code: str) -> None:
    assert prune(code, "f") == code


_LINES = st.sampled_from(
    ["x = 1", "x = 1; y = 2", "print(f(1))", "import os", "def g(n):\n    return n",
     "if x:\n    f(x)", "# so", '"""', "", "f.cache = {}", "\\", "@g", "class A: pass",
     "é = (1,", ")", "x: int = 3"]
)  # fmt: skip


@given(st.text(max_size=200) | st.lists(_LINES, max_size=12).map("\n".join))
def test_any_text_is_taken_and_what_parsed_still_does(code: str) -> None:
    prune(code, "f")
    whole = _F + code
    try:
        ast.parse(whole)
    except (SyntaxError, ValueError):
        return
    assert any(getattr(node, "name", "") == "f" for node in ast.parse(prune(whole, "f")).body)
