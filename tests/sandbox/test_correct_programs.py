"""Correct programs that other harnesses reject run here as they run under CPython itself."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox import (
    AssertTests,
    Call,
    CallTests,
    Kind,
    Limits,
    Program,
    StdioTests,
)
from sandbox.box import BoxName, LocalBox
from sandbox.compare import EXACT, LINES

PROGRAMS = tomllib.loads(Path(__file__).with_name("correct.toml").read_text())["program"]
LIMITS = Limits(cpu_s=5, wall_s=20, memory_mb=512)


def _params(*, restricted: bool) -> list[Any]:
    found = []
    for one in PROGRAMS:
        if not (restricted and one.get("namespace_only")):
            marks = [pytest.mark.slow] if one.get("slow") or restricted else []
            found.append(pytest.param(one, id=one["name"], marks=marks))
    return found


def _expected(program: dict[str, Any]) -> str:
    return ("x" * 63 + "\n") * (1 << 14) if program.get("sha") else program["stdout"]


def _check(program: dict[str, Any], box: LocalBox) -> None:
    if "package" in program:
        pytest.importorskip(program["package"])
    stdin = program.get("stdin", "")
    outcome = box.run(Program.python(program["source"], stdin=stdin), LIMITS)
    assert (outcome.stdout, outcome.exit_code) == (_expected(program), program.get("code", 0)), (
        outcome.stderr[-2000:]
    )
    assert outcome.kind is (Kind.CRASHED if program.get("code") else Kind.PASSED)


@pytest.mark.parametrize("program", _params(restricted=False))
def test_a_correct_program_runs(program: dict[str, Any], box: LocalBox) -> None:
    _check(program, box)


@pytest.mark.parametrize("program", _params(restricted=True))
def test_a_correct_program_runs_in_the_restricted_box(
    program: dict[str, Any], box_of: Callable[[BoxName], LocalBox]
) -> None:
    _check(program, box_of("restricted"))


@pytest.mark.slow
@pytest.mark.docker
@pytest.mark.parametrize("program", _params(restricted=False))
def test_a_correct_program_runs_in_a_container(program: dict[str, Any], docker_box: Any) -> None:
    if "package" in program:
        pytest.skip(f"the minimal image has no {program['package']}")
    _check(program, docker_box)


@pytest.mark.slow
@pytest.mark.parametrize("program", _params(restricted=False))
def test_python_itself_prints_the_same(program: dict[str, Any], tmp_path: Path) -> None:
    """The control: what the table calls right is what CPython does."""
    if "package" in program:
        pytest.importorskip(program["package"])
    if program["name"] == "modules called like ours":
        pytest.skip("here our package is installed")
    path = tmp_path / "main.py"
    path.write_bytes(program["source"].encode())
    stdin = tmp_path / "stdin"
    stdin.write_bytes(program.get("stdin", "").encode())
    done = subprocess.run(
        [sys.executable, path],
        stdin=stdin.open("rb"),
        capture_output=True,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "TZ": "UTC"},
        timeout=60,
    )
    assert done.stdout.decode() == _expected(program), done.stderr
    assert done.returncode == program.get("code", 0)


def test_arguments_and_extra_files_are_there(box: LocalBox) -> None:
    program = Program(
        source="import sys\nfrom pkg.mod import twice\n"
        "print(sys.argv, twice(int(open('data/n.txt').read())))",
        argv=("--flag", "ž", "a b"),
        files={"pkg/mod.py": b"def twice(x): return 2 * x\n", "data/n.txt": b"21"},
    )
    outcome = box.run(program, LIMITS)
    assert outcome.stdout == "['main.py', '--flag', 'ž', 'a b'] 42\n", outcome.stderr


def test_a_traceback_names_the_program_and_shows_its_lines(box: LocalBox) -> None:
    source = "def f(x):\n    return 1 / x\n\nf(0)\n"
    outcome = box.run(Program.python(source), LIMITS)
    assert outcome.kind is Kind.CRASHED
    assert 'main.py", line 4, in <module>' in outcome.stderr
    assert "    return 1 / x" in outcome.stderr
    assert "drive.py" not in outcome.stderr
    assert outcome.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_a_syntax_error_is_shown_with_its_place(box: LocalBox) -> None:
    outcome = box.run(Program.python("x = 1\ndef f(:\n"), LIMITS)
    assert outcome.kind is Kind.COMPILE_ERROR
    assert 'main.py", line 2' in outcome.stderr
    assert "SyntaxError" in outcome.stderr


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("x = '\ud800'", "a lone surrogate"),
        ("x = 1\0", "a NUL"),
        ("(" * 1000 + ")" * 1000, "too deep"),
        ("return 1", "return outside a function"),
        ("x = 08", "an old octal"),
        ("nonlocal x", "nonlocal at top level"),
        ("from __future__ import braces", "no such feature"),
    ],
)
def test_what_cannot_be_compiled_is_a_verdict(source: str, why: str, box: LocalBox) -> None:
    assert box.run(Program.python(source), LIMITS).kind is Kind.COMPILE_ERROR, why
    for tests in (
        CallTests.of("f", ([1], 1)),
        AssertTests(test="assert candidate(1)", entry_point="f"),
        StdioTests.of(("", "1")),
    ):
        assert box.judge(Program.python(source), tests, LIMITS).kind is Kind.COMPILE_ERROR


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        ("1\r\n2\r\n", "1\n2\n"),
        ("1\n2\n", "1\r\n2\r\n"),
        ("1 2", "1 2  \n\n"),
        ("1 2 \n3", "1 2\n3\n"),
        ("", "\n"),
        ("a\n", "a"),
    ],
)
def test_line_ends_and_trailing_white_space_do_not_count(
    expected: str, got: str, box: LocalBox
) -> None:
    program = Program.python(f"import sys\nsys.stdout.write({got!r})")
    for comparer in (LINES, StdioTests.of(("", "")).comparer):
        assert box.judge(program, StdioTests.of(("", expected), comparer=comparer), LIMITS).ok
    other = Program.python("print('other')")
    assert box.judge(other, StdioTests.of(("", expected)), LIMITS).kind is Kind.WRONG


FUNCTIONS: list[tuple[str, str, list[Call]]] = [
    ("prints", "def f(x):\n    print('x', x)\n    return x", [Call(args=(1,), expected=1)]),
    (
        "prints a megabyte",
        "def f(x):\n    print('x' * (1 << 20))\n    return x",
        [Call(args=(1,), expected=1)],
    ),
    ("reads an empty stdin", "def f(x): return open(0).read()", [Call(args=(1,), expected="")]),
    (
        "keeps state between calls, as any module does",
        "n = 0\ndef f():\n    global n\n    n += 1\n    return n",
        [Call(expected=1), Call(expected=2)],
    ),
    (
        "takes keywords",
        "def f(a, *, b=2): return a + b",
        [Call(args=(1,), kwargs={"b": 5}, expected=6)],
    ),
    ("is a lambda", "f = lambda x: x", [Call(args=(1,), expected=1)]),
    (
        "is a callable object",
        "class F:\n    def __call__(self, x): return x\nf = F()",
        [Call(args=(1,), expected=1)],
    ),
    (
        "is decorated and cached",
        "import functools\n@functools.cache\ndef f(n): return n if n < 2 else f(n - 1) + f(n - 2)",
        [Call(args=(90,), expected=2880067194370816120)],
    ),
    (
        "is guarded by a main",
        "def f(x): return x\nif __name__ == '__main__':\n    print(input())",
        [Call(args=(1,), expected=1)],
    ),
    (
        "returns the dicts of collections",
        "from collections import *\ndef f(x):\n    d = defaultdict(list)\n"
        "    d['a'].append(Counter('aab'))\n"
        "    return OrderedDict(d=d)",
        [Call(args=(1,), expected={"d": {"a": [{"a": 2, "b": 1}]}})],
    ),
    (
        "returns a named tuple",
        "from typing import NamedTuple\nclass P(NamedTuple):\n    x: int\ndef f(x): return [P(x)]",
        [Call(args=(1,), expected=[(1,)])],
    ),
    (
        "pickles its own class",
        "import pickle\nclass A: pass\n"
        "def f(): return type(pickle.loads(pickle.dumps(A()))).__name__",
        [Call(expected="A")],
    ),
    (
        "looks at its own source",
        "import inspect\ndef f(): return len(inspect.getsource(f).splitlines())",
        [Call(expected=1)],
    ),
    (
        "starts threads",
        "from concurrent.futures import ThreadPoolExecutor\ndef f(n):\n"
        "    with ThreadPoolExecutor(3) as pool: return sum(pool.map(abs, range(n)))",
        [Call(args=(5,), expected=10)],
    ),
    (
        "recurses deeply",
        "import sys\nsys.setrecursionlimit(10**6)\ndef f(n): return 0 if n == 0 else 1 + f(n - 1)",
        [Call(args=(15000,), expected=15000)],
    ),
    (
        "returns every kind of plain data",
        "def f(): return [None, True, 1, 2**200, -0.0, float('inf'), 1j, 'ž\\ud800', b'x', "
        "(1,), {1}, frozenset({2}), {(1, 2): [3]}, range(3), bytearray(b'y')]",
        [
            Call(
                expected=[
                    *(None, True, 1, 2**200, -0.0, float("inf"), 1j, "ž\ud800", b"x"),
                    *((1,), {1}, frozenset({2}), {(1, 2): [3]}, range(3), bytearray(b"y")),
                ]
            )
        ],
    ),
    (
        "leaves objects of its own in its argument",
        "class A: pass\ndef f(xs):\n    xs.append(A())\n    return len(xs)",
        [Call(args=([1],), expected=2)],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "source", "calls"), FUNCTIONS, ids=lambda v: str(v)[:40])
def test_a_correct_function_passes_in_both_modes(
    name: str, source: str, calls: list[Call], box: LocalBox
) -> None:
    verdict = box.judge(Program.python(source), CallTests(entry_point="f", calls=calls), LIMITS)
    assert verdict.ok, (name, verdict.first_failure)
    lines = [
        f"assert candidate(*{call.args!r}, **{dict(call.kwargs)!r}) == {call.expected!r}"
        for call in calls
    ]
    tests = AssertTests(entry_point="f", test="inf = float('inf')\n" + "\n".join(lines))
    verdict = box.judge(Program.python(source), tests, LIMITS)
    assert (verdict.ok, verdict.mode) == (True, "proxy"), (name, verdict.first_failure)


def test_a_method_of_a_class_gets_a_new_object_in_each_call(box: LocalBox) -> None:
    source = (
        "class Solution:\n    def __init__(self): self.n = 0\n    def go(self, x):\n"
        "        self.n += 1\n        return x + self.n"
    )
    tests = CallTests.of("Solution.go", ([1], 2), ([1], 2))
    assert box.judge(Program.python(source), tests, LIMITS).ok
    failing = "class Solution:\n    def __init__(self): 1 / 0\n    def go(self, x): return 2"
    verdict = box.judge(Program.python(failing), tests, LIMITS)
    assert verdict.kind is Kind.WRONG
    assert verdict.first_failure is not None
    assert "ZeroDivisionError" in verdict.first_failure.reason


def test_numpy_values_and_arrays_pass(box: LocalBox) -> None:
    numpy = pytest.importorskip("numpy")
    source = "import numpy as np\ndef f(x): return np.array(x) * 2\ndef g(x): return np.float64(x)"
    tests = CallTests(
        entry_point="f", calls=(Call(args=([1, 2],), expected=numpy.array([2, 4])),), comparer=EXACT
    )
    assert box.judge(Program.python(source), tests, LIMITS).ok
    wrong = CallTests.of("f", ([[1, 2]], numpy.array([2, 5])))
    assert box.judge(Program.python(source), wrong, LIMITS).kind is Kind.WRONG
    asserting = AssertTests(
        entry_point="f",
        test="import numpy as np\nassert (candidate(np.array([1, 2])) == np.array([2, 4])).all()",
    )
    verdict = box.judge(Program.python(source), asserting, LIMITS)
    assert (verdict.ok, verdict.mode) == (True, "proxy"), verdict
    scalars = AssertTests(entry_point="g", test="assert candidate(0.5) == 0.5")
    assert box.judge(Program.python(source), scalars, LIMITS).ok


def test_a_megabyte_passes_through_stdin_and_stdout(box: LocalBox) -> None:
    text = "".join(f"{n}\n" for n in range(160_000))
    assert len(text) > 1_000_000
    program = Program.python("import sys\nsys.stdout.write(sys.stdin.read())")
    tests = StdioTests.of((text, text), comparer=EXACT)
    assert box.judge(program, tests, LIMITS).ok
    shorter = StdioTests.of((text, text[:-2]), comparer=EXACT)
    assert box.judge(program, shorter, LIMITS).kind is Kind.WRONG
