"""Where a project's files come from before anything is changed."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sandbox.errors import TestsBroken

SnapshotKind = Literal["folder", "archive", "sdist", "inline", "image"]
_KINDS = ("folder", "archive", "sdist", "inline", "image")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A project as it was before the candidate's patch. Made by the class methods.

    kind: "folder"; "archive" (tar or zip); "sdist" (found by name and version in a folder);
        "inline" (the archive's bytes, which cross machines); "image" (it lies in a container image
        already, at `path`).
    path: on this machine; for "image" the folder in the image, such as /testbed.
    name: of a release; for "image" of the image, "" for whichever the box has.
    sha256: of the archive, in hexadecimal; checked wherever it is given, needed for an sdist.
    strip: leading folders left out of an archive's names; -1 leaves out the one that all share.
    """

    kind: SnapshotKind
    path: str = ""
    name: str = ""
    version: str = ""
    sha256: str = ""
    strip: int = -1
    content: bytes = b""

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise ValueError(
                f"snapshot: kind must be one of {', '.join(_KINDS)}, got {self.kind!r}"
            )
        if self.sha256 and not _DIGEST.fullmatch(self.sha256):
            raise ValueError(f"snapshot: sha256 must be 64 hex digits, got {self.sha256!r}")
        if self.kind != "inline" and not self.path:
            raise ValueError(f"snapshot: a {self.kind} needs a path")
        if self.kind == "sdist" and not (self.name and self.version and self.sha256):
            raise ValueError("snapshot: an sdist needs name, version and sha256")
        if self.kind == "inline" and not self.content:
            raise ValueError("snapshot: inline needs the archive's bytes")
        if self.kind == "image" and not self.path.startswith("/"):
            raise ValueError(f"snapshot: the path in an image is absolute, got {self.path!r}")

    @classmethod
    def folder(cls, path: str | Path) -> Snapshot:
        """Return a folder's files; version control folders in it are left out."""
        return cls(kind="folder", path=str(path))

    @classmethod
    def archive(cls, path: str | Path, *, sha256: str = "", strip: int = -1) -> Snapshot:
        """Return the files of a tar or zip."""
        return cls(kind="archive", path=str(path), sha256=sha256, strip=strip)

    @classmethod
    def sdist(cls, name: str, version: str, sha256: str, *, folder: str | Path) -> Snapshot:
        """Return a release by name, version and digest, kept in `folder` (see `fetch_sdist`)."""
        return cls(kind="sdist", path=str(folder), name=name, version=version, sha256=sha256)

    @classmethod
    def inline(cls, content: bytes, *, strip: int = -1) -> Snapshot:
        """Return the files of a tar or zip that is at hand as bytes."""
        return cls(kind="inline", content=content, strip=strip)

    @classmethod
    def image(cls, workdir: str, *, image: str = "") -> Snapshot:
        """Return the project that lies in a container image at `workdir`.

        image: its name, where a docker box of any other image is to judge it; "" is the box's own.
        """
        return cls(kind="image", path=workdir, name=image)

    @property
    def on_this_machine(self) -> bool:
        """Whether it names files of the machine that judges."""
        return self.kind in ("folder", "archive", "sdist")

    def file(self) -> Path:
        """Return the archive's path, its digest checked. Raises TestsBroken."""
        path = Path(self.path)
        if self.kind == "sdist":
            return find_sdist(self.name, self.version, self.sha256, path)
        if not path.is_file():
            raise TestsBroken(f"the snapshot {path} is no file")
        if self.sha256 and digest_of(path) != self.sha256:
            raise TestsBroken(f"the snapshot {path} has another sha256 than {self.sha256}")
        return path

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`; the archive's bytes become base64."""
        data = {name: getattr(self, name) for name in self.__slots__}
        data["content"] = base64.b64encode(self.content).decode()
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Snapshot:
        """Return the snapshot that `to_json` wrote."""
        return cls(**{**data, "content": base64.b64decode(data["content"])})


def digest_of(path: Path) -> str:
    """Return a file's sha256 in hexadecimal."""
    seen = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(_CHUNK):
            seen.update(part)
    return seen.hexdigest()


def find_sdist(name: str, version: str, sha256: str, folder: Path) -> Path:
    """Return the sdist in `folder` that is this release. Raises TestsBroken where there is none.

    Only files that bear its name are digested. The digest decides; the name only finds.
    """
    wanted = f"{_canonical(name)}-{version}"
    there = sorted(folder.iterdir()) if folder.is_dir() else []
    alike = [path for path in there if path.is_file() and _named(path.name) == wanted]
    for path in alike:
        if digest_of(path) == sha256:
            return path
    why = "it has another sha256" if alike else "it is not there"
    raise TestsBroken(
        f"the sdist {name}=={version} (sha256 {sha256}) is not to be had from {folder}: {why}; "
        "sandbox.project.fetch_sdist gets it with pip"
    )


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _named(file: str) -> str:
    for ending in (".tar.gz", ".tar.bz2", ".tar.xz", ".zip", ".tgz"):
        if file.endswith(ending):
            name, dash, version = file.removesuffix(ending).rpartition("-")
            return f"{_canonical(name)}-{version}" if dash else ""
    return ""
