"""Repositories that want to do something to whoever reads them, or to keep him busy for ever. Each
trap is shown to work on git as it is used; then it is read, and nothing has happened."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from curate.commits.gitdir import NotReadable, opened
from curate.commits.source import commits
from curate.document import Document
from curate.sources.git import git as tree_source
from seedcoder.errors import UsageError

ANN = "Ann <ann@example.org>"
TWO = [("begin here", {"a.py": "a = 1\n", "b.py": "b = 1\n"}, ANN),
       ("change a value", {"a.py": "a = 2\n"}, ANN)]  # fmt: skip


def _commits(repo: Path, **options: Any) -> tuple[list[Document], dict[str, str]]:
    refused: dict[str, str] = {}
    source = commits(roots=[repo], **options)
    return list(source.documents("x", lambda place, why: refused.update({place: why}))), refused


def _files(repo: Path, **options: Any) -> tuple[dict[str, Document], dict[str, str]]:
    refused: dict[str, str] = {}
    source = tree_source(roots=[repo], **options)
    found = source.documents("x", lambda place, why: refused.update({place: why}))
    return {one.path: one for one in found}, refused


def _is_good(repo: Path) -> None:
    documents, refused = _commits(repo)
    assert [one.meta["reason"] for one in documents] == ["first commit", ""]
    assert refused == {}
    found, refused = _files(repo)
    assert set(found) == {"a.py", "b.py"}
    assert found["a.py"].text == "a = 2\n"
    assert refused == {}


def _loose(repo: Path, kind: str, data: bytes) -> str:
    """Write an object as it is, however wrong."""
    whole = f"{kind} {len(data)}\0".encode() + data
    sha = hashlib.sha1(whole, usedforsecurity=False).hexdigest()
    file = repo / "objects" / sha[:2] / sha[2:]
    file.parent.mkdir(exist_ok=True)
    if not file.exists():
        file.write_bytes(zlib.compress(whole))
    return sha


def _tree(*entries: tuple[str, bytes, str]) -> bytes:
    return b"".join(
        f"{mode} ".encode() + name + b"\0" + bytes.fromhex(sha) for mode, name, sha in entries
    )


def _commit(repo: Path, tree: str, *parents: str, message: bytes = b"some words here") -> str:
    lines = [f"tree {tree}", *(f"parent {one}" for one in parents),
             f"author {ANN} 1600000000 +0000", f"committer {ANN} 1600000000 +0000"]  # fmt: skip
    sha = _loose(repo, "commit", "\n".join(lines).encode() + b"\n\n" + message)
    (repo / "refs" / "heads" / "main").write_text(sha + "\n")
    return sha


@pytest.fixture
def trap(tmp_path: Path) -> tuple[Path, Path]:
    """A program, and the file that it makes when it is run."""
    mark, program = tmp_path / "it-ran", tmp_path / "trap.sh"
    program.write_text(f"#!/bin/sh\ntouch {mark}\ncat\n")
    program.chmod(0o755)
    return program, mark


def test_nothing_that_a_repository_configures_is_run(
    make: Callable[..., Path],
    git: Callable[..., bytes],
    trap: tuple[Path, Path],
    tmp_path: Path,
) -> None:
    program, mark = trap
    bare = make(TWO)
    work = tmp_path / "work"
    git(tmp_path, "clone", "-q", str(bare), str(work))
    attributes = "* filter=evil diff=evil merge=evil\n"
    (work / ".gitattributes").write_text(attributes)
    (work / ".git" / "info" / "attributes").write_text(attributes)
    for name in ("post-checkout", "pre-auto-gc", "post-index-change", "reference-transaction"):
        (work / ".git" / "hooks").mkdir(exist_ok=True)
        shutil.copy(program, work / ".git" / "hooks" / name)
    (tmp_path / "more").write_text(f"[core]\n\teditor = {program}\n")
    with (work / ".git" / "config").open("a") as config:
        config.write(
            f"[core]\n\tfsmonitor = {program}\n\tsshCommand = {program}\n\tpager = {program}\n"
            f"\talternateRefsCommand = {program}\n\taskPass = {program}\n\teditor = {program}\n"
            f'[filter "evil"]\n\tclean = {program}\n\tsmudge = {program}\n\trequired = true\n'
            f'[diff "evil"]\n\ttextconv = {program}\n\tcommand = {program}\n'
            f"[diff]\n\texternal = {program}\n[log]\n\tshowSignature = true\n"
            f"[gpg]\n\tprogram = {program}\n[alias]\n\tlog = !{program}\n\tcat-file = !{program}\n"
            f"[include]\n\tpath = {tmp_path / 'more'}\n[credential]\n\thelper = !{program}\n"
            f"[pager]\n\tlog = {program}\n\tcat-file = {program}\n"
        )
    for words in (("status",), ("log", "-p", "--ext-diff"), ("checkout", "-q", "-f", "main")):
        git(work, *words)
        assert mark.exists(), f"the trap does not work: {words}"  # the control
        mark.unlink()
    _is_good(work)
    _is_good(work / ".git")
    assert commits(roots=[work]).fingerprint()
    assert not mark.exists()


def test_a_missing_object_is_not_fetched_from_where_the_repository_says(
    make: Callable[..., Path], git: Callable[..., bytes], trap: tuple[Path, Path], tmp_path: Path
) -> None:
    program, mark = trap
    program.write_text(program.read_text().replace("cat\n", "exit 1\n"))  # or git waits for it
    repo = make(TWO)
    blob = git(repo, "rev-parse", "main:b.py").decode().strip()
    loose = tmp_path / "loose.git"
    git(tmp_path, "init", "-q", "--bare", "-b", "main", str(loose))
    pack = next((repo / "objects" / "pack").glob("*.pack"), None)
    if pack is not None:
        git(loose, "unpack-objects", "-q", data=pack.read_bytes())
    else:
        shutil.copytree(repo / "objects", loose / "objects", dirs_exist_ok=True)
    (loose / "refs" / "heads" / "main").write_bytes(git(repo, "rev-parse", "main"))
    _is_good(loose)
    (loose / "objects" / blob[:2] / blob[2:]).unlink()
    (loose / "config").write_text(
        "[core]\n\trepositoryformatversion = 1\n\tbare = true\n[extensions]\n"
        "\tpartialClone = origin\n"
        f'[remote "origin"]\n\tpromisor = true\n\turl = ext::{program}\n'
        f'[protocol "ext"]\n\tallow = always\n'
    )
    with pytest.raises(RuntimeError):
        git(loose, "cat-file", "-p", blob)
    assert mark.exists()  # the control
    mark.unlink()
    found, refused = _files(loose)
    assert set(found) == {"a.py"}
    assert refused == {"loose/b.py": "a blob is missing or broken"}
    documents, refused = _commits(loose)
    assert [one.meta["reason"] for one in documents] == ["first commit"]
    assert list(refused.values()) == ["a blob is missing or broken"]
    assert not mark.exists()


def test_a_repository_does_not_lead_to_another(
    make: Callable[..., Path], git: Callable[..., bytes], tmp_path: Path
) -> None:
    secret = make(TWO, "secret.git")
    head = git(secret, "rev-parse", "main").decode()

    def copy(name: str) -> Path:
        shutil.copytree(secret, tmp_path / name)
        return tmp_path / name

    _is_good(copy("good.git"))
    (tmp_path / "file").mkdir()
    (tmp_path / "file" / ".git").write_text(f"gitdir: {secret}\n")
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / ".git").symlink_to(secret)
    shutil.rmtree(copy("objects.git") / "objects")
    (tmp_path / "objects.git" / "objects").symlink_to(secret / "objects")
    shutil.rmtree(copy("pack.git") / "objects" / "pack")
    (tmp_path / "pack.git" / "objects" / "pack").symlink_to(secret / "objects" / "pack")
    for name in ("alternates", "http-alternates"):
        git(tmp_path, "init", "-q", "--bare", "-b", "main", f"{name}.git")
        info = tmp_path / f"{name}.git" / "objects" / "info"
        info.mkdir(exist_ok=True)
        (info / name).write_text(f"{secret / 'objects'}\n")
        (tmp_path / f"{name}.git" / "refs" / "heads" / "main").write_text(head)
    ref = copy("ref.git")
    (ref / "packed-refs").unlink(missing_ok=True)
    (ref / "refs" / "heads" / "main").unlink(missing_ok=True)
    (ref / "refs" / "heads" / "main").symlink_to(secret / "HEAD")
    outside = copy("outside.git")
    (outside / "HEAD").write_text(f"ref: ../secret.git/{'refs/heads/main'}\n")
    for name, why in {
        "file": "its .git names another folder",
        "link": "its .git names another folder",
        "objects.git": "its objects are links",
        "pack.git": "its objects are links",
        "alternates.git": "it borrows objects from elsewhere",
        "http-alternates.git": "it borrows objects from elsewhere",
        "ref.git": "it has no commits",
        "outside.git": "it has no commits",
    }.items():
        documents, refused = _commits(tmp_path / name)
        assert (documents, list(refused.values())) == ([], [why]), name
        found, refused = _files(tmp_path / name)
        assert (found, list(refused.values())) == ({}, [why]), name


def test_links_and_names_that_lead_out_of_a_tree_bring_nothing_in(
    make: Callable[..., Path], tmp_path: Path
) -> None:
    outside = tmp_path / "outside.py"
    outside.write_text("secret = 1\n")
    repo = make([*TWO, ("link it", {"link.py": ("120000", str(outside))}, ANN)])
    blob = _loose(repo, "blob", b"x = 1\n")
    inner = _loose(repo, "tree", _tree(("100644", b"x.py", blob)))
    parent = (repo / "refs" / "heads" / "main").read_text().strip()
    tree = _tree(
        ("40000", b"..", inner),
        ("40000", b".git", inner),
        ("100644", b"../../etc/x.py", blob),
        ("100644", b"/root.py", blob),
        ("100644", b"good.py", blob),
        ("100644", b"new\nline.py", blob),
        ("100644", b"\xff\xfe.py", blob),
        ("100644", b"-rf.py", blob),
        ("120000", b"z.py", blob),
        ("160000", b"zz.py", "1" * 40),
    )
    _commit(repo, _loose(repo, "tree", tree), parent)
    found, refused = _files(repo)
    assert set(found) == {"good.py", "new\nline.py", "\ufffd\ufffd.py", "-rf.py"}
    assert set(refused.values()) == {"its name leads out of the tree"}
    assert not any("secret" in one.text for one in found.values())
    documents, _ = _commits(repo)
    assert documents[-1].meta["left_out"]["odd names"] == 6
    assert documents[-1].meta["left_out"]["links"] == 2
    assert not any("secret" in one.text for one in documents)


@pytest.mark.slow
def test_trees_without_end_end(make: Callable[..., Path]) -> None:
    repo = make(TWO)
    parent = (repo / "refs" / "heads" / "main").read_text().strip()
    for leaf in (("100644", b"f.py", _loose(repo, "blob", b"x\n")), None):
        tree = _loose(repo, "tree", _tree(leaf) if leaf else b"")
        for _ in range(12):
            tree = _loose(repo, "tree", _tree(*(("40000", b"d%d" % n, tree) for n in range(10))))
        began = time.monotonic()
        _commit(repo, tree, parent)
        found, refused = _files(repo)
        assert found == {}
        assert refused == {"made": "its trees are endless"}
        documents, _ = _commits(repo)
        assert documents[-1].meta["reason"] == "too many files"
        assert time.monotonic() - began < 60  # and not 10**12 folders


def test_broken_objects_are_refused_and_the_rest_is_read(make: Callable[..., Path]) -> None:
    repo = make(TWO)
    parent = (repo / "refs" / "heads" / "main").read_text().strip()
    middle = _commit(repo, _loose(repo, "tree", b"no tree at all"), parent)
    blob = _loose(repo, "blob", b"x = 1\n")
    tree = _loose(repo, "tree", _tree(("100644", b"x.py", blob)))
    last = _commit(repo, tree, middle)
    _commit(repo, _loose(repo, "tree", _tree(("100644", b"x.py", blob), ("100644", b"y.py", blob))),
            last)  # fmt: skip
    documents, refused = _commits(repo)
    assert [one.meta["reason"] for one in documents] == ["first commit", "", ""]
    assert sorted(refused) == [f"made@{sha}" for sha in sorted((middle, last))]
    (repo / "refs" / "heads" / "main").write_text("1" * 40 + "\n")
    assert _commits(repo) == ([], {"made": "its revision is no commit"})


def test_what_is_no_text_in_a_commit_s_words_is_read_all_the_same(
    make: Callable[..., Path],
) -> None:
    repo = make(TWO)
    parent = (repo / "refs" / "heads" / "main").read_text().strip()
    blob = _loose(repo, "blob", b"x = 1\n")
    tree = _loose(repo, "tree", _tree(("100644", b"x.py", blob)))
    lines = (
        f"tree {tree}\nparent {parent}\nauthor \xff\ncommitter nobody at all\nencoding no-such\n"
    )
    sha = _loose(repo, "commit", lines.encode("latin-1") + b"\nnot \xff text \0 at all\n")
    (repo / "refs" / "heads" / "main").write_text(sha)
    documents, refused = _commits(repo)
    assert refused == {}
    assert "not ÿ text  at all" in documents[-1].text


@pytest.mark.slow
def test_an_enormous_file_is_not_read(make: Callable[..., Path]) -> None:
    repo = make([*TWO, ("add zeros to it", {"zeros.py": b"0" * 70_000_000}, ANN)])
    documents, _ = _commits(repo)
    assert documents[-1].meta["reason"] == "only too large"
    found, refused = _files(repo)
    assert set(found) == {"a.py", "b.py"}
    assert refused == {"made/zeros.py": "far too long"}


def test_working_copies_bare_ones_and_bundles_are_the_same(
    make: Callable[..., Path], git: Callable[..., bytes], tmp_path: Path
) -> None:
    bare = make(TWO)
    git(tmp_path, "clone", "-q", str(bare), "work")
    git(bare, "bundle", "create", "-q", str(tmp_path / "one.bundle"), "--all")
    (tmp_path / "work" / "a.py").write_text("not committed\n")
    for path in (bare, tmp_path / "work", tmp_path / "one.bundle"):
        _is_good(path)
    git(tmp_path, "init", "-q", "--object-format=sha256", "-b", "main", "longer")
    (tmp_path / "longer" / "c.py").write_text("c = 1\n")
    git(tmp_path / "longer", "add", ".")
    git(tmp_path / "longer", "commit", "-q", "-m", "begin here")
    assert set(_files(tmp_path / "longer")[0]) == {"c.py"}


@pytest.mark.parametrize("revision", ["old", "refs/tags/old", "v1"])
def test_a_revision_is_a_branch_a_tag_or_an_id(
    make: Callable[..., Path], git: Callable[..., bytes], revision: str
) -> None:
    repo = make(TWO)
    git(repo, "tag", "old", "main~1")
    git(repo, "tag", "-a", "-m", "first", "v1", "main~1")
    assert _files(repo, revision=revision)[0]["a.py"].text == "a = 1\n"
    git(repo, "pack-refs", "--all")
    assert _files(repo, revision=revision)[0]["a.py"].text == "a = 1\n"
    sha = git(repo, "rev-parse", "main").decode().strip()
    assert _files(repo, revision=sha)[0]["a.py"].text == "a = 2\n"
    for odd in ("main~1", "--all", "-h", "none"):
        assert _files(repo, revision=odd)[1] == {"made": "no such revision"}


def test_the_fingerprint_is_another_when_a_branch_moves(
    make: Callable[..., Path], git: Callable[..., bytes], tmp_path: Path
) -> None:
    repo = make(TWO)
    before = tree_source(roots=[repo]).fingerprint()
    assert tree_source(roots=[repo]).fingerprint() == before
    os.utime(repo / "HEAD")
    assert tree_source(roots=[repo]).fingerprint() == before
    git(repo, "update-ref", "refs/heads/main", "main~1")
    assert tree_source(roots=[repo]).fingerprint() != before


def test_what_is_no_repository_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "x.bundle").write_bytes(b"# v2 git bundle\nnonsense")
    assert _commits(tmp_path / "x.bundle") == (
        [], {"x": "a bundle that cannot be unpacked by itself"}
    )  # fmt: skip
    with pytest.raises(UsageError, match="no folder"):
        commits(roots=[tmp_path / "none"])
    with pytest.raises(UsageError, match="no git repository"):
        commits(roots=[tmp_path / "plain"], each=True)
    with pytest.raises(NotReadable), opened(tmp_path / "plain"):
        pass


def test_no_process_and_no_folder_is_left(
    make: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = make(TWO)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    found = commits(roots=[repo]).documents("x", lambda *_: None)
    next(found)
    assert list(scratch.iterdir())
    assert len(_git_children()) == 2  # the control
    found.close()  # type: ignore[attr-defined]
    assert not list(scratch.iterdir())
    assert _git_children() == []


def _git_children() -> list[str]:
    """Processes of git that this one started."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = file.read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue  # it ended meanwhile
        if name == "git" and int(rest.split()[1]) == os.getpid():
            found.append(file.parent.name)
    return found
