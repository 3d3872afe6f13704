"""Both ways to write a change give the files after, byte for byte, and refuse other files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.commits.blocks import apply_blocks, blocks_of
from curate.commits.change import Blob, Change, DoesNotApply, edits_of, lines_of
from curate.commits.unified import apply_diff, diff_of, is_plain

WAYS = pytest.mark.parametrize(
    ("write", "apply"), [(diff_of, apply_diff), (blocks_of, apply_blocks)], ids=["diff", "blocks"]
)
# Lines that look like signs of one form or the other, and ends of lines that are none.
LINES = (
    "a", "b", "", "=======", "========", ">>>>>>> REPLACE", "<<<<<<< SEARCH", "c\r",
    "\x0c", "x\x85y", "-- a", "++ b", "diff --git a/x b/x", "@@ -1 +1 @@",
    "\\ No newline at end of file",
    "======= no newline", "edit f", "delete f", "\u2028", "\ufeff", "\U0001f600",
)  # fmt: skip
_TEXT = st.builds(
    lambda lines, end: "\n".join(lines) + end,
    st.lists(st.sampled_from(LINES), max_size=12),
    st.sampled_from(["\n", "", "\n\n"]),
)
_BLOB = st.none() | st.builds(Blob, text=_TEXT, executable=st.booleans())


def _changes(before: Mapping[str, Blob], after: Mapping[str, Blob]) -> list[Change]:
    return [
        Change(path=path, before=before.get(path), after=after.get(path))
        for path in sorted({*before, *after})
        if before.get(path) != after.get(path)
    ]


@pytest.mark.slow
@WAYS
@given(pairs=st.dictionaries(st.sampled_from(["f", "a b/c", "ü"]), st.tuples(_BLOB, _BLOB)))
@settings(max_examples=150, deadline=None)
def test_any_change_comes_back(
    write: Any, apply: Any, pairs: dict[str, tuple[Blob | None, Blob | None]]
) -> None:
    before = {path: one for path, (one, _) in pairs.items() if one is not None}
    after = {path: two for path, (_, two) in pairs.items() if two is not None}
    other = {"other": Blob(text="as it was")}
    text = write(_changes(before, after))
    assert apply(text, {**before, **other}) == {**after, **other}


@WAYS
@given(one=_TEXT, two=_TEXT, executable=st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_renamed_file_comes_back_under_its_new_name(
    write: Any, apply: Any, one: str, two: str, executable: bool
) -> None:
    before, after = Blob(text=one), Blob(text=two, executable=executable)
    change = Change(path="new/f", before=before, after=after, renamed_from="old f")
    assert apply(write([change]), {"old f": before}) == {"new/f": after}


@WAYS
def test_a_change_of_another_file_is_refused(write: Any, apply: Any) -> None:
    before = {"f": Blob(text="one\ntwo\nthree\n")}
    after = {"f": Blob(text="one\n2\nthree\n")}
    text = write(_changes(before, after))
    assert apply(text, before) == after
    for other in ({"f": Blob(text="one\nzwei\nthree\n")}, {}, {"f": Blob(text="")}):
        with pytest.raises(DoesNotApply):
            apply(text, other)
    created = write(_changes({}, after))
    assert apply(created, {}) == after
    with pytest.raises(DoesNotApply):
        apply(created, before)


def test_a_block_searches_for_what_is_there_once_and_not_for_more() -> None:
    lines = [f"    line {n}\n" for n in range(100)]
    lines[10:14] = lines[60:64] = [
        "    try:\n",
        "        go()\n",
        "    except E:\n",
        "        pass\n",
    ]
    before = "".join(lines)
    lines[61] = "        stop()\n"
    text = blocks_of([Change(path="f", before=Blob(text=before), after=Blob(text="".join(lines)))])
    searched = text.partition("SEARCH\n")[2].partition("=======\n")[0]
    assert before.count(searched) == 1
    assert len(lines_of(searched)) <= 6
    with pytest.raises(DoesNotApply, match="more than once"):
        apply_blocks("edit f\n<<<<<<< SEARCH\n        go()\n=======\n>>>>>>> REPLACE\n",
                     {"f": Blob(text=before)})  # fmt: skip


def test_a_search_does_not_begin_inside_a_line() -> None:
    block = "edit f\n<<<<<<< SEARCH\nb\n=======\nc\n>>>>>>> REPLACE\n"
    assert apply_blocks(block, {"f": Blob(text="a\nb\n")}) == {"f": Blob(text="a\nc\n")}
    with pytest.raises(DoesNotApply, match="whole lines"):
        apply_blocks(block, {"f": Blob(text="ab\n")})


@pytest.mark.parametrize(
    "text",
    ["nothing", "edit f\n<<<<<<< SEARCH\na\n", "edit f\n<<<<<<< SEARCH\na\n=======\nb\n",
     "rename f\n", "create f\n", "delete g\n", "edit f\nstray\n"],
)  # fmt: skip
def test_what_is_no_block_is_refused(text: str) -> None:
    with pytest.raises(DoesNotApply):
        apply_blocks(text, {"f": Blob(text="a\n")})


@pytest.mark.parametrize(
    "body",
    ["@@ -9 +9 @@\n-a\n+b\n", "@@ -1 +1 @@\n-z\n+b\n", "@@ -1 +1 @@\n-a\n", "stray\n",
     "@@ -1 +1 @@\n?a\n+b\n"],
)  # fmt: skip
def test_what_is_no_diff_is_refused(body: str) -> None:
    with pytest.raises(DoesNotApply):
        apply_diff(f"diff --git a/f b/f\n--- a/f\n+++ b/f\n{body}", {"f": Blob(text="a\n")})
    with pytest.raises(DoesNotApply):
        apply_diff(body, {"f": Blob(text="a\n")})


def test_names_that_would_be_misread_are_not_plain() -> None:
    assert all(is_plain(path) for path in ("a", "a b/ü.py", "-x", "a -> b"))
    odd = ("", "a\nb", "a\tb", 'a"b', "a\\b", "../a", "a/../b", "a//b", "/a", " a", "a/.GIT/b", ".")
    assert not any(is_plain(path) for path in odd)


def test_only_lines_that_differ_are_edits() -> None:
    before, after = lines_of("a\nb\nc\nd\n"), lines_of("a\nB\nc\nd\ne\n")
    assert [tuple(edit) for edit in edits_of(before, after)] == [(1, 2, 1, 2), (4, 4, 4, 5)]
    assert edits_of(before, before) == []


@WAYS
def test_real_patches_come_back(write: Any, apply: Any, quilt: list[dict[str, Any]]) -> None:
    came_back = 0
    for row in quilt:
        before = {path: Blob(text=text) for path, text in row["before"].items() if text is not None}
        after = {path: Blob(text=text) for path, text in row["after"].items() if text is not None}
        changes = _changes(before, after)
        assert apply(write(changes), before) == after, row["patch"]
        came_back += before != after
    assert came_back > 100


def test_git_takes_the_diffs_of_real_patches(
    quilt: list[dict[str, Any]], git: Callable[..., bytes], tmp_path: Path
) -> None:
    git(tmp_path, "init", "-q", ".")
    for row in quilt[::6]:
        before = {path: Blob(text=text) for path, text in row["before"].items() if text is not None}
        after = {path: Blob(text=text) for path, text in row["after"].items() if text is not None}
        for path, blob in before.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(blob.text.encode())
        git(tmp_path, "apply", "-", data=diff_of(_changes(before, after)).encode())
        for path in {*before, *after}:
            file = tmp_path / path
            assert (file.read_bytes().decode() if file.exists() else None) == (
                after[path].text if path in after else None
            )
            file.unlink(missing_ok=True)
