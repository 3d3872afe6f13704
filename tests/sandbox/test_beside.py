"""Test code beside the program, in any language: the right pass, and no way around does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sandbox import (
    BesideTests,
    Kind,
    Limits,
    Pool,
    Program,
    SandboxUnavailable,
    StdioTests,
    Verdict,
    judge,
)
from sandbox.box import BoxName, LocalBox
from sandbox.tests_json import tests_from_json, tests_to_json

LIMITS = Limits(cpu_s=5, memory_mb=512)

# A function `twice`, its test behind it, and programs that are right, wrong, and no programs.
LANGUAGES: dict[str, dict[str, str]] = {
    "python": {
        "after": "\nassert twice(4) == 8, 'check failed'\nprint('\\nSEEDCODER_WORD')\n",
        "right": "def twice(x):\n    return x + x\n",
        "wrong": "def twice(x):\n    return x * x\n",
        "broken": "def twice(x:\n",
        "leaves": "import sys\nsys.exit(0)\n",
    },
    "javascript": {
        "after": "\nif (twice(4) !== 8) throw 'check failed';\nconsole.log('\\nSEEDCODER_WORD');\n",
        "right": "function twice(x) { return x + x; }\n",
        "wrong": "function twice(x) { return x * x; }\n",
        "broken": "function twice(x { return x; }\n",
        "leaves": "process.exit(0);\n",
    },
    "ruby": {
        "after": "\nif twice(4) != 8 then abort 'check failed' end\nputs '', 'SEEDCODER_WORD'\n",
        "right": "def twice(x)\n  x + x\nend\n",
        "wrong": "def twice(x)\n  x * x\nend\n",
        "broken": "def twice(x\n  x\n",
        "leaves": "exit 0\n",
    },
    "php": {
        "after": "\nif (twice(4) !== 8) { throw new Exception('check failed'); }\n"
        'echo "\\nSEEDCODER_WORD\\n";\n',
        "right": "<?php\nfunction twice($x) { return $x + $x; }\n",
        "wrong": "<?php\nfunction twice($x) { return $x * $x; }\n",
        "broken": "<?php\nfunction twice($x { return $x; }\n",
        "leaves": "<?php\nexit(0);\n",
    },
    "perl": {
        "after": '\ndie "check failed" unless twice(4) == 8;\nprint "\\nSEEDCODER_WORD\\n";\n',
        "right": "sub twice { return $_[0] + $_[0]; }\n",
        "wrong": "sub twice { return $_[0] * $_[0]; }\n",
        "broken": "sub twice { return (; }\n",
        "leaves": "exit 0;\n",
    },
    "lua": {
        "after": "\nassert(twice(4) == 8, 'check failed')\nprint('\\nSEEDCODER_WORD')\n",
        "right": "function twice(x) return x + x end\n",
        "wrong": "function twice(x) return x * x end\n",
        "broken": "function twice(x return x end\n",
        "leaves": "os.exit(0)\n",
    },
    "bash": {
        "after": "\n[[ $(twice 4) = 8 ]] || { echo check failed >&2; exit 1; }\n"
        "printf '\\nSEEDCODER_WORD\\n'\n",
        "right": "twice() { echo $(($1 + $1)); }\n",
        "wrong": "twice() { echo $(($1 * $1)); }\n",
        "broken": "twice() { echo $((; }\n",
        "leaves": "exit 0\n",
    },
    "c": {
        "before": "#include <stdio.h>\n#include <stdlib.h>\n",
        "after": '\nint main(void) {\n  if (twice(4) != 8) { fputs("check failed", stderr);'
        ' abort(); }\n  puts("\\nSEEDCODER_WORD");\n  return 0;\n}\n',
        "right": "int twice(int x) { return x + x; }\n",
        "wrong": "int twice(int x) { return x * x; }\n",
        "broken": "int twice(int x { return x; }\n",
        "leaves": "int twice(int x) { exit(0); }\n",
    },
    "go": {
        "before": 'package main\nimport SEEDCODER_NAME "fmt"\n',
        "after": '\nfunc main() {\n\tif twice(4) != 8 { panic("check failed") }\n'
        '\tSEEDCODER_NAME.Println("\\nSEEDCODER_WORD")\n}\n',
        "right": "func twice(x int) int { return x + x }\n",
        "wrong": "func twice(x int) int { return x * x }\n",
        "broken": "func twice(x int int { return x }\n",
        "leaves": 'import "os"\nfunc twice(x int) int { os.Exit(0); return 0 }\n',
    },
    "csharp": {
        "after": "\nclass Test { static void Main() {\n  if (Answer.Twice(4) != 8) "
        'throw new System.Exception("check failed");\n'
        '  System.Console.WriteLine("\\nSEEDCODER_WORD");\n} }\n',
        "right": "class Answer { public static int Twice(int x) { return x + x; } }\n",
        "wrong": "class Answer { public static int Twice(int x) { return x * x; } }\n",
        "broken": "class Answer { public static int Twice(int x { return x; } }\n",
        "leaves": "class Answer { public static int Twice(int x) "
        "{ System.Environment.Exit(0); return 0; } }\n",
    },
    "java": {
        "after": "\nclass Main { public static void main(String[] a) { if (Answer.twice(4) != 8) "
        'throw new RuntimeException("check failed");\n'
        '  System.out.println("\\nSEEDCODER_WORD");\n} }\n',
        "right": "class Answer { static int twice(int x) { return x + x; } }\n",
        "wrong": "class Answer { static int twice(int x) { return x * x; } }\n",
        "broken": "class Answer { static int twice(int x { return x; } }\n",
        "leaves": "class Answer { static int twice(int x) { System.exit(0); return 0; } }\n",
    },
    "typescript": {
        "after": "\nif (twice(4) !== 8) throw new Error('check failed');\n"
        "console.log('\\nSEEDCODER_WORD');\n",
        "right": "function twice(x: number): number { return x + x; }\n",
        "wrong": "function twice(x: number): number { return x * x; }\n",
        "broken": "function twice(x: number: number { return x; }\n",
        "leaves": "function twice(x: number): number { process.exit(0); }\n",
    },
}
QUICK = {"python", "javascript", "ruby", "php", "perl", "lua", "bash", "c"}
ALL = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow, id=name)
    for name in LANGUAGES
]


def _tests(language: str) -> BesideTests:
    of = LANGUAGES[language]
    return BesideTests(
        before=of.get("before", ""), after=of["after"], wrong_words=("check failed",)
    )


def _judged(pool: Pool, language: str, source: str) -> Verdict:
    try:
        program = Program(language=language, source=source)
        return pool.judge(program, _tests(language), LIMITS)
    except SandboxUnavailable as error:
        pytest.skip(str(error))


@pytest.mark.slow
@pytest.mark.parametrize("language", ALL)
def test_in_each_language_the_right_program_passes_and_no_other(pool: Pool, language: str) -> None:
    of = LANGUAGES[language]
    kinds = [_judged(pool, language, of[one]).kind for one in ("right", "wrong", "leaves")]
    assert kinds == [Kind.PASSED, Kind.WRONG, Kind.WRONG]
    broken = _judged(pool, language, of["broken"])
    # Python has no compiler here: what cannot be parsed ends with its words as a crash, or so.
    assert broken.kind in (Kind.COMPILE_ERROR, Kind.CRASHED)
    assert broken.kind is Kind.COMPILE_ERROR or language == "python"
    assert broken.first_failure is not None and broken.first_failure.reason


@pytest.mark.slow
def test_the_verdict_is_of_the_weaker_mode_and_says_what_failed(pool: Pool) -> None:
    right, wrong = (_judged(pool, "javascript", LANGUAGES["javascript"][x]) for x in
                    ("right", "wrong"))  # fmt: skip
    assert (right.mode, right.passed, right.total, right.first_failure) == ("shared", 1, 1, None)
    assert (wrong.mode, wrong.passed, wrong.total) == ("shared", 0, 1)
    assert wrong.first_failure is not None and "check failed" in wrong.first_failure.reason
    empty = _judged(pool, "javascript", " \n")
    assert (empty.kind, empty.mode) == (Kind.NO_CODE, "shared")


def test_what_is_kept_of_a_run_is_the_same_the_next_time(pool: Pool) -> None:
    first, second = (_judged(pool, "perl", LANGUAGES["perl"]["right"]) for _ in range(2))
    assert first.outcomes[0].stdout == second.outcomes[0].stdout == "\nSEEDCODER_WORD\n"


WRONG_JS = "function twice(x) { return x * x; }\n"
ATTACKS = {
    "prints the placeholder": WRONG_JS + "console.log('SEEDCODER_WORD'); process.exit(0);",
    "prints success": WRONG_JS + "console.log('PASSED\\nok\\n1'); process.exit(0);",
    "leaves in the call": "function twice(x) { process.exit(0); }",
    "comments the test out": WRONG_JS + "/*",
    "opens a string": WRONG_JS + "const rest = `",
    "swallows errors": "process.on('uncaughtException', () => process.exit(0));" + WRONG_JS,
    "answers at the end": "process.on('exit', () => { process.exitCode = 0; });" + WRONG_JS,
    "overrides printing": "console.log = () => process.stdout.write('SEEDCODER_WORD');" + WRONG_JS,
    "prints a word of its own": WRONG_JS + "console.log('w' + '0'.repeat(32)); process.exit(0);",
    "never ends": "function twice(x) { for (;;); }",
}


@pytest.mark.slow
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_program_that_did_not_earn_the_word_does_not_pass(pool: Pool, attack: str) -> None:
    program = Program(language="javascript", source=ATTACKS[attack])
    verdict = pool.judge(program, _tests("javascript"), Limits(cpu_s=1, memory_mb=512))
    assert not verdict.ok
    # The control: the same with a right function in front passes, unless it prevents the check.
    assert _judged(pool, "javascript", LANGUAGES["javascript"]["right"]).ok


@pytest.mark.parametrize(
    "source",
    [
        "<?php\nfunction twice($x) { return $x * $x; }\n?>\n",
        "<?php\nfunction twice($x) { return $x * $x; }\nexit(0); ?>\n",
        "SEEDCODER_WORD\n",
    ],
)
def test_a_test_that_is_printed_instead_of_run_is_no_pass(pool: Pool, source: str) -> None:
    assert not _judged(pool, "php", source).ok


@pytest.mark.parametrize("cut", ["__END__\n", "=begin\n"])
def test_a_program_that_ends_the_file_early_does_not_pass(pool: Pool, cut: str) -> None:
    assert not _judged(pool, "ruby", LANGUAGES["ruby"]["right"] + cut).ok


def test_words_behind_the_last_check_spoil_it_only_where_they_are_last(pool: Pool) -> None:
    chatty = "console.log('hello');\n" + LANGUAGES["javascript"]["right"]
    assert _judged(pool, "javascript", chatty).ok
    late = "process.on('exit', () => console.log('bye'));\n" + LANGUAGES["javascript"]["right"]
    assert not _judged(pool, "javascript", late).ok


def test_a_crash_behind_the_last_check_is_no_pass(pool: Pool) -> None:
    source = LANGUAGES["javascript"]["right"] + "process.on('exit', () => { process.abort(); });"
    assert _judged(pool, "javascript", source).kind is Kind.CRASHED


def test_a_name_that_is_drawn_anew_cannot_be_replaced(pool: Pool) -> None:
    same = "const SEEDCODER_NAME = (a, b) => a === b;\n"
    after = (
        "\nif (!SEEDCODER_NAME(twice(4), 8)) throw 'check failed';\nconsole.log('SEEDCODER_WORD');"
    )
    tests = BesideTests(before=same, after=after)
    replaces = "SEEDCODER_NAME = () => true; globalThis.SEEDCODER_NAME = () => true;\n"
    verdicts = [
        pool.judge(Program(language="javascript", source=source), tests, LIMITS).ok
        for source in (replaces + WRONG_JS, LANGUAGES["javascript"]["right"])
    ]
    assert verdicts == [False, True]


def test_what_this_mode_does_not_stop_is_known(pool: Pool) -> None:
    reads = (
        "const word = /log\\('.n(w[0-9a-f]{32})/.exec(require('fs').readFileSync(__filename))[1];\n"
        "console.log(word); process.exit(0);"
    )
    assert _judged(pool, "javascript", reads).ok  # were it stopped, the documents would be wrong


def test_the_word_is_never_put_into_the_program_itself(pool: Pool) -> None:
    prints = "console.log('SEEDCODER_WORD SEEDCODER_NAME');\n" + WRONG_JS
    verdict = _judged(pool, "javascript", prints)
    assert verdict.outcomes[0].stdout == "SEEDCODER_WORD SEEDCODER_NAME\n"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["namespace", "restricted", "unsafe"])
def test_every_box_judges_so(box_of: Callable[[BoxName], LocalBox], name: BoxName) -> None:
    box = box_of(name)
    found = [
        box.judge(Program(language="ruby", source=LANGUAGES["ruby"][x]), _tests("ruby"), LIMITS).ok
        for x in ("right", "wrong", "leaves")
    ]
    assert found == [True, False, False]


@pytest.mark.slow
@pytest.mark.docker
def test_the_docker_box_judges_so(docker_box: Any) -> None:
    found = [
        docker_box.judge(Program.python(LANGUAGES["python"][x]), _tests("python"), LIMITS).ok
        for x in ("right", "wrong", "leaves")
    ]
    assert found == [True, False, False]


def test_such_tests_cross_as_json_and_judge_the_same() -> None:
    tests = _tests("lua")
    back = tests_from_json(tests_to_json(tests))
    assert back == tests
    program = Program(language="lua", source=LANGUAGES["lua"]["right"])
    try:
        assert judge(program, back, LIMITS).ok
    except SandboxUnavailable as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"after": "print('done')"}, "nothing could pass"),
        ({"after": "W", "before": "SEEDCODER_WORD"}, "after never prints"),
        ({"after": "SEEDCODER_WORD", "before": "SEEDCODER_WORD"}, "ahead of the last check"),
        ({"after": "SEEDCODER_WORD", "word": "a b"}, "must be names"),
        ({"after": "SEEDCODER_WORD", "name": "SEEDCODER_WORD"}, "must differ"),
        ({"after": 3}, "must be a text"),
        ({"after": "SEEDCODER_WORD", "more": 1}, "'more'"),
    ],
)
def test_bad_tests_are_one_line(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        tests_from_json({"kind": "beside", **fields})
    assert "\n" not in str(caught.value)


def test_other_tests_of_such_programs_are_refused_as_before(pool: Pool) -> None:
    program = Program(language="ruby", source="puts 3")
    assert pool.judge(program, StdioTests.of(("", "3")), LIMITS).ok
