"""Real programs in every language that this machine has; what it lacks is skipped, and said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox import Kind, Limits, Program, SandboxUnavailable, StdioTests, installed, languages
from sandbox.box import BoxName, LocalBox

HERE = Path(__file__).parent
PROGRAMS = {
    "python": {
        "hello": "number = int(input())\nprint(2 * number, f'hé, {input()}!')\n",
        "broken": "print(",
        "names": "SyntaxError",
        "wrong": "raise RuntimeError('woe')",
        "says": "woe",
        "busy": "while True: pass",
        "greedy": "all = []\nwhile True: all.append(bytearray(1 << 20))",
    },
    **tomllib.loads((HERE / "languages.toml").read_text()),
}
STDIN, ANSWER = "21\nwörld\n", "42 hé, wörld!\n"
LIMITS = Limits(cpu_s=5, memory_mb=256)
AT_LEAST = 14
COMPILES_LONG = {"typescript", "java", "scala", "kotlin", "swift", "racket"}


def _of_each(part: str, long: set[str]) -> pytest.MarkDecorator:
    """Parametrize over the languages that have such a program; those of `long` are slow."""
    names = [
        pytest.param(name, marks=pytest.mark.slow if name in long else ())
        for name in languages.LANGUAGES
        if part in PROGRAMS[name]
    ]
    return pytest.mark.parametrize("language", names)


def _needs(language: str) -> None:
    try:
        installed.tools(language)
    except installed.Missing as error:
        pytest.skip(f"{error} here; to install: {languages.LANGUAGES[language].install}")


@_of_each("hello", COMPILES_LONG)
def test_a_program_reads_its_stdin_and_answers_in_utf_8(language: str, box: LocalBox) -> None:
    _needs(language)
    program = Program(language=language, source=PROGRAMS[language]["hello"], stdin=STDIN)
    outcome = box.run(program, LIMITS)
    assert (outcome.kind, outcome.stdout, outcome.stderr) == (Kind.PASSED, ANSWER, "")


@_of_each("broken", COMPILES_LONG)
def test_what_cannot_be_compiled_is_told_in_the_compilers_words(
    language: str, box: LocalBox
) -> None:
    _needs(language)
    outcome = box.run(Program(language=language, source=PROGRAMS[language]["broken"]), LIMITS)
    assert outcome.kind is Kind.COMPILE_ERROR
    assert PROGRAMS[language]["names"] in outcome.stderr
    assert outcome.stdout == ""


@_of_each("wrong", COMPILES_LONG)
def test_a_program_that_ends_badly_has_crashed(language: str, box: LocalBox) -> None:
    _needs(language)
    outcome = box.run(Program(language=language, source=PROGRAMS[language]["wrong"]), LIMITS)
    assert outcome.kind is Kind.CRASHED
    assert PROGRAMS[language].get("says", "") in outcome.stderr


@pytest.mark.slow
@_of_each("busy", COMPILES_LONG)
def test_a_loop_without_end_is_out_of_time(language: str, box: LocalBox) -> None:
    _needs(language)
    program = Program(language=language, source=PROGRAMS[language]["busy"])
    outcome = box.run(program, Limits(cpu_s=0.6, memory_mb=256))
    assert outcome.kind is Kind.TIMEOUT
    assert 0.4 < outcome.cpu_s < 1.6


@pytest.mark.slow
@_of_each("greedy", COMPILES_LONG | {"lua", "r"})
def test_a_program_that_takes_memory_without_end_is_out_of_memory(
    language: str, box: LocalBox
) -> None:
    _needs(language)
    program = Program(language=language, source=PROGRAMS[language]["greedy"])
    # R's collector runs over all it holds again and again: much CPU time before the limit.
    outcome = box.run(program, replace(LIMITS, cpu_s=20.0))
    if language == "c" and not box.slot("candidate", "command").counts_memory:
        assert outcome.exit_code == 3, "without a cgroup malloc says no, and C has no word for it"
        return
    assert outcome.kind is Kind.MEMORY


@pytest.mark.slow
@_of_each("hello", set())
def test_the_restricted_box_runs_them_too(
    language: str, box_of: Callable[[BoxName], LocalBox]
) -> None:
    _needs(language)
    box = box_of("restricted")
    program = Program(language=language, source=PROGRAMS[language]["hello"], stdin=STDIN)
    if languages.LANGUAGES[language].reads_proc:
        with pytest.raises(SandboxUnavailable, match="/proc"):
            box.run(program, LIMITS)
        return
    outcome = box.run(program, LIMITS)
    assert (outcome.kind, outcome.stdout, outcome.stderr) == (Kind.PASSED, ANSWER, "")


def test_at_least_fourteen_languages_run_where_all_tools_were_installed() -> None:
    if os.environ.get("SEEDCODER_TOOLCHAINS") != "all":
        pytest.skip("`make toolchains` did not say that all were installed (SEEDCODER_TOOLCHAINS)")
    assert len(installed.there()) >= AT_LEAST


def test_every_language_of_the_table_has_its_programs() -> None:
    assert set(PROGRAMS) == set(languages.LANGUAGES)
    for name, language in languages.LANGUAGES.items():
        assert ("broken" in PROGRAMS[name]) is bool(language.compile or name == "python")


FOR_NOBODY = """
import json, sys, tomllib
from sandbox import Limits, Program, SandboxError, installed
from sandbox.box import LocalBox
programs = tomllib.load(open(sys.argv[2], "rb"))
box = LocalBox(sys.argv[1])
found = {}
for name in sys.argv[3].split(","):
    if name in installed.there():
        program = Program(language=name, source=programs[name]["hello"], stdin=sys.argv[4])
        found[name] = [box.run(program, Limits(cpu_s=5, memory_mb=256)).stdout for _ in "12"]
box.close()
print(json.dumps(found))
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["namespace", "restricted"])
def test_a_user_without_rights_runs_them_too(kind: str, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user; the other tests ran unprivileged")
    checkout, site = str(HERE.parents[1]), sysconfig.get_path("purelib")
    base = os.path.realpath(sys.base_prefix)
    needed = ":".join([base, checkout, *([] if site.startswith(checkout) else [site])])
    names = "c,java,javascript,go,lua"
    done = subprocess.run(
        [
            sys.executable,
            HERE / "nobody.py",
            os.path.realpath(sys.executable),
            needed,
            *("-c", FOR_NOBODY, kind, HERE / "languages.toml", names, STDIN),
        ],
        env={"PATH": os.defpath, "PYTHONPATH": f"{checkout}:{site}"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    if "SandboxUnavailable" in done.stderr:
        pytest.skip(done.stderr.strip().rpartition("\n")[2])
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found, "nobody found no tool at all"
    assert found == {name: [ANSWER, ANSWER] for name in found}


@pytest.mark.slow
def test_a_program_is_judged_case_by_case_and_wrong_where_it_is_wrong(box: LocalBox) -> None:
    _needs("cpp")
    tests = StdioTests.of(("21\nx\n", "42 hé, x!"), ("1\ny\n", "2 hé, y!"))
    right = Program(language="cpp", source=PROGRAMS["cpp"]["hello"])
    wrong = Program(language="cpp", source=right.source.replace("2 * number", "42"))
    broken = Program(language="cpp", source=PROGRAMS["cpp"]["broken"])
    verdict = box.judge(right, tests, LIMITS)
    assert (verdict.kind, verdict.passed) == (Kind.PASSED, 2)
    verdict = box.judge(wrong, tests, LIMITS)
    assert (verdict.kind, verdict.passed) == (Kind.WRONG, 1)
    verdict = box.judge(broken, tests, LIMITS)
    assert (verdict.kind, verdict.passed, verdict.total) == (Kind.COMPILE_ERROR, 0, 2)
    assert len(verdict.outcomes) == 1, "it was compiled once, not a case"
