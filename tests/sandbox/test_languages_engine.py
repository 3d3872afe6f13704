"""Programs that are started by exec: what they inherit, what is kept of compilers, what is not."""

from __future__ import annotations

import dataclasses
import json
import stat
from pathlib import Path, PurePath

import pytest

from sandbox import (
    AssertTests,
    CallTests,
    Kind,
    Limits,
    Outcome,
    Program,
    SandboxUnavailable,
    TestsBroken,
    installed,
    languages,
    naming,
)
from sandbox.box import LocalBox
from sandbox.compiled import Sealed
from sandbox.ready import Ready, ready

pytestmark = pytest.mark.skipif("c" not in installed.there(), reason="no gcc here")
LIMITS = Limits(cpu_s=3, memory_mb=256)


def _c(source: str, **more: object) -> Program:
    return Program(language="c", source=source, **more)  # type: ignore[arg-type]


def _ready(program: Program, box: LocalBox, limits: Limits = LIMITS) -> Ready:
    started = ready(program, limits, box)
    assert isinstance(started, Ready), started
    return started


INHERITED = r"""
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
extern char **environ;
int main(int count, char **words) {
    for (int fd = 0; fd < 1024; fd++)
        if (fcntl(fd, F_GETFD) >= 0) printf("fd %d\n", fd);
    for (char **one = environ; *one; one++) printf("env %s\n", *one);
    sigset_t blocked;
    sigprocmask(SIG_BLOCK, NULL, &blocked);
    for (int number = 1; number < 65; number++) {
        struct sigaction action;
        if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_DFL)
            printf("handled %d\n", number);
        if (sigismember(&blocked, number) == 1) printf("blocked %d\n", number);
    }
    for (int i = 0; i < count; i++) printf("word %s\n", words[i]);
    printf("leads its session: %d\n", getsid(0) == getpid());
}
"""


def test_a_program_inherits_three_streams_a_small_environment_and_nothing_else(
    box: LocalBox,
) -> None:
    outcome = box.run(_c(INHERITED, argv=("one", "zwei ü")), LIMITS)
    said = outcome.stdout.splitlines()
    environment = {line[4:].partition("=")[0] for line in said if line.startswith("env ")}
    assert [line for line in said if line.startswith("fd ")] == ["fd 0", "fd 1", "fd 2"]
    assert environment == {"HOME", "TMPDIR", "PATH", "LANG"}
    assert not [line for line in said if line.startswith(("handled", "blocked"))]
    assert [line for line in said if line.startswith("word")][1:] == ["word one", "word zwei ü"]
    assert said[-1] == "leads its session: 1"


def test_files_lie_beside_a_program_and_those_it_leaves_can_be_had(box: LocalBox) -> None:
    source = r"""
    #include "deep/greeting.h"
    #include <stdio.h>
    int main(void) {
        char line[100];
        FILE *in = fopen("given.txt", "r"), *out = fopen("left.txt", "w");
        fprintf(out, "%s, %s", GREETING, fgets(line, 100, in));
        return fclose(out);
    }
    """
    files = {"deep/greeting.h": b'#define GREETING "good day"', "given.txt": b"Ada"}
    outcome = box.run(_c(source, files=files), LIMITS, collect=("left.txt", "none.txt"))
    assert (outcome.kind, outcome.files) == (Kind.PASSED, {"left.txt": b"good day, Ada"})


def test_a_run_may_be_given_files_and_words_of_its_own(box: LocalBox) -> None:
    source = (
        '#include <stdio.h>\nint main(int n, char **w) { puts(w[1]); return !fopen(w[1], "r"); }'
    )
    started = _ready(_c(source, argv=("first",), files={"first": b""}), box)
    assert started.run().stdout == "first\n"
    outcome = started.run(argv=("second",), files={"second": b""})
    assert (outcome.kind, outcome.stdout) == (Kind.PASSED, "second\n")
    assert started.run(argv=("second",)).kind is Kind.CRASHED, "it saw the file of an earlier run"


def test_the_same_program_is_compiled_once_and_another_anew(box: LocalBox) -> None:
    source = '#include "n.h"\nint main(void) { return N; }'
    zero = _ready(_c(source, files={"n.h": b"#define N 0"}), box)
    again = _ready(_c(source, files={"n.h": b"#define N 0"}), box)
    three = _ready(_c(source, files={"n.h": b"#define N 3"}), box)
    judges = ready(_c(source, files={"n.h": b"#define N 0"}), LIMITS, box, "tests")
    assert isinstance(judges, Ready)
    assert zero.binary is again.binary or zero.job["program"] == again.job["program"]
    assert (zero.run().exit_code, again.run().exit_code, three.run().exit_code) == (0, 0, 3)
    if zero.binary is not None:
        assert zero.binary is not judges.binary, "a judge was given what candidates compiled"
    assert judges.slot is not zero.slot
    assert judges.run().exit_code == 0


def test_a_refusal_is_kept_too(box: LocalBox) -> None:
    program = _c("int main(void) { refused }")
    first, second = ready(program, LIMITS, box), ready(program, LIMITS, box)
    assert isinstance(first, Outcome)
    assert first is second


def test_a_program_cannot_change_what_its_next_run_executes(box: LocalBox) -> None:
    source = r"""
    #include <fcntl.h>
    #include <stdio.h>
    #include <sys/stat.h>
    #include <unistd.h>
    int main(void) {
        int changed = 0;
        int fd = open("/proc/self/exe", O_RDWR);
        changed += fd >= 0 && (write(fd, "gone", 4) > 0 || ftruncate(fd, 0) == 0);
        fd = open("/proc/self/exe", O_RDONLY);
        changed += fd >= 0 && fchmod(fd, 0) == 0;
        chmod("main", 0);
        puts("as it was compiled");
        return 0 * changed;
    }
    """
    started = _ready(_c(source), box)
    for _ in range(2):
        assert (started.run().stdout, started.run().kind) == ("as it was compiled\n", Kind.PASSED)
    if started.binary is not None:
        assert stat.S_IMODE(Path(f"/proc/self/fd/{started.binary.fd}").stat().st_mode) == 0o555


def test_a_file_that_is_no_program_is_the_programs_own_fault(box: LocalBox) -> None:
    started = _ready(_c("int main(void) { return 0; }"), box)
    if started.binary is None:
        started = dataclasses.replace(started, job={**started.job, "program": {"main": b"\x7fELF"}})
    else:
        started = dataclasses.replace(started, binary=Sealed(b"\x7fELF, or not"))
    outcome = started.run()
    assert (outcome.kind, outcome.exit_code) == (Kind.CRASHED, 127)
    assert "Exec format error" in outcome.stderr


def test_a_tool_that_cannot_be_started_is_our_fault(box: LocalBox) -> None:
    started = _ready(Program(language="bash", source="exit 0"), box)
    broken = dataclasses.replace(started, job={**started.job, "command": ("/usr/bin/absent-tool",)})
    assert started.run().kind is Kind.PASSED
    with pytest.raises(SandboxUnavailable, match="absent-tool"):
        broken.run()
    assert started.run().kind is Kind.PASSED


def test_a_language_without_tools_says_what_to_install(
    box: LocalBox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    absent = [name for name in languages.LANGUAGES if name not in installed.there()]
    if not absent:
        pytest.skip("every language is there")
    with pytest.raises(
        SandboxUnavailable, match=f"to install: {languages.LANGUAGES[absent[0]].install[:5]}"
    ):
        box.run(Program(language=absent[0], source="x"), LIMITS)


@pytest.mark.parametrize(
    "tests",
    [CallTests.of("f", ([1], 1)), AssertTests(test="assert f(1)", entry_point="f")],
    ids=["calls", "asserts"],
)
def test_tests_that_call_python_refuse_another_language(
    tests: CallTests | AssertTests, box: LocalBox
) -> None:
    with pytest.raises(TestsBroken, match="serve every language"):
        box.judge(_c("int main(void) { return 0; }"), tests, LIMITS)


def test_a_patch_is_no_program(box: LocalBox) -> None:
    with pytest.raises(TestsBroken, match="ProjectTests"):
        box.run(Program(language="diff", source="--- a\n+++ b\n"), LIMITS)


def test_recursion_may_be_deep(box: LocalBox) -> None:
    source = r"""
    #include <stdio.h>
    long depth(long n) {
        volatile char room[64];
        room[0] = 1;
        return n ? depth(n - 1) + room[0] : 0;
    }
    int main(void) { printf("%ld\n", depth(300000)); }
    """
    if not box.slot("candidate", "command").counts_memory:
        pytest.skip("without a cgroup the stack is the machine's own")
    assert box.run(_c(source), LIMITS).stdout == "300000\n"


def test_output_beyond_the_limit_is_cut_and_said(box: LocalBox) -> None:
    source = (
        '#include <stdio.h>\nint main(void) { for (;;) puts("yyyyyyyyyyyyyyyyyyyyyyyyyyyyy"); }'
    )
    outcome = box.run(_c(source), Limits(cpu_s=5, output_kb=64))
    assert (outcome.kind, outcome.truncated) == (Kind.OUTPUT, True)
    assert len(outcome.stdout) == 64 * 1024


def test_names_of_languages_are_known_in_every_usual_spelling() -> None:
    for given, ours in {
        "C++": "cpp", "nodejs": "javascript", "D_ut": "d", "R": "r", "kotlin_script": "kotlin",
        "sqlite": "sql", "C#": "csharp", "python3": "python", "racket": "racket", " Go ": "go",
    }.items():  # fmt: skip
        assert languages.canonical(given) == ours
    with pytest.raises(ValueError, match="one of python, c, cpp"):
        languages.canonical("cobol")
    assert set(languages.ALIASES.values()) <= set(languages.LANGUAGES)
    assert not set(languages.ALIASES) & set(languages.LANGUAGES)


def test_a_suffix_tells_one_language() -> None:
    suffixes = [suffix for one in languages.LANGUAGES.values() for suffix in one.suffixes]
    assert len(suffixes) == len(set(suffixes))
    assert languages.guess(PurePath("a/b.test.cpp")) == "cpp"
    with pytest.raises(ValueError, match="readme"):
        languages.guess(PurePath("readme"))


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("public class Main { public static void main(String[] a) {} }", ("Main.java", "Main")),
        ("class A {} class B { static void main(String[] a) {} }", ("B.java", "B")),
        (
            "// public class No {}\npackage p.q;\n/* { */ class Help { class In {} }\n"
            "public final class Go { String s = \"class X {\"; char c = '}';\n"
            "  public static void main(String... a) {} }",
            ("Go.java", "p.q.Go"),
        ),
        ("public interface I {} class M { void main() {} }", ("I.java", "M")),
        ("", ("Main.java", "Main")),
    ],
)
def test_java_names_its_file_and_its_main_class(source: str, names: tuple[str, str]) -> None:
    assert naming.java(source) == names


def test_a_javascript_module_is_known_by_its_words() -> None:
    assert naming.javascript("import fs from 'fs'\nfs.x()").file == "main.mjs"
    assert naming.javascript("const fs = require('fs')").file == "main.js"
    assert naming.javascript("console.log('import x from y')").file == "main.js"


def test_every_language_says_whether_it_is_there() -> None:
    found = languages.found()
    assert [one.language for one in found] == list(languages.LANGUAGES)
    for one in found:
        assert bool(one.version) is one.there
        assert one.install
    there = {one.language for one in found if one.there}
    assert there == set(installed.there())
    assert {"python", "c"} <= there


def test_tools_are_found_on_the_path_and_their_folder_is_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tools = {"ours": tmp_path / "kotlin" / "bin", "shim": tmp_path / "shims"}
    for folder in tools.values():
        folder.mkdir(parents=True)
    for name in ("kotlinc", "java"):
        for folder in tools.values():
            (folder / name).write_text("#!/bin/sh\n")
            (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools['shim']}:{tools['ours']}:/usr/bin:/bin")
    found = installed.tools("kotlin")
    assert found.paths["kotlinc"] == str(tools["ours"] / "kotlinc"), "a shim was taken"
    assert str(tmp_path / "kotlin") in found.trees
    assert str(tools["ours"] / "kotlinc") in found.identity


def test_a_tool_in_a_folder_of_everything_is_shown_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / ".local" / "bin"
    folder.mkdir(parents=True)
    (folder / "julia").write_text("#!/bin/sh\n")
    (folder / "julia").chmod(0o755)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(folder))
    assert installed.tools("julia").trees == (str(folder / "julia"),)


def test_limits_hold_a_compilers_time_and_survive_json() -> None:
    limits = Limits(compile_cpu_s=7)
    assert Limits.from_json(json.loads(json.dumps(limits.to_json()))) == limits
    with pytest.raises(ValueError, match="compile_cpu_s"):
        Limits(compile_cpu_s=-1)
