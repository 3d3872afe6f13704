"""`seedcoder sandbox judge`: every kind of tests from the shell, and one line for bad ones."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox import CallTests, Program, StdioCase, StdioTests, Subtask
from sandbox.tests_json import tests_to_json as to_json

pytestmark = pytest.mark.slow

CHECKER = "import sys\nif open('output').read() > open('input').read(): sys.exit('too much')\n"
INTERACTOR = "import sys\nprint(open('input').read(), flush=True)\nsys.exit(input() != '8')\n"


def judge(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "seedcoder", "sandbox", "judge", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def file(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_checker_and_an_interactor_judge_from_files(tmp_path: Path) -> None:
    good = file(tmp_path, "good.py", "print(int(input()) * 2)")
    bad = file(tmp_path, "bad.py", "print(9)")
    given, doubled = file(tmp_path, "in.txt", "4\n"), file(tmp_path, "out.txt", "8\n")
    by_output = judge(good, "--stdin", given, "--expected", doubled)
    assert (by_output.returncode, by_output.stdout) == (0, "passed\n")
    interactor = file(tmp_path, "interactor.py", INTERACTOR)
    talked = judge(good, "--interactor", interactor, "--stdin", given)
    assert (talked.returncode, talked.stdout) == (0, "passed\n"), talked.stderr
    talked = judge(bad, "--interactor", interactor, "--stdin", given)
    assert (talked.returncode, talked.stdout.splitlines()[0]) == (1, "wrong")
    checker = file(tmp_path, "checker.py", CHECKER)
    checked = judge(bad, "--checker", checker, "--stdin", given)
    assert (checked.returncode, checked.stdout.splitlines()[0]) == (1, "wrong")
    assert "the checker says: too much" in checked.stdout


def test_a_compiled_checker_finds_the_header_beside_it(tmp_path: Path) -> None:
    file(tmp_path, "testlib.h", "#define RIGHT 0\n")
    source = '#include "testlib.h"\nint main() { return RIGHT; }\n'
    checker = file(tmp_path, "checker.cpp", source)
    program, given = file(tmp_path, "a.py", "print(1)"), file(tmp_path, "in.txt", "")
    checked = judge(program, "--checker", checker, "--stdin", given)
    assert (checked.returncode, checked.stdout) == (0, "passed\n"), checked.stderr


def test_tests_of_any_kind_are_read_from_a_file(tmp_path: Path) -> None:
    program = file(tmp_path, "a.py", "n = int(input())\nprint(n if n < 2 else 0)")
    cases = tuple(StdioCase(stdin=f"{n}", stdout=f"{n}") for n in range(3))
    groups = (
        Subtask(name="small", points=40, cases=(0, 1)),
        Subtask(name="large", points=60, cases=(2,)),
    )
    told = to_json(StdioTests(cases=cases, subtasks=groups))
    tests = file(tmp_path, "tests.json", json.dumps(told))
    judged = judge(program, "--tests", tests)
    assert judged.returncode == 1
    assert judged.stdout.splitlines()[-3:] == [
        "small: 40 of 40 points",
        "large: 0 of 60 points: the output differs",
        "40 of 100 points",
    ]
    as_json = judge(program, "--tests", tests, "--json")
    assert json.loads(as_json.stdout)["points"] == 40
    function = file(tmp_path, "f.py", "def f(x): return x + 1")
    tests = file(tmp_path, "calls.json", json.dumps(to_json(CallTests.of("f", ([1], 2)))))
    assert judge(function, "--tests", tests).returncode == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--stdin needs --expected or --checker; or give --interactor, --tests"),
        (("--stdin", "a.py"), "--stdin needs --expected"),
        (("--checker", "a.py"), "--stdin needs"),
        (("--tests", "a.py"), "--tests a.py: Expecting value"),
        (("--tests", "deep.json"), "--tests deep.json: "),
        (("--tests", "odd.json"), "--tests odd.json: tests.kind must be one of"),
        (("--tests", "odd.json", "--stdin", "a.py"), "--tests stands alone"),
        (("--tests", "none.json"), "cannot read none.json"),
        (("--interactor", "a.py", "--checker", "a.py"), "--interactor decides alone"),
        (("--checker", "odd.json", "--stdin", "a.py"), "--language"),
        (("--checker", "fails.py", "--stdin", "a.py"), "the tests are broken: the checker failed"),
    ],
)
def test_bad_tests_are_one_line_and_exit_code_two(
    words: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file(tmp_path, "a.py", "print(1)")
    file(tmp_path, "odd.json", '{"kind": "odd"}')
    file(tmp_path, "deep.json", "[" * 100_000)
    file(tmp_path, "fails.py", "import sys\nsys.exit(3)")
    judged = judge("a.py", *words)
    assert judged.returncode == 2, judged
    assert said in judged.stderr and len(judged.stderr.splitlines()) == 1, judged.stderr


def test_a_program_in_a_file_is_what_it_was(tmp_path: Path) -> None:
    tests = StdioTests(cases=(StdioCase(stdin="", stdout=""),), checker=Program.python("pass"))
    program = file(tmp_path, "a.py", "print(1)")
    path = file(tmp_path, "t.json", json.dumps(to_json(tests)))
    assert judge(program, "--tests", path).stdout == "passed\n"
