"""Several right outputs, and checkers: what their exit codes mean, and who is at fault."""

from __future__ import annotations

import json

import pytest

from sandbox import Kind, Limits, Program, StdioCase, StdioTests, TestsBroken, Verdict
from sandbox.box import BoxName, LocalBox
from sandbox.compare import EQUAL, EXACT, LINES, TOKENS, Close, Comparer, Custom, Unordered

LIMITS = Limits(cpu_s=1, wall_s=10, memory_mb=256, output_kb=256)

# Print two whole numbers above 0 whose sum is the input. The answer shows one way.
PAIR = """
import sys

given, output, answer = (open(name).read() for name in sys.argv[1:4])
words = output.split()
if len(words) != 2 or not all(word.isdecimal() for word in words):
    sys.stderr.write("two numbers are needed\\n")
    sys.exit(2)
if 0 in map(int, words):
    sys.exit("a number is 0")
if sum(map(int, words)) != int(given):
    sys.stderr.write(f"the sum is {sum(map(int, words))}\\nand more\\n")
    sys.exit(1)
sys.stderr.write("well done\\n")
"""
PAIR_CPP = """
#include <fstream>
#include <iostream>
#include "words.h"
int main(int argc, char **argv) {
    std::ifstream given(argv[1]), output(argv[2]), answer(argv[3]);
    long want, x, y;
    std::string rest;
    given >> want;
    if (!(output >> x >> y) || output >> rest) return say("two numbers are needed", 2);
    if (x <= 0 || y <= 0) return say("a number is 0", 1);
    if (x + y != want) return say("the sum is " + std::to_string(x + y), 1);
    return say("well done", 0);
}
"""
WORDS_H = """
#include <string>
inline int say(const std::string &words, int code) { std::cerr << words << std::endl; return code; }
"""
CHECKERS = {
    "python": Program.python(PAIR),
    "cpp": Program(language="cpp", source=PAIR_CPP, files={"words.h": WORDS_H.encode()}),
}
SUM = "n = int(input())\n"


def of(checker: Program | str, *pairs: tuple[str, str], full_mark: float = 1.0) -> StdioTests:
    if isinstance(checker, str):
        checker = Program.python(checker)
    cases = tuple(StdioCase(stdin=stdin, stdout=stdout) for stdin, stdout in pairs)
    return StdioTests(cases=cases or (StdioCase(stdin="5\n", stdout="2 3\n"),), checker=checker,
                      full_mark=full_mark)  # fmt: skip


def judge(box: LocalBox, source: str, tests: StdioTests) -> Verdict:
    return box.judge(Program.python(source), tests, LIMITS)


def why(verdict: Verdict) -> str:
    assert verdict.first_failure is not None
    return verdict.first_failure.reason


COMPARERS: dict[str, tuple[Comparer, str, tuple[str, ...], list[str], list[str]]] = {
    "tokens": (TOKENS, "a b", ("c",), ["a  b", "c"], ["a", "c b"]),
    "lines": (LINES, "a b", ("c",), ["a b  \n", "c\n\n"], ["a  b", "b"]),
    "exact": (EXACT, "a\n", ("c\n",), ["a\n", "c\n"], ["a", "c\n\n"]),
    "equal": (EQUAL, "a\n", ("c\n",), ["a\n", "c\n"], ["a", "c\n\n"]),
    "close": (Close(), "1.5", ("2.5 x",), ["1.50000001", "2.5000001 x"], ["1.6", "2.5 y"]),
    "unordered": (Unordered(), "a\nb", ("c",), ["b\na", "c"], ["a", "a\nc"]),
    "custom": (Custom(function=lambda x, y: x == y[::-1]), "ab", ("c",), ["ba", "c"], ["ab", "d"]),
}


@pytest.mark.parametrize("name", COMPARERS)
def test_each_accepted_output_is_right_by_the_tests_comparer(name: str, box: LocalBox) -> None:
    comparer, stdout, accepted, right, wrong = COMPARERS[name]
    case = StdioCase(stdin="", stdout=stdout, accepted=accepted)
    tests = StdioTests(cases=(case,), comparer=comparer)
    echo = "import sys\nsys.stdout.write({!r})"
    for output in right:
        assert judge(box, echo.format(output), tests).ok, output
    for output in wrong:
        verdict = judge(box, echo.format(output), tests)
        assert verdict.kind is Kind.WRONG, output
        assert verdict.first_failure is not None
        assert verdict.first_failure.expected == f"{stdout!r} or 1 other(s)"
    alone = StdioTests(cases=(StdioCase(stdin="", stdout=stdout),), comparer=comparer)
    assert judge(box, echo.format(right[0]), alone).ok
    assert judge(box, echo.format(right[1]), alone).kind is Kind.WRONG


@pytest.mark.slow
@pytest.mark.parametrize(
    ("language", "kind"),
    [
        ("python", "namespace"),
        ("python", "restricted"),
        ("cpp", "namespace"),
        pytest.param("cpp", "restricted", marks=pytest.mark.slow),
    ],
)
def test_a_checker_decides_and_its_words_are_the_reason(
    language: str, kind: BoxName, box_of: object
) -> None:
    box: LocalBox = box_of(kind)  # type: ignore[operator]
    tests = of(CHECKERS[language], ("5\n", "2 3\n"), ("9\n", "4 5\n"))
    for source in ("print(1, n - 1)", "print(n - 1)\nprint(1)\n", "print(n - 2, 2)"):
        verdict = judge(box, SUM + source, tests)
        assert (verdict.kind, verdict.passed, verdict.mode) == (Kind.PASSED, 2, "checker"), verdict
    for source, words in (
        ("print(2, 3)", "the sum is 5"),
        ("print(0, n)", "a number is 0"),
        ("print(n)", "two numbers are needed"),
        ("pass", "two numbers are needed"),
        ("print(1, n - 1, 'x')", "two numbers are needed"),
    ):
        verdict = judge(box, SUM + source, tests)
        assert verdict.kind is Kind.WRONG, source
        assert why(verdict) == f"the checker says: {words}"
    assert judge(box, SUM + "1 / 0", tests).kind is Kind.CRASHED


ENDS = {"python": "import sys\nsys.stderr.write({0!r})\nsys.exit({1})",
        "cpp": '#include <cstdio>\nint main() {{ fputs({2}, stderr); return {1}; }}'}  # fmt: skip


def ending(language: str, code: int, words: str) -> Program:
    return Program(language=language, source=ENDS[language].format(words, code, json.dumps(words)))


CODES: list[tuple[int, str, Kind, str]] = [
    (0, "ok", Kind.PASSED, ""),
    (0, "", Kind.PASSED, ""),
    (1, "wrong answer 1st", Kind.WRONG, "the checker says: wrong answer 1st"),
    (1, "", Kind.WRONG, "the checker says that it is wrong"),
    (2, "wrong output format", Kind.WRONG, "wrong output format"),
    (4, "extra tokens", Kind.WRONG, "extra tokens"),
    (8, "unexpected eof", Kind.WRONG, "unexpected eof"),
    (7, "points 1 whole", Kind.PASSED, ""),
    (7, "points 0.25 some", Kind.WRONG, "points 0.25 some"),
    (5, "0.25", Kind.WRONG, "0.25"),
    (5, "points 0 none", Kind.WRONG, "points 0 none"),
]


@pytest.mark.parametrize(("code", "words", "kind", "reason"), CODES)
def test_exit_codes_are_testlibs(
    code: int, words: str, kind: Kind, reason: str, box: LocalBox
) -> None:
    verdict = judge(box, "print(1)", of(ending("python", code, words)))
    assert verdict.kind is kind
    assert kind is Kind.PASSED or reason in why(verdict)


@pytest.mark.slow
@pytest.mark.parametrize(("code", "words", "kind", "reason"), CODES[::3])
def test_exit_codes_are_the_same_of_a_compiled_checker(
    code: int, words: str, kind: Kind, reason: str, box: LocalBox
) -> None:
    verdict = judge(box, "print(1)", of(ending("cpp", code, words)))
    assert verdict.kind is kind
    assert kind is Kind.PASSED or reason in why(verdict)


@pytest.mark.parametrize(
    ("code", "words", "reason"),
    [
        (3, "the answer is malformed", "the checker failed: the answer is malformed"),
        (3, "", "did not say why"),
        (7, "wrong answer 3", "gave points .code 7., but its words begin 'wrong answer 3'"),
        (5, "", "gave points .code 5."),
        (7, "points nan", "gave points"),
        (7, "points -1", "gave points"),
        (7, "points 1.5", "1.5 points of 1"),
        (42, "", "exit code 42.*and on the expected output too"),
        (139, "", "and on the expected output too"),
    ],
)
def test_a_checker_that_is_at_fault_itself_breaks_the_tests(
    code: int, words: str, reason: str, box: LocalBox
) -> None:
    with pytest.raises(TestsBroken, match=reason):
        judge(box, "print(1)", of(ending("python", code, words)))


def test_points_are_a_share_of_the_full_mark(box: LocalBox) -> None:
    checker = "import sys\nsys.stderr.write('points ' + open('output').read())\nsys.exit(7)"
    assert judge(box, "print(40)", of(checker, full_mark=40.0)).ok
    verdict = judge(box, "print(39)", of(checker, full_mark=40.0))
    assert (verdict.kind, verdict.points_most) == (Kind.WRONG, 0.0)


@pytest.mark.parametrize(
    "checker",
    [
        Program.python("print(1"),
        Program(language="cpp", source="int main( {"),
        Program.python(" "),
    ],
)
def test_a_checker_that_does_not_compile_breaks_the_tests(checker: Program, box: LocalBox) -> None:
    with pytest.raises(TestsBroken, match=r"does not compile: .+|has no code"):
        judge(box, "print(2, 3)", of(checker))


BREAKS = {
    "an exception": "value = int(open('output').read())",
    "a signal": "import os\nif 'x' in open('output').read(): os.abort()",
    "memory": "x = [0] * int('9' * (15 if 'x' in open('output').read() else 1))",
    "another code": "import sys\nif 'x' in open('output').read(): sys.exit(99)",
    "a flood": "import sys\nwhile 'x' in open('output').read(): sys.stderr.write('y' * 9999)",
    "no end": "import os\nif 'x' in open('output').read():\n    os.fork()\n    while True: pass",
}


@pytest.mark.parametrize(
    "name", [pytest.param(x, marks=pytest.mark.slow if x == "no end" else ()) for x in BREAKS]
)
def test_an_output_that_breaks_a_checker_which_takes_the_answer_is_wrong(
    name: str, box: LocalBox
) -> None:
    tests = of(BREAKS[name], ("", "7"))
    assert judge(box, "print(8)", tests).ok
    verdict = judge(box, "print('x')", tests)
    assert verdict.kind is Kind.WRONG
    assert "broke on this output, not on the expected one" in why(verdict)


@pytest.mark.parametrize("name", [x for x in BREAKS if x != "no end"])
def test_a_checker_that_breaks_on_the_answer_too_breaks_the_tests(name: str, box: LocalBox) -> None:
    tests = of(BREAKS[name], ("", "x"))
    with pytest.raises(TestsBroken, match="and on the expected output too"):
        judge(box, "print('x')", tests)


def test_a_program_that_fails_never_reaches_the_checker(box: LocalBox) -> None:
    tests = of("import sys\nsys.exit(3)")
    for source, kind in (("1 / 0", Kind.CRASHED), ("", Kind.NO_CODE), ("f(", Kind.COMPILE_ERROR)):
        verdict = judge(box, source, tests)
        assert (verdict.kind, verdict.mode) == (kind, "checker")
    with pytest.raises(TestsBroken):
        judge(box, "print(1)", tests)


def test_the_checker_gets_the_output_as_it_was_printed(box: LocalBox) -> None:
    tests = of(
        "import sys\n"
        "assert sys.argv[1:] == ['input', 'output', 'answer', 'more'], sys.argv\n"
        "got = [open(name, newline='').read() for name in sys.argv[1:4]]\n"
        "assert got == ['in\\r\\n', ' ž\\r\\n\\n', 'an swer'], got\n"
        "import beside\nassert beside.WORD == 1",
        ("in\r\n", "an swer"),
    )
    assert tests.checker is not None
    checker = Program(source=tests.checker.source, argv=("more",), files={"beside.py": b"WORD = 1"})
    tests = StdioTests(cases=tests.cases, checker=checker)
    source = "import sys\nsys.stdout.buffer.write(' ž\\r\\n\\n'.encode())"
    assert judge(box, source, tests).ok
    with pytest.raises(TestsBroken, match="AssertionError"):
        judge(box, "print('z')", tests)


def test_accepted_outputs_and_a_checker_do_not_go_together() -> None:
    case = StdioCase(stdin="", stdout="", accepted=("x",))
    with pytest.raises(ValueError, match="the checker alone decides"):
        StdioTests(cases=(case,), checker=Program.python(PAIR))
    assert StdioTests(cases=(case,)).cases == (case,)


# What a program may try that has no answer: each must be wrong or crash, never pass.
SECRET = "a-secret-answer-4711"
HACKS = {
    "looks for the answer's file": """
import os
for folder, _, names in os.walk("/"):
    for name in names:
        try:
            text = open(os.path.join(folder, name), errors="replace").read(99999)
        except OSError:
            continue
        if "a-secret-" + "answer" in text and name != "main.py":
            print(text)
            raise SystemExit
    if folder.count("/") > 3 or folder.startswith(("/usr", "/proc", "/opt", "/lib")):
        _[:] = []
""",
    "reads the checker's memory": """
import os
for pid in os.listdir("/proc"):
    for name in ("cmdline", "environ", "mem"):
        try:
            with open(f"/proc/{pid}/{name}", "rb") as file:
                text = file.read(1 << 20)
        except OSError:
            continue
        at = text.find(b"a-secret-" + b"answer")
        if at >= 0:
            print(text[at:at + 20].decode())
            raise SystemExit
""",
    "leaves an answer of its own": """
for name in ("answer", "output", "input", "/box/work/answer", "../answer"):
    try:
        open(name, "w").write("mine")
    except OSError:
        pass
print("mine")
""",
    "prints the checker's words": "print('ok')\nprint('points 1')\nprint('exit code 0')",
    "says the checker's words on stderr": "import sys\nprint('points 1', file=sys.stderr)",
    "prints a traceback": "print('Traceback (most recent call last):\\nEOFError')",
    "ends as a checker does": "import sys\nsys.stderr.write('points 1')\nsys.exit(7)",
    "prints nothing": "pass",
    "prints a NUL and half a character": "import os\nos.write(1, b'\\0\\xff\\xc3')",
}
EXACTLY = """
import sys
output, answer = open("output").read(), open("answer").read()
if output.strip() != answer.strip():
    sys.exit(f"wrong: {output}")
"""


@pytest.mark.parametrize("name", HACKS)
def test_a_trick_does_not_pass_a_checker(name: str, box: LocalBox) -> None:
    tests = of(EXACTLY, ("", SECRET))
    verdict = judge(box, HACKS[name], tests)
    assert verdict.kind in (Kind.WRONG, Kind.CRASHED), verdict
    assert judge(box, f"print({SECRET!r})", tests).ok
    assert judge(box, "print('mine')", tests).kind is Kind.WRONG
