"""Files into a container and out of it, as tar archives.

What comes out was made by a program: it is taken only where it is one regular file of bounded
size under a relative name. Links, folders, fifos and devices are left out. The container's
processes must be frozen meanwhile, so that no path changes under the engine's hands.
"""

from __future__ import annotations

import contextlib
import io
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from sandbox.containers import engine
from sandbox.containers.engine import Container

_HEAD_MOST = 1 << 16  # of an archive beyond the content of its one file


def packed(files: Mapping[str, bytes], user: int, mode: int = 0o755) -> bytes:
    """Return files as an archive in which a user owns them and the folders they lie in."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        made: set[PurePosixPath] = set()
        for name, content in files.items():
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or not path.parts:
                raise ValueError(f"files: {name!r} is not a relative path inside the work folder")
            for folder in reversed(path.parents[:-1]):
                if folder not in made:
                    made.add(folder)
                    entry = tarfile.TarInfo(str(folder))
                    entry.type, entry.mode, entry.uid, entry.gid = (
                        tarfile.DIRTYPE,
                        0o755,
                        user,
                        user,
                    )
                    tar.addfile(entry)
            entry = tarfile.TarInfo(str(path))
            entry.size, entry.mode, entry.uid, entry.gid = len(content), mode, user, user
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def put(container: Container, folder: str, files: Mapping[str, bytes], user: int) -> None:
    """Lay files into a folder of a container. Raises SandboxBroken."""
    if not files:
        return
    with engine.broken("putting files into a container"):
        container.put_archive(folder, packed(files, user))


def collect(
    container: Container, folder: str, names: Iterable[str], most_bytes: int
) -> dict[str, bytes]:
    """Return those of the named files that are regular and not too large."""
    found: dict[str, bytes] = {}
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            continue
        content = _fetched(container, f"{folder}/{path}", most_bytes)
        if content is not None:
            found[name] = content
    return found


def packed_tree(
    container: Container, folder: str, endings: tuple[str, ...], most_bytes: int
) -> bytes:
    """Return the regular files of a folder whose names end so, packed as `inside.launch` does."""
    archive = bytearray()
    with engine.broken("fetching files"):
        stream, _ = container.get_archive(f"{folder}/.")
        with contextlib.closing(stream):
            for chunk in stream:
                archive += chunk
                if len(archive) > 2 * most_bytes + _HEAD_MOST:
                    return b""
    made = bytearray()
    try:
        with tarfile.open(fileobj=io.BytesIO(bytes(archive))) as tar:
            for entry in tar:
                name = entry.name.removeprefix("./")
                file = tar.extractfile(entry) if entry.isreg() and name.endswith(endings) else None
                if file is not None:
                    path, content = name.encode("utf-8", "surrogateescape"), file.read()
                    made += b"%d %d\n%b%b" % (len(path), len(content), path, content)
    except tarfile.TarError:
        return b""
    return bytes(made)


def _fetched(container: Container, path: str, most_bytes: int) -> bytes | None:
    archive = bytearray()
    with engine.broken("fetching a file"):
        try:
            stream, told = container.get_archive(path)
        except engine.sdk().errors.NotFound:
            return None
        if told.get("linkTarget"):
            return None
        with contextlib.closing(stream):
            for chunk in stream:
                archive += chunk
                if len(archive) > most_bytes + _HEAD_MOST:
                    return None
    try:
        with tarfile.open(fileobj=io.BytesIO(bytes(archive))) as tar:
            entries = tar.getmembers()
            if len(entries) != 1 or not entries[0].isreg():
                return None
            file = tar.extractfile(entries[0])
            return file.read() if file else None
    except tarfile.TarError:
        return None
