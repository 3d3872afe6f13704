"""One sandbox for every verdict: run a program, judge it, turn the verdict into a reward."""

from sandbox.cases import AssertTests, Call, CallTests, StdioCase, StdioTests, Tests
from sandbox.errors import SandboxBroken, SandboxError, SandboxUnavailable
from sandbox.outcome import Kind, Outcome
from sandbox.program import Limits, Program
from sandbox.verdict import Failure, Reward, Verdict

__all__ = [
    "AssertTests",
    "Call",
    "CallTests",
    "Failure",
    "Kind",
    "Limits",
    "Outcome",
    "Program",
    "Reward",
    "SandboxBroken",
    "SandboxError",
    "SandboxUnavailable",
    "StdioCase",
    "StdioTests",
    "Tests",
    "Verdict",
]
