"""What the box adds to the CPU time of a compiled program, and what each language costs to start.

The bar is of an empty C program, linked dynamically as the table's command does and statically:
CPU time of all processes (supervisor, zygote, child) of a run in the box, less that of the same
binary started by a small C parent with fork and exec, which is the program's own work. Both take
turns within a round. A neighbour on the machine only ever adds CPU time (caches gone cold), so what
counts is the quarter of the rounds with the lowest figures; the median is printed beside it.

Each language found gets a row: CPU time of compiling once, of a run of a program that reads its
standard input and answers, and what of it is the program's own, as its cgroup or rusage counts it.

    python bench/languages.py [--quick] [--rounds N] [--box NAME]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

import measure  # noqa: E402

from sandbox import Kind, Limits, Outcome, Program, SandboxError, installed  # noqa: E402
from sandbox.box import LocalBox, open_box  # noqa: E402
from sandbox.ready import ready  # noqa: E402

BAR_MS = 2.5  # CPU ms over the program's own work
EMPTY = "int main(void) { return 0; }\n"
LIMITS = Limits(cpu_s=10, memory_mb=512)
PROGRAMS = ROOT / "tests" / "sandbox" / "languages.toml"

# Starts the program again and again, as cheaply as that can be done, and says what that cost.
PARENT = r"""
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static double used(int who) {
    struct rusage now;
    getrusage(who, &now);
    return (now.ru_utime.tv_sec + now.ru_stime.tv_sec) * 1e3 +
           (now.ru_utime.tv_usec + now.ru_stime.tv_usec) / 1e3;
}

int main(int count, char **words) {
    double before = used(RUSAGE_SELF) + used(RUSAGE_CHILDREN);
    int runs = atoi(words[2]);
    for (int i = 0; i < runs; i++) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            char *arguments[] = {words[1], NULL}, *none[] = {NULL};
            execve(words[1], arguments, none);
            _exit(127);
        }
        if (waitpid(child, &status, 0) < 0 || status)
            return 1;
    }
    printf("%f\n", (used(RUSAGE_SELF) + used(RUSAGE_CHILDREN) - before) / runs);
    return count != 3;
}
"""


def build(folder: Path, name: str, source: str, *flags: str) -> Path:
    """Compile a C program on the host."""
    (folder / f"{name}.c").write_text(source)
    made = folder / name
    subprocess.run(["gcc", "-O2", *flags, "-o", made, folder / f"{name}.c"], check=True)
    return made


def bare_ms(parent: Path, binary: Path, runs: int) -> float:
    """Return CPU ms of a start of the binary by the small parent."""
    done = subprocess.run([parent, binary, str(runs)], capture_output=True, text=True, check=True)
    return float(done.stdout)


def boxed_ms(run: Callable[[], Outcome], runs: int) -> float:
    """Return CPU ms of a run in the box, of all processes."""
    before = measure.tree_cpu_s()
    for _ in range(runs):
        outcome = run()
        if outcome.kind is not Kind.PASSED:
            sys.exit(f"the empty program ended as {outcome.kind}: {outcome.stderr[:300]}")
    return 1000 * (measure.tree_cpu_s() - before) / runs


def over_ms(box: LocalBox, folder: Path, rounds: int, runs: int) -> dict[str, list[float]]:
    """Return, for each way to link, the rounds' CPU ms in the box over a bare start."""
    parent = build(folder, "parent", PARENT)
    dynamic = build(folder, "dynamic", EMPTY)
    static = build(folder, "static", EMPTY, "-static")
    started = ready(Program(language="c", source=EMPTY), LIMITS, box)
    if isinstance(started, Outcome) or started.binary is None:
        sys.exit("the empty program does not compile, or is not executed from memory (not root?)")
    ways = {"dynamic": (dynamic, started.run)}
    sealed = type(started.binary)(static.read_bytes())
    linked = type(started)(
        **{name: getattr(started, name) for name in started.__slots__} | {"binary": sealed}
    )
    ways["static"] = (static, linked.run)
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, (binary, run) in ways.items():
            bare, boxed = bare_ms(parent, binary, runs), boxed_ms(run, runs)
            if number:  # the first warms caches
                found[name].append(boxed - bare)
                print(f"  round {number} {name:<8} box {boxed:.2f}  bare {bare:.2f} CPU ms a run")
    return found


def rows(box: LocalBox, runs: int) -> None:
    """Print what each language costs."""
    print(f"\n{'language':<12}{'compile':>10}{'run':>10}{'its own':>10}   CPU ms")
    programs = tomllib.loads(PROGRAMS.read_text())
    for name in installed.there():
        source = programs.get(name, {}).get("hello", "print(input())")
        program = Program(language=name, source=source)
        began = measure.tree_cpu_s()
        try:
            started = ready(program, LIMITS, box)
        except SandboxError as error:
            print(f"{name:<12}{error}")
            continue
        compiling_ms = 1000 * (measure.tree_cpu_s() - began)
        if isinstance(started, Outcome):
            print(f"{name:<12}{started.kind}: {started.stderr[-200:]!r}")
            continue
        own_s = started.run(stdin="21\nx\n").cpu_s
        # The zygote's time is counted in ticks of 10 ms: quick languages need many runs.
        count = max(runs, min(60, int(0.4 / own_s)))
        began = measure.tree_cpu_s()
        outcomes = [started.run(stdin="21\nx\n") for _ in range(count)]
        run_ms = 1000 * (measure.tree_cpu_s() - began) / len(outcomes)
        own_ms = 1000 * statistics.median(one.cpu_s for one in outcomes)
        wrong = "" if all(one.kind is Kind.PASSED for one in outcomes) else f" {outcomes[0].kind}!"
        print(f"{name:<12}{compiling_ms:>10.0f}{run_ms:>10.1f}{own_ms:>10.1f}{wrong}")


def quarter(values: list[float]) -> float:
    """Return the lower quartile."""
    return statistics.quantiles(values, n=4, method="inclusive")[0]


def main() -> None:
    """Measure, print the rows, and judge the bar."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--quick", action="store_true", help="under a minute")
    options.add_argument("--rounds", type=int, default=0)
    options.add_argument("--box", default="auto")
    chosen = options.parse_args()
    rounds = chosen.rounds or (8 if chosen.quick else 20)
    runs = 60 if chosen.quick else 200
    began = time.perf_counter()
    box = open_box(chosen.box)
    assert isinstance(box, LocalBox)
    print(f"box {box.name}, {os.cpu_count()} cores, {rounds} rounds of {runs} runs")
    try:
        with tempfile.TemporaryDirectory() as folder:
            found = over_ms(box, Path(folder), rounds, runs)
        rows(box, 3 if chosen.quick else 10)
    finally:
        box.close()
    print()
    for name, values in found.items():
        low, middle = quarter(values), statistics.median(values)
        print(f"{name}: {low:.2f} CPU ms over a bare start; median {middle:.2f}, ", end="")
        print(f"rounds {min(values):.2f} to {max(values):.2f}")
    print(f"{time.perf_counter() - began:.0f} s")
    worst = max(quarter(values) for values in found.values())
    name = "CPU ms of an empty C program in the box over a bare start"
    measure.close(name, worst, "ms", BAR_MS, ok=worst <= BAR_MS)


if __name__ == "__main__":
    main()
