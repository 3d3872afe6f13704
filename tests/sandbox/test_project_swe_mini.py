"""Real bug fixes of real projects: the upstream fix resolves, no change does not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from sandbox import Kind, Program, ProjectResult, ProjectTests, Snapshot, TestsBroken
from sandbox.box import LocalBox
from sandbox.project.sdist import fetch_sdist
from sandbox.project.tests import PROJECT_LIMITS

pytestmark = [pytest.mark.slow, pytest.mark.net]
# Ids with spaces, a src folder, a dependency. The other instances: tests/evals/swe.
CHOSEN = ("python-humanize__humanize-520aac16",)


@pytest.fixture(scope="module")
def rows(data_dir: Path) -> dict[str, Any]:
    """The instances by their ids."""
    path = data_dir / "swe-mini" / "instances.jsonl"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    return {row["instance_id"]: row for row in map(json.loads, path.read_text().splitlines())}


def _environment(requirements: list[str], folder: Path) -> Path:
    target = folder / "packages"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(target)]
    done = subprocess.run([*command, *requirements], capture_output=True, text=True, timeout=300)
    if done.returncode:
        pytest.skip(f"pip cannot install {requirements}: {done.stderr[-300:]}")
    return target


@pytest.mark.parametrize("chosen", CHOSEN)
def test_the_upstream_fix_resolves_and_no_change_does_not(
    chosen: str,
    rows: dict[str, Any],
    project_kit: ModuleType,
    box_of: Any,
    tmp_path: Path,
) -> None:
    row = rows[chosen]
    source = row["source"]
    try:
        fetch_sdist(source["name"], source["version"], source["sha256"], tmp_path / "sdists")
    except TestsBroken as error:
        pytest.skip(str(error))
    tests = ProjectTests(
        snapshot=Snapshot.sdist(
            source["name"], source["version"], source["sha256"], folder=tmp_path / "sdists"
        ),
        fail_to_pass=tuple(json.loads(row["FAIL_TO_PASS"])),
        pass_to_pass=tuple(json.loads(row["PASS_TO_PASS"])),
        test_patch=row["test_patch"],
        targets=tuple(row["test_files"]),
        arguments=("-o", "addopts="),
        pythonpath=tuple(row["pythonpath"]),
        packages_dir=str(_environment(row["pip"], tmp_path)),
    )
    box: LocalBox = box_of("namespace")
    gold = box.judge(Program(language="diff", source=row["patch"]), tests, PROJECT_LIMITS)
    assert gold.ok, (gold.first_failure, gold.outcomes[0].stdout[-2000:])
    assert gold.passed == gold.total == len(tests.ids)
    empty = box.judge(Program(language="diff", source=""), tests, PROJECT_LIMITS)
    assert empty.kind is Kind.WRONG
    statuses = ProjectResult.of(empty).statuses
    assert all(statuses[one] == "failed" for one in tests.ids[: len(tests.fail_to_pass)])
    assert empty.passed == empty.total - len(tests.fail_to_pass)
