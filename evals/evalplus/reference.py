"""What the reference solutions return: computed once in a sandbox, and kept in the cache.

EvalPlus ships inputs, not outputs: it runs its own solutions first (`get_groundtruth` in evalplus
0.3.1, evalplus/evaluate.py) and measures them, for its time limits come from that. So do we, each
problem when it is first asked for, a few ahead of it at a time. What is kept is text in the
sandbox's own encoding (`sandbox.inside.wire`), which can build plain data only, under the digest of
solution and inputs: other data, or another way of computing, is another file.

The solutions are upstream's, and run in the box like any program.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from evals.evalplus.adapter import ENTRY, Kind, adapted, is_digest
from sandbox import Call, CallTests, Limits, Pool, Program, SandboxUnavailable, Verdict
from sandbox.compare import Custom
from sandbox.inside import wire
from seedcoder.cache import cache_folder
from seedcoder.errors import MachineLacks

log = logging.getLogger(__name__)

FORMAT: Final = 1  # of what is kept, and of how it is computed
# Ours. EvalPlus sets no limits for its own solutions; the dearest takes a minute and a half.
_LIMITS: Final = Limits(cpu_s=600, wall_s=3600, memory_mb=4096)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One solution to run. calls: the arguments of each call."""

    key: str
    source: str
    entry_point: str
    kind: Kind
    calls: Sequence[Sequence[Any]]

    @property
    def digest(self) -> str:
        """Of all that the values depend on."""
        calls = [wire.encode(list(args)) for args in self.calls]
        parts = [FORMAT, adapted(self.source, self.kind, self.entry_point), calls]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What a solution gave. values: a call each; long ones as their digests.

    cpu_s: for all calls together. peak_mb: of its processes.
    """

    values: tuple[Any, ...]
    cpu_s: float
    peak_mb: float

    @property
    def has_digests(self) -> bool:
        """Whether candidates must send digests too."""
        return any(map(is_digest, self.values))


def find(task: Task) -> Reference | None:
    """Return what is kept of the task; None where nothing is, or it cannot be read."""
    try:
        kept = json.loads(gzip.decompress(_path(task.digest).read_bytes()))
        return Reference(
            values=tuple(map(wire.decode, kept["values"])),
            cpu_s=float(kept["cpu_s"]),
            peak_mb=float(kept["peak_mb"]),
        )
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        if not isinstance(error, FileNotFoundError):
            log.warning("a kept reference cannot be read task=%s error=%s", task.key, error)
        return None


def compute(tasks: Sequence[Task]) -> None:
    """Run the solutions and keep what they return.

    Raises MachineLacks without a sandbox, or where a solution does not run here.
    """
    log.info("computing expected outputs tasks=%d first=%s", len(tasks), tasks[0].key)
    try:
        with Pool() as pool:
            gathered: list[list[Any]] = [[] for _ in tasks]
            futures = [
                pool.submit(*_job(task, found)) for task, found in zip(tasks, gathered, strict=True)
            ]
            for task, found, future in zip(tasks, gathered, futures, strict=True):
                verdict = cast(Verdict, future.result())
                if not verdict.ok:
                    why = verdict.first_failure.reason if verdict.first_failure else ""
                    raise MachineLacks(
                        f"{task.key}: the reference solution gave no answer to input "
                        f"{len(found)}: {verdict.kind.value} {why}"
                    )
                _keep(task, found, verdict)
    except SandboxUnavailable as error:
        raise MachineLacks(
            f"the expected outputs of {tasks[0].key} must be computed in a sandbox: {error}"
        ) from error


class _Unknown:
    """A value that nobody knows yet."""


def _job(task: Task, found: list[Any]) -> tuple[Program, CallTests, Limits]:
    def keep(_expected: Any, got: Any) -> bool:
        found.append(got)
        return True

    calls = [Call(args=args, expected=_Unknown()) for args in task.calls]
    tests = CallTests(entry_point=ENTRY, calls=calls, comparer=Custom(keep))
    return Program.python(adapted(task.source, task.kind, task.entry_point)), tests, _LIMITS


def _keep(task: Task, found: Sequence[Any], verdict: Verdict) -> None:
    outcome = verdict.outcomes[0]
    kept = {
        "values": [wire.encode(value) for value in found],
        "cpu_s": outcome.cpu_s,
        "peak_mb": outcome.peak_mb,
    }
    path = _path(task.digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.part")
    partial.write_bytes(gzip.compress(json.dumps(kept).encode(), compresslevel=3, mtime=0))
    partial.rename(path)


def _path(digest: str) -> Path:
    return cache_folder() / "data" / "evalplus-references" / f"{digest}.json.gz"
