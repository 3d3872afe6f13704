"""The doors for whoever wants one verdict: `run` and `judge`, over a pool made when needed."""

from __future__ import annotations

import atexit
import os
import threading

from sandbox.cases import Tests
from sandbox.outcome import Outcome
from sandbox.pool import Pool
from sandbox.program import Limits, Program
from sandbox.verdict import Verdict

_lock = threading.Lock()
_pools: dict[int, Pool] = {}  # by process: a forked child must not use its parent's boxes


def _pool() -> Pool:
    with _lock:
        pool = _pools.get(os.getpid())
        if pool is None:
            _pools.clear()
            pool = _pools[os.getpid()] = Pool()
            atexit.register(pool.close, wait_for_jobs=False)
        return pool


def run(program: Program, limits: Limits | None = None) -> Outcome:
    """Run one program in the strongest box of this machine and say what it did.

    Raises SandboxUnavailable when no box starts here, SandboxBroken when a box failed.
    """
    return _pool().run(program, limits)


def judge(program: Program, tests: Tests, limits: Limits | None = None) -> Verdict:
    """Judge one program by tests in the strongest box of this machine.

    Raises SandboxUnavailable when no box starts here, SandboxBroken when a box failed.
    """
    return _pool().judge(program, tests, limits)
