"""Folders and archives: what becomes a document, what is refused, what can do no harm."""

from __future__ import annotations

import gzip
import io
import os
import random
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curate.document import Document
from curate.sources import archives as module
from curate.sources import reading
from curate.sources.archives import archives, repo_of
from curate.sources.folders import folders
from curate.sources.reading import text_of
from curate.sources.source import Source
from seedcoder.errors import UsageError

MIT = "Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files"  # noqa: E501


def _read(source: Source) -> tuple[dict[str, Document], dict[str, str]]:
    refused: dict[str, str] = {}
    found: dict[str, Document] = {}
    for document in source.documents("here", lambda place, why: refused.update({place: why})):
        assert document.key not in {one.key for one in found.values()}
        found[f"{document.repo}/{document.path}"] = document
    return found, refused


def _tree(folder: Path, files: dict[str, bytes | str]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def _tar(path: Path, members: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_a_folder_s_files_become_documents_with_language_and_licence(tmp_path: Path) -> None:
    root = _tree(
        tmp_path / "project",
        {
            "LICENSE": MIT,
            "src/a.py": "print(1)\n",
            "src/b.unknown": "text",
            "vendor/LICENSE-APACHE": "Apache License, Version 2.0",
            "vendor/LICENSE-MIT": MIT,
            "vendor/c.go": "package c\n",
            ".git/config.py": "no",
            "node_modules/x/y.js": "no",
            "run": "#!/usr/bin/env python3\nprint(2)\n",
            "data.py": b"\x00\x01binary",
            "big.py": "x = 1\n" * 1000,
        },
    )
    found, refused = _read(folders(roots=[root], most_bytes=3000))
    assert {name: one.language for name, one in found.items()} == {
        "project/src/a.py": "python", "project/vendor/c.go": "go", "project/run": "python",
    }  # fmt: skip
    assert found["project/src/a.py"].licence == "MIT"
    assert found["project/vendor/c.go"].licence == "Apache-2.0 OR MIT"
    assert refused == {"project/data.py": "binary", "project/big.py": "more than 3000 bytes"}
    only, _ = _read(folders(roots=[root], languages=("go",)))
    assert set(only) == {"project/vendor/c.go"}
    everything, _ = _read(folders(roots=[root], unknown=True))
    assert "project/src/b.unknown" in everything


def test_subfolders_are_repositories_and_links_lead_nowhere(tmp_path: Path) -> None:
    secret = _tree(tmp_path / "outside", {"secret.py": "key = 1"})
    root = _tree(tmp_path / "all", {"one/a.py": "1", "two/a.py": "2"})
    (root / "one" / "link.py").symlink_to(secret / "secret.py")
    (root / "linked").symlink_to(secret)
    (root / "two" / "folder").symlink_to(secret)
    os.mkfifo(root / "two" / "pipe.py")
    found, _ = _read(folders(roots=[root], each=True))
    assert set(found) == {"one/a.py", "two/a.py"}


def test_a_changed_file_changes_the_fingerprint(tmp_path: Path) -> None:
    root = _tree(tmp_path / "p", {"a.py": "1"})
    before = folders(roots=[root]).fingerprint()
    assert folders(roots=[root]).fingerprint() == before
    _tree(root, {"a.py": "12"})
    assert folders(roots=[root]).fingerprint() != before
    with pytest.raises(UsageError, match="no folder"):
        folders(roots=[tmp_path / "absent"])


ENCODED: dict[bytes, str | None] = {
    "é = 1".encode(): "é = 1",
    b"\xef\xbb\xbfx": "x",
    "x = 'é'".encode("utf-16"): "x = 'é'",
    "x".encode("utf-32"): "x",
    "# caf\xe9".encode("latin-1"): "# café",
    b"\x00": None,
    b"\x80\x81\xff": None,
    b"\xff\xfe\x00": None,
    b"": "",
}


@pytest.mark.parametrize("data", ENCODED)
def test_bytes_become_text_or_say_why_not(data: bytes) -> None:
    text, why = text_of(data)
    assert text == ENCODED[data] and bool(why) == (text is None)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tarballs_of_every_kind_are_read(tmp_path: Path, mode: str) -> None:
    suffix = {"w": ".tar", "w:gz": ".tar.gz", "w:bz2": ".tar.bz2", "w:xz": ".tar.xz"}[mode]
    file = _tar(
        tmp_path / f"pkg-1.0{suffix}", {"pkg-1.0/a.py": b"1", "pkg-1.0/LICENSE": MIT.encode()}, mode
    )
    found, refused = _read(archives(files=[file]))
    assert set(found) == {"pkg-1.0/pkg-1.0/a.py"} and not refused
    assert found["pkg-1.0/pkg-1.0/a.py"].licence == "MIT"


def test_zips_are_read_and_a_folder_of_archives_too(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "z.zip", "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("a.py", "1")
        made.writestr("x/b.rb", "2")
    _tar(tmp_path / "t.tgz", {"c.py": b"3"})
    found, _ = _read(archives(files=[tmp_path]))
    assert set(found) == {"t/c.py", "z/a.py", "z/x/b.rb"}
    with pytest.raises(UsageError, match="no archive"):
        archives(files=[tmp_path / "absent.zip"])
    assert repo_of("p-1.tar.gz") == "p-1" and repo_of("odd") == "odd"


def test_names_that_lead_out_are_refused_and_the_rest_is_read(tmp_path: Path) -> None:
    names = ["../out.py", "/etc/a.py", "a/../../b.py", "C:\\x.py", "ok/a.py", "new\nline.py"]
    tarred = _tar(tmp_path / "bad.tar", dict.fromkeys(names, b"1"), "w")
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as made:
        for name in names:
            made.writestr(name, "1")
    for file in (tarred, tmp_path / "bad.zip"):
        found, refused = _read(archives(files=[file]))
        assert set(found) == {"bad/ok/a.py"}, file
        assert len(refused) == 5
    assert not (tmp_path.parent / "out.py").exists()


def test_links_and_devices_of_archives_are_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "l.tar", "w") as tar:
        for kind, target in ((tarfile.SYMTYPE, "/etc/passwd"), (tarfile.LNKTYPE, "a.py"),
                             (tarfile.CHRTYPE, ""), (tarfile.FIFOTYPE, "")):  # fmt: skip
            info = tarfile.TarInfo(f"x{kind.decode()}.py")
            info.type, info.linkname = kind, target
            tar.addfile(info)
    with zipfile.ZipFile(tmp_path / "l.zip", "w") as made:
        link = zipfile.ZipInfo("link.py")
        link.external_attr = 0o120777 << 16
        made.writestr(link, "/etc/passwd")
    found, refused = _read(archives(files=[tmp_path / "l.tar", tmp_path / "l.zip"]))
    assert not found and set(refused.values()) == {"no plain file"} and len(refused) == 5


def _zeros(path: Path) -> Path:
    with gzip.open(path, "wb") as packed:
        body = io.BytesIO()
        with tarfile.open(fileobj=body, mode="w") as tar:
            info = tarfile.TarInfo("a.py")
            info.size = 40 << 20
            tar.addfile(info, io.BytesIO(b"\0" * info.size))
        packed.write(body.getvalue())
    return path


def test_bombs_are_refused_before_they_go_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, refused = _read(archives(files=[_zeros(tmp_path / "bomb.tar.gz")]))
    assert not found and "times its size" in refused["bomb/"]
    monkeypatch.setattr(module, "_MOST_MEMBERS", 5)
    many = _tar(tmp_path / "many.tar", {f"{n}.py": b"1" for n in range(9)}, "w")
    found, refused = _read(archives(files=[many]))
    assert len(found) == 5 and "members" in refused["many/"]


def test_a_zip_that_lies_of_its_sizes_gives_no_more_than_its_cap(tmp_path: Path) -> None:
    path = tmp_path / "lie.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("a.py", "x" * 5_000_000)
    found, refused = _read(archives(files=[path], most_bytes=1000))
    assert not found and refused == {"lie/a.py": "more than 1000 bytes"}


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
@pytest.mark.parametrize(("size", "harmless"), [(5 << 20, False), (500 << 10, True)])
def test_a_header_that_unpacks_to_much_is_refused(
    tmp_path: Path, kind: bytes, size: int, harmless: bool
) -> None:
    header = tarfile.TarInfo("h")
    header.type, header.size = kind, size
    file = tarfile.TarInfo("a.py")
    with gzip.open(tmp_path / "h.tar.gz", "wb") as packed:
        packed.write(header.tobuf(tarfile.GNU_FORMAT) + bytes(size) + file.tobuf() + bytes(1024))
    found, refused = _read(archives(files=[tmp_path / "h.tar.gz"]))
    why = refused.get("h/", "")
    assert ("a header of more than" in why) is not harmless
    assert not found if not harmless else why == ("it has no name" if kind == b"L" else "")


def test_a_sparse_member_is_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("a.py")
    info.type = tarfile.GNUTYPE_SPARSE
    (tmp_path / "s.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    found, refused = _read(archives(files=[tmp_path / "s.tar"]))
    assert not found and "sparse" in refused["s/"]


def test_wheels_are_no_archives_of_sources(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a-1-py3-none-any.whl", "w") as made:
        made.writestr("a.py", "1")
    with pytest.raises(UsageError, match="no archive"):
        archives(files=[tmp_path / "a-1-py3-none-any.whl"])
    _tar(tmp_path / "t.tgz", {"c.py": b"3"})
    assert set(_read(archives(files=[tmp_path]))[0]) == {"t/c.py"}


def test_texts_that_wait_on_disk_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {f"p/{n}.py": f"# é {n}\n".encode() * 50 for n in range(30)}
    file = _tar(tmp_path / "p.tar.gz", {**names, "p/LICENSE": MIT.encode()})
    in_memory = _read(archives(files=[file]))
    monkeypatch.setattr(reading, "_WAITING_BYTES", 100)
    assert _read(archives(files=[file])) == in_memory
    assert len(in_memory[0]) == 30 and {one.licence for one in in_memory[0].values()} == {"MIT"}


@pytest.mark.slow
@given(st.lists(st.text(max_size=30), max_size=8), st.sampled_from(["tar", "zip"]))
@example(names=["\0", "a"], kind="zip")
@settings(deadline=None, max_examples=150)
def test_no_name_of_a_member_leads_out_or_stops_the_reading(names: list[str], kind: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"x.{kind}")
        plain = [name.encode("utf-8", "replace").decode() + ".py" for name in names]
        if kind == "tar":
            _tar(path, dict.fromkeys(plain, b"1"), "w")
        else:
            with zipfile.ZipFile(path, "w") as made:
                for name in dict.fromkeys(plain):
                    member = zipfile.ZipInfo("x")
                    member.filename = name  # as it stands: with its NULs
                    made.writestr(member, "1")
        for document in archives(files=[path]).documents("here", lambda place, why: None):
            parts = document.path.split("/")
            assert not {"", ".", ".."} & set(parts) and not document.path.startswith("/")
            assert all(ord(c) >= 32 for c in document.path)


@pytest.mark.parametrize("cut", [0.2, 0.6, 0.95])
@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_a_torn_archive_gives_what_came_before(tmp_path: Path, kind: str, cut: float) -> None:
    path = tmp_path / f"torn.{kind}"
    contents = {f"{n}.py": random.Random(n).randbytes(3000).hex().encode() for n in range(20)}
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as made:
            for name, content in contents.items():
                made.writestr(name, content)
    else:
        _tar(path, contents)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * cut)])
    found, refused = _read(archives(files=[path]))
    assert "archive broken" in refused["torn/"]
    assert all(one.text.encode() == contents[one.path] for one in found.values())


def test_archives_inside_archives_stay_shut(tmp_path: Path) -> None:
    inner = _tar(tmp_path / "inner.tar", {"a.py": b"1"}, "w").read_bytes()
    found, _ = _read(archives(files=[_tar(tmp_path / "outer.tar", {"inner.tar": inner}, "w")]))
    assert not found


def test_the_same_name_twice_is_refused_the_second_time(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "twice.tar", "w") as tar:
        for content in (b"1", b"2"):
            info = tarfile.TarInfo("a.py")
            info.size = 1
            tar.addfile(info, io.BytesIO(content))
    found, refused = _read(archives(files=[tmp_path / "twice.tar"]))
    assert found["twice/a.py"].text == "1" and refused == {"twice/a.py": "its name is there twice"}


def test_random_bytes_raise_nothing(tmp_path: Path) -> None:
    for n in range(20):
        path = tmp_path / f"{n}.{('zip', 'tar.gz', 'tar')[n % 3]}"
        path.write_bytes(random.Random(n).randbytes(500) if n else b"")
        found, refused = _read(archives(files=[path]))
        assert not found and len(refused) == 1
