"""A run is a folder: what was asked, what came of it row by row, and the report at the end.

    <root>/<verb>-<name>-<12 hex of the digest of recipe and data>/
        manifest.json   recipe, digests of the data, facts of the machine, when it was worked on
        rows.jsonl      one line a finished item, appended
        summary.json    the figures           } written last, whole,
        report.html     the page for people   } by rename
        .lock           held while a process writes

The same recipe over the same data finds its folder again and goes on there; another recipe is
another folder. Time, host and paths are in the manifest but never in the digest.

Guards: two writers at once (the second gets RunBusy; the lock goes with its process, however that
ends); results of another recipe read as this one's; rows lost to a kill. Does not guard: someone
who edits rows by hand; two machines on a network file system without working locks.
"""

from __future__ import annotations

import errno
import logging
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from seedcoder.errors import MachineLacks, UsageError
from seedcoder.recipe import as_plain, sha256_of
from seedcoder.rows import RowFile
from seedcoder.run_folder import Lock, read_json, sweep, write_json, write_text

log = logging.getLogger(__name__)

MANIFEST: Final = "manifest.json"
ROWS: Final = "rows.jsonl"
SUMMARY: Final = "summary.json"
REPORT: Final = "report.html"
_FORMAT: Final = 1
# What names the run: `note` may not change it.
_FIXED: Final = frozenset({"format", "verb", "name", "digest", "recipe", "data_sha256"})
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_LEAVE: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


class Run:
    """A run folder held open for writing. A context manager; methods may be called from any thread.

    Where the disk is full, the folder read-only or the device failing, methods raise MachineLacks:
    one line, and every earlier row is on disk.
    """

    def __init__(self, folder: Path, lock: Lock, manifest: dict[str, Any]) -> None:
        """Not for callers: `Run.open` or `Run.read`."""
        self.folder = folder
        self._lock = lock
        self._manifest = manifest
        self._noting = threading.Lock()
        self._failed = False
        self._closed = False
        self._file = RowFile(folder / ROWS)

    @classmethod
    def open(
        cls,
        root: Path,
        *,
        verb: str,
        name: str,
        recipe: Mapping[str, Any],
        data_sha256: Mapping[str, str],
        facts: Mapping[str, Any],
    ) -> Run:
        """Return the run of this recipe over this data: a new one, or the one that was begun.

        recipe: what makes the job this job (`Recipe.identity`); it enters the digest, so no paths
            or worker counts. data_sha256: name of each input to its digest; enters it too.
        facts: what else the manifest shall say (`machine.facts()`, the model, the box).
        RunBusy when another process writes there; UsageError for a name that cannot be a folder's,
        and for a folder whose manifest is of another recipe.
        """
        for word, value in (("verb", verb), ("name", name)):
            if not _NAME.fullmatch(value):
                raise UsageError(f"{word} of a run must be letters, digits, . _ + -: got {value!r}")
        plain = as_plain(recipe, name="recipe")
        digests = as_plain(data_sha256, name="data_sha256")
        digest = _digest(plain, digests)
        folder = root / f"{verb}-{name}-{digest[:12]}"
        fresh = {
            "format": _FORMAT,
            "verb": verb,
            "name": name,
            "digest": digest,
            "recipe": plain,
            "data_sha256": digests,
        }
        with _one_line(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return cls._enter(folder, fresh, facts)

    @classmethod
    def read(cls, folder: Path) -> Run:
        """Return a run that exists, as `regrade` needs it: locked, and open for more rows.

        UsageError where there is none, or where its manifest is not that of the folder.
        """
        if not folder.is_dir():
            raise UsageError(f"no run folder {str(folder)!r}")
        return cls._enter(folder, None, None)

    @property
    def manifest(self) -> dict[str, Any]:
        """A copy of what manifest.json holds."""
        with self._noting:
            return dict(self._manifest)

    def note(self, **facts: Any) -> None:
        """Put facts into the manifest; the file is replaced whole. Same names are overwritten."""
        wrong = sorted(_FIXED & facts.keys())
        if wrong:
            raise ValueError(f"{wrong[0]!r} names the run and cannot be noted anew")
        plain = as_plain(facts, name="facts")
        with self._noting, self._guarded():
            merged = {**self._manifest, **plain}
            write_json(self.folder / MANIFEST, merged)
            self._manifest = merged

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows so far, those appended since opening too; of a kind and key the last."""
        with self._guarded():
            return self._file.read()

    def append(self, row: Mapping[str, Any]) -> None:
        """Keep one row: plain data with a string `kind` and a string `key`.

        It is with the kernel on return, and so outlives the process. ValueError or TypeError, with
        nothing written, for a row that JSON cannot give back equal (NaN, a set).
        """
        with self._guarded():
            self._file.append(row)

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Write summary.json, whole or not at all."""
        with self._guarded():
            write_json(self.folder / SUMMARY, as_plain(summary, name="summary"))

    def write_report(self, html: str) -> None:
        """Write report.html, whole or not at all."""
        with self._guarded():
            write_text(self.folder / REPORT, html)

    def close(self) -> None:
        """Sync the rows, note the end of this sitting, give the lock back. May be called twice."""
        if self._closed:
            return
        self._closed = True
        try:
            with self._guarded():
                self._file.close()
            # On a disk that is full already, a second complaint would hide the first.
            if not self._failed:
                sittings = [*self._manifest["sittings"]]
                sittings[-1] = {**sittings[-1], "ended": _now()}
                self.note(sittings=sittings)
        finally:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @classmethod
    def _enter(
        cls, folder: Path, fresh: Mapping[str, Any] | None, facts: Mapping[str, Any] | None
    ) -> Run:
        """Lock the folder, check or begin its manifest, open its rows."""
        with _one_line(folder):
            lock = Lock.take(folder)
        try:
            with _one_line(folder):
                sweep(folder)
                manifest = _begun(folder, fresh)
                sitting: dict[str, Any] = {"begun": _now()}
                if facts is not None:
                    plain = as_plain(facts, name="facts")
                    wrong = sorted(_FIXED & plain.keys())
                    if wrong:
                        raise ValueError(f"{wrong[0]!r} names the run and cannot be a fact")
                    manifest.update(plain)
                    if plain.get("machine") != _last_machine(manifest):
                        sitting["machine"] = plain.get("machine")
                manifest["sittings"] = [*manifest.get("sittings", []), sitting]
                write_json(folder / MANIFEST, manifest)
                return cls(folder, lock, manifest)
        except BaseException:
            lock.release()
            raise

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            with _one_line(self.folder):
                yield
        except MachineLacks:
            self._failed = True
            raise


def _begun(folder: Path, fresh: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the manifest of the folder, or `fresh` where nothing was begun.

    A manifest that does not belong is refused: its rows would be read as this recipe's.
    """
    manifest = read_json(folder / MANIFEST)
    if manifest is None:
        rows = folder / ROWS
        if fresh is None:
            raise UsageError(f"{str(folder)!r} is no run folder: it has no {MANIFEST}")
        if rows.exists() and rows.stat().st_size:
            raise UsageError(f"{folder} has rows but no {MANIFEST}: put the folder aside")
        return dict(fresh)
    aside = "put the folder aside and run again"
    if manifest.get("format") != _FORMAT:
        said = manifest.get("format")
        raise UsageError(f"{folder}: its {MANIFEST} has format {said!r}, not {_FORMAT}; {aside}")
    missing = sorted(_FIXED - manifest.keys())
    if missing:
        raise UsageError(f"{folder}: its {MANIFEST} lacks {missing[0]!r}; {aside}")
    digest = _digest(manifest["recipe"], manifest["data_sha256"])
    expected = f"{manifest['verb']}-{manifest['name']}-{digest[:12]}"
    if fresh is not None:
        for part in ("recipe", "data_sha256"):
            differs = _difference(manifest[part], fresh[part], part)
            if differs:
                raise UsageError(f"{folder}: its {MANIFEST} is of another run: {differs}; {aside}")
    if manifest["digest"] != digest or expected != folder.resolve().name:
        raise UsageError(
            f"{folder}: its {MANIFEST} does not match the folder's name (by its recipe and data "
            f"it would be {expected!r}); {aside}"
        )
    return manifest


def _difference(there: Any, here: Any, name: str) -> str:
    """Return the first place where two values differ, in words; empty where they are equal."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in sorted(there.keys() | here.keys()):
            absent = "nothing"
            said = _difference(there.get(key, absent), here.get(key, absent), f"{name}.{key}")
            if said:
                return said
        return ""
    if there == here and type(there) is type(here):
        return ""
    return f"{name} is {str(there)[:60]!r} there and {str(here)[:60]!r} here"


def _digest(recipe: Any, data_sha256: Any) -> str:
    return sha256_of({"recipe": recipe, "data_sha256": data_sha256})


def _last_machine(manifest: Mapping[str, Any]) -> Any:
    for sitting in reversed(manifest.get("sittings", [])):
        if "machine" in sitting:
            return sitting["machine"]
    return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@contextmanager
def _one_line(folder: Path) -> Iterator[None]:
    """Turn an OSError into the one line that says what to do about it."""
    try:
        yield
    except OSError as error:
        what = error.strerror or str(error)
        kept = "the rows so far are kept: run the same command again to go on"
        if error.errno in _NO_ROOM:
            raise MachineLacks(f"no room to write in {folder}: {what}; {kept}") from error
        if error.errno in _NO_LEAVE:
            raise MachineLacks(
                f"cannot write in {folder}: {what}; name a folder that can be written"
            ) from error
        if isinstance(error, FileExistsError | NotADirectoryError):
            raise UsageError(f"{folder} cannot be a run folder: {what}") from error
        raise MachineLacks(f"writing in {folder} failed: {what}; {kept}") from error
