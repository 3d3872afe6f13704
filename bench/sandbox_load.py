"""The sandbox's server under load: many clients, programs of mixed kinds, then killed zygotes.

Each program knows its number and must come to the end that its kind has; every request must get
exactly one answer, its own, and the server must have run each program once (its own counters say
so, and no token is seen twice). Then zygotes are killed with SIGKILL while another load goes on:
each request must still get an answer, where that is 503 SandboxBroken a new try must settle it,
and the server must live.

Clients wait for each answer before they ask again, so the queue's wait is about clients / programs
a second by arithmetic; the bar is three times that at the 99th percentile.

    python bench/sandbox_load.py [--quick] [--clients 64] [--programs 10000] [--killed 2000]
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

import measure  # noqa: E402

_SMALL = {"cpu_s": 0.2, "wall_s": 20.0}
_TRIES = 20


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, and the end that its program must come to. token: in its output."""

    path: str
    body: bytes
    kind: str
    token: str
    read: Callable[[Any], tuple[str, str]]  # the answer's kind and output


def _outcome(data: Any) -> tuple[str, str]:
    return data["kind"], data["stdout"]


def _verdict(data: Any) -> tuple[str, str]:
    return data["kind"], "".join(outcome["stdout"] for outcome in data["outcomes"])


def _fusion(data: Any) -> tuple[str, str]:
    run = data["run_result"]
    return data["status"], run["stdout"] if run else ""


def _piston(data: Any) -> tuple[str, str]:
    return str(data["run"]["code"]), data["run"]["stdout"]


def asked(number: int) -> Asked:
    """Return the request of a number; kinds come in a fixed mixture."""
    token = f"<{number}>"

    def run(source: str, kind: str, seen: str = token, **fields: Any) -> Asked:
        return made("/v1/run", {"program": {"source": source}, **fields}, kind, seen, _outcome)

    def made(path: str, data: Any, kind: str, seen: str, read: Any) -> Asked:
        return Asked(path, json.dumps(data).encode(), kind, seen, read)

    def judge(source: str, tests: Any, kind: str, seen: str) -> Asked:
        data = {"program": {"source": source}, "tests": tests}
        return made("/v1/judge", data, kind, seen, _verdict)

    stdio = {"kind": "stdio", "cases": [{"stdin": "2 3", "stdout": f"5 {token}"}]}
    asserts = {"kind": "asserts", "test": f"assert candidate({number}) == {number} + 1",
               "entry_point": "f"}  # fmt: skip
    place = number * 37 % 100  # the slow kinds apart from each other
    if place == 0:
        return run(f"print('{token}', flush=True)\nwhile True: pass", "timeout", limits=_SMALL)
    if place == 1:
        return run(f"print('{token}', flush=True)\nx = bytearray(1 << 30)", "memory",
                   limits={"memory_mb": 64})  # fmt: skip
    if place == 2:
        return run("print('x' * (1 << 21))", "output", "x" * 100, limits={"output_kb": 64})
    if place < 8:
        return run(f"print('{token}', flush=True); import os; os.abort()", "crashed")
    if place < 14:
        return run(f"def {token}", "compile_error", "")
    if place < 24:
        source = f"print(sum(map(int, input().split())), '{token}')"
        return judge(source, stdio, "passed", token)
    if place < 30:
        return judge(f"print('{token}')", stdio, "wrong", token)
    if place < 36:
        return judge("def f(x):\n    return x + 1", asserts, "passed", "")
    if place < 40:
        return judge("def f(x):\n    return x", asserts, "wrong", "")
    if place < 60:
        data = {"language": "python", "code": f"print('{token}')", "memory_limit_MB": 1024}
        return made("/run_code", data, "Success", token, _fusion)
    if place < 70:
        file = {"content": f"print('{token}'); raise SystemExit(3)"}
        data = {"language": "python", "version": "*", "files": [file]}
        return made("/api/v2/execute", data, "3", token, _piston)
    return run(f"print('{token}', sum(range({number})))", "passed")


@dataclass(slots=True)
class Tally:
    """What became of a load."""

    latencies_s: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    retried: Counter[str] = field(default_factory=Counter)
    answered: int = 0


class Server:
    """A server of ours as a process."""

    def __init__(self, workers: int) -> None:
        words = ["--port", "0", "--quiet", "--workers", str(workers)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "seedcoder", "sandbox", "serve", *words],
            stderr=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        assert self.process.stderr is not None
        first = self.process.stderr.readline()
        found = re.search(r":(\d+) box=", first)
        if found is None:
            sys.exit(f"the server did not start: {first}")
        self.port = int(found[1])
        threading.Thread(target=self._drop, daemon=True).start()

    def _drop(self) -> None:
        assert self.process.stderr is not None
        for _ in self.process.stderr:
            pass

    def get(self, path: str) -> str:
        """Return the text of a page."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", path)
        text = connection.getresponse().read().decode()
        connection.close()
        return text

    def counted(self, name: str) -> float:
        """Return the sum of a counter over its labels."""
        pattern = rf"^seedcoder_sandbox_{name}(?:\{{[^}}]*\}})? (\S+)$"
        return sum(float(x) for x in re.findall(pattern, self.get("/metrics"), re.MULTILINE))

    def wait_buckets(self) -> list[tuple[float, float]]:
        """Return the histogram of the queue's wait: upper bound, count up to it."""
        pattern = r'^seedcoder_sandbox_wait_seconds_bucket\{le="(\S+)"\} (\S+)$'
        found = re.findall(pattern, self.get("/metrics"), re.MULTILINE)
        return [(float(bound), float(count)) for bound, count in found]

    def zygotes(self) -> list[int]:
        """Return the pids of zygotes: the children of the guards, which are the server's."""
        children: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                except (FileNotFoundError, ProcessLookupError):
                    continue
                children.setdefault(int(fields[1]), []).append(int(entry.name))
        return [pid for x in children.get(self.process.pid, []) for pid in children.get(x, [])]


def percentile(before: list[tuple[float, float]], after: list[tuple[float, float]],
               share: float) -> float:  # fmt: skip
    """Return a percentile out of two readings of a histogram, as Prometheus interpolates it."""
    counts = [(bound, count - old) for (bound, count), (_, old) in zip(after, before, strict=True)]
    wanted, low, below = share * counts[-1][1], 0.0, 0.0
    for bound, count in counts:
        if count >= wanted:
            if bound == float("inf"):
                return low
            return low + (bound - low) * (wanted - below) / max(count - below, 1e-9)
        low, below = bound, count
    return low


def load(server: Server, clients: int, numbers: range) -> tuple[Tally, float]:
    """Ask for the programs of all numbers; return the tally, and the seconds it took."""
    tally, lock, queue = Tally(), threading.Lock(), iter(numbers)
    runs = itertools.count()

    def work() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)
        while True:
            with lock:
                number = next(queue, None)
                key = f"{os.getpid()}-{numbers.start}-{next(runs)}"
            if number is None:
                connection.close()
                return
            one(connection, asked(number), key)

    def one(connection: http.client.HTTPConnection, request: Asked, key: str) -> None:
        began = time.perf_counter()
        for _ in range(_TRIES):
            connection.request("POST", request.path, request.body, {"Idempotency-Key": key})
            response = connection.getresponse()
            data = json.loads(response.read())
            broken = data.get("status") == "SandboxError"
            if response.status == 200 and not broken:
                break
            why = "SandboxError" if broken else data.get("error", {}).get("type", "?")
            with lock:
                tally.retried[f"{response.status} {why}"] += 1
            time.sleep(0.05)
        else:
            with lock:
                tally.wrong.append(f"{request.path}: no answer in {_TRIES} tries")
            return
        kind, output = request.read(data)
        with lock:
            tally.answered += 1
            tally.latencies_s.append(time.perf_counter() - began)
            if kind != request.kind or request.token not in output:
                tally.wrong.append(f"{request.path} {request.kind} {request.token}: {kind}")

    threads = [threading.Thread(target=work) for _ in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return tally, time.perf_counter() - began


def killing(server: Server, every_s: float, end: threading.Event) -> Counter[str]:
    """Kill zygotes at random until the end; return how many."""
    killed: Counter[str] = Counter()
    chance = random.Random(1)
    while not end.wait(every_s):
        zygotes = server.zygotes()
        if zygotes:
            try:
                os.kill(chance.choice(zygotes), signal.SIGKILL)
                killed["zygotes"] += 1
            except ProcessLookupError:
                pass
    return killed


def show(name: str, tally: Tally, wall_s: float) -> None:
    """Print what became of a load."""
    cuts = statistics.quantiles(tally.latencies_s, n=100)
    print(f"{name}: {tally.answered} answered in {wall_s:.1f} s, {tally.answered / wall_s:.0f}/s; "
          f"latency p50 {cuts[49]:.3f} s, p99 {cuts[98]:.3f} s; "
          f"wrong {len(tally.wrong)}; tried again {dict(tally.retried)}")  # fmt: skip
    for line in tally.wrong[:10]:
        print(f"  {line}")


def main() -> None:
    """Run both loads and judge them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="16 clients, 600 + 200 programs")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--programs", type=int, default=10_000)
    parser.add_argument("--killed", type=int, default=2_000, help="programs while zygotes die")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    if options.quick:
        options.clients, options.programs, options.killed = 16, 600, 200
    server = Server(options.workers)
    try:
        load(server, 2, range(100))  # every kind of zygote has started
        before, ran = server.wait_buckets(), server.counted("results_total")
        tally, wall_s = load(server, options.clients, range(1000, 1000 + options.programs))
        p99_s = percentile(before, server.wait_buckets(), 0.99)
        p50_s = percentile(before, server.wait_buckets(), 0.5)
        ran = server.counted("results_total") - ran
        show("load", tally, wall_s)
        print(f"  queue wait p50 {p50_s:.3f} s, p99 {p99_s:.3f} s; programs run {ran:.0f}; "
              f"dropped {server.counted('dropped_total'):.0f}")  # fmt: skip
        once = tally.answered == options.programs == ran and not tally.retried and not tally.wrong

        end, killed = threading.Event(), Counter[str]()
        killer = threading.Thread(target=lambda: killed.update(killing(server, 0.5, end)))
        killer.start()
        first = 1_000_000
        under, under_s = load(server, options.clients, range(first, first + options.killed))
        end.set()
        killer.join()
        show("zygotes killed", under, under_s)
        restarts = server.counted("box_restarts_total")
        print(f"  killed {killed['zygotes']}, restarts {restarts:.0f}, failures told "
              f"{server.counted('failures_total'):.0f}")  # fmt: skip
        lives = json.loads(server.get("/healthz"))["workers"] == options.workers
        survived = under.answered == options.killed and not under.wrong and lives
        survived = survived and killed["zygotes"] > 0 and restarts > 0
        after, _ = load(server, 8, range(5_000, 5_100))
        survived = survived and not after.wrong and not after.retried
        server.process.send_signal(signal.SIGTERM)
        ended = server.process.wait(60) == 0
    finally:
        server.process.kill()
    bar_s = 3 * options.clients / (options.programs / wall_s)
    ok = once and survived and ended and p99_s <= bar_s
    print(f"each once: {once}; survived: {survived}; drained: {ended}")
    measure.close("sandbox_load_wait_p99", p99_s, "s", round(bar_s, 3), ok=ok)


if __name__ == "__main__":
    main()
