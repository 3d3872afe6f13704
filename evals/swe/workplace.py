"""What a scaffold may see and use of an instance: the issue, the files, a shell. No answer.

Neither the gold patch nor the tests that judge, nor their ids, are in here; the project's history
is in neither a release nor a shell. The shell is `sandbox.project.shell`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from evals.problem import Problem
from evals.swe.official import TESTBED
from sandbox import Snapshot
from sandbox.project.shell import (
    Change,
    Changes,
    ShellResult,
    Workshop,
    read_project,
    run_command,
)

# SWE-bench's images: `swebench/image_builder` puts the tests' packages into this environment.
_ACTIVATE = (
    "[ -f /opt/miniconda3/bin/activate ] && . /opt/miniconda3/bin/activate && "
    "conda activate testbed; true"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """One instance to work on. base: the project's text files by name."""

    issue: str
    repo: str
    workshop: Workshop
    base: Mapping[str, Change]

    def run(self, command: str, changes: Changes, *, timeout_s: float) -> ShellResult:
        """Run a command of bash in a work copy; see `sandbox.project.shell.run_command`."""
        return run_command(self.workshop, command, changes, self.base, timeout_s=timeout_s)

    def text(self, name: str) -> str | None:
        """Return a file's text, None where there is no such text."""
        change = self.base.get(name)
        try:
            return change.content.decode() if change else None
        except UnicodeDecodeError:
            return None


def workplace(problem: Problem, box: str) -> Workplace:
    """Return the place for an instance; its release and packages are fetched where they are not.

    box: the recipe's. Raises MachineLacks where something cannot be had, SandboxError where no box
    can read the project.
    """
    tests = problem.tests
    if tests["place"] == "image":
        workshop = Workshop(
            snapshot=Snapshot.image(TESTBED, image=tests["image"]), pythonpath=(), setup=_ACTIVATE
        )
    else:
        from evals.swe.environments import packages, release

        workshop = Workshop(
            snapshot=release(tests["source"]),
            box=box,
            packages_dir=str(packages(tests["pip"], tests["python"])),
            pythonpath=tuple(tests["pythonpath"]),
        )
    return Workplace(
        issue=problem.prompt,
        repo=problem.tags[0].partition(":")[2],
        workshop=workshop,
        base=read_project(workshop),
    )
