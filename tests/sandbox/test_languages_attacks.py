"""Hostile programs of other languages, as they run and as they are compiled, in both kinds of box.

Each names a file of the host that everybody may read, with a canary in it; the canary must come
back in nothing that a run gives. The control reads a file of its own by the same means.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox import Kind, Limits, Outcome, Program, SandboxError, installed
from sandbox.box import BoxName, LocalBox

CANARY = "CANARY-5d1e07"
LIMITS = Limits(cpu_s=3, wall_s=10, memory_mb=256, processes=32, output_kb=64)
both = pytest.mark.parametrize("kind", ["namespace", "restricted"])


@pytest.fixture(scope="module")
def secret() -> Iterator[Path]:
    """A file of the host that everybody may read, and a variable of our environment."""
    os.environ["SEEDCODER_CANARY"] = CANARY
    folder = Path(tempfile.mkdtemp(prefix="seedcoder-languages-", dir="/var/tmp"))
    folder.chmod(0o755)
    path = folder / "secret"
    path.write_text(f'"{CANARY}"\n')
    path.chmod(0o644)
    yield path
    path.unlink()
    folder.rmdir()
    del os.environ["SEEDCODER_CANARY"]


def _run(box: LocalBox, language: str, source: str, **more: object) -> Outcome:
    try:
        installed.tools(language)
    except installed.Missing as error:
        pytest.skip(f"{error} here")
    program = Program(language=language, source=source, **more)  # type: ignore[arg-type]
    return box.run(program, LIMITS, collect=("main", "stolen"))


def _told(outcome: Outcome) -> bool:
    held = outcome.stdout + outcome.stderr
    return CANARY in held or any(CANARY.encode() in content for content in outcome.files.values())


def _is_well(box: LocalBox) -> None:
    """The control after an attack: the same zygote runs a harmless program as ever."""
    outcome = _run(box, "c", '#include <stdio.h>\nint main(void) { puts("well"); }')
    assert (outcome.kind, outcome.stdout) == (Kind.PASSED, "well\n")


AS_IT_RUNS = {
    "c": r"""
    #include <stdio.h>
    int main(void) {
        char line[200] = "";
        FILE *file = fopen("SECRET", "r");
        if (file && fgets(line, 200, file)) { puts(line); return 0; }
        perror("not read");
        return 3;
    }
    """,
    "bash": 'cat SECRET || { echo "not read"; exit 3; }',
    "php": '<?php echo file_get_contents("SECRET") ?: exit(3);',
    "ruby": 'puts File.read("SECRET")',
    "perl": 'open(my $f, "<", "SECRET") or exit 3; print <$f>;',
}


@both
@pytest.mark.parametrize("language", AS_IT_RUNS)
def test_a_file_of_the_host_cannot_be_read(
    language: str, kind: BoxName, secret: Path, box_of: Callable[[BoxName], LocalBox]
) -> None:
    box = box_of(kind)
    source = AS_IT_RUNS[language]
    outcome = _run(box, language, source.replace("SECRET", str(secret)))
    assert outcome.kind is Kind.CRASHED
    assert not _told(outcome)
    own = {"mine": secret.read_bytes()}
    assert _told(_run(box, language, source.replace("SECRET", "mine"), files=own))


# What reads a file at compile time and would carry it into the program or the compiler's words.
AS_IT_COMPILES = {
    ("c", "include"): '#include <stdio.h>\nint main(void) { puts(\n#include "SECRET"\n); }',
    ("c", "incbin"): r"""
    #include <stdio.h>
    __asm__(".data\nstolen: .incbin \"SECRET\"\n.byte 0\n");
    extern char stolen[];
    int main(void) { puts(stolen); }
    """,
    ("rust", "include_str"): 'fn main() { println!("{}", include_str!("SECRET")); }',
    ("haskell", "template"): (
        "{-# LANGUAGE TemplateHaskell #-}\nimport Language.Haskell.TH\n"
        'main = putStrLn $(runIO (readFile "SECRET") >>= litE . stringL)'
    ),
    ("racket", "macro"): (
        "#lang racket/base\n(require (for-syntax racket/base racket/file))\n"
        "(define-syntax (stolen stx)\n"
        '  (datum->syntax stx (file->string "SECRET")))\n(display (stolen))'
    ),
    ("perl", "BEGIN"): 'my $s; BEGIN { open(F, "<", "SECRET") or die; $s = <F>; } print $s;',
}


@both
@pytest.mark.parametrize(("language", "how"), AS_IT_COMPILES)
def test_a_compiler_reads_nothing_of_the_host(
    language: str,
    how: str,
    kind: BoxName,
    secret: Path,
    box_of: Callable[[BoxName], LocalBox],
) -> None:
    box = box_of(kind)
    source = AS_IT_COMPILES[language, how]
    outcome = _run(box, language, source.replace("SECRET", str(secret)))
    assert outcome.kind is Kind.COMPILE_ERROR
    assert not _told(outcome)
    own = {"mine": secret.read_bytes()}
    assert _told(_run(box, language, source.replace("SECRET", "mine"), files=own))


@both
@pytest.mark.parametrize(
    "path",
    ["/proc/self/environ", "/proc/1/environ", "/etc/shadow", "/proc/self/maps", "/root/.profile"],
)
def test_a_compiler_finds_no_secret_in_the_places_of_secrets(
    path: str, kind: BoxName, secret: Path, box_of: Callable[[BoxName], LocalBox]
) -> None:
    outcome = _run(box_of(kind), "c", f'#include "{path}"\nint main(void) {{ return 0; }}')
    assert not _told(outcome)
    assert not any(f"root:{sign}" in outcome.stderr for sign in "x*!$")
    assert "/usr/lib" not in outcome.stderr


TEMPLATES = """
template <int A, long B> struct Grow {
    static constexpr long value = Grow<A - 1, 2 * B>::value + Grow<A - 1, 2 * B + 1>::value;
};
template <long B> struct Grow<0, B> { static constexpr long value = B; };
int main() { return Grow<40, 1>::value != 0; }
"""
CONSTEXPR = """
constexpr unsigned long spin(unsigned long n) {
    unsigned long x = 1;
    for (unsigned long i = 0; i < n; i++) x = x * 31 + i;
    return x;
}
template <int N> struct Many {
    static constexpr unsigned long v = spin(200000 + N) ^ Many<N - 1>::v;
};
template <> struct Many<0> { static constexpr unsigned long v = 1; };
int main() { static_assert(Many<800>::v != 0); }
"""
DOUBLING = "\n".join(
    [
        "#define M0 (x+x)",
        *(f"#define M{n} M{n - 1} M{n - 1} M{n - 1} M{n - 1}" for n in range(1, 20)),
        "int x; int main() { M19; }",
    ]
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "bomb", [TEMPLATES, CONSTEXPR, DOUBLING], ids=["templates", "spin", "text"]
)
def test_a_compile_that_explodes_ends_within_its_limits(bomb: str, box: LocalBox) -> None:
    limits = Limits(cpu_s=1, memory_mb=64, compile_cpu_s=2)
    outcome = box.run(Program(language="cpp", source=bomb), limits)
    assert outcome.kind in (Kind.TIMEOUT, Kind.MEMORY, Kind.COMPILE_ERROR)
    if outcome.kind is not Kind.COMPILE_ERROR:
        assert "the compiler " in outcome.stderr, "it is not told from a program's own"
    assert outcome.cpu_s < 5
    _is_well(box)


@pytest.mark.slow
def test_a_compiler_out_of_time_is_told_from_a_program_out_of_time(box: LocalBox) -> None:
    limits = Limits(cpu_s=1, memory_mb=64, compile_cpu_s=0.5)
    compiling = box.run(Program(language="cpp", source=TEMPLATES), limits)
    running = box.run(Program(language="c", source="int main(void) { for (;;); }"), limits)
    assert (compiling.kind, running.kind) == (Kind.TIMEOUT, Kind.TIMEOUT)
    assert "the compiler was out of time" in compiling.stderr
    assert "compiler" not in running.stderr


@pytest.mark.slow
@pytest.mark.parametrize("language", ["haskell", "racket"])
def test_a_compiler_out_of_memory_is_told(language: str, box: LocalBox) -> None:
    source = {
        "haskell": (
            "{-# LANGUAGE TemplateHaskell #-}\nimport Language.Haskell.TH\nmain = print $(do\n"
            "  let n = sum (map fromIntegral xs) + fromIntegral (length xs) :: Integer\n"
            "      xs = [1 .. 400000000] :: [Int]\n  litE (integerL n))"
        ),
        "racket": (
            "#lang racket/base\n(require (for-syntax racket/base))\n"
            "(define-syntax (grow stx)\n"
            "  (let loop ([all '()]) (loop (cons (make-bytes 1000000 1) all))))\n(grow)"
        ),
    }[language]
    outcome = _run(box, language, source)
    assert outcome.kind is Kind.MEMORY
    assert "the compiler needed more than" in outcome.stderr


@pytest.mark.slow
@both
def test_a_source_without_end_ends(kind: BoxName, box_of: Callable[[BoxName], LocalBox]) -> None:
    limits = Limits(cpu_s=1, memory_mb=64, compile_cpu_s=2)
    program = Program(language="c", source='#include "/dev/zero"\nint main(void) { return 0; }')
    outcome = box_of(kind).run(program, limits)
    assert outcome.kind in (Kind.TIMEOUT, Kind.MEMORY, Kind.COMPILE_ERROR)
    _is_well(box_of(kind))


def test_a_program_too_large_to_keep_is_refused(box: LocalBox) -> None:
    outcome = _run(box, "c", "char x[300 << 20] = {1}; int main(void) { return x[5]; }")
    assert outcome.kind in (Kind.COMPILE_ERROR, Kind.OUTPUT)
    _is_well(box)


def test_a_compilers_flood_of_words_is_cut(box: LocalBox) -> None:
    source = "\n".join(f"#error {'x' * 400} {n}" for n in range(3000))
    outcome = _run(box, "c", source)
    assert outcome.kind is Kind.COMPILE_ERROR
    assert outcome.truncated
    assert len(outcome.stderr) < 600_000


NETWORK = r"""
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
int main(void) {
    int kinds[] = {AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, 40};
    for (int i = 0; i < 5; i++)
        for (int type = 1; type < 4; type++)
            if (socket(kinds[i], type, 0) >= 0) printf("BROKE %d %d\n", kinds[i], type);
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0) puts("control");
}
"""
BOMB = r"""
#include <unistd.h>
int main(void) { for (;;) if (fork() < 0) usleep(100); }
"""
LEFTOVER = r"""
#include <unistd.h>
int main(void) {
    for (int i = 0; i < 8; i++) if (fork() == 0) { setsid(); if (fork()) _exit(0); sleep(100); }
    return 0;
}
"""
SYSTEM = r"""
#include <stdio.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sched.h>
#define _GNU_SOURCE
int unshare(int);
int main(void) {
    if (unshare(0x10000000) == 0) puts("BROKE user namespace");
    if (ptrace(PTRACE_ATTACH, 1, 0, 0) == 0) puts("BROKE ptrace");
    if (fopen("/usr/bin/escape", "w")) puts("BROKE /usr");
    fflush(stdout);
    if (mount("none", "/", "tmpfs", 0, 0) == 0) puts("BROKE mount");
}
"""


@both
def test_no_socket_of_a_network_can_be_made(
    kind: BoxName, box_of: Callable[[BoxName], LocalBox]
) -> None:
    outcome = _run(box_of(kind), "c", NETWORK)
    assert (outcome.kind, outcome.stdout) == (Kind.PASSED, "control\n")


@pytest.mark.slow
@both
@pytest.mark.parametrize("source", [BOMB, LEFTOVER], ids=["bomb", "leftovers"])
def test_a_fork_bomb_and_what_daemons_stay_end_with_the_run(
    source: str, kind: BoxName, box_of: Callable[[BoxName], LocalBox]
) -> None:
    box = box_of(kind)
    program = Program(language="c", source=source)
    outcome = box.run(program, Limits(cpu_s=1, wall_s=3, memory_mb=512, processes=20))
    assert outcome.kind in (Kind.TIMEOUT, Kind.CRASHED, Kind.PASSED)
    assert outcome.wall_s < 8
    _is_well(box)


@both
def test_the_filter_holds_for_a_program_started_by_exec(
    kind: BoxName, box_of: Callable[[BoxName], LocalBox]
) -> None:
    outcome = _run(box_of(kind), "c", SYSTEM)
    assert "BROKE" not in outcome.stdout
    assert outcome.kind is Kind.FORBIDDEN


def test_what_one_compile_leaves_no_later_run_finds(box: LocalBox) -> None:
    leave = 'BEGIN { open(F, ">", "left-behind"); print F "x"; close F; } print "ran";'
    look = 'print -e "left-behind" ? "BROKE" : "clean";'
    assert _run(box, "perl", leave).stdout == "ran"
    assert _run(box, "perl", look).stdout == "clean"


@pytest.mark.slow
def test_a_hostile_archive_of_files_stays_in_the_box(box: LocalBox) -> None:
    """A macro can write what the packer reads, and link what it leaves to somewhere else."""
    source = (
        "#lang racket/base\n(require (for-syntax racket/base))\n(define-syntax (plant stx)\n"
        '  (make-file-or-directory-link "/usr/share/common-licenses/GPL-3" "planted.zo")\n'
        '  (make-file-or-directory-link "/etc/shadow" ".packed")\n  #\'(void))\n(plant)\n'
    )
    try:
        outcome = _run(box, "racket", source)
    except SandboxError as error:  # pragma: no cover - the assertion says it
        pytest.fail(f"our side broke: {error}")
    assert "root:" not in outcome.stdout + outcome.stderr
    assert outcome.kind in (Kind.COMPILE_ERROR, Kind.CRASHED)
    _is_well(box)
