"""What agentless is made of: ranking, outlines, edits, patches, the vote."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.swe.agentless import elected
from evals.swe.diff import git_diff
from evals.swe.edits import Edit, EditError, applied, edits_in
from evals.swe.retrieval import is_source, is_test, outline, parts_of, ranked
from sandbox.project.shell import Change


def changes(**files: str) -> dict[str, Change | None]:
    return {f"{name}.py": Change(content=text.encode()) for name, text in files.items()}


CODE = b"class A:\n    def f(self):\n        return 1\n\n\ndef g():\n    return 2\n"
BASE = {"a.py": Change(content=CODE)}


def test_what_an_issue_speaks_of_is_ranked_first() -> None:
    documents = {
        "x.py": "def parse_header(line): pass",
        "y.py": "def writeFooter(line): pass",
        "z.py": "line line line line",
    }
    assert ranked("the footer is wrong", documents)[0] == "y.py"
    assert ranked("parse header", documents)[0] == "x.py"
    assert ranked("nothing", {}) == []


def test_sources_tests_and_others_are_told_apart() -> None:
    assert [is_source(name) for name in ("a.py", "src/b.go", "README.md", "tests/a.py")] == [
        True, True, False, False,
    ]  # fmt: skip
    names = ("test_a.py", "a_test.go", "x/conftest.py", "a.spec.ts", "testing.py")
    assert [is_test(name) for name in names] == [True, True, True, True, False]


def test_an_outline_has_the_heads_of_functions_and_classes() -> None:
    text = BASE["a.py"].content.decode()
    assert outline("a.py", text, 400) == "class A:\n    def f(self):\ndef g():"
    assert [(p.name, p.first, p.last) for p in parts_of("a.py", text)] == [
        ("A", 1, 3), ("A.f", 2, 3), ("g", 6, 7),
    ]  # fmt: skip
    assert parts_of("a.py", "def (") == []
    assert [p.name for p in parts_of("a.go", "package a\n\nfunc F() {\n}\n")] == ["func F() {"]


REPLY = """The sum is wrong.

### a.py
<<<<<<< SEARCH
        return 1
=======
        return 3
>>>>>>> REPLACE

```python
b.py
<<<<<<< SEARCH
=======
x = 1
>>>>>>> REPLACE
```
"""


def test_edits_are_found_and_made() -> None:
    found = edits_in(REPLY)
    assert [edit.path for edit in found] == ["a.py", "b.py"]
    made = applied(found, BASE)
    assert made["a.py"] == Change(content=BASE["a.py"].content.replace(b"1", b"3"))
    assert made["b.py"] == Change(content=b"x = 1\n")


def test_white_space_at_the_ends_of_lines_is_forgiven() -> None:
    edit = Edit(path="a.py", search="\ndef g():   \n    return 2\n", replace="def g():\n    pass\n")
    content = applied([edit], BASE)["a.py"]
    assert content is not None and content.content.endswith(b"def g():\n    pass\n")


@pytest.mark.parametrize(
    ("search", "replace", "path", "words"),
    [
        ("no such\n", "x\n", "a.py", "not in a.py"),
        ("turn 1\n", "x\n", "a.py", "not in a.py"),
        ("    return 2\n", "    return (\n", "a.py", "no Python"),
        ("    return 2\n", "    return 2\n", "a.py", "change nothing"),
        ("x\n", "y\n", "b.py", "no file"),
        ("", "y\n", "../b.py", "no file of the project"),
        ("", "y\n", "", "no file of the project"),
    ],
)
def test_edits_that_cannot_be_made_say_why(
    search: str, replace: str, path: str, words: str
) -> None:
    with pytest.raises(EditError, match=words):
        applied([Edit(path=path, search=search, replace=replace)], BASE)


def test_fewest_failures_then_most_votes_then_the_earliest_is_elected() -> None:
    one, two, same = changes(a="x = 1"), changes(a="x = 2"), changes(a="x  =  2  # as two")
    assert elected([one, two, same], [0, 0, 0]) == 1
    assert elected([one, two, same], [0, 1, 1]) == 0
    assert elected([one, two], [0, 0]) == 0
    assert elected([one, two], [1, 0]) == 1


_TEXTS = st.text(alphabet="ab\n\r é", max_size=30)


@settings(max_examples=25, deadline=None)
@given(before=st.none() | _TEXTS, after=st.none() | _TEXTS)
def test_git_makes_of_a_patch_what_it_was_made_of(
    before: str | None, after: str | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("tree")
    base = {"d/f.txt": Change(content=before.encode())} if before is not None else {}
    change = Change(content=after.encode()) if after is not None else None
    patch = git_diff(base, {"d/f.txt": change})
    place = folder / "d" / "f.txt"
    place.parent.mkdir()
    if before is not None:
        place.write_bytes(before.encode())
    if patch:
        command = ["git", "apply", "--whitespace=nowarn", "-"]
        done = subprocess.run(command, input=patch.encode(), cwd=folder, capture_output=True)
        assert done.returncode == 0, (patch, done.stderr)
    if after is None:
        assert not place.exists()
    elif patch:
        assert place.read_bytes() == after.encode()


def test_binary_files_and_names_to_quote_are_left_out_of_a_patch(tmp_path: Path) -> None:
    binary, text = Change(content=b"\0"), Change(content=b"x\n")
    assert git_diff({}, {"a": binary, 'b"': text, "c\n": text}) == ""
    assert git_diff({}, {"a": binary, "d": text}).count("diff --git") == 1
    made = git_diff({"d": text}, {"d": Change(content=b"x\n", executable=True)})
    assert made.splitlines()[1:] == ["old mode 100644", "new mode 100755"]
