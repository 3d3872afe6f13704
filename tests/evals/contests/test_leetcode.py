"""Functions without a main become programs that read stdin and print the value."""

from __future__ import annotations

import dataclasses

import pytest

from evals.contests.leetcode import is_whole, program_of
from sandbox import Kind, Limits, Pool

LIMITS = Limits(cpu_s=5.0)


def _printed(pool: Pool, code: str, language: str, stdin: str) -> str:
    program = dataclasses.replace(program_of(code, language), stdin=stdin)
    outcome = pool.run(program, LIMITS)
    assert outcome.kind is Kind.PASSED, outcome.stderr
    return outcome.stdout


@pytest.mark.parametrize(
    ("code", "stdin", "printed"),
    [
        ("class Solution:\n    def add(self, a: int, b: int) -> int:\n        return a + b",
         "2\n3\n", "5\n"),
        ("def add(a, b):\n    print('noise')\n    return a + b\n\nprint(add(1, 1))\n",
         "2\n3\n", "5\n"),
        ("class Solution:\n    def inner(self, x):\n        return x\n"
         "    def outer(self, xs: List[int]):\n        return [self.inner(x) for x in xs]",
         "[1,2]\n", "[1, 2]\n"),
        ("class Solution:\n    def flip(self, head: Optional[ListNode]):\n        last = None\n"
         "        while head:\n            head.next, last, head = last, head, head.next\n"
         "        return last", "[1,2,3]\n", "[3, 2, 1]\n"),
        ("class Solution:\n    def mirror(self, root: 'TreeNode'):\n        if root:\n"
         "            root.left, root.right = self.mirror(root.right), self.mirror(root.left)\n"
         "        return root", "[1,2,null,3]\n", "[1, null, 2, null, 3]\n"),
        ("def name(s: str):\n    return s * 2", "12\n", '"1212"\n'),
        ("def both(a: int, ok: bool):\n    return [a, ok]", "1\ntrue\n2\nFalse\n",
         "[1, true]\n[2, false]\n"),
        ("def nothing(xs: List[int]) -> None:\n    xs.sort()", "[2,1]\n", "null\n"),
    ],
)  # fmt: skip
def test_python_is_called_by_lines(pool: Pool, code: str, stdin: str, printed: str) -> None:
    assert _printed(pool, code, "python", stdin) == printed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "stdin", "printed"),
    [
        ("vector<int> inner(vector<int> &xs) { return xs; }\n"
         "vector<string> outer(vector<int>& xs, string s, double d, bool b) {\n"
         "  cout << \"noise\"; vector<string> all;\n"
         "  for (int x : inner(xs))\n"
         "    all.push_back(s + to_string(x + int(d)) + (b ? \"!\" : \"\"));\n"
         "  return all; }\nint main() { cout << 1; }", '[1, 2]\n"a b"\n2.5\ntrue\n',
         '["a b3!", "a b4!"]\n'),
        ("class Solution {\nprivate:\n    int k = 1;\npublic:\n    ListNode* rest(ListNode* h)"
         " const {\n        return h ? h->next : h; // rest(\n    }\n};", "[1,2,3]\n[]\n",
         "[2, 3]\n[]\n"),
    ],
)  # fmt: skip
def test_cpp_is_called_by_lines(pool: Pool, code: str, stdin: str, printed: str) -> None:
    assert _printed(pool, code, "cpp", stdin) == printed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "stdin", "printed"),
    [
        ("import java.util.HashMap;\npublic int[] add(int[][] xs, List<String> names, char c) {\n"
         "  System.out.println(\"noise\");\n  return new int[] {xs[1][0], names.size(), c}; }",
         '[[1],[2]]\n["a", "b"]\n"c"\n', "[2, 2, 99]\n"),
        ("package x;\npublic class Solution {\n"
         "  private boolean odd(int n) { return n % 2 == 1; }\n"
         "  public String tell(int n, TreeNode t) {\n"
         "    return odd(n) ? \"odd\" + t.left.val : \"no\"; }\n}",
         "3\n[1,7]\n", '"odd7"\n'),
    ],
)  # fmt: skip
def test_java_is_called_by_lines(pool: Pool, code: str, stdin: str, printed: str) -> None:
    assert _printed(pool, code, "java", stdin) == printed


@pytest.mark.parametrize(
    ("code", "language", "whole"),
    [
        ("n = int(input())\nprint(n)", "python", True),
        ("import sys\nfor line in sys.stdin:\n    pass", "python", True),
        ('def f():\n    pass\nif __name__ == "__main__":\n    f()', "python", True),
        ("def f(x):\n    return x", "python", False),
        ('"""A solution."""\nLIMIT = 3\nclass Solution:\n    pass', "python", False),
        ("def f(x:\n    return input()", "python", True),
        ("#include <x>\nint main() {}", "cpp", True),
        ("int f() { return 0; } // main()", "cpp", False),
        ("class A { public static void main(String[] a) {} }", "java", True),
        ("class Solution { int domain() { return 1; } }", "java", False),
    ],
)
def test_a_whole_program_is_told_from_a_function(code: str, language: str, whole: bool) -> None:
    assert is_whole(code, language) is whole


@pytest.mark.parametrize(
    ("code", "language"),
    [("x = 1", "python"), ("def f(:", "python"), ("int x;", "cpp"), ("", "java")],
)
def test_code_without_a_function_is_judged_as_it_stands(code: str, language: str) -> None:
    assert program_of(code, language).source == code
