"""Patches that mend nothing and want to pass. With the fix beside them the tricks do not hinder it;

where the trick is refused as such (names that leave the tree, links, an end from within), the
control is that the fix alone passes.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from sandbox import Kind, Limits, Outcome, Program, ProjectResult, Verdict
from sandbox.project.judging import judge_by
from sandbox.project.plan import ProjectPlan

ALWAYS = """import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    done = yield
    report = done.get_result()
    report.outcome, report.longrepr = "passed", None
"""
EMPTY_TESTS = "def test_zero():\n    pass\n\n\ndef test_add():\n    pass\n"
FAKE_PYTEST = """import os
print("tests/test_add.py::test_add PASSED")
print("tests/test_add.py::test_zero PASSED")
print("2 passed in 0.01s")
os._exit(0)
"""
FAKE_XML = (
    "<testsuites><testsuite name='pytest' tests='2' failures='0'>"
    "<testcase classname='tests.test_add' name='test_add'/>"
    "<testcase classname='tests.test_zero' name='test_zero'/></testsuite></testsuites>\n"
)
WRITE_XML = f"""
import glob


def forge():
    for folder in glob.glob("../out-*"):
        with open(folder + "/junit.xml", "w") as file:
            file.write({FAKE_XML!r})
"""
ENTRY = "[pytest11]\nevil = evil\n"
LIE = "class Liar:\n    def __eq__(self, other):\n        return True\n\n\n"

# Undone before anything runs: each is a set of files that the patch makes or changes.
UNDONE = {
    "the tests": {"tests/test_add.py": EMPTY_TESTS},
    "the tests, removed": {"tests/test_add.py": None},
    "the tests' settings": {"tests/conftest.py": ALWAYS},
    "settings of the whole": {"conftest.py": ALWAYS},
    "settings beside the code": {"lib/conftest.py": ALWAYS},
    "a module of the tests": {"tests/lib.py": "def add(a, b):\n    return 5 if a - 1 else 1\n"},
    "a false pytest": {"pytest.py": FAKE_PYTEST},
    "a false inner pytest": {"_pytest/__init__.py": FAKE_PYTEST},
    "a false module of Python": {"unittest.py": FAKE_PYTEST, "json/__init__.py": FAKE_PYTEST},
    "a false module of the environment": {"pluggy.py": FAKE_PYTEST},
    "what Python loads first": {"sitecustomize.py": FAKE_PYTEST, "usercustomize.py": FAKE_PYTEST},
    "a path file": {"evil.pth": "import os; os._exit(0)\n"},
    "an entry point": {
        "evil.dist-info/entry_points.txt": ENTRY,
        "evil.dist-info/METADATA": "Metadata-Version: 2.1\nName: evil\nVersion: 1\n",
        "evil.py": ALWAYS,
    },
    "pytest.ini": {"pytest.ini": "[pytest]\naddopts = -p evil\n", "evil.py": ALWAYS},
    "tox.ini": {"tox.ini": "[pytest]\naddopts = -p evil\n", "evil.py": ALWAYS},
    "setup.cfg": {
        "setup.cfg": "[tool:pytest]\naddopts = --deselect tests/test_add.py::test_add\n",
    },
    "pyproject.toml": {
        "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '-p evil'\n",
        "evil.py": ALWAYS,
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("files", UNDONE.values(), ids=UNDONE)
def test_what_is_not_the_candidates_to_change_is_undone(
    kit: Any, project_kit: ModuleType, files: dict[str, str | None]
) -> None:
    attack = kit.judge(project_kit.patch(files))
    assert (attack.kind, attack.passed) == (Kind.WRONG, 1)
    found = ProjectResult.of(attack)
    assert found.undone
    assert found.statuses[project_kit.F2P] == "failed"
    assert not found.doubt


def test_the_right_patch_passes_with_all_of_these_tricks_beside_it(
    kit: Any, project_kit: ModuleType
) -> None:
    files: dict[str, str | None] = {"lib/__init__.py": project_kit.RIGHT}
    for more in UNDONE.values():
        files |= more
    verdict = kit.judge(project_kit.patch(files))
    assert verdict.ok
    assert len(ProjectResult.of(verdict).undone) >= len(UNDONE)


@pytest.mark.slow
def test_an_instance_can_leave_a_file_to_candidates(kit: Any, project_kit: ModuleType) -> None:
    read = "    return a + b if 'plus' in open('setup.cfg').read() else a - b\n"
    fix = {"lib/__init__.py": f"def add(a, b):\n{read}", "setup.cfg": "[metadata]\nname = plus\n"}
    assert kit.judge(project_kit.patch(fix)).kind is Kind.WRONG
    assert kit.judge(project_kit.patch(fix), kit.tests(may_change=("setup.cfg",))).ok


FROM_WITHIN = {
    "ends well at import": "import os\nprint('2 passed')\nos._exit(0)\n",
    "ends badly at import": "import os\nos._exit(1)\n",
    "ends when it is called": "import os\n\n\ndef add(a, b):\n    os._exit(0)\n",
    "kills itself": "import os\nos.kill(os.getpid(), 9)\n",
    "kills its parent": "import os\nos.kill(os.getppid(), 9)\n",
    "interrupts its parent": "import os\nos.kill(os.getppid(), 2)\n",
    "kills everybody": "import os\nos.kill(-1, 9)\n",
    "leaves an XML and ends": WRITE_XML + "forge()\nimport os\nos._exit(0)\n",
}


@pytest.mark.slow
@pytest.mark.parametrize("source", FROM_WITHIN.values(), ids=FROM_WITHIN)
def test_an_end_from_within_passes_nothing(kit: Any, project_kit: ModuleType, source: str) -> None:
    verdict = kit.judge(project_kit.patch({"lib/__init__.py": source}))
    assert (verdict.kind, verdict.passed) == (Kind.CRASHED, 0)
    assert kit.gold_passes


@pytest.mark.slow
def test_printed_passes_and_a_left_xml_change_nothing(kit: Any, project_kit: ModuleType) -> None:
    files = {
        "lib/__init__.py": project_kit.WRONG
        + "print('tests/test_add.py::test_add PASSED\\n===== 2 passed =====')\n"
        + WRITE_XML
        + "forge()\n",
        "junit.xml": FAKE_XML,
    }
    verdict = kit.judge(project_kit.patch(files), kit.tests(arguments=("-s",)))
    assert (verdict.kind, verdict.passed) == (Kind.WRONG, 1)
    assert "PASSED" in verdict.outcomes[0].stdout
    files["lib/__init__.py"] = files["lib/__init__.py"].replace("a - b", "a + b")
    assert kit.judge(project_kit.patch(files), kit.tests(arguments=("-s",))).ok


LATE = {
    "at exit": "import atexit\natexit.register(forge)\n",
    "in a process that stays": (
        "import os\nimport time\nif os.fork() == 0:\n    os.setsid()\n"
        "    while True:\n        forge()\n        time.sleep(0.01)\n"
    ),
    "in a process at the end": (
        "import os\nimport time\nhere = os.getpid()\nif os.fork() == 0:\n    os.setsid()\n"
        "    while os.path.exists(f'/proc/{here}/cwd'):\n        time.sleep(0.001)\n"
        "    while True:\n        forge()\n"
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("source", LATE.values(), ids=LATE)
def test_an_xml_that_is_rewritten_later_does_not_pass(
    kit: Any, project_kit: ModuleType, source: str
) -> None:
    verdict = kit.judge(
        project_kit.patch({"lib/__init__.py": project_kit.WRONG + WRITE_XML + source})
    )
    assert verdict.kind is Kind.WRONG
    assert verdict.passed < 2
    assert kit.gold_passes


BLANKET = {
    "reports": (
        "import _pytest.reports as r\nold = r.TestReport.from_item_and_call\n"
        "def new(item, call):\n    call.excinfo = None\n    return old(item, call)\n"
        "r.TestReport.from_item_and_call = staticmethod(new)\n"
    ),
    "calls": (
        "import _pytest.python as p\nold = p.Function.runtest\n"
        "def new(self):\n    try:\n        old(self)\n    except BaseException:\n        pass\n"
        "p.Function.runtest = new\n"
    ),
    "statuses in the XML only": (
        "import _pytest.junitxml as j\n"
        "j._NodeReporter.append_failure = j._NodeReporter.append_pass\n"
    ),
    "functions in memory": (
        "import gc\nimport types\n"
        "def hook():\n"
        "    for f in gc.get_objects():\n"
        "        if isinstance(f, types.FunctionType) and f.__name__.startswith('test_'):\n"
        "            if f.__code__.co_argcount == 0:\n"
        "                f.__code__ = (lambda: None).__code__\n"
        "import atexit, threading\n"
        "def wait():\n    import time\n"
        "    while True:\n        hook()\n        time.sleep(0.001)\n"
        "threading.Thread(target=wait, daemon=True).start()\n"
        "import time\ntime.sleep(0.1)\n"
        "def add(a, b):\n    hook()\n    return a - b\n"
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("source", BLANKET.values(), ids=BLANKET)
def test_code_that_makes_everything_pass_gives_itself_away(
    kit: Any, project_kit: ModuleType, source: str
) -> None:
    verdict = kit.judge(project_kit.patch({"lib/__init__.py": project_kit.WRONG + source}))
    found = ProjectResult.of(verdict)
    assert (verdict.kind, verdict.passed) == (Kind.WRONG, 0)
    assert "planted" in found.doubt or "agree" in found.doubt
    assert verdict.first_failure.reason == found.doubt


def test_without_planted_tests_such_code_would_pass(kit: Any, project_kit: ModuleType) -> None:
    """The control of the control: it is the planted tests that catch it."""
    source = project_kit.patch({"lib/__init__.py": project_kit.WRONG + BLANKET["calls"]})
    assert kit.judge(source, kit.tests(canaries=False)).ok


def test_a_value_that_equals_everything_stays_open_and_is_named(
    kit: Any, project_kit: ModuleType
) -> None:
    """It shares a process with the tests: whoever answers for these very tests is believed."""
    source = LIE + "def add(a, b):\n    return Liar()\n"
    verdict = kit.judge(project_kit.patch({"lib/__init__.py": source}))
    assert verdict.ok
    assert "can answer for them" in ProjectResult.of(verdict).open


SEND = """
import json
import os


def lines():
    for fd in map(int, os.listdir("/proc/self/fd")):
        try:
            if os.readlink(f"/proc/self/fd/{fd}").startswith("pipe:") and fd > 2:
                yield fd
        except OSError:
            continue


for fd in lines():
    what = [1, "test", "tests/test_add.py::test_add", "passed", "tests.test_add", "test_add"]
    os.write(fd, b"0" * 32 + b" " + json.dumps(what).encode() + b"\\n")
"""


def test_a_report_without_the_seal_of_the_run_is_noticed(kit: Any, project_kit: ModuleType) -> None:
    verdict = kit.judge(project_kit.patch({"lib/__init__.py": project_kit.WRONG + SEND}))
    assert (verdict.kind, verdict.passed) == (Kind.WRONG, 0)
    assert "seal" in verdict.first_failure.reason


REACH = """
import glob
import os

seen = []
for parent in (os.getppid(), 1, 2):
    for name in ("mem", "environ", "fd/0", "fd/1", "maps", "root"):
        try:
            open(f"/proc/{parent}/{name}", "rb").read(1)
            seen.append(name)
        except OSError:
            pass
words = " ".join([*os.environ, *os.environ.values(), *open("/proc/self/cmdline").read().split()])
seen += [word for word in ("nonce=", "begin-", "end-") if word in words]
seen += glob.glob("../out-*/told")
print("REACHED", seen)
"""


def test_the_driver_cannot_be_read_from_the_tests(kit: Any, project_kit: ModuleType) -> None:
    verdict = kit.judge(
        project_kit.patch({"lib/__init__.py": project_kit.RIGHT + REACH}),
        kit.tests(arguments=("-s",)),
    )
    assert "REACHED []" in verdict.outcomes[0].stdout
    assert verdict.ok


LEAVING = {
    "dots": "--- a/lib/__init__.py\n+++ b/../../escape.py\n@@ -1,2 +1,2 @@\n"
    " def add(a, b):\n-    return a - b\n+    return a + b\n",
    "new, with dots": "diff --git a/../escape.py b/../escape.py\nnew file mode 100644\n"
    "--- /dev/null\n+++ b/../escape.py\n@@ -0,0 +1 @@\n+x = 1\n",
    "absolute": "--- /etc/hosts\n+++ /etc/hosts\n@@ -1 +1 @@\n-127.0.0.1 localhost box\n+x\n",
    "git's own": "diff --git a/.git/config b/.git/config\nnew file mode 100644\n"
    "--- /dev/null\n+++ b/.git/config\n@@ -0,0 +1 @@\n+[core]\n",
    "a link": "diff --git a/out b/out\nnew file mode 120000\n--- /dev/null\n+++ b/out\n"
    "@@ -0,0 +1 @@\n+/etc\n\\ No newline at end of file\n",
    "a link in place of the tests": "diff --git a/here b/here\nnew file mode 120000\n"
    "--- /dev/null\n+++ b/here\n@@ -0,0 +1 @@\n+lib\n\\ No newline at end of file\n",
    "an ed script": "--- a/lib/__init__.py\n+++ b/lib/__init__.py\n2c\n    return a + b\n.\n"
    "!touch ../owned\n",
}


@pytest.mark.parametrize("source", LEAVING.values(), ids=LEAVING)
def test_a_patch_that_leaves_the_tree_is_wrong(
    kit: Any, project_kit: ModuleType, source: str
) -> None:
    verdict = kit.judge(source)
    assert (verdict.kind, verdict.passed) == (Kind.WRONG, 0)
    assert ProjectResult.of(verdict).stage == "patch"
    assert kit.gold_passes


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_binary_files_and_modes_are_taken(
    kit: Any, project_kit: ModuleType, tmp_path: Path
) -> None:
    mode = "diff --git a/README b/README\nold mode 100644\nnew mode 100755\n"
    (tmp_path / "x.bin").write_bytes(bytes(range(256)))
    made = subprocess.run(
        ["git", "diff", "--no-index", "--binary", "/dev/null", "x.bin"],
        cwd=tmp_path, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert "GIT binary patch" in made.stdout
    assert kit.judge(project_kit.GOLD + mode + made.stdout).ok


def _forged(lines: list[str]) -> Outcome:
    return Outcome(
        kind=Kind.PASSED, exit_code=0, signal=None, stdout="".join(f"{x}\n" for x in lines),
        stderr="", truncated=False, cpu_s=0.1, wall_s=0.1, peak_mb=1.0,
    )  # fmt: skip


@pytest.mark.slow
def test_a_report_without_both_markers_of_this_run_is_none(
    kit: Any, project_kit: ModuleType
) -> None:
    real: list[list[str]] = []

    def judge(forge: Any) -> Verdict:
        def carry(made: ProjectPlan, limits: Limits) -> Outcome:
            slot, _ = kit.box.project_slot(str(kit.packages))
            from sandbox.project.judging import carry_out

            outcome = carry_out(made, limits, slot)
            lines = outcome.stdout.splitlines()
            real.append(lines)
            return _forged(forge(lines))

        program = Program(language="diff", source=project_kit.GOLD)
        packages = (f"/box/packages/{kit.packages.name}",)
        return judge_by(program, kit.tests(), project_kit.LIMITS, carry, packages=packages)

    assert judge(lambda lines: lines).ok
    old = list(real[0])
    for forge in (
        lambda lines: old,  # another run's
        lambda lines: [lines[0], old[1], lines[2]],  # another run's report between our markers
        lambda lines: [lines[2], lines[1], lines[0]],
        lambda lines: lines[1:],
        lambda lines: lines[:2],
        lambda lines: [*lines, "more"],
    ):
        verdict = judge(forge)
        assert not verdict.ok
        assert verdict.passed == 0
