"""Judging patches to whole projects: what each part of an instance does to the verdict."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from sandbox import (
    Kind,
    Limits,
    Outcome,
    Program,
    ProjectResult,
    ProjectTests,
    SandboxUnavailable,
    Snapshot,
    TestsBroken,
    Verdict,
)
from sandbox.box import LocalBox
from sandbox.project.judging import carry_out, judge_by
from sandbox.project.plan import rules, source_of


@pytest.mark.slow
def test_the_right_patch_resolves_and_the_empty_one_does_not(
    kit: Any, project_kit: ModuleType
) -> None:
    gold, empty = kit.judge(project_kit.GOLD), kit.judge("")
    assert (gold.kind, gold.passed, gold.total, gold.mode) == (Kind.PASSED, 2, 2, "project")
    assert gold.first_failure is None
    assert (empty.kind, empty.passed, empty.total) == (Kind.WRONG, 1, 2)
    assert empty.first_failure is not None
    assert empty.first_failure.test == project_kit.F2P
    assert "assert -1 == 5" in empty.first_failure.reason


def test_the_result_tells_each_test_the_counts_and_the_end_of_the_log(
    kit: Any, project_kit: ModuleType
) -> None:
    verdict = kit.judge("")
    found = ProjectResult.of(Verdict.from_json(json.loads(json.dumps(verdict.to_json()))))
    assert found.statuses == {project_kit.F2P: "failed", project_kit.P2P: "passed"}
    assert found.counts == {"passed": 1, "failed": 1, "error": 0, "skipped": 0, "xfailed": 0}
    assert "assert -1 == 5" in found.log
    assert found.channels == 2
    assert "same process" in found.open
    assert b"<testsuites" in verdict.outcomes[0].files["junit.xml"]
    assert 0 < verdict.outcomes[0].cpu_s < 20


@pytest.mark.slow
def test_a_test_that_passed_before_and_fails_now_counts(kit: Any, project_kit: ModuleType) -> None:
    verdict = kit.judge(project_kit.patch({"lib/__init__.py": "def add(a, b):\n    return 5\n"}))
    assert (verdict.kind, verdict.passed) == (Kind.WRONG, 1)
    assert verdict.first_failure.test == project_kit.P2P


def test_a_test_that_was_not_run_has_failed(kit: Any, project_kit: ModuleType) -> None:
    gone = "tests/test_add.py::test_gone"
    verdict = kit.judge(project_kit.GOLD, kit.tests(pass_to_pass=(project_kit.P2P, gone)))
    assert (verdict.kind, verdict.passed, verdict.total) == (Kind.WRONG, 2, 3)
    assert ProjectResult.of(verdict).statuses[gone] == "missing"


def test_skipped_is_no_pass_and_an_expected_failure_is_one(
    kit: Any, project_kit: ModuleType
) -> None:
    more = (
        "import pytest\n\n\n@pytest.mark.skip\ndef test_skipped():\n    pass\n\n\n"
        "@pytest.mark.xfail\ndef test_expected():\n    assert False\n\n\n"
        "@pytest.fixture\ndef broken():\n    1 / 0\n\n\ndef test_setup(broken):\n    pass\n"
    )
    names = [f"tests/test_more.py::test_{name}" for name in ("skipped", "expected", "setup")]
    tests = kit.tests(
        pass_to_pass=tuple(names),
        test_files={"tests/test_more.py": more.encode()},
    )
    verdict = kit.judge(project_kit.GOLD, tests)
    statuses = ProjectResult.of(verdict).statuses
    assert [statuses[name] for name in names] == ["skipped", "xfailed", "error"]
    assert (verdict.kind, verdict.passed) == (Kind.WRONG, 2)


def test_ids_are_compared_as_parsers_of_logs_print_them(kit: Any, project_kit: ModuleType) -> None:
    text = (
        "import pytest\n\n\n@pytest.mark.parametrize('x', ['a  b', 'c::d', 'e/f[g]', 'h - i'])\n"
        "def test_it(x):\n    pass\n\n\n@pytest.mark.xfail(reason='no  luck')\n"
        "def test_reason():\n    assert False\n"
    )
    names = [f"tests/test_ids.py::test_it[{x}]" for x in ("a b", "c::d", "e/f[g]", "h - i")]
    names.append("tests/test_ids.py::test_reason - no luck")
    tests = kit.tests(pass_to_pass=tuple(names), test_files={"tests/test_ids.py": text.encode()})
    verdict = kit.judge(project_kit.GOLD, tests)
    assert verdict.ok, ProjectResult.of(verdict).statuses


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("garbage\n", "does not apply"),
        ("diff --git a/lib/__init__.py b/lib/__init__.py\n", "does not apply"),
        ("--- a/none.py\n+++ b/none.py\n@@ -1 +1 @@\n-a\n+b\n", "does not apply"),
        ("x" * (9 << 20), "characters"),
    ],
    ids=["garbage", "header only", "of a file that is not there", "huge"],
)
def test_a_patch_that_does_not_apply_is_wrong(kit: Any, source: str, words: str) -> None:
    verdict = kit.judge(source)
    assert (verdict.kind, verdict.passed) == (Kind.WRONG, 0)
    assert words in verdict.first_failure.reason
    found = ProjectResult.of(verdict)
    assert (found.stage, found.applied) == ("patch", "")
    assert set(found.statuses.values()) == {"missing"}


@pytest.mark.slow
def test_line_ends_of_another_system_and_a_missing_last_one_are_taken(
    kit: Any, project_kit: ModuleType
) -> None:
    fix = {"lib/__init__.py": project_kit.RIGHT}
    assert kit.judge(project_kit.patch(fix, end="\r\n")).ok
    assert kit.judge(project_kit.GOLD.rstrip("\n")).ok
    wrong = {"lib/__init__.py": "def add(a, b):\n    return a * b\n"}
    assert not kit.judge(project_kit.patch(wrong, end="\r\n")).ok


@pytest.mark.slow
def test_a_patch_of_many_megabytes_of_data_is_judged(kit: Any, project_kit: ModuleType) -> None:
    data = "".join(f"{number}\n" for number in range(300_000))
    after = {"lib/__init__.py": project_kit.RIGHT, "lib/data.txt": data}
    assert kit.judge(project_kit.patch(after)).ok


@pytest.mark.slow
def test_endless_code_is_a_time_out_with_the_log_so_far(kit: Any, project_kit: ModuleType) -> None:
    source = project_kit.patch({"lib/__init__.py": "print('far', flush=True)\nwhile True: pass\n"})
    verdict = kit.judge(source, kit.tests(arguments=("-s",)), Limits(cpu_s=1.5, disk_mb=64))
    assert (verdict.kind, verdict.passed) == (Kind.TIMEOUT, 0)
    assert "far" in verdict.outcomes[0].stdout


def test_memory_is_a_verdict_of_its_own(kit: Any, project_kit: ModuleType) -> None:
    source = project_kit.patch(
        {"lib/__init__.py": "x = [bytearray(1 << 20) for _ in range(999)]\n"}
    )
    limits = Limits(cpu_s=10, memory_mb=200, disk_mb=64)
    assert kit.judge(source, limits=limits).kind is Kind.MEMORY


def test_much_that_is_printed_is_cut_and_no_failure(kit: Any, project_kit: ModuleType) -> None:
    noisy = project_kit.RIGHT + "print('first words')\nprint('y' * 3_000_000)\n"
    verdict = kit.judge(project_kit.patch({"lib/__init__.py": noisy}), kit.tests(arguments=("-s",)))
    assert verdict.ok
    assert 1000 < len(verdict.outcomes[0].stdout) <= 256 << 10


def test_the_tests_of_an_instance_that_do_not_apply_are_our_failure(
    kit: Any, project_kit: ModuleType
) -> None:
    with pytest.raises(TestsBroken, match="test_patch"):
        kit.judge(project_kit.GOLD, kit.tests(test_patch="--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"))


@pytest.mark.slow
def test_an_environment_without_pytest_is_our_failure(
    kit: Any, project_kit: ModuleType, tmp_path: Path
) -> None:
    with pytest.raises(TestsBroken, match="chmod"):
        kit.judge(project_kit.GOLD, kit.tests(packages_dir=str(tmp_path)))
    tmp_path.chmod(0o755)
    with pytest.raises(TestsBroken, match="pytest"):
        kit.judge(project_kit.GOLD, kit.tests(packages_dir=str(tmp_path)))
    with pytest.raises(TestsBroken, match="no folder"):
        kit.judge(project_kit.GOLD, kit.tests(packages_dir=str(tmp_path / "none")))
    assert kit.judge(project_kit.GOLD).ok


def test_a_disk_too_small_for_the_project_is_our_failure(
    kit: Any, project_kit: ModuleType, tmp_path: Path
) -> None:
    project_kit.lay(tmp_path, {**project_kit.BASE, "big": "x" * (3 << 20)})
    tests = kit.tests(snapshot=Snapshot.folder(tmp_path))
    with pytest.raises(TestsBroken, match="space"):
        kit.judge(project_kit.GOLD, tests, Limits(disk_mb=2))
    assert kit.judge(project_kit.GOLD, tests).ok


def test_packages_of_this_machine_stay_hidden(kit: Any, project_kit: ModuleType) -> None:
    look = project_kit.RIGHT + (
        "import importlib.util\n"
        "for name in ('numpy', 'hypothesis', 'typer', 'sandbox'):\n"
        "    assert importlib.util.find_spec(name) is None, name\n"
        "assert importlib.util.find_spec('pluggy')\n"
    )
    assert kit.judge(project_kit.patch({"lib/__init__.py": look})).ok


def test_a_virtual_environment_will_do_for_packages(
    kit: Any, project_kit: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "lib/python3.11").mkdir(parents=True)
    (tmp_path / "pyvenv.cfg").touch()
    kit.packages.rename(tmp_path / "lib/python3.11/site-packages")
    try:
        assert kit.judge(project_kit.GOLD, kit.tests(packages_dir=str(tmp_path))).ok
    finally:
        (tmp_path / "lib/python3.11/site-packages").rename(kit.packages)


@pytest.mark.slow
def test_a_project_that_pytest_itself_uses_is_tested_in_its_own_version(
    kit: Any, project_kit: ModuleType, tmp_path: Path
) -> None:
    files = {
        "src/iniconfig/__init__.py": "MINE = False\n",
        "tests/test_mine.py": "import iniconfig\n\n\ndef test_mine():\n    assert iniconfig.MINE\n",
    }
    tests = ProjectTests(
        snapshot=Snapshot.folder(project_kit.lay(tmp_path, files)),
        fail_to_pass=("tests/test_mine.py::test_mine",),
        pythonpath=("src", "."),
        packages_dir=str(kit.packages),
    )
    fix = project_kit.patch({"src/iniconfig/__init__.py": "MINE = True\n"}, files)
    assert kit.judge(fix, tests).ok
    assert kit.judge("", tests).kind is Kind.WRONG


@pytest.mark.slow
def test_git_history_never_enters_and_one_commit_is_made_on_request(
    kit: Any, project_kit: ModuleType, tmp_path: Path
) -> None:
    project_kit.lay(tmp_path, {**project_kit.BASE, ".git/HEAD": "ref: x\n", "sub/.git": "gitdir\n"})
    look = "import os\nimport subprocess\n\n\n"
    look += "def count():\n    return len(subprocess.check_output(['git', 'log', '--oneline'])"
    look += ".splitlines())\n"
    test = "import os\nfrom lib import count\n\n\ndef test_none():\n"
    test += "    assert not os.path.exists('.git') and not os.path.exists('sub/.git')\n\n\n"
    test += "def test_one():\n    assert count() == 1\n"
    none, one = "tests/test_git.py::test_none", "tests/test_git.py::test_one"
    for git in (False, True):
        tests = kit.tests(
            snapshot=Snapshot.folder(tmp_path),
            fail_to_pass=(none, one),
            pass_to_pass=(),
            test_patch="",
            test_files={"tests/test_git.py": test.encode()},
            git=git,
        )
        statuses = ProjectResult.of(kit.judge(project_kit.patch({"lib/__init__.py": look}), tests))
        wanted = ("failed", "passed") if git else ("passed", "failed")
        assert (statuses.statuses[none], statuses.statuses[one]) == wanted


RUNNER = """import sys
from lib import add
ok = add(2, 3) == 5
body = "" if ok else "<failure message='no'/>"
open(sys.argv[1], "w").write(
    f"<testsuite><testcase classname='suite' name='adds'>{body}</testcase></testsuite>")
"""


def test_a_command_of_the_instance_is_judged_by_its_xml(kit: Any, project_kit: ModuleType) -> None:
    tests = kit.tests(
        command=("python3", "tests/run.py", "{junit}"),
        fail_to_pass=("suite::adds",),
        pass_to_pass=(),
        test_patch="",
        test_files={"tests/run.py": RUNNER.encode()},
    )
    gold = kit.judge(project_kit.GOLD, tests)
    assert gold.ok
    assert ProjectResult.of(gold).channels == 1
    assert "could have written it" in ProjectResult.of(gold).open
    assert kit.judge("", tests).kind is Kind.WRONG


def test_a_command_that_cannot_be_started_is_our_failure(kit: Any, project_kit: ModuleType) -> None:
    tests = kit.tests(command=("no-such-tool", "{junit}"))
    with pytest.raises(TestsBroken, match="no-such-tool"):
        kit.judge(project_kit.GOLD, tests)


def test_the_answers_are_not_in_the_plan(kit: Any) -> None:
    secret = "tests/test_add.py::test_of_which_nobody_knows"
    seen = []

    def carry(made: Any, limits: Limits) -> Any:
        seen.append(made.driver.encode() + made.stdin)
        raise SandboxUnavailable("seen enough")

    with pytest.raises(SandboxUnavailable):
        judge_by(
            Program(language="diff", source=""), kit.tests(fail_to_pass=(secret,)), Limits(), carry
        )
    assert b"of_which_nobody_knows" not in seen[0]
    assert b"test_zero" in seen[0]  # the project itself is there


def test_tests_survive_json_and_name_no_file_of_the_machine_unless_trusted(
    kit: Any, tmp_path: Path
) -> None:
    tests = kit.tests(test_files={"tests/x.bin": b"\0\xff"}, env={"A": "b"}, may_change=("*.cfg",))
    data = json.loads(json.dumps(tests.to_json()))
    assert data["kind"] == "project"
    assert ProjectTests.from_json(data, host_paths=True) == tests
    with pytest.raises(ValueError, match="cannot name files"):
        ProjectTests.from_json(data)
    inline = kit.tests(snapshot=Snapshot.inline(b"PK"), packages_dir="")
    assert ProjectTests.from_json(json.loads(json.dumps(inline.to_json()))) == inline


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"fail_to_pass": (), "pass_to_pass": ()}, "at least one"),
        ({"pythonpath": ("../x",)}, "relative"),
        ({"test_files": {"/etc/x": b""}}, "relative"),
        ({"command": ("make", "test")}, "junit"),
        ({"snapshot": Snapshot.image("/testbed"), "targets": ("/x",)}, "relative"),
    ],
)
def test_fields_that_cannot_be_meant_are_refused(
    kit: Any, fields: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        kit.tests(**fields)


def test_a_program_that_is_no_diff_is_refused(kit: Any) -> None:
    with pytest.raises(ValueError, match="diff"):
        kit.box.judge(Program.python("print(1)"), kit.tests(), Limits())


def test_the_restricted_box_refuses_projects(kit: Any, box_of: Any) -> None:
    restricted: LocalBox = box_of("restricted")
    with pytest.raises(SandboxUnavailable, match="namespace"):
        restricted.judge(Program(language="diff", source=""), kit.tests(), Limits())


def test_what_is_protected_follows_from_where_the_tests_are() -> None:
    tests = ProjectTests(
        snapshot=Snapshot.image("/testbed"),
        fail_to_pass=("pkg/tests/deep/test_a.py::test_x", "pkg/test_b.py::test_y"),
        test_files={"testing/data.txt": b""},
    )
    found = rules(tests)
    assert found["folders"] == ["pkg/tests", "testing"]
    assert "pkg/test_b.py" in found["files"]


@pytest.mark.slow
def test_a_patch_whose_context_is_a_little_off_is_applied_by_the_lenient_tool(
    kit: Any, project_kit: ModuleType
) -> None:
    off = project_kit.GOLD.replace(" def add(a, b):", " def add(a, c):")
    verdict = kit.judge(off)
    assert verdict.ok
    assert ProjectResult.of(verdict).applied == "patch"
    assert ProjectResult.of(kit.judge(project_kit.GOLD)).applied == "git"


@pytest.mark.slow
def test_where_there_is_neither_git_nor_patch_the_strict_applier_serves(
    kit: Any, project_kit: ModuleType
) -> None:
    slot, packages = kit.box.project_slot(str(kit.packages))

    def judge(source: str) -> Verdict:
        return judge_by(
            Program(language="diff", source=source),
            kit.tests(),
            project_kit.LIMITS,
            lambda made, limits: carry_out(made, limits, slot),
            packages=(packages,),
            path="/nowhere",
        )

    gold = judge(project_kit.GOLD)
    assert gold.ok
    assert ProjectResult.of(gold).applied == "strict"
    off = judge(project_kit.GOLD.replace(" def add(a, b):", " def add(a, c):"))
    assert (off.kind, off.passed) == (Kind.WRONG, 0)


@pytest.mark.slow
@pytest.mark.parametrize("fixed", [True, False])
def test_a_project_that_lies_in_an_image_is_judged_in_place(
    kit: Any, project_kit: ModuleType, tmp_path: Path, fixed: bool
) -> None:
    """What a container box does: the same driver, where the project is. Here the image is us."""
    there = project_kit.lay(tmp_path / "testbed", {**project_kit.BASE, ".git/HEAD": "history"})
    tests = kit.tests(snapshot=Snapshot.image(str(there)), packages_dir="")

    def carry(made: Any, limits: Limits) -> Outcome:
        done = subprocess.run(
            [sys.executable, "-I", "-c", made.driver], input=made.stdin, capture_output=True
        )
        return Outcome(
            kind=Kind.CRASHED if done.returncode else Kind.PASSED, exit_code=done.returncode,
            signal=None, stdout=done.stdout.decode(), stderr=done.stderr.decode(),
            truncated=False, cpu_s=0.1, wall_s=0.1, peak_mb=1.0,
        )  # fmt: skip

    verdict = judge_by(
        Program(language="diff", source=project_kit.GOLD if fixed else ""),
        tests, Limits(), carry, site=True, scratch=str(tmp_path / "scratch"),
    )  # fmt: skip
    assert verdict.kind is (Kind.PASSED if fixed else Kind.WRONG)
    assert not (there / ".git").exists()
    with pytest.raises(TestsBroken, match="docker"):
        kit.judge("", tests)


def test_what_is_sent_into_images_needs_no_newer_python_than_their_own() -> None:
    for name in ("driver", "tree", "arrange", "patch", "pytest"):
        source = source_of(f"project_{name}")
        ast.parse(source, feature_version=(3, 6))
        assert "__future__" not in source
        assert "-> " not in source


@pytest.mark.slow
def test_code_that_cannot_be_loaded_leaves_its_tests_missing(
    kit: Any, project_kit: ModuleType
) -> None:
    verdict = kit.judge(project_kit.patch({"lib/__init__.py": "def add(a, b) return a\n"}))
    assert (verdict.kind, verdict.passed) == (Kind.WRONG, 0)
    assert "SyntaxError" in verdict.first_failure.reason


@pytest.mark.slow
def test_whole_folders_of_tests_can_be_run(kit: Any, project_kit: ModuleType) -> None:
    tests = kit.tests(targets=("tests",))
    assert kit.judge(project_kit.GOLD, tests).ok
    swallow = "import _pytest.python as p\np.Function.runtest = lambda self: None\n"
    forged = kit.judge(project_kit.patch({"lib/__init__.py": project_kit.WRONG + swallow}), tests)
    assert "planted" in ProjectResult.of(forged).doubt


def test_a_file_of_tests_that_skips_itself_is_no_contradiction(
    kit: Any, project_kit: ModuleType
) -> None:
    skips = b"import pytest\n\npytest.importorskip('no_such_module')\n\n\ndef test_x(): pass\n"
    tests = kit.tests(
        test_files={"tests/test_skips.py": skips},
        targets=("tests/test_add.py", "tests/test_skips.py"),
    )
    verdict = kit.judge(project_kit.GOLD, tests)
    assert verdict.ok
    assert ProjectResult.of(verdict).counts["skipped"] == 1


ODD = """import unittest
import warnings

import pytest


class A(unittest.TestCase):
    def test_sub(self):
        for i in range(3):
            with self.subTest(i=i):
                self.assertNotEqual(i, 1)
    def test_sub_ok(self):
        for i in range(3):
            with self.subTest(i=i):
                self.assertEqual(i, i)
    @unittest.expectedFailure
    def test_xf(self): self.fail()
    @unittest.expectedFailure
    def test_xp(self): pass
    @unittest.skip("x")
    def test_sk(self): pass
    @classmethod
    def tearDownClass(cls): raise ValueError("td")
@pytest.fixture
def td():
    yield
    raise ValueError("teardown")
def test_td(td): pass
def test_td2(td): assert 0
@pytest.mark.xfail(strict=True)
def test_xps(): pass
@pytest.mark.xfail
def test_xp(): pass
@pytest.mark.parametrize("x", ["\\x07", "\\xe9", "\\U0001f600", "a\\nb", "[", "]::", "a/b.py"], )
def test_p(x): pass
@pytest.mark.parametrize("x", [1,2], ids=["same", "same"])
def test_same(x): pass
def test_out(capsys): print("<x>&\\x00")
def test_warn(): warnings.warn("x")
def test_exit(): pytest.skip("later")
def test_dyn(request):
    request.applymarker(pytest.mark.xfail(reason="d")); assert 0
"""


def test_the_two_reports_agree_on_every_kind_of_result(kit: Any, project_kit: ModuleType) -> None:
    tests = kit.tests(
        test_files={"tests/test_odd.py": ODD.encode()},
        targets=("tests/test_add.py", "tests/test_odd.py"),
    )
    verdict = kit.judge(project_kit.GOLD, tests)
    found = ProjectResult.of(verdict)
    assert verdict.ok, found.doubt
    assert found.counts["xfailed"] == found.counts["skipped"] == 2
    assert found.counts["error"] >= 3
