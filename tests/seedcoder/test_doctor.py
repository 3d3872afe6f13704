"""The doctor: the verdict on this machine, for people and for scripts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import pytest

ERRORS = """
class SandboxError(RuntimeError): pass
class SandboxUnavailable(SandboxError): pass
"""

EXAMINED = """
from types import SimpleNamespace as N

def examine():
    return N(box={box!r}, stronger={stronger!r}, containers="", layers=(
        N(name="user namespaces", held={held!r}, detail="no [bold] here", remedy="sysctl x=1"),
        N(name="memory limit", held=True, detail="cgroup 2", remedy="never shown"),
    ))
"""


def doctor(*words, path):
    return subprocess.run(
        [sys.executable, "-m", "seedcoder", "doctor", *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(path), "COLUMNS": "120"},
        cwd=path,  # -m looks there first, before PYTHONPATH
        check=False,
        timeout=60,
    )


@pytest.fixture
def sandbox(tmp_path):
    """A sandbox that stands in front of the real one and reports what the test wants."""

    def make(doctor_source=None):
        folder = tmp_path / "sandbox"
        folder.mkdir(exist_ok=True)
        (folder / "__init__.py").write_text("")
        (folder / "errors.py").write_text(ERRORS)
        if doctor_source is not None:
            (folder / "doctor.py").write_text(textwrap.dedent(doctor_source))
        return tmp_path

    return make


def test_a_machine_that_runs_the_default_box_is_ready(sandbox):
    path = sandbox(EXAMINED.format(box="namespace", held=True, stronger=""))
    done = doctor(path=path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Ready: programs run in the default box." in done.stdout
    assert "✓  user namespaces  no [bold] here" in done.stdout
    assert "never shown" not in done.stdout


def test_a_weaker_box_is_not_ready_and_the_remedy_is_said(sandbox):
    path = sandbox(EXAMINED.format(box="restricted", held=False, stronger="allow namespaces"))
    done = doctor(path=path)
    assert done.returncode == 3
    assert "✗  user namespaces" in done.stdout
    assert "sysctl x=1" in done.stdout
    assert "A stronger box: allow namespaces" in done.stdout
    assert "Not ready" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "said"),
    [
        (None, "the sandbox cannot be examined"),
        (
            """
            from sandbox.errors import SandboxUnavailable
            def examine():
                raise SandboxUnavailable("no box\\nat all")
            """,
            "no box at all",
        ),
    ],
)
def test_a_sandbox_that_cannot_be_examined_is_a_clear_line(sandbox, source, said):
    path = sandbox(source)
    for words in ([], ["--json"]):
        done = doctor(*words, path=path)
        assert (done.returncode, done.stderr) == (3, "")
        assert said in done.stdout


def test_json_holds_all_that_the_table_shows(sandbox):
    path = sandbox(EXAMINED.format(box="namespace", held=True, stronger="none"))
    done = doctor("--json", path=path)
    found = json.loads(done.stdout)
    assert done.returncode == 0
    assert found["ready"] is True
    assert found["sandbox"]["layers"][0]["held"] is True
    assert found["machine"]["cores"] >= 1
    assert found["memory_mb"]["total"] > 0
    assert found["disk_free_mb"]["here"] > 0
    extras = {extra["name"]: extra for extra in found["extras"]}
    assert {"hf", "train", "serve-cpu", "curate", "dev"} <= extras.keys()
    assert "hypothesis" in extras["dev"]["present"]
    assert extras["hf"]["install"] == "pip install -e '.[hf]'"
    rooms = {room["name"]: room for room in found["rooms"]}
    assert rooms["evals"]["ours"] is True
    # The stand-in is what a package of the same name would be: in front, and not ours.
    assert rooms["sandbox"]["ours"] is False
    assert rooms["sandbox"]["folder"] == str(path / "sandbox")


def test_a_room_that_another_package_hides_is_shown_as_such(sandbox):
    path = sandbox(EXAMINED.format(box="namespace", held=True, stronger=""))
    done = doctor(path=path)
    assert "another package of that name stands in front" in done.stdout
