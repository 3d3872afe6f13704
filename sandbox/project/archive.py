"""Read a snapshot, whatever it is packed in, and pack it again as a plain tar for a box.

Nothing is ever written on this machine: names, links and contents pass through memory, under caps.

Refuses: absolute names and names with `..`, links that lead out, hard links to what is not there,
devices and fifos, names that are there twice, and more entries or bytes than the caps, counted as
they come out of the decompressor. Leaves out: version control folders, and compiled Python, which
could stand in for a source that the patch changes.
Does not look at: what is in the files. They are the instance's, and run in the box only.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import posixpath
import stat
import tarfile
import threading
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple, cast

from sandbox.errors import TestsBroken
from sandbox.project.snapshot import Snapshot

MOST_BYTES = 512 << 20  # ours; the largest projects of SWE-bench have about 200 MB
MOST_ENTRIES = 15_000  # ours; the namespace box's work folder has room for 16,384
_LEFT_OUT = frozenset((".git", ".hg", ".svn", ".bzr", "__pycache__"))
_KEPT_MOST = 4
_KEPT_BYTES = 128 << 20
_kept: OrderedDict[Snapshot, bytes] = OrderedDict()
_kept_lock = threading.Lock()


class Entry(NamedTuple):
    """One file, folder or link; `content` of a link is where it leads."""

    name: str
    kind: int  # stat.S_IFREG, S_IFDIR or S_IFLNK
    executable: bool
    content: bytes


def packed(snapshot: Snapshot) -> bytes:
    """Return a snapshot as a plain tar. Raises TestsBroken where it cannot be had, or is unsafe.

    Archives whose digest is known are kept for the next candidate, a few at a time.
    """
    lasting = bool(snapshot.sha256) and snapshot.kind in ("archive", "sdist")
    with _kept_lock:
        if lasting and snapshot in _kept:
            _kept.move_to_end(snapshot)
            return _kept[snapshot]
    try:
        made = _packed(list(_entries(snapshot)))
    except (
        OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError,
        NotImplementedError, UnicodeError,
    ) as error:  # fmt: skip
        where = snapshot.path or "given inline"
        raise TestsBroken(f"the snapshot {where} cannot be read: {error}") from None
    if lasting and len(made) <= _KEPT_BYTES:
        with _kept_lock:
            _kept[snapshot] = made
            while len(_kept) > _KEPT_MOST:
                _kept.popitem(last=False)
    return made


def _entries(snapshot: Snapshot) -> Iterator[Entry]:
    if snapshot.kind == "folder":
        yield from _of_folder(Path(snapshot.path))
        return
    if snapshot.kind == "inline":
        stream: IO[bytes] = io.BytesIO(snapshot.content)
    else:
        stream = snapshot.file().open("rb")
    with stream:
        magic = stream.read(6)
        stream.seek(0)
        entries = list(_of_zip(stream) if magic[:2] == b"PK" else _of_tar(stream, magic))
    strip = snapshot.strip
    if strip < 0:
        tops = {entry.name.split("/")[0] for entry in entries}
        strip = int(len(tops) == 1 and any("/" in entry.name for entry in entries))
    for entry in entries:
        parts = entry.name.split("/")[strip:]
        if parts:
            yield entry._replace(name="/".join(parts))


def _packed(entries: list[Entry]) -> bytes:
    """Check the entries against each other and pack them."""
    names: dict[str, Entry] = {}
    for entry in entries:
        if entry.name in names:
            if entry.kind == names[entry.name].kind == stat.S_IFDIR:
                continue
            raise TestsBroken(f"the snapshot has {entry.name!r} twice")
        names[entry.name] = entry
    for entry in names.values():
        for above in _above(entry.name):
            if above in names and names[above].kind != stat.S_IFDIR:
                raise TestsBroken(f"the snapshot has {entry.name!r} beyond a file or a link")
        if entry.kind == stat.S_IFLNK:
            _check_link(entry)
    packing = io.BytesIO()
    with tarfile.open(fileobj=packing, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for entry in sorted(names.values()):
            if _LEFT_OUT.intersection(entry.name.split("/")) or entry.name.endswith(".pyc"):
                continue
            member = tarfile.TarInfo(entry.name)
            member.mode = 0o755 if entry.executable else 0o644
            if entry.kind == stat.S_IFDIR:
                member.type = tarfile.DIRTYPE
            elif entry.kind == stat.S_IFLNK:
                member.type = tarfile.SYMTYPE
                member.linkname = os.fsdecode(entry.content)
            else:
                member.size = len(entry.content)
            content = io.BytesIO(entry.content) if member.isreg() else None
            tar.addfile(member, content)
    return packing.getvalue()


def _above(name: str) -> Iterator[str]:
    while "/" in name:
        name = name.rpartition("/")[0]
        yield name


def _check_link(entry: Entry) -> None:
    target = os.fsdecode(entry.content)
    # Of the names only: a link to a link is looked at by itself.
    leads = posixpath.normpath(posixpath.join(posixpath.dirname(entry.name), target))
    if target.startswith("/") or leads == ".." or leads.startswith("../"):
        raise TestsBroken(f"the snapshot has a link out of itself: {entry.name!r} -> {target!r}")


def _name(raw: str) -> str:
    """Return a member's name in its plain form, "" for the top itself."""
    parts = [part for part in raw.split("/") if part not in ("", ".")]
    unsafe = raw.startswith("/") or ".." in parts or "\\" in raw or "\0" in raw
    if unsafe or any(len(os.fsencode(part)) > 255 for part in parts) or len(raw) > 4000:
        raise TestsBroken(f"the snapshot has an unsafe name: {raw[:200]!r}")
    return "/".join(parts)


class _Budget:
    """What may still come out of a snapshot."""

    def __init__(self) -> None:
        self._bytes = MOST_BYTES
        self._entries = MOST_ENTRIES

    def spend(self, size: int) -> None:
        self._bytes -= size
        if self._bytes < 0:
            raise TestsBroken(f"the snapshot unpacks to more than {MOST_BYTES >> 20} MiB")

    def count(self) -> None:
        self._entries -= 1
        if self._entries < 0:
            raise TestsBroken(f"the snapshot has more than {MOST_ENTRIES} entries")


class _Capped(io.RawIOBase):
    """A decompressor that stops at the cap, whatever the headers promise."""

    def __init__(self, inner: IO[bytes]) -> None:
        self._inner = inner
        self._left = 2 * MOST_BYTES  # headers and padding are counted here too

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        if size < 0 or size > self._left:
            raise TestsBroken(f"the snapshot unpacks to more than {MOST_BYTES >> 20} MiB")
        part = self._inner.read(size)
        self._left -= len(part)
        return part


def _of_tar(stream: IO[bytes], magic: bytes) -> Iterator[Entry]:
    if magic[:2] == b"\x1f\x8b":
        stream = cast(IO[bytes], gzip.GzipFile(fileobj=stream))
    elif magic[:3] == b"BZh":
        stream = cast(IO[bytes], bz2.BZ2File(stream))
    elif magic == b"\xfd7zXZ\0":
        stream = cast(IO[bytes], lzma.LZMAFile(stream))  # noqa: SIM115 - `stream` is closed, it holds nothing
    budget = _Budget()
    files: dict[str, Entry] = {}
    with tarfile.open(fileobj=cast(IO[bytes], _Capped(stream)), mode="r|") as tar:
        for member in tar:
            budget.count()
            name = _name(member.name)
            if member.isdir():
                entry = Entry(name, stat.S_IFDIR, True, b"")
            elif member.issym():
                entry = Entry(name, stat.S_IFLNK, False, os.fsencode(member.linkname))
            elif member.islnk():
                linked = files.get(_name(member.linkname))
                if linked is None:
                    raise TestsBroken(f"the snapshot has a hard link to nothing: {name!r}")
                budget.spend(len(linked.content))
                entry = linked._replace(name=name)
            elif member.isreg() and not member.issparse():
                budget.spend(member.size)
                content = tar.extractfile(member)
                assert content is not None
                entry = Entry(name, stat.S_IFREG, bool(member.mode & 0o100), content.read())
            else:
                raise TestsBroken(f"the snapshot has {name!r}, which is no file, folder or link")
            files[name] = entry
            if name:
                yield entry


def _of_zip(stream: IO[bytes]) -> Iterator[Entry]:
    budget = _Budget()
    with zipfile.ZipFile(stream) as packed_files:
        for member in packed_files.infolist():
            budget.count()
            name = _name(member.filename)
            mode = member.external_attr >> 16
            if member.is_dir():
                if name:
                    yield Entry(name, stat.S_IFDIR, True, b"")
                continue
            if member.flag_bits & 1:
                raise TestsBroken(f"the snapshot has {name!r}, which is encrypted")
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFLNK):
                raise TestsBroken(f"the snapshot has {name!r}, which is no file, folder or link")
            budget.spend(member.file_size)
            with packed_files.open(member) as file:
                content = file.read(member.file_size + 1)
            if len(content) != member.file_size:
                raise TestsBroken(f"the snapshot has {name!r}, which is not as long as it says")
            kind = stat.S_IFLNK if stat.S_ISLNK(mode) else stat.S_IFREG
            yield Entry(name, kind, bool(mode & 0o100), content)


def _of_folder(top: Path) -> Iterator[Entry]:
    if not top.is_dir():
        raise TestsBroken(f"the snapshot {top} is no folder")
    budget = _Budget()
    for folder, folders, files in os.walk(top):
        folders[:] = sorted(name for name in folders if name not in _LEFT_OUT)
        for last in sorted([*folders, *files]):
            path = Path(folder, last)
            name = _name(path.relative_to(top).as_posix())
            budget.count()
            facts = path.lstat()
            if stat.S_ISLNK(facts.st_mode):
                yield Entry(name, stat.S_IFLNK, False, os.fsencode(path.readlink()))
            elif stat.S_ISDIR(facts.st_mode):
                yield Entry(name, stat.S_IFDIR, True, b"")
            elif stat.S_ISREG(facts.st_mode):
                budget.spend(facts.st_size)
                content = path.read_bytes()
                yield Entry(name, stat.S_IFREG, bool(facts.st_mode & 0o100), content)
            else:
                raise TestsBroken(f"the snapshot has {name!r}, which is no file, folder or link")
