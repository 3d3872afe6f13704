"""How long a batch of rollouts waits for its rewards, and what a reward costs.

1,024 rollouts, 16 of each of 64 problems, no two programs alike, 10 tests each that are all judged:
once as 10 cases of stdin and stdout (a process a case), once as 10 calls (a process a rollout).
Beside ours, in the same run: a plain pool of subprocesses that does the same work and isolates
nothing. CPU time is that of the whole process tree; machines drift, so rounds take turns and the
median of the rounds' ratios counts. Latency is from the batch's submission to a reward, and, alone,
from one rollout's to its own.

Bars. A third of the subprocess pool's CPU time on stdin tests: isolation must not be what makes
people leave it out, and training pays for CPU time per test. A known verdict in 0.25 ms of CPU: the
rewards of a batch that was judged before (a run taken up again, a second epoch) then cost a quarter
of a second per thousand, which no training step notices.

    python bench/reward_latency.py [--quick] [--rounds N] [--box NAME]
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

import measure  # noqa: E402

from sandbox import (  # noqa: E402
    Call,
    CallTests,
    Limits,
    Pool,
    Program,
    StdioCase,
    StdioTests,
    toolchain,
)
from sandbox.reward import Rewarder, Rollout, Scheme, VerdictCache  # noqa: E402

WORKERS = 2
TESTS = 10
PER_PROBLEM = 16
CPU_BAR = 3.0  # the subprocess pool's CPU time over ours, 10 cases of stdin
WARM_BAR_MS = 0.25  # CPU milliseconds of a reward whose verdict is known
SCHEME = Scheme(tests="fraction")
LIMITS = Limits(cpu_s=5)

RIGHT = """
def solve(values, k):
    best = 0
    for start in range(len(values)):
        total = 0
        for value in values[start:]:
            total += value
            if total % k == 0:
                best = max(best, total)
    return best
"""
WRONG = RIGHT.replace("if total % k == 0", "if total % k == 1")
CRASHING = RIGHT.replace("total % k", "total % (k - k)")
READS = """
k = int(input())
print(solve(list(map(int, input().split())), k))
"""
PEER_CALLS = """
import json, sys
answers = []
for args in json.loads(sys.argv[1]):
    try:
        answers.append(solve(*args))
    except Exception:
        answers.append(None)
print(json.dumps(answers))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One rollout: the program in both shapes, its inputs and right answers, and its reward."""

    stdio: str
    calls: str
    inputs: tuple[tuple[list[int], int], ...]
    answers: tuple[int, ...]
    reward: float


@dataclass(slots=True)
class Figures:
    """The rounds of one contestant."""

    name: str
    rewards: int = 0
    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    laps_s: list[float] = field(default_factory=list)
    alone_s: list[float] = field(default_factory=list)

    @property
    def per_s(self) -> float:
        """Rewards a second in the median round."""
        return self.rewards / statistics.median(self.wall_s)

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds a reward in the median round."""
        return 1000 * statistics.median(self.cpu_s) / self.rewards


def solve(values: list[int], k: int) -> int:
    """The problem's own answer."""
    best = 0
    for start in range(len(values)):
        total = 0
        for value in values[start:]:
            total += value
            if total % k == 0:
                best = max(best, total)
    return best


def rollouts(count: int) -> list[Work]:
    """Return so many rollouts: of eight, five are right, two wrong, and one crashes."""
    dice = random.Random(7)
    made = []
    for problem in range(-(-count // PER_PROBLEM)):
        inputs = tuple(
            ([dice.randrange(1, 100) for _ in range(40)], dice.randrange(3, 9))
            for _ in range(TESTS)
        )
        answers = tuple(solve(*given) for given in inputs)
        for sample in range(PER_PROBLEM):
            body = (RIGHT, RIGHT, WRONG, RIGHT, CRASHING, RIGHT, WRONG, RIGHT)[sample % 8]
            text = f"# {problem}/{sample}\n{body}"
            pairs = zip(inputs, answers, strict=True)
            wrong = sum(_wrongly(*given) == answer for given, answer in pairs)
            reward = {RIGHT: 1.0, WRONG: wrong / TESTS, CRASHING: 0.0}[body]
            made.append(
                Work(stdio=text + READS, calls=text, inputs=inputs, answers=answers, reward=reward)
            )
    return made[:count]


def _wrongly(values: list[int], k: int) -> int:
    scope: dict[str, Callable[[list[int], int], int]] = {}
    exec(WRONG, scope)
    return scope["solve"](values, k)


def _stdin(given: tuple[list[int], int]) -> str:
    values, k = given
    return f"{k}\n{' '.join(map(str, values))}\n"


def ours(work: Sequence[Work], mode: str) -> list[Rollout]:
    """Return the rollouts as our rewarder takes them; a problem's tests are one object."""
    tests: dict[int, StdioTests | CallTests] = {}
    made = []
    for one in work:
        if id(one.inputs) not in tests:
            pairs = list(zip(one.inputs, one.answers, strict=True))
            if mode == "stdio":
                cases = [StdioCase(stdin=_stdin(given), stdout=f"{y}\n") for given, y in pairs]
                tests[id(one.inputs)] = StdioTests(cases=cases, stop_early=False)
            else:
                calls = [Call(args=list(given), expected=y) for given, y in pairs]
                tests[id(one.inputs)] = CallTests(
                    entry_point="solve", calls=calls, stop_early=False
                )
        source = one.stdio if mode == "stdio" else one.calls
        made.append(
            Rollout(program=Program.python(source), tests=tests[id(one.inputs)], limits=LIMITS)
        )
    return made


class Peer:
    """A thread a worker, a plain process a case (or a rollout, for calls)."""

    def __init__(self, folder: Path, mode: str) -> None:
        self._folder, self._mode = folder, mode
        self._python = toolchain.find(()).interpreter

    def _run(self, path: Path, *arguments: str, stdin: str = "") -> str:
        done = subprocess.run(
            [self._python, "-I", "-S", str(path), *arguments],
            input=stdin, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        return done.stdout

    def reward(self, index: int, one: Work) -> float:
        """Judge one rollout."""
        path = self._folder / f"{index}.py"
        if self._mode == "stdio":
            path.write_text(one.stdio)
            got = [self._run(path, stdin=_stdin(given)).split() for given in one.inputs]
            return sum(x == [str(y)] for x, y in zip(got, one.answers, strict=True)) / TESTS
        path.write_text(one.calls + PEER_CALLS)
        answers = json.loads(self._run(path, json.dumps(one.inputs)))
        return sum(x == y for x, y in zip(answers, one.answers, strict=True)) / TESTS

    def measure(self, work: Sequence[Work], into: Figures) -> None:
        """One round."""
        cpu, began = measure.tree_cpu_s(), time.perf_counter()
        with ThreadPoolExecutor(WORKERS) as threads:
            futures = {threads.submit(self.reward, n, one): one for n, one in enumerate(work)}
            for future in as_completed(futures):
                into.laps_s.append(time.perf_counter() - began)
                check(future.result(), futures[future])
        note(into, began, cpu, len(work))
        for n, one in enumerate(work[:20]):
            lap = time.perf_counter()
            self.reward(n, one)
            into.alone_s.append(time.perf_counter() - lap)


def measure_ours(rewarder: Rewarder, work: Sequence[Work], mode: str, into: Figures) -> None:
    """One round of ours."""
    batch = ours(work, mode)
    cpu, began = measure.tree_cpu_s(), time.perf_counter()
    for index, reward in rewarder.stream(batch):
        into.laps_s.append(time.perf_counter() - began)
        check(reward.value, work[index])
    note(into, began, cpu, len(work))


def alone(rewarder: Rewarder, work: Sequence[Work], mode: str, into: Figures) -> None:
    """Rollouts one by one."""
    for rollout in ours(work, mode):
        lap = time.perf_counter()
        rewarder.reward(rollout)
        into.alone_s.append(time.perf_counter() - lap)


def check(value: float, one: Work) -> None:
    """A wrong reward makes every figure worthless."""
    if abs(value - one.reward) > 1e-9:
        sys.exit(f"reward_latency: a reward of {value}, where {one.reward} is right")


def note(into: Figures, began: float, cpu_s: float, count: int) -> None:
    """Record a round."""
    into.wall_s.append(time.perf_counter() - began)
    into.cpu_s.append(measure.tree_cpu_s() - cpu_s)
    into.rewards = count


def contest(
    mode: str, counts: tuple[int, int], rounds: int, box: str, folder: Path
) -> dict[str, Figures]:
    """Run all contestants over the rollouts of one mode."""
    figures = {name: Figures(name) for name in ("subprocess pool", "cold", "warm", "no cache")}
    work = rollouts(counts[0])
    peer = Peer(folder, mode)
    with Pool(WORKERS, box=box) as pool:
        off = Rewarder(pool, scheme=SCHEME, cache=False)
        off.rewards(ours(work[:8], mode))  # a slot's first run pays for its start
        for round_ in range(rounds):
            cache = VerdictCache(folder / f"verdicts-{mode}-{round_}")
            rewarder = Rewarder(pool, scheme=SCHEME, cache=cache)
            peer.measure(work[: counts[1]], figures["subprocess pool"])
            measure_ours(rewarder, work, mode, figures["cold"])
            measure_ours(rewarder, work, mode, figures["warm"])
            alone(rewarder, work[:64], mode, figures["warm"])
            measure_ours(off, work[: counts[1]], mode, figures["no cache"])
            alone(off, work[:64], mode, figures["no cache"])
            cache.close()
    return figures


def percentiles(laps_s: list[float]) -> str:
    """Return p50, p95 and p99 in milliseconds."""
    if len(laps_s) < 2:
        return f"{'':24}"
    ordered = sorted(laps_s)
    return "".join(
        f"{1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]:8.1f}"
        for share in (0.5, 0.95, 0.99)
    )


def main() -> None:
    """Run both contests, print the table, and judge the bars."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rollouts; under 60 s")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--box", default="auto")
    options = parser.parse_args()
    rounds = options.rounds or (2 if options.quick else 3)
    # The peer's own rollouts are fewer: what counts is CPU time per reward.
    counts = (128, 24) if options.quick else (1024, 256)
    ratios: dict[str, float] = {}
    warm_ms = 0.0
    print(f"{counts[0]} rollouts x {TESTS} tests, {rounds} rounds, {WORKERS} workers; p50, p95 and"
          " p99 of latency in ms: from the batch's submission, and of a rollout alone")  # fmt: skip
    print(f"{'':24}{'rewards/s':>10}{'CPU ms':>8}{'x pool':>8}{'batch':>24}{'alone':>24}")
    for mode in ("stdio", "calls"):
        with tempfile.TemporaryDirectory() as folder:
            figures = contest(mode, counts, rounds, options.box, Path(folder))
        pool = figures["subprocess pool"]
        for name, f in figures.items():
            pairs = zip(pool.cpu_s, f.cpu_s, strict=True)
            ratio = statistics.median(
                (its / pool.rewards) / (mine / f.rewards) for its, mine in pairs
            )
            ratios[f"{mode} {name}"] = ratio
            print(f"{mode + ', ' + name:24}{f.per_s:10.1f}{f.cpu_ms:8.2f}{ratio:8.2f}"
                  f"{percentiles(f.laps_s)}{percentiles(f.alone_s)}")  # fmt: skip
        warm_ms = max(warm_ms, figures["warm"].cpu_ms)
        spread = max(pool.cpu_s) / min(pool.cpu_s)
        print(f"quiet? the pool's CPU time, worst round over best: {spread:.2f}")
    print(f"a known verdict costs {warm_ms:.2f} ms of CPU at most (bar: {WARM_BAR_MS})")
    value = ratios["stdio cold"]
    ok = value >= CPU_BAR and warm_ms <= WARM_BAR_MS
    measure.close("reward_latency", value, "x less CPU than a subprocess pool", CPU_BAR, ok=ok)


if __name__ == "__main__":
    main()
