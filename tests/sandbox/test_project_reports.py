"""Reading XML that may have been written by anything, and patches where there are no tools."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.inside import project_patch
from sandbox.project import junit
from sandbox.project.junit import JunitError, Key

GOOD = (
    "<?xml version='1.0'?><testsuites><testsuite><testcase classname='a.B' name='ok'/>"
    "<testcase classname='a.B' name='bad'><failure message='no &amp; no'>x</failure></testcase>"
    "<testcase classname='a' name='skip'><skipped type='pytest.skip'/></testcase>"
    "<testcase classname='a' name='x'><skipped type='pytest.xfail'/></testcase>"
    "<testcase classname='a' name='err'><error message='boom'/></testcase>"
    "<testcase classname='a' name='twice'/><testcase classname='a' name='twice'><error/></testcase>"
    "</testsuite></testsuites>"
)


def test_the_worst_of_a_tests_entries_counts() -> None:
    found = junit.parse(GOOD.encode())
    assert found.statuses == {
        Key("a.B", "ok"): "passed",
        Key("a.B", "bad"): "failed",
        Key("a", "skip"): "skipped",
        Key("a", "x"): "xfailed",
        Key("a", "err"): "error",
        Key("a", "twice"): "error",
    }
    assert found.words[Key("a.B", "bad")] == "no & no"
    assert sum(found.counts().values()) == 6


LAUGHS = (
    "<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'ha'>"
    + "".join(
        f"<!ENTITY {c} '{f'&{p};' * 10}'>" for p, c in zip("abcdefgh", "bcdefghi", strict=True)
    )
    + "]><testsuite><testcase classname='a' name='&i;'/></testsuite>"
)


@pytest.mark.parametrize(
    "raw",
    [
        LAUGHS.encode(),
        LAUGHS.encode("utf-16"),
        b"<!DOCTYPE x SYSTEM 'file:///etc/passwd'><testsuite/>",
        GOOD.encode()[:-14],
        GOOD.encode() + b"<more/>",
        b"",
        b"PASSED tests/test_a.py::test_b",
        b"<a>" * 100,
        b"<testcase><testcase/></testcase>",
        b"<testsuite>&undefined;</testsuite>",
    ],
    ids=[
        "laughs", "laughs in utf-16", "a document type", "truncated", "glued", "empty", "a log",
        "deep", "a test in a test", "an entity",
    ],
)  # fmt: skip
def test_what_no_test_run_leaves_is_refused(raw: bytes) -> None:
    with pytest.raises(JunitError):
        junit.parse(raw)


@given(st.binary(max_size=300))
def test_bytes_of_any_kind_are_read_or_refused(raw: bytes) -> None:
    try:
        junit.parse(b"<testsuite>" + raw + b"</testsuite>")
    except JunitError:
        pass


@pytest.mark.parametrize(
    ("test_id", "key"),
    [
        ("tests/test_a.py::test_b", ("tests.test_a", "test_b")),
        ("test_a.py::A::B::test_b[x::y/z.py]", ("test_a.A.B", "test_b[x::y/z.py]")),
    ],
)
def test_an_id_is_read_as_pytest_names_it(test_id: str, key: tuple[str, str]) -> None:
    assert junit.key_of(test_id) == key


LINES = st.lists(st.sampled_from(["a", "b", "c", "", "  x", "--- a", "+++ b", "@@"]), max_size=14)


@given(LINES, LINES, st.booleans(), st.booleans())
def test_the_strict_applier_makes_of_gits_diffs_what_git_would(
    tmp_path_factory: pytest.TempPathFactory,
    old: list[str],
    new: list[str],
    ended: bool,
    ended_now: bool,
) -> None:
    folder = tmp_path_factory.mktemp("patch")
    before = "\n".join(old) + ("\n" if ended and old else "")
    after = "\n".join(new) + ("\n" if ended_now and new else "")
    if before == after:
        return
    for name, text in (("a", before), ("b", after)):
        (folder / name).mkdir()
        (folder / name / "f.txt").write_text(text)
    diff = subprocess.run(
        ["git", "diff", "--no-index", "--no-prefix", "a/f.txt", "b/f.txt"],
        cwd=folder, stdout=subprocess.PIPE,
    ).stdout  # fmt: skip
    project_patch.check(diff)
    project_patch.apply(diff, str(folder / "a"))
    assert (folder / "a/f.txt").read_text() == after


def test_the_strict_applier_makes_removes_and_renames_files(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("1\n2\n")
    (tmp_path / "gone").write_text("x\n")
    project_patch.apply(
        b"diff --git a/old b/sub/new\nsimilarity index 50%\nrename from old\nrename to sub/new\n"
        b"--- a/old\n+++ b/sub/new\n@@ -1,2 +1,2 @@\n 1\n-2\n+3\n"
        b"diff --git a/gone b/gone\ndeleted file mode 100644\n--- a/gone\n+++ /dev/null\n"
        b"@@ -1 +0,0 @@\n-x\n"
        b"diff --git a/x/y b/x/y\nnew file mode 100644\n--- /dev/null\n+++ b/x/y\n"
        b"@@ -0,0 +1,2 @@\n+1\n+2\n\\ No newline at end of file\n",
        str(tmp_path),
    )
    found = {
        str(p.relative_to(tmp_path)): p.read_text() for p in tmp_path.rglob("*") if p.is_file()
    }
    assert found == {"sub/new": "1\n3\n", "x/y": "1\n2"}


HEAD = b"--- a/f\n+++ b/f\n"


@pytest.mark.parametrize(
    "raw",
    [
        b"nothing",
        HEAD + b"@@ -1 +1 @@\n-other\n+x\n",
        HEAD + b"@@ -1,5 +1 @@\n-1\n+x\n",
        b"--- a/none\n+++ b/none\n@@ -1 +1 @@\n-1\n+x\n",
        b"--- a/../f\n+++ b/../f\n@@ -1 +1 @@\n-1\n+x\n",
        b"--- /etc/hosts\n+++ /etc/hosts\n@@ -1 +1 @@\n-1\n+x\n",
        b"--- a/link/f\n+++ b/link/f\n@@ -1 +1 @@\n-1\n+x\n",
        b"--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+x\n",
        b"diff --git a/f b/f\nGIT binary patch\nliteral 1\n",
        b"diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/etc\n",
        b"--- /dev/null\n+++ b/.git/config\n@@ -0,0 +1 @@\n+x\n",
    ],
)
def test_the_strict_applier_refuses_and_changes_nothing(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "f").write_text("1\n")
    (tmp_path / "tree/f").write_text("1\n")
    (tmp_path / "tree/link").symlink_to("..")
    fits = HEAD + b"@@ -1 +1 @@\n-1\n+x\n"
    with pytest.raises(project_patch.PatchError):
        project_patch.apply(raw, str(tmp_path / "tree"))
    assert (tmp_path / "tree/f").read_text() == (tmp_path / "f").read_text() == "1\n"
    project_patch.apply(fits, str(tmp_path / "tree"))
    assert (tmp_path / "tree/f").read_text() == "x\n"


@pytest.mark.parametrize(
    "raw",
    [
        b"--- a/f\n+++ b/f\n2c\nx\n.\n",
        b"1c1\n< a\n---\n> b\n",
        b"*** a/f\n--- b/f\n***************\n*** 1 ****\n",
        b"diff --git a/f b/../g\nrename from f\nrename to ../g\n",
    ],
)
def test_diffs_of_other_forms_are_shown_to_no_tool(raw: bytes) -> None:
    with pytest.raises(project_patch.PatchError):
        project_patch.check(raw)
    project_patch.check(b"From 1a2b\n3d models\n---\n" + HEAD + b"@@ -1 +1,2 @@\n-1\n+2c\n+--- a\n")
