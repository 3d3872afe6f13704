"""What a fleet costs over a pool: the same small programs through both, in turns.

A fleet of one node on this machine and a pool, with as many workers each; the node's pool is the
same code, so what differs is Ray and the messages. CPU time is that of the whole process tree, all
of Ray's processes included, idle work as well. Machines drift: the median of the rounds counts.

Bar: 2.5 CPU milliseconds a program over the pool's. Sent one by one, a program costs two calls of
a Ray actor, 1.6 milliseconds each on their two sides together, and could not meet it.

    python bench/fleet.py [--quick] [--rounds N] [--programs N]
"""

from __future__ import annotations

import argparse
import os
import secrets
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

import measure  # noqa: E402

from sandbox import Job, Kind, Limits, Outcome, Pool, Program  # noqa: E402
from sandbox.fleet import Fleet  # noqa: E402

WORKERS = 2
BAR_MS = 2.5
JOB = Job(program=Program.python("print(1)"), limits=Limits(cpu_s=5, memory_mb=256))


def once(judge: Pool | Fleet, count: int) -> tuple[float, float]:
    """Return CPU milliseconds a program, and programs a second."""
    cpu_s, began = measure.tree_cpu_s(), time.monotonic()
    for result in judge.map((JOB for _ in range(count)), ordered=False):
        assert isinstance(result, Outcome) and result.kind is Kind.PASSED, result
    wall_s = time.monotonic() - began
    return 1000 * (measure.tree_cpu_s() - cpu_s) / count, count / wall_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few and short rounds")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--programs", type=int, default=0)
    wanted = parser.parse_args()
    rounds = wanted.rounds or (3 if wanted.quick else 7)
    count = wanted.programs or (500 if wanted.quick else 2000)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Else Ray writes a token for all later clusters of this user.
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16)}
    over, rows = [], []
    with (
        Fleet("local", workers_per_node=WORKERS, confirm_timeouts=False) as fleet,
        Pool(WORKERS, confirm_timeouts=False) as pool,
    ):
        once(fleet, 200), once(pool, 200)
        for n in range(rounds):
            pool_ms, pool_speed = once(pool, count)
            fleet_ms, fleet_speed = once(fleet, count)
            over.append(fleet_ms - pool_ms)
            rows.append((pool_speed, fleet_speed))
            print(
                f"round {n + 1}: pool {pool_ms:.2f} CPU ms, {pool_speed:.0f}/s"
                f"   fleet {fleet_ms:.2f} CPU ms, {fleet_speed:.0f}/s"
            )
        idle_s, began = measure.tree_cpu_s(), time.monotonic()
        time.sleep(2)
        idle = (measure.tree_cpu_s() - idle_s) / (time.monotonic() - began)
    extra_ms = statistics.median(over)
    speed = statistics.median(fleet / pool for pool, fleet in rows)
    print(
        f"over the pool: {extra_ms:.2f} CPU ms a program, {speed:.2f} of its speed;"
        f" Ray alone, idle: {100 * idle:.0f}% of a core"
    )
    measure.close("fleet_over_pool", extra_ms, "CPU ms a program", BAR_MS, ok=extra_ms <= BAR_MS)


if __name__ == "__main__":
    main()
