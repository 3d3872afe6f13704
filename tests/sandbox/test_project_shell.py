"""A shell in a project: files are kept between commands, and nothing else is."""

from __future__ import annotations

import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from sandbox import SandboxUnavailable, Snapshot, TestsBroken
from sandbox.project.shell import Change, Workshop, read_project, run_command


@pytest.fixture
def workshop(box_of: Any, project_kit: ModuleType, tmp_path: Path) -> Workshop:
    """The tiny project; skipped without a namespace box."""
    box_of("namespace")
    (tmp_path / "base").mkdir()
    folder = project_kit.lay(tmp_path / "base", project_kit.BASE)
    (folder / ".git").mkdir()
    (folder / ".git" / "packed-refs").write_text("the fix\n")
    return Workshop(snapshot=Snapshot.folder(folder))


def test_files_are_kept_and_variables_processes_and_other_files_are_not(
    workshop: Workshop,
) -> None:
    base = read_project(workshop)
    first = run_command(
        workshop,
        "X=1; cd lib; echo new > new.txt; rm ../README; echo out > /tmp/out; sleep 60 &"
        " printf 'b = 1\\n' >> __init__.py; chmod +x new.txt",
        {},
        base,
    )
    assert (first.exit_code, first.timed_out, first.ended) == (0, False, "")
    assert dict(first.changes) == {
        "README": None,
        "lib/__init__.py": Change(content=base["lib/__init__.py"].content + b"b = 1\n"),
        "lib/new.txt": Change(content=b"new\n", executable=True),
    }
    second = run_command(
        workshop,
        "pwd; echo x=$X; ls; cat lib/new.txt; ls /tmp/out; pgrep sleep",
        first.changes,
        base,
    )
    assert "x=\n" in second.output and "new\n" in second.output and "No such file" in second.output
    assert "README" not in second.output
    back = "printf 'A project.\\n' > README; rm lib/new.txt; python - <<'E'\n"
    back += "from pathlib import Path\np = Path('lib/__init__.py')\n"
    back += "p.write_text(p.read_text().replace('b = 1\\n', ''))\nE\n"
    assert run_command(workshop, back, second.changes, base).changes == {}


def test_the_project_s_history_is_not_there(workshop: Workshop) -> None:
    base = read_project(workshop)
    assert not any(".git" in name for name in base)
    seen = run_command(workshop, "cat .git/packed-refs; git log --oneline --all", {}, base)
    assert "the fix" not in seen.output


@pytest.mark.slow
def test_a_command_that_runs_too_long_is_ended_and_its_changes_are_kept(
    workshop: Workshop,
) -> None:
    base = read_project(workshop)
    began = time.monotonic()
    result = run_command(
        workshop, "echo x > made.txt; (sleep 300 &) ; sleep 300", {}, base, timeout_s=0.5
    )
    assert result.timed_out and list(result.changes) == ["made.txt"]
    assert time.monotonic() - began < 100


def test_a_command_that_takes_all_memory_fails_and_what_was_kept_before_stays(
    workshop: Workshop,
) -> None:
    base = read_project(workshop)
    kept = {"kept.txt": Change(content=b"kept\n")}
    hungry = (
        "echo x > lost.txt; python -c 'x = bytearray(8 << 30); x[::4096] = b\"1\" * len(x[::4096])'"
    )
    result = run_command(workshop, hungry, kept, base)
    assert result.ended or result.exit_code
    assert result.changes["kept.txt"] == kept["kept.txt"]


def test_links_large_files_and_what_tools_leave_are_not_kept(workshop: Workshop) -> None:
    base = read_project(workshop)
    result = run_command(
        workshop,
        "ln -s /etc/passwd link; head -c 2000000 /dev/zero > large; "
        "mkdir -p __pycache__ x.egg-info; touch __pycache__/a x.egg-info/b c.pyc; echo d > d",
        {},
        base,
    )
    assert list(result.changes) == ["d"]
    assert result.left_out == ("large", "link")


def test_a_shell_needs_a_box_that_holds_and_a_project(workshop: Workshop, tmp_path: Path) -> None:
    with pytest.raises(SandboxUnavailable, match="restricted"):
        run_command(Workshop(snapshot=workshop.snapshot, box="restricted"), "ls", {}, {})
    with pytest.raises(TestsBroken, match="no folder"):
        read_project(Workshop(snapshot=Snapshot.folder(tmp_path / "none")))
