"""Histories as documents: what each commit becomes, why others are dropped, and that what is to be
predicted, applied to the tree before, gives the tree after."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")

import pyarrow as pa

from curate.commits.blocks import apply_blocks
from curate.commits.change import Blob
from curate.commits.changes import blob
from curate.commits.gitdir import opened
from curate.commits.objects import LINK, SUBMODULE, Objects
from curate.commits.sample import body_of
from curate.commits.source import commits
from curate.commits.step import commits as step
from curate.commits.unified import apply_diff
from curate.document import Document
from curate.engine import LocalEngine
from curate.kept import kept
from curate.recipe import CurateRecipe
from curate.running import run
from seedcoder.errors import UsageError

ANN = "Ann <ann@example.org>"
MIT = "Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files"  # noqa: E501


def _read(repo: Path, **options: Any) -> tuple[list[Document], dict[str, str]]:
    refused: dict[str, str] = {}
    source = commits(roots=[repo], **options)
    found = list(source.documents("here", lambda place, why: refused.update({place: why})))
    assert len({one.key for one in found}) == len(found)
    return found, refused


def _subject(document: Document) -> str:
    text = document.text.removeprefix("[message]\n")
    return text.partition("\n")[0]


def _judged(documents: Iterable[Document], **options: Any) -> list[str]:
    criteria = {"stars": 0, "forks": 0, "repo_commits": 0, "days": 0, **options}
    rows = [json.dumps(dict(one.meta)) for one in documents]
    return step(**criteria).compute(pa.table({"meta": rows})).column("reason").to_pylist()


def _tree(objects: Objects, commit: str) -> dict[str, Blob]:
    """All text of a commit, with what is no text as its id."""
    found: dict[str, Blob] = {}
    for raw, entry in objects.files(objects.tree(commit), 100_000):
        read = blob(objects, entry, 10_000_000)[0] if entry.mode not in (LINK, SUBMODULE) else None
        found[raw.decode("utf-8", "surrogateescape")] = read or Blob(text=f"\0{entry.sha}")
    return found


def _applied(document: Document, before: dict[str, Blob]) -> dict[str, Blob]:
    form, body = body_of(document.text[document.meta["target_at"] :])
    assert form == document.meta["form"]
    return apply_diff(body, before) if form == "diff" else apply_blocks(body, before)


def test_a_commit_is_message_readme_tree_and_files_then_paths_and_changes(
    make: Callable[..., Path],
) -> None:
    files = {
        "README.md": "# Adder\nAdds.\n",
        "LICENSE": MIT,
        "src/add.py": "def add(a, b):\n    return a - b\n",
        "src/other.py": "x = 1\n",
    }
    repo = make(
        [
            ("Begin", files, ANN),
            ("Let add() add\n\nIt took away.\n\nSigned-off-by: Ann <ann@example.org>\n",
             {"src/add.py": "def add(a, b):\n    return a + b\n"}, ANN),
        ],
        "adder.git",
    )  # fmt: skip
    (first, diff), refused = _read(repo, target="diff")
    (_, blocks), _ = _read(repo, target="blocks")
    assert refused == {}
    assert first.meta["reason"] == "first commit"
    assert diff.repo == "adder"
    assert diff.licence == "MIT"
    assert diff.language == "python"
    assert diff.path == diff.meta["commit"]
    assert "example.org" not in json.dumps(diff.to_json())
    head = (
        "[message]\nLet add() add\n\nIt took away.\n\n[readme] README.md\n# Adder\nAdds.\n\n"
        "[tree]\nLICENSE\nREADME.md\nsrc/\n  add.py\n  other.py\n\n"
        "[file] src/add.py\ndef add(a, b):\n    return a - b\n\n"
    )
    assert diff.text == head + (
        "[paths]\nM src/add.py\n\n[diff]\ndiff --git a/src/add.py b/src/add.py\n"
        "--- a/src/add.py\n+++ b/src/add.py\n@@ -1,2 +1,2 @@\n def add(a, b):\n"
        "-    return a - b\n+    return a + b\n"
    )
    assert blocks.text == head + (
        "[paths]\nM src/add.py\n\n[blocks]\nedit src/add.py\n<<<<<<< SEARCH\ndef add(a, b):\n"
        "    return a - b\n=======\ndef add(a, b):\n    return a + b\n>>>>>>> REPLACE\n"
    )
    assert diff.text[diff.meta["target_at"] :].startswith("[paths]")
    assert diff.meta["seen"] == 1.0
    assert diff.meta["relevant"] == ["src/add.py"]


def test_each_way_to_be_no_sample_has_its_reason_and_good_commits_have_none(
    make: Callable[..., Path], git: Callable[..., bytes]
) -> None:
    history: list[tuple[str | bytes, dict[str, Any], str]] = [
        ("begin here", {"a.py": "a = 1\n", "old.py": "x = 1\ny = 2\n", "run": "#!/bin/sh\n"}, ANN),
        ("change a value", {"a.py": "a = 2\n"}, ANN),
        ("bump a from 1 to 2", {"a.py": "a = 3\n"}, "dependabot[bot] <x@users.noreply.org>"),
        ("add a library", {"vendor/lib/x.js": "var x;\n"}, ANN),
        ("lock versions", {"package-lock.json": "{}\n"}, ANN),
        ("generate the parser", {"parser.go": "// Code generated by x. DO NOT EDIT.\n"}, ANN),
        ("add a picture", {"logo.png": b"\x89PNG\0\0"}, ANN),
        ("text of old", {"latin.txt": b"caf\xe9\n"}, ANN),
        ("link it there", {"link": ("120000", "a.py")}, ANN),
        ("odd name here", {"a\tb.py": "x\n"}, ANN),
        ("data, a lot", {"big.txt": "x" * 300_000}, ANN),
        ("many files now", {f"many/{n}.py": f"{n}\n" for n in range(60)}, ANN),
        ("nothing at all", {}, ANN),
        ("fix", {"a.py": "a = 4\n"}, ANN),
        ("code with its picture", {"a.py": "a = 5\n", "logo.png": b"\x89PNG\0\1"}, ANN),
        ("a long table", {"a.py": "".join(f"a{n} = {n}\n" for n in range(2000))}, ANN),
        ("move old to new", {"old.py": None, "new.py": "x = 1\ny = 2\n"}, ANN),
        ("make it run", {"run": ("100755", "#!/bin/sh\n")}, ANN),
        (b"caf\xe9 in Latin-1\n", {"new.py": "x = 1\ny = 3\n"}, ANN),
    ]
    repo = make(history)
    main = git(repo, "rev-parse", "main").decode().strip()
    tree = git(repo, "rev-parse", "main^{tree}").decode().strip()
    merge = git(repo, "commit-tree", tree, "-p", main, "-p", f"{main}~1", "-m", "merge them")
    git(repo, "update-ref", "refs/heads/main", merge.decode().strip())
    documents, refused = _read(repo)
    assert refused == {}
    reasons = dict(zip(map(_subject, documents), _judged(documents), strict=True))
    assert reasons == {
        "begin here": "first commit",
        "change a value": "",
        "bump a from 1 to 2": "bot",
        "add a library": "only vendored",
        "lock versions": "only generated",
        "generate the parser": "only generated",
        "add a picture": "only binary",
        "text of old": "only not UTF-8",
        "link it there": "only links",
        "odd name here": "only odd names",
        "data, a lot": "only too large",
        "many files now": "too many files",
        "nothing at all": "nothing changed",
        "fix": "message says too little",
        "code with its picture": "part binary",
        "a long table": "huge change",
        "move old to new": "",
        "make it run": "",
        "café in Latin-1": "",
        "merge them": "merge",
    }
    assert Counter(_judged(documents, whole=False))[""] == 5
    moved = next(one for one in documents if _subject(one) == "move old to new")
    assert "R old.py -> new.py\n" in moved.text


def test_criteria_of_repositories_count_where_they_are_known(
    make: Callable[..., Path], tmp_path: Path
) -> None:
    make([(f"change number {n}", {"a.py": f"{n}\n"}, ANN) for n in range(4)], "all/ann/known.git")
    make([(f"change number {n}", {"a.py": f"{n}\n"}, ANN) for n in range(4)], "all/other.git")
    file = tmp_path / "repositories.jsonl"
    file.write_text('{"full_name": "ann/known", "stargazers_count": 99, "forks_count": 10}\n')
    documents, _ = _read(tmp_path / "all", each=True, metadata=file)
    assert {one.repo for one in documents} == {"ann/known", "other"}
    known = [one for one in documents if one.repo == "ann/known"][1:]
    other = [one for one in documents if one.repo == "other"][1:]
    assert known[0].meta["stars"] == 99
    assert known[0].meta["repo_days"] == 3
    assert known[0].meta["repo_commits"] == 4
    assert _judged(known, stars=100, forks=10) == ["repository with few stars"] * 3
    assert _judged(known, stars=99, forks=11) == ["repository with few forks"] * 3
    assert _judged(known, stars=99, forks=10, repo_commits=4, days=3) == [""] * 3
    assert _judged(other, stars=100, forks=10) == [""] * 3
    assert _judged(other, repo_commits=5) == ["repository with few commits"] * 3
    assert _judged(other, days=4) == ["repository with few days"] * 3
    file.write_text('{"repo": "ann/known", "stars": "many"}\n')
    with pytest.raises(UsageError, match="stars is no number"):
        commits(roots=[tmp_path / "all"], each=True, metadata=file)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["diff", "blocks"])
def test_real_patches_as_a_history_give_exactly_the_files_after(
    quilt: list[dict[str, Any]], make: Callable[..., Path], target: str
) -> None:
    packages = {row["package"] for row in quilt}
    proven = 0
    for package in sorted(packages):
        rows = [row for row in quilt if row["package"] == package]
        begin: dict[str, str] = {}
        history: list[tuple[str, dict[str, Any], str]] = []
        now: dict[str, str | None] = {}
        for row in rows:
            for path, text in row["before"].items():
                if text is not None and path not in now:
                    begin[path] = text
                now.setdefault(path, text)
            for path, text in row["after"].items():
                now[path] = text
        now = dict(begin)
        history.append(("begin", begin, ANN))
        expected: dict[int, dict[str, Any]] = {}
        for row in rows:
            apart = {path: text for path, text in row["before"].items() if now.get(path) != text}
            if apart:  # a patch that is not in the sample came between
                history.append(("what came between", apart, ANN))
            expected[len(history)] = row
            history.append((row["header"] or row["subject"], row["after"], ANN))
            now |= row["before"] | row["after"]
        documents, refused = _read(
            make(history, f"{package}.git"), target=target, index_file_bytes=5000
        )
        assert refused == {}
        assert len(documents) == len(history)
        reasons = _judged(documents, words=0, files=99, lines=10**6, target_bytes=10**7)
        for number, row in expected.items():
            if reasons[number]:
                continue
            before = {p: Blob(text=text) for p, text in row["before"].items() if text is not None}
            after = {p: Blob(text=text) for p, text in row["after"].items() if text is not None}
            assert _applied(documents[number], before) == after, row["patch"]
            proven += 1
    assert proven > 70


@pytest.mark.slow
@pytest.mark.parametrize("target", ["diff", "blocks"])
def test_own_history_comes_back_whole_tree_by_whole_tree(own_history: Path, target: str) -> None:
    documents, refused = _read(own_history, target=target, index_file_bytes=1000)
    assert refused == {}
    assert "parent not there" in {one.meta["reason"] for one in documents}  # a shallow clone
    proven = 0
    with opened(own_history) as gitdir, Objects(gitdir) as objects:
        for document in documents[-20:]:
            if document.meta["reason"] or document.meta["left_out"]:
                continue
            before = _tree(objects, document.meta["parents"][0])
            assert _applied(document, before) == _tree(objects, document.meta["commit"])
            proven += 1
    assert proven > 5


@pytest.mark.slow
def test_git_applies_the_diffs_of_own_history_to_the_same_trees(
    own_history: Path, git: Callable[..., bytes]
) -> None:
    documents, _ = _read(own_history, target="diff", index_file_bytes=1000)
    proven = 0
    for document in documents[-25:]:
        if document.meta["reason"] or document.meta["left_out"]:
            continue
        git(own_history, "read-tree", document.meta["parents"][0])
        _, body = body_of(document.text[document.meta["target_at"] :])
        git(own_history, "apply", "--cached", "-", data=body.encode())
        made = git(own_history, "write-tree").decode().strip()
        wanted = git(own_history, "rev-parse", f"{document.meta['commit']}^{{tree}}")
        assert made == wanted.decode().strip(), document.meta["subject"]
        proven += 1
    assert proven > 8


@pytest.mark.slow
def test_trees_differ_where_git_says_so(own_history: Path, git: Callable[..., bytes]) -> None:
    compared = 0
    with opened(own_history) as gitdir, Objects(gitdir) as objects:
        for line in git(own_history, "log", "--format=%H %P", "-25").decode().splitlines():
            sha, *parents = line.split()
            if len(parents) != 1 or sha in gitdir.shallow:
                continue
            out = git(own_history, "diff-tree", "-r", "-z", "--no-renames", parents[0], sha)
            items = out.split(b"\0")[:-1]
            theirs = {
                path: tuple(facts[1:].decode().split()[:4])
                for facts, path in zip(items[::2], items[1::2], strict=True)
            }
            ours = {
                step.path: (
                    f"{step.before.mode if step.before else 0:06o}",
                    f"{step.after.mode if step.after else 0:06o}",
                    step.before.sha if step.before else "0" * 40,
                    step.after.sha if step.after else "0" * 40,
                )
                for step in objects.compare(objects.tree(parents[0]), objects.tree(sha), 10_000)
            }
            assert ours == theirs
            compared += len(ours)
    assert compared > 50


def test_mixed_writes_about_half_each_way_and_always_the_same(make: Callable[..., Path]) -> None:
    repo = make([(f"change number {n}", {"a.py": f"{n}\n"}, ANN) for n in range(60)])
    once, _ = _read(repo)
    again, _ = _read(repo)
    other, _ = _read(repo, seed=1)
    assert [one.text for one in once] == [one.text for one in again]
    assert [one.text for one in once] != [one.text for one in other]
    forms = Counter(one.meta["form"] for one in once[1:])
    assert min(forms["diff"], forms["blocks"]) > 15


@pytest.mark.slow
def test_a_recipe_keeps_commits_and_counts_the_others(
    make: Callable[..., Path], tmp_path: Path
) -> None:
    history: list[tuple[str, dict[str, Any], str]] = [
        (f"change number {n}", {"a.py": f"a = {n}\n"}, ANN) for n in range(6)
    ]
    history.append(("bump x", {"a.py": "a = 9\n"}, "renovate[bot] <r@example.org>"))
    repo = make(history)
    recipe = CurateRecipe.model_validate(
        {
            "store": tmp_path / "store",
            "sources": [{"use": "commits", "options": {"roots": [str(repo)]}}],
            "steps": [
                {"use": "commits", "options": {"repo_commits": 3, "days": 3}},
                {"use": "exact", "after": ["commits.keep"]},
                {"use": "secrets", "after": ["commits.keep"]},
            ],
            "select": {"keep": ["commits.keep", "exact.keep", "commits.files <= 3"]},
        }
    )
    result = run(recipe, LocalEngine(workers=1))
    assert result.documents == 7
    assert result.kept == 5
    assert result.steps[0].dropped == {"bot": 1, "first commit": 1}
    assert result.dropped_by == {"commits.keep": 2, "exact.keep": 0, "commits.files <= 3": 0}
    rows = [
        row for table in kept(recipe, ["text", "commits.target_at"]) for row in table.to_pylist()
    ]
    assert all(row["text"][row["commits.target_at"] :].startswith("[paths]") for row in rows)
    again = run(recipe, LocalEngine(workers=1))
    assert [one.fresh for one in again.steps] == [0, 0, 0]
