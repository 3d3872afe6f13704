"""One sandbox for every verdict: run a program, judge it, turn the verdict into a reward."""

from sandbox.box import Box, open_box
from sandbox.cases import (
    AssertTests,
    BesideTests,
    Call,
    CallTests,
    InteractiveCase,
    InteractiveTests,
    StdioCase,
    StdioTests,
    Subtask,
    Tests,
)
from sandbox.door import judge, run
from sandbox.errors import SandboxBroken, SandboxError, SandboxUnavailable, TestsBroken
from sandbox.jobs import Job
from sandbox.outcome import Kind, Outcome
from sandbox.pool import Pool
from sandbox.program import Limits, Program
from sandbox.project.result import ProjectResult
from sandbox.project.snapshot import Snapshot
from sandbox.project.tests import ProjectTests
from sandbox.session.many import Sessions, SessionsFull, UnknownSession, run_cells
from sandbox.session.result import CellError, CellResult, SessionOver
from sandbox.session.session import Session
from sandbox.verdict import Failure, Reward, SubtaskResult, Verdict

__all__ = [
    "AssertTests",
    "BesideTests",
    "Box",
    "Call",
    "CallTests",
    "CellError",
    "CellResult",
    "Failure",
    "InteractiveCase",
    "InteractiveTests",
    "Job",
    "Kind",
    "Limits",
    "Outcome",
    "Pool",
    "Program",
    "ProjectResult",
    "ProjectTests",
    "Reward",
    "SandboxBroken",
    "SandboxError",
    "SandboxUnavailable",
    "Session",
    "SessionOver",
    "Sessions",
    "SessionsFull",
    "Snapshot",
    "StdioCase",
    "StdioTests",
    "Subtask",
    "SubtaskResult",
    "Tests",
    "TestsBroken",
    "UnknownSession",
    "Verdict",
    "judge",
    "open_box",
    "run",
    "run_cells",
]
