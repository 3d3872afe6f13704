"""Snapshots: each kind is read, each way to write elsewhere or to fill the disk is refused."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import random
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox import Snapshot, TestsBroken
from sandbox.project import archive
from sandbox.project.archive import packed
from sandbox.project.sdist import fetch_sdist

Change = Callable[[tarfile.TarInfo], None]


def names_of(snapshot: Snapshot) -> dict[str, bytes]:
    """Return what a snapshot comes to: contents by name, a link's target, b"/" for a folder."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(packed(snapshot))) as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isreg() else None
            found[member.name] = content.read() if content else (member.linkname or "/").encode()
    return found


def tar_of(*members: tuple[str, bytes | Change], form: str = "gz") -> bytes:
    """Return a tar of regular files, or of members changed by a function."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=f"w:{form}") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if callable(content):
                content(member)
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def link(target: str, kind: bytes = tarfile.SYMTYPE) -> Change:
    """Return a change that makes a member a link."""

    def change(member: tarfile.TarInfo) -> None:
        member.type, member.linkname = kind, target

    return change


def of_type(kind: bytes) -> Change:
    """Return a change that makes a member of another type."""

    def change(member: tarfile.TarInfo) -> None:
        member.type = kind

    return change


def test_a_folder_is_read_without_history_and_compiled_files(tmp_path: Path) -> None:
    for name in ("a/b.py", "a/run", ".git/HEAD", "a/.git", ".hg/x", "a/__pycache__/b.pyc", "c.pyc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "a/run").chmod(0o755)
    (tmp_path / "near").symlink_to("a/b.py")
    found = names_of(Snapshot.folder(tmp_path))
    assert found == {"a": b"/", "a/b.py": b"a/b.py", "a/run": b"a/run", "near": b"a/b.py"}
    with tarfile.open(fileobj=io.BytesIO(packed(Snapshot.folder(tmp_path)))) as tar:
        assert {member.name: member.mode for member in tar if member.isreg()} == {
            "a/b.py": 0o644,
            "a/run": 0o755,
        }


@pytest.mark.parametrize("form", ["", "gz", "bz2", "xz"])
def test_a_tar_is_read_whatever_it_is_compressed_with(tmp_path: Path, form: str) -> None:
    raw = tar_of(("x-1.0/a.py", b"1"), ("x-1.0/sub/.git/HEAD", b"h"), form=form)
    path = tmp_path / "x.tar"
    path.write_bytes(raw)
    assert names_of(Snapshot.archive(path)) == {"a.py": b"1"}
    assert names_of(Snapshot.archive(path, strip=0)) == {"x-1.0/a.py": b"1"}
    assert names_of(Snapshot.inline(raw)) == {"a.py": b"1"}


def test_a_zip_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("top/", "")
        made.writestr("top/a.py", "1")
        entry = zipfile.ZipInfo("top/near")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        made.writestr(entry, "a.py")
    assert names_of(Snapshot.archive(tmp_path / "x.zip")) == {"a.py": b"1", "near": b"a.py"}


def test_a_hard_link_becomes_the_file_it_stands_for() -> None:
    raw = tar_of(("t/a", b"1"), ("t/b", link("t/a", tarfile.LNKTYPE)))
    assert names_of(Snapshot.inline(raw)) == {"a": b"1", "b": b"1"}


UNSAFE = {
    "dots": [("t/../../x", b"")],
    "absolute": [("/etc/x", b"")],
    "a backslash": [("t/..\\x", b"")],
    "a long name": [("t/" + "n" * 300, b"")],
    "a link out": [("t/a", b""), ("t/l", link("../../x"))],
    "an absolute link": [("t/a", b""), ("t/l", link("/etc/passwd"))],
    "a file beyond a link": [("t/d", link("e")), ("t/d/x", b"")],
    "a file beyond a file": [("t/d", b""), ("t/d/x", b"")],
    "a hard link to nothing": [("t/l", link("t/none", tarfile.LNKTYPE))],
    "a hard link out": [("t/l", link("/etc/passwd", tarfile.LNKTYPE))],
    "a name twice": [("t/a", b"1"), ("t/./a", b"2")],
    "a device": [("t/null", of_type(tarfile.CHRTYPE))],
    "a block device": [("t/disk", of_type(tarfile.BLKTYPE))],
    "a fifo": [("t/pipe", of_type(tarfile.FIFOTYPE))],
}


@pytest.mark.parametrize("members", UNSAFE.values(), ids=UNSAFE)
def test_an_unsafe_member_is_refused(members: list[tuple[str, bytes | Change]]) -> None:
    with pytest.raises(TestsBroken, match="the snapshot has"):
        packed(Snapshot.inline(tar_of(*members)))
    assert packed(Snapshot.inline(tar_of(("t/a", b""), ("t/l", link("a")))))


def test_an_unsafe_member_of_a_zip_is_refused() -> None:
    for name, mode in (
        ("t/../../x", 0o644),
        ("/etc/x", 0o644),
        ("t/pipe", stat.S_IFIFO | 0o644),
        ("t/link", stat.S_IFLNK | 0o777),
    ):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as made:
            made.writestr("t/a", "")
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            made.writestr(entry, "/etc/passwd")
        with pytest.raises(TestsBroken, match="the snapshot has"):
            packed(Snapshot.inline(out.getvalue()))


def test_a_member_that_says_it_is_huge_is_refused_unread() -> None:
    def huge(member: tarfile.TarInfo) -> None:
        member.size = archive.MOST_BYTES + 1

    head = tarfile.TarInfo("t/huge")
    huge(head)
    raw = gzip.compress(head.tobuf() + bytes(10240))
    with pytest.raises(TestsBroken, match="more than 512 MiB"):
        packed(Snapshot.inline(raw))


@pytest.mark.slow
def test_a_bomb_of_members_or_bytes_is_refused() -> None:
    zeros = bytes(1 << 26)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as made:
        for number in range(9):
            made.writestr(f"t/{number}", zeros)
    with pytest.raises(TestsBroken, match="more than 512 MiB"):
        packed(Snapshot.inline(out.getvalue()))
    many = tar_of(*((f"t/{number}", b"") for number in range(archive.MOST_ENTRIES + 1)))
    with pytest.raises(TestsBroken, match="entries"):
        packed(Snapshot.inline(many))


def test_a_header_that_is_a_bomb_is_refused() -> None:
    head = tarfile.TarInfo("t/long")
    head.type, head.size = tarfile.XHDTYPE, 1 << 40
    with pytest.raises(TestsBroken):
        packed(Snapshot.inline(head.tobuf(format=tarfile.GNU_FORMAT) + bytes(10240)))


@pytest.mark.parametrize(
    "raw",
    [
        b"no archive",
        b"PK\3\4 no zip",
        b"\x1f\x8bnot gzip",
        tar_of(("t/a", random.Random(1).randbytes(9000)))[:4000],
    ],
    ids=["nothing", "no zip", "no gzip", "torn"],
)
def test_what_is_no_archive_is_our_failure_in_one_line(raw: bytes) -> None:
    with pytest.raises(TestsBroken, match="cannot be read") as caught:
        packed(Snapshot.inline(raw))
    assert "\n" not in str(caught.value)


def test_a_folder_with_a_fifo_or_a_link_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ok").touch()
    assert names_of(Snapshot.folder(tmp_path)) == {"ok": b""}
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TestsBroken, match="pipe"):
        packed(Snapshot.folder(tmp_path))
    (tmp_path / "pipe").unlink()
    (tmp_path / "out").symlink_to("/etc/passwd")
    with pytest.raises(TestsBroken, match="out of itself"):
        packed(Snapshot.folder(tmp_path))
    with pytest.raises(TestsBroken, match="no folder"):
        packed(Snapshot.folder(tmp_path / "none"))


def test_an_archive_with_another_digest_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    path.write_bytes(tar_of(("t/a", b"1")))
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    assert names_of(Snapshot.archive(path, sha256=right)) == {"a": b"1"}
    with pytest.raises(TestsBroken, match="another sha256"):
        packed(Snapshot.archive(path, sha256="0" * 64))


def test_an_sdist_is_found_by_name_version_and_digest(tmp_path: Path) -> None:
    path = tmp_path / "my_pack.age-1.0.tar.gz"
    path.write_bytes(tar_of(("my_pack.age-1.0/a", b"1")))
    (tmp_path / "other-1.0.tar.gz").write_bytes(b"")
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    assert names_of(Snapshot.sdist("My-Pack_age", "1.0", right, folder=tmp_path)) == {"a": b"1"}
    assert fetch_sdist("my-pack-age", "1.0", right, tmp_path) == path  # without pip
    with pytest.raises(TestsBroken, match="another sha256"):
        packed(Snapshot.sdist("my-pack-age", "1.0", "0" * 64, folder=tmp_path))
    with pytest.raises(TestsBroken, match="not there"):
        packed(Snapshot.sdist("my-pack-age", "1.1", right, folder=tmp_path))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Snapshot.archive("x", sha256="short"),
        lambda: Snapshot.sdist("x", "1", "", folder="."),
        lambda: Snapshot.image("testbed"),
        lambda: Snapshot.inline(b""),
        lambda: Snapshot(kind="git", path="x"),
    ],
)
def test_a_snapshot_that_cannot_be_meant_is_refused(make: Callable[[], Snapshot]) -> None:
    with pytest.raises(ValueError, match="snapshot"):
        make()
