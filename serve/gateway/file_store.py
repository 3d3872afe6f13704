"""Files that clients uploaded or batches made: what they hold, whose they are, how long they stay.

    FOLDER/files/file-0123...        the bytes
    FOLDER/files/file-0123....json   what is known of them; a file is there when this is

A file belongs to the key that made it, and nobody else sees that it is there. Files are as they
were after a kill -9; one that was being uploaded is not there. The functions wait for the disk: an
event loop calls them in a thread.
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from serve.fault import Fault

log = logging.getLogger(__name__)

DAY_S = 86400.0
BATCH_STAYS_S = 30 * DAY_S  # OpenAI's reference of files: those for batches expire after 30 days
_ID = re.compile(r"file-[0-9a-f]{24}")
_PART_STAYS_S = DAY_S  # ours: an upload that takes longer was broken off


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """One file. owner: the id of a key; "" where no keys are asked for. Times since 1970."""

    id: str
    owner: str
    filename: str
    purpose: str
    size_bytes: int
    created_at_s: float
    expires_at_s: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether its time is over."""
        return self.expires_at_s is not None and self.expires_at_s <= time.time()

    def to_json(self) -> dict[str, Any]:
        """Return it as OpenAI shows a file."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": self.size_bytes,
            "created_at": int(self.created_at_s),
            "expires_at": None if self.expires_at_s is None else int(self.expires_at_s),
            "filename": self.filename,
            "purpose": self.purpose,
            "status": "processed",
        }


class FileStore:
    """The files of one folder. Several gateways may share it.

    most_bytes: of one file. most_total_bytes: of all, where a new one is uploaded.
    Every method raises Fault 503 where the disk fails; the log says how.
    """

    def __init__(self, folder: Path, *, most_bytes: int, most_total_bytes: int) -> None:
        self._folder = folder / "files"
        self.most_bytes = most_bytes
        self._most_total_bytes = most_total_bytes

    def begin(self) -> Incoming:
        """Begin a new file. Raises Fault 429 where the files have no room left."""
        with disk(self._folder):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._tidy()
            total = sum(entry.stat().st_size for entry in os.scandir(self._folder))
            room = self._most_total_bytes - total
            if room <= 0:
                raise Fault(
                    429,
                    f"the files here fill the {self._most_total_bytes >> 20} MiB there are for"
                    " them: delete some",
                    kind="insufficient_quota",
                    code="files_full",
                )
            return Incoming(self._folder / f".{new_id()}.part", self.most_bytes)

    def keep(
        self, incoming: Incoming, *, owner: str, filename: str, purpose: str, stays_s: float | None
    ) -> StoredFile:
        """Make a file of what came in. stays_s: how long, None for ever."""
        with disk(self._folder):
            incoming.close()
            return self.adopt(
                incoming.path, new_id(), owner=owner, filename=filename, purpose=purpose,
                stays_s=stays_s,
            )  # fmt: skip

    def adopt(
        self,
        path: Path,
        file_id: str,
        *,
        owner: str,
        filename: str,
        purpose: str,
        stays_s: float | None,
    ) -> StoredFile:
        """Move what lies at a path into the store, under an id; done already, it is done again."""
        with disk(self._folder):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            place = self._folder / file_id
            if path.exists():
                path.replace(place)
            now_s = time.time()
            file = StoredFile(
                id=file_id,
                owner=owner,
                filename=filename,
                purpose=purpose,
                size_bytes=place.stat().st_size,
                created_at_s=now_s,
                expires_at_s=None if stays_s is None else now_s + stays_s,
            )
            write_whole(place.with_suffix(".json"), asdict(file))
            return file

    def find(self, file_id: str, owner: str) -> StoredFile:
        """Return a file. Raises Fault 404 where its owner has none of this id."""
        file = self._read(self._folder / f"{file_id}.json") if _ID.fullmatch(file_id) else None
        if file is None or file.owner != owner or file.is_over:
            raise Fault(404, f"there is no file {file_id[:64]!r}", code="file_not_found")
        return file

    def path(self, file: StoredFile) -> Path:
        """Return where its bytes lie."""
        return self._folder / file.id

    def list(self, owner: str) -> list[StoredFile]:
        """Return the files of an owner, the newest first."""
        with disk(self._folder):
            found = [
                file
                for path in self._folder.glob("file-*.json")
                if (file := self._read(path)) and file.owner == owner and not file.is_over
            ]
        return sorted(found, key=lambda file: (file.created_at_s, file.id), reverse=True)

    def delete(self, file: StoredFile) -> None:
        """Delete a file."""
        with disk(self._folder):
            place = self._folder / file.id
            place.with_suffix(".json").unlink(missing_ok=True)
            place.unlink(missing_ok=True)

    def _read(self, path: Path) -> StoredFile | None:
        with disk(self._folder):
            try:
                return StoredFile(**json.loads(path.read_bytes()))
            except FileNotFoundError:
                return None
            except (ValueError, TypeError):
                log.error("this says nothing of a file path=%s", path)
                return None

    def _tidy(self) -> None:
        """Delete files whose time is over, and uploads that were broken off."""
        for path in self._folder.glob("file-*.json"):
            file = self._read(path)
            if file is not None and file.is_over:
                self.delete(file)
        old_s = time.time() - _PART_STAYS_S
        for path in self._folder.glob(".file-*.part"):
            if path.stat().st_mtime < old_s:
                path.unlink(missing_ok=True)


class Incoming:
    """A file that is being written."""

    def __init__(self, path: Path, most_bytes: int) -> None:
        self.path = path
        self._most_bytes = most_bytes
        self._size_bytes = 0
        self._file = path.open("xb")

    def write(self, data: bytes) -> None:
        """Take some bytes. Raises Fault: 413 for too many, 503 where the disk fails."""
        self._size_bytes += len(data)
        if self._size_bytes > self._most_bytes:
            raise Fault(
                413,
                f"a file may have {self._most_bytes >> 20} MiB here",
                code="file_too_large",
                param="file",
            )
        with disk(self.path):
            self._file.write(data)

    def close(self) -> None:
        """Hand all to the disk."""
        if not self._file.closed:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()

    def drop(self) -> None:
        """Delete it, if it was not kept."""
        self._file.close()
        self.path.unlink(missing_ok=True)


class disk:  # noqa: N801 (used as a word: `with disk(folder):`)
    """Turns what a disk refuses into a Fault 503 for the client and a line in the log."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Raise Fault for an OSError."""
        if isinstance(error, OSError):
            log.error("the disk of files failed path=%s error=%s", self._path, error)
            raise Fault(
                503,
                f"the files cannot be reached now: {error.strerror or type(error).__name__}",
                kind="server_error",
                code="files_unreachable",
                retry_after_s=30,
            ) from None


def new_id() -> str:
    """Return a new file's id."""
    return f"file-{secrets.token_hex(12)}"


def write_whole(path: Path, data: dict[str, Any]) -> None:
    """Write JSON so that a reader, or a kill, sees the old or the new one whole."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with part.open("x", encoding="utf-8") as file:
        json.dump(data, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def pieces(path: Path, piece_bytes: int = 1 << 18) -> Iterator[bytes]:
    """Yield a file's bytes."""
    with disk(path), path.open("rb") as file:
        while piece := file.read(piece_bytes):
            yield piece
