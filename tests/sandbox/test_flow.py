"""Which tests hand answers back to the candidate: seen in their source, and rather too often."""

from __future__ import annotations

import pytest

from sandbox.inside.flow import answers_come_back

BACK = [
    "assert f(f(1)) == 1",
    "y = f(1)\nassert f(y) == 2",
    "y = f(1)\nz = y + 1\nassert f([z])",
    "y: int = f(1)\nf(y)",
    "y = 0\ny += f(1)\nf(y)",
    "a = []\na.append(f(1))\nf(a)",
    "a = []\nb = a\nb.append(f(1))\nassert f(a)",
    "for i in range(9):\n    if f(i): break",
    "g = f\ng(1)",
    "list(map(f, [1]))",
    "def h(x): return f(x)\nassert f(h(1))",
    "def h(x): return f(x)\nassert h(h(1))",
    "def h(x, acc): acc.append(x)\nq = []\nh(f(1), q)\nf(q)",
    "d = {}\nd['a'] = f(1)\nf(d)",
    "while f(1): pass",
    "x = 1\nif f(1):\n    x = 2\nf(x)",
    "if f(1): f(2)",
    "f(2) if f(1) else f(3)",
    "try:\n    f(1)\n    x = 1\nexcept ValueError:\n    x = 2\nf(x)",
    "exec('f(f(1))')",
    "assert (y := f(1)) and f(y)",
    "for y in f(1): f(y)",
    "[f(y) for y in f(1)]",
    "[f(2) for y in (1, 2) if f(y)]",
    "class A: pass\na = A()\na.x = f(1)\nf(a.x)",
    "def check(c):\n    assert c(c(1))\ncheck(f)",
    "check(f)\nother = f",
    "with open(f(1)) as y: f(y)",
    "try:\n    f(1)\nexcept ValueError as e:\n    f(e.args)",
    "match f(1):\n    case y: pass\nf(y)",
]
NOT_BACK = [
    "assert f(1) == 2\nassert f(3) == 4",
    "for x, w in [(1, 2)]: assert f(x) == w",
    "for x, w in [(1, 2)]:\n    got = f(x)\n    assert got == w, got",
    "def same(o, e, a): assert o == e\n"
    "for i, (inp, exp) in enumerate(zip([[1]], [2])): same(f(*inp), exp, 0)",
    "try:\n    f(1)\nexcept ValueError: pass\nassert f(2) == 1",
    "assert abs(f(1) - 2) < 1e-6",
    "assert [f(x) for x in (1, 2)] == [1, 2]",
    "def check(candidate):\n    assert candidate(1) == 2\ncheck(f)",
    "def check(c):\n    assert c(1) == 2\ncheck(f)",
    "assert f(1) == 1 and f(2) == 2",
]


@pytest.mark.parametrize("source", BACK)
def test_an_answer_that_may_come_back_is_seen(source: str) -> None:
    assert answers_come_back([source], "f")


@pytest.mark.parametrize("source", NOT_BACK)
def test_the_usual_tests_hand_nothing_back(source: str) -> None:
    assert not answers_come_back([source], "f")


def test_names_of_all_sources_are_followed_together() -> None:
    assert answers_come_back(["def h(x): return f(x)", "y = h(1)", "f(y)"], "f")
    assert not answers_come_back(["def h(x): return x", "y = h(1)", "f(y)"], "f")
