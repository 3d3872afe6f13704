"""Judge patches to whole projects by the projects' own tests (SWE-bench's way)."""

from sandbox.project.environment import environment
from sandbox.project.judging import judge_by, judge_project
from sandbox.project.plan import ProjectPlan, plan
from sandbox.project.result import ProjectResult
from sandbox.project.sdist import fetch_sdist
from sandbox.project.snapshot import Snapshot
from sandbox.project.tests import PROJECT_LIMITS, ProjectTests

__all__ = [
    "PROJECT_LIMITS",
    "ProjectPlan",
    "ProjectResult",
    "ProjectTests",
    "Snapshot",
    "environment",
    "fetch_sdist",
    "judge_by",
    "judge_project",
    "plan",
]
