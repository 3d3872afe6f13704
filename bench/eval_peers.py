"""HumanEval+ and MBPP+ beside evalplus 0.3.1: canonical solutions, in the same run, in turns.

Each harness is a process of its own with two workers; expected outputs are ready on both sides
before the clock starts (both compute them once and keep them). Measured from outside: samples/s of
base and extra inputs together, CPU time of the process tree, and the peak over time of the memory
(PSS) that all its processes hold together. Then ours twice more with a busy loop on every core: the
verdicts must be those of the quiet run.

What the solutions themselves compute is the same for both, and no harness can be faster than that:
it is printed as the floor, with the most that any harness could reach against evalplus in this run.

Memory is sampled every 50 ms, and misses shorter peaks, of both. The machine may be shared: ratios
of the same run count, not seconds.

    python bench/eval_peers.py --evalplus-python PATH [--data FOLDER] [--quick]
                                [--only humaneval|mbpp]

--quick: every 8th task, without those whose own solution takes over 0.2 s; one round. By default
all tasks. --evalplus-python and --data default to SEEDCODER_EVALPLUS_PYTHON and SEEDCODER_DATA.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

import measure  # noqa: E402

# Keeps a core busy for as long as whoever started it is there.
HOG = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: pass"
WORKERS = 2
SPEED_BAR, MEMORY_BAR = 5.0, 10.0
FILES = {
    "humaneval": "humanevalplus/HumanEvalPlus.jsonl.gz",
    "mbpp": "mbppplus/MbppPlus.jsonl.gz",
}
HEAVY_S = 0.2

OURS = """
import json, sys, time
from evals.evalplus.plus import humaneval_plus, mbpp_plus
from sandbox import Job, Pool
bench = humaneval_plus() if sys.argv[1] == "humaneval" else mbpp_plus()
problems = {p.key: p for p in bench.problems()}
rows = [json.loads(line) for line in open(sys.argv[2])]
for row in rows:  # expected outputs are computed, or read from the cache
    bench.tests(problems[row["task_id"]])
def job_of(row):
    p = problems[row["task_id"]]
    program = bench.solution(p, row["solution"])
    return Job(program=program, tests=bench.tests(p), limits=bench.limits(p))
with Pool(int(sys.argv[3])) as pool:
    print(json.dumps({"ready": True}), flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        said = []
        for row, (job, verdict) in zip(rows, pool.map_jobs(map(job_of, rows))):
            base = bench.values(problems[row["task_id"]], job.program, verdict)["base"]
            said.append(["pass" if base else "fail", "pass" if verdict.ok else "fail"])
        print(json.dumps({"seconds": time.perf_counter() - began, "verdicts": said}), flush=True)
"""

BARE = """
import json, pickle, sys, time
spent = 0.0
for source, name, calls in pickle.load(sys.stdin.buffer):
    scope = {}
    exec(source, scope)
    began = time.process_time()
    for args in calls:
        scope[name](*args)
    spent += time.process_time() - began
print(spent)
"""


@dataclass(slots=True)
class Harness:
    """A process that judges all samples on request."""

    process: subprocess.Popen[str]
    seconds: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    peak_mb: float = 0.0
    verdicts: list[Any] = field(default_factory=list)

    @classmethod
    def start(cls, command: list[str], env: dict[str, str]) -> Harness:
        """Start it and wait until it has its expected outputs."""
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env={**os.environ, **env},
        )  # fmt: skip
        harness = cls(process)
        if not harness._hear().get("ready"):
            sys.exit(f"eval_peers: {command[0]} did not start")
        return harness

    def _hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"eval_peers: a harness ended: {self.process.args!r:.300}")
        said: dict[str, Any] = json.loads(line)
        return said

    def round(self) -> None:
        """Judge all samples once."""
        assert self.process.stdin is not None
        done = threading.Event()
        sampler = threading.Thread(target=self._sample, args=(done,))
        sampler.start()
        before = measure.process_cpu_s(self.process.pid)
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        said = self._hear()
        self.cpu_s.append(measure.process_cpu_s(self.process.pid) - before)
        done.set()
        sampler.join()
        self.seconds.append(said["seconds"])
        self.verdicts.append(said["verdicts"])

    def _sample(self, done: threading.Event) -> None:
        while not done.is_set():
            held = sum(map(_pss_mb, measure.tree(self.process.pid)))
            self.peak_mb = max(self.peak_mb, held)
            time.sleep(0.05)


def _pss_mb(pid: int) -> float:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0


def canonical(dataset: str, quick: bool) -> tuple[list[dict[str, str]], float]:
    """Return the canonical solutions, and the CPU seconds that they need by themselves."""
    from evals.evalplus import reference
    from evals.evalplus.plus import humaneval_plus, mbpp_plus

    bench = humaneval_plus() if dataset == "humaneval" else mbpp_plus()
    rows, bare = [], []
    problems = bench.problems()
    for problem in problems[::8] if quick else problems:
        bench.tests(problem)
        task = bench.task(problem)
        found = reference.find(task)
        assert found is not None
        if quick and found.cpu_s > HEAVY_S:
            continue
        bare.append((task.source, task.entry_point, list(task.calls)))
        rows.append({"task_id": problem.key, "solution": task.source})
    done = subprocess.run(
        [sys.executable, "-c", BARE], input=pickle.dumps(bare), capture_output=True, check=True
    )
    return rows, float(done.stdout)


def contest(dataset: str, options: argparse.Namespace, folder: Path) -> tuple[float, float, bool]:
    """Run one data set; return ours over theirs in speed, theirs over ours in memory, and whether
    the verdicts held."""
    rows, floor_s = canonical(dataset, options.quick)
    samples = folder / f"{dataset}.jsonl"
    samples.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = str(Path(os.environ["SEEDCODER_DATA"]) / FILES[dataset])
    theirs = Harness.start(
        [options.evalplus_python, "bench/evalplus_peer.py", dataset, data, str(samples),
         str(WORKERS)],
        {"XDG_CACHE_HOME": str(folder)},
    )  # fmt: skip
    ours = Harness.start([sys.executable, "-c", OURS, dataset, str(samples), str(WORKERS)], {})
    try:
        for _ in range(options.rounds):
            theirs.round()
            ours.round()
        quiet = ours.verdicts[-1]
        cost = ours.seconds[:], ours.cpu_s[:]
        hogs = [subprocess.Popen([sys.executable, "-c", HOG])
                for _ in os.sched_getaffinity(0)]  # fmt: skip
        try:
            ours.round()
            ours.round()
        finally:
            for hog in hogs:
                hog.kill()
    finally:
        theirs.process.kill()
        ours.process.kill()
    same = all(verdicts == quiet for verdicts in ours.verdicts)
    passed = sum(verdict == ["pass", "pass"] for verdict in quiet)
    their_passed = sum(verdict == ["pass", "pass"] for verdict in theirs.verdicts[-1])
    speed = min(theirs.seconds) / min(cost[0])
    memory = theirs.peak_mb / ours.peak_mb
    count, their_cpu, our_cpu = len(rows), min(theirs.cpu_s), min(cost[1])
    print(f"{dataset}+: {count} canonical solutions, {WORKERS} workers, {options.rounds} round(s)")
    print(f"{'':12}{'samples/s':>10}{'CPU ms each':>13}{'peak MiB':>10}{'passed':>8}")
    print(f"{'evalplus':12}{count / min(theirs.seconds):10.1f}{1000 * their_cpu / count:13.1f}"
          f"{theirs.peak_mb:10.0f}{their_passed:8d}")  # fmt: skip
    print(f"{'ours':12}{count / min(cost[0]):10.1f}{1000 * our_cpu / count:13.1f}"
          f"{ours.peak_mb:10.0f}{passed:8d}")  # fmt: skip
    bound = their_cpu / floor_s
    print(f"the solutions alone: {1000 * floor_s / count:.1f} CPU ms each, so that no harness can "
          f"be more than {bound:.1f} times as fast; ours is {their_cpu / our_cpu:.1f} times by CPU "
          f"and {speed:.1f} times by the clock")  # fmt: skip
    print(f"memory: 1/{memory:.1f}; verdicts twice under load {'the same' if same else 'DIFFER'}")
    return speed, memory, same and passed == count


def main() -> None:
    """Run both data sets and judge the bars."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="under 60 s")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", choices=tuple(FILES), help="one of the two")
    parser.add_argument(
        "--evalplus-python", default=os.environ.get("SEEDCODER_EVALPLUS_PYTHON", "")
    )
    parser.add_argument("--data", default=os.environ.get("SEEDCODER_DATA", ""))
    options = parser.parse_args()
    if not options.evalplus_python or not options.data:
        parser.error("needs --evalplus-python (of a venv with evalplus==0.3.1) and --data")
    os.environ["SEEDCODER_DATA"] = options.data
    print(f"load before: {os.getloadavg()[0]:.1f} on {len(os.sched_getaffinity(0))} cores")
    with tempfile.TemporaryDirectory() as folder:
        found = [
            contest(dataset, options, Path(folder))
            for dataset in ([options.only] if options.only else FILES)
        ]
    speed, memory = (min(one[place] for one in found) for place in (0, 1))
    held = all(one[2] for one in found)
    for name, value, bar in (("speed", speed, SPEED_BAR), ("memory", memory, MEMORY_BAR)):
        print(f"{name}: {value:.1f} (bar {bar}){'' if value >= bar else ' MISSED'}")
    ok = speed >= SPEED_BAR and memory >= MEMORY_BAR and held
    measure.close("eval_against_evalplus", speed, "times its samples/s", SPEED_BAR, ok=ok)


if __name__ == "__main__":
    main()
