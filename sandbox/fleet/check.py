"""Is each node of a fleet fit to judge? Programs that are right, wrong and endless tell."""

from __future__ import annotations

import time
from concurrent.futures import Future
from dataclasses import dataclass

from sandbox.cases import CallTests
from sandbox.errors import SandboxError
from sandbox.fleet.front import Fleet
from sandbox.jobs import Job, Result
from sandbox.outcome import Kind
from sandbox.program import Limits, Program

_TESTS = CallTests.of("double", ((21,), 42), ((["a"],), ["a", "a"]))
_LIMITS = Limits(cpu_s=1, wall_s=30, memory_mb=256)
_KNOWN = (
    (Kind.PASSED, "def double(x): return 2 * x"),
    (Kind.WRONG, "def double(x): return x"),
    (Kind.TIMEOUT, "def double(x):\n    while True: pass"),
)
_SPEED_LIMITS = Limits(cpu_s=5, memory_mb=256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What came of a node's check. detail: the first thing that was not as it must be."""

    node_id: str
    ok: bool
    detail: str
    wall_s: float


def check(fleet: Fleet) -> tuple[Checked, ...]:
    """Judge the known programs on every node that serves."""
    began = time.monotonic()
    serving = [node.node_id for node in fleet.nodes() if node.state == "serving"]
    asked = [
        (node_id, [fleet.submit_to(node_id, _job(source)) for _, source in _KNOWN])
        for node_id in serving
    ]
    checked = []
    for node_id, futures in asked:
        detail = _first_wrong(futures)
        wall_s = time.monotonic() - began
        checked.append(Checked(node_id=node_id, ok=not detail, detail=detail, wall_s=wall_s))
    return tuple(checked)


def programs_per_s(fleet: Fleet, count: int) -> float:
    """Return how many small programs the fleet runs in a second, tried with so many."""
    job = Job(program=Program.python("print(1)"), limits=_SPEED_LIMITS)
    began = time.monotonic()
    for result in fleet.map((job for _ in range(count)), ordered=False):
        if isinstance(result, SandboxError):
            raise result
    return count / (time.monotonic() - began)


def _job(source: str) -> Job:
    return Job(program=Program.python(source), tests=_TESTS, limits=_LIMITS)


def _first_wrong(futures: list[Future[Result]]) -> str:
    found = ""
    for (kind, source), future in zip(_KNOWN, futures, strict=True):
        try:
            got = future.result().kind
        except SandboxError as error:
            found = found or str(error)
            continue
        if got is not kind:
            found = found or f"{source!r} was judged {got.value}, not {kind.value}"
    return found
