"""Archives: tarballs (sdists among them), zips; each is a repository, read without unpacking it.

No member is written under its name, so no name, link or device of an archive can do anything here;
names that lead out are refused all the same, since they would become paths of documents. What comes
out of a decompressor is counted as it comes, headers too: members and bytes are capped. At a cap
the rest of the archive is refused, with the reason; what came before stays. Archives inside
archives are not opened; wheels are refused (what was built, not what was written).

Does not guard: the index of a zip, which is read whole (memory in proportion to the file), nor the
dictionary that an xz stream asks for; bugs in Python's own decompressors.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import posixpath
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, cast

from curate.document import Document
from curate.sources.reading import LEFT_OUT, MOST_BYTES, Found, Reading
from curate.sources.source import Refuse, fingerprint_of
from seedcoder.errors import UsageError

_SUFFIXES: Final = (
    ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".zip", ".crate",
)  # fmt: skip
_MOST_MEMBERS: Final = 200_000  # ours
_MOST_UNPACKED: Final = 4 << 30  # ours, in bytes; the kernel's tree has 1.4 GB
_MOST_RATIO: Final = 200  # ours: unpacked over packed; text packs to a tenth, deflate can do 1,000
_MOST_HEADER: Final = 1 << 20  # ours, in bytes: what a tar may say of one member before it comes
_FREE: Final = 10 << 20  # bytes that no ratio is asked of
_BROKEN: Final = (
    OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError,
    NotImplementedError, RuntimeError, UnicodeError, ValueError,
)  # fmt: skip


class _TooMuch(Exception):
    """An archive that is larger inside than it may be."""


class _Counted(io.RawIOBase):
    """A tar's bytes as they leave the decompressor. `tarfile` reads a header whole into memory,
    whatever length it claims, so what may come before the next member is bounded here."""

    def __init__(self, inner: IO[bytes], budget: _Budget) -> None:
        self._inner, self._budget, self._allowed = inner, budget, 0

    def allow(self, content: int) -> None:
        """Let a member's content be read, its padding, and the next member's header."""
        self._allowed = content + tarfile.RECORDSIZE * 2 + _MOST_HEADER

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        data = self._inner.read(size)
        self._budget.take(len(data))
        self._allowed -= len(data)
        if self._allowed < 0:
            raise _TooMuch(f"a header of more than {_MOST_HEADER} bytes")
        return data


@dataclass(slots=True)
class _Budget:
    packed: int
    members: int = 0
    unpacked: int = 0

    def member(self) -> None:
        self.members += 1
        if self.members > _MOST_MEMBERS:
            raise _TooMuch(f"more than {_MOST_MEMBERS} members")

    def take(self, size: int) -> None:
        self.unpacked += size
        if self.unpacked > _MOST_UNPACKED:
            raise _TooMuch(f"more than {_MOST_UNPACKED} bytes inside")
        if self.unpacked > _FREE and self.unpacked > _MOST_RATIO * self.packed:
            raise _TooMuch(f"more than {_MOST_RATIO} times its size inside")


@dataclass(frozen=True, slots=True, kw_only=True)
class Archives:
    """The source. See `archives`."""

    files: tuple[Path, ...]
    reading: Reading

    def settings(self) -> Mapping[str, Any]:
        """Return how files are read."""
        return {"reader": 2, **self.reading.settings()}

    def fingerprint(self) -> str:
        """Return a digest of the archives' names, sizes and times."""
        return fingerprint_of(list(self.files))

    def documents(self, name: str, refuse: Refuse) -> Iterator[Document]:
        """Yield the documents. An archive that is broken or too much gives what came before."""
        for file in self.files:
            yield from self.reading.documents(name, repo_of(file.name), self._found(file), refuse)

    def _found(self, file: Path) -> Iterator[Found]:
        budget = _Budget(packed=file.stat().st_size)
        try:
            reader = _zipped if zipfile.is_zipfile(file) else _tarred
            yield from reader(file, budget, self.reading.most_bytes)
        except _TooMuch as error:
            yield Found(path="", data=None, why=f"archive refused: {error}")
        except _BROKEN as error:
            yield Found(path="", data=None, why=f"archive broken: {error}"[:200])


def repo_of(name: str) -> str:
    """Return an archive's name without its suffix."""
    for suffix in sorted(_SUFFIXES, key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def _tarred(file: Path, budget: _Budget, most: int) -> Iterator[Found]:
    # A stream: members are met once, in their order, and no index of them is trusted.
    with _unpacked(file) as inner:
        counted = _Counted(inner, budget)
        counted.allow(0)
        with tarfile.open(fileobj=counted, mode="r|") as tar:
            for member in tar:
                budget.member()
                if member.issparse():  # a hole costs nothing, and says any length
                    raise _TooMuch("a sparse member")
                counted.allow(max(0, member.size))
                if not member.isfile():
                    if not member.isdir():
                        yield Found(path=_shown(member.name), data=None, why="no plain file")
                    continue
                path, why = _inside(member.name)
                if why:
                    yield Found(path=_shown(member.name), data=None, why=why)
                elif path and (content := tar.extractfile(member)) is not None:
                    yield Found(path=path, data=_read(content, most))


def _unpacked(file: Path) -> IO[bytes]:
    """Return a tar's bytes, decompressed as its first bytes say."""
    with file.open("rb") as stream:
        first = stream.read(6)
    if first.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.open(file))
    if first.startswith(b"BZh"):
        return cast(IO[bytes], bz2.open(file))
    if first == b"\xfd7zXZ\0":
        return cast(IO[bytes], lzma.open(file))
    return file.open("rb")


def _zipped(file: Path, budget: _Budget, most: int) -> Iterator[Found]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            budget.member()
            mode = info.external_attr >> 16
            if info.filename.endswith("/"):  # is_dir() stumbles over a member without a name
                continue
            path, why = _inside(info.filename)
            if mode & 0o170000 not in (0, 0o100000):
                why = "no plain file"
            if info.flag_bits & 1:
                why = "encrypted"
            if why:
                yield Found(path=_shown(info.filename), data=None, why=why)
            elif path:
                with archive.open(info) as content:
                    data = _read(content, most)
                budget.take(len(data))  # what came out, not what the index says
                yield Found(path=path, data=data)


def _read(content: IO[bytes], most: int) -> bytes:
    """Return a member, at most one byte more than it may have."""
    return content.read(most + 1)


def _inside(name: str) -> tuple[str, str]:
    """Return the path inside the archive's own folder, or why there is none; "": left out."""
    plain = name.replace("\\", "/")
    if plain.startswith("/") or (len(plain) > 1 and plain[1] == ":"):
        return "", "its name is absolute"
    parts = [part for part in plain.split("/") if part not in ("", ".")]
    if ".." in parts:
        return "", "its name leads out"
    if any(ord(c) < 32 for c in plain):
        return "", "its name has control characters"
    if LEFT_OUT & set(parts):
        return "", ""
    if not parts:
        return "", "it has no name"
    return _shown(posixpath.join(*parts)), ""


def _shown(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def archives(
    *,
    files: list[Path],
    languages: tuple[str, ...] = (),
    unknown: bool = False,
    most_bytes: int = MOST_BYTES,
) -> Archives:
    """Read archives; a folder among `files` stands for all archives in it. See `folders`.

    UsageError: a file is not there, or is no archive by its name.
    """
    found: list[Path] = []
    for file in files:
        if file.is_dir():
            found += sorted(one for one in file.iterdir() if one.name.lower().endswith(_SUFFIXES))
        elif file.is_file() and file.name.lower().endswith(_SUFFIXES):
            found.append(file)
        else:
            raise UsageError(
                f"no archive {str(file)!r} (sources: options.files): {' '.join(_SUFFIXES)}"
            )
    if not found:
        raise UsageError("no archives (sources: options.files)")
    reading = Reading(languages=languages, unknown=unknown, most_bytes=most_bytes)
    return Archives(files=tuple(found), reading=reading)
