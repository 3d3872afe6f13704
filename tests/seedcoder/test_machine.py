"""The facts of the machine: enough to explain a figure, nothing that names the machine."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from seedcoder import machine


def test_facts_are_plain_data_and_say_what_a_figure_depends_on():
    facts = machine.facts()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["cores"] == len(os.sched_getaffinity(0))
    assert facts["memory_mb"] > 100
    assert facts["python"].endswith(".".join(map(str, sys.version_info[:3])))
    assert facts["packages"]["pydantic"].count(".") >= 1
    assert "no-such-package" not in facts["packages"]


def test_facts_name_neither_host_nor_user_nor_path():
    said = json.dumps(machine.facts())
    assert socket.gethostname() not in said
    assert "/" not in said.replace("GNU/Linux", "")
    if getpass.getuser() != "root":
        assert getpass.getuser() not in said


def test_the_commit_is_that_of_the_checkout_only(tmp_path):
    """A copy inside somebody else's repository must not be given that repository's commit."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    other = tmp_path / "other"
    inner = other / "lib"
    inner.mkdir(parents=True)
    shutil.copytree(
        Path(machine.__file__).parent,
        inner / "seedcoder",
        ignore=shutil.ignore_patterns("__pycache__", "models"),
    )
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.invalid"]
    script = "from seedcoder import machine; print(machine.git_state())"
    env = {**os.environ, "PYTHONPATH": str(inner)}

    def state():
        return subprocess.run(
            [sys.executable, "-P", "-c", script],
            capture_output=True,
            text=True,
            env=env,
            check=True,
        ).stdout.strip()

    subprocess.run([*git, "init", "-q", other], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], cwd=other, check=True)
    assert state() == "None"

    subprocess.run([*git, "init", "-q", inner], check=True)
    subprocess.run([*git, "add", "seedcoder"], cwd=inner, check=True)
    subprocess.run([*git, "commit", "-q", "-m", "x"], cwd=inner, check=True)
    assert "'dirty': False" in state()
    with (inner / "seedcoder" / "errors.py").open("a") as file:
        file.write("# changed\n")
    env["GIT_DIR"] = str(other / ".git")  # as inside a hook
    assert "'dirty': True" in state()
