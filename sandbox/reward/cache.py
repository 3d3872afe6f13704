"""Verdicts kept on disk by key: bounded, the least recently used go first, for many processes.

It is an aid: a full disk, a lock that nobody gives up, or a file that is no data base costs a
warning and time, never a reward. SQLite in WAL mode: a process that is killed at any byte leaves a
file that others go on with. Whoever can write the file can forge verdicts: keep it where only you
can. Not for network file systems: WAL needs memory that its users share.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sandbox.verdict import Verdict

log = logging.getLogger(__name__)

_LAYOUT = 1  # raised when the table changes; another layout's file is set aside
_MIB = 1 << 20
_AT_ONCE = 500  # keys of one question; SQLite takes 999 at least
_ENTRY_MOST = 256 << 10  # bytes; a longer verdict is not kept
_KEEP_SHARE = 0.9  # of the bound, after old verdicts went
_UNUSABLE = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
_BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_SETUP = f"""
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS verdicts (
    key BLOB PRIMARY KEY, verdict TEXT NOT NULL, used_ms INT NOT NULL
);
CREATE INDEX IF NOT EXISTS by_use ON verdicts (used_ms);
PRAGMA user_version = {_LAYOUT};
"""


class _OtherLayout(sqlite3.DatabaseError):
    """The file is of another version of this module."""


def default_path() -> Path:
    """Return where verdicts are kept unless said otherwise: below XDG_CACHE_HOME, or ~/.cache."""
    root = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(root).expanduser() / "seedcoder" / "verdicts.sqlite"


class VerdictCache:
    """Verdicts by key in the file `path`. Threads and processes may share it.

    most_mb: MiB of the file, after which the least recently used verdicts go. touch_s: a verdict's
    use is noted at most so often, so that reading seldom writes. wait_s: for another's lock.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        most_mb: float = 256.0,
        touch_s: float = 60.0,
        wait_s: float = 5.0,
    ) -> None:
        if not most_mb > 0:
            raise ValueError(f"most_mb must be positive, got {most_mb}")
        self.path = Path(path)
        self._most = int(most_mb * _MIB)
        self._touch_s, self._wait_s = touch_s, wait_s
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None
        self._parents: sqlite3.Connection | None = None
        self._pid = 0
        self._inode = 0
        self._warned = False
        self.hits = 0
        self.misses = 0
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock, self._mended():
            try:
                self._connection()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in _UNUSABLE:
                    raise
                raise OSError(f"{self.path} cannot be opened for verdicts: {error}") from None

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Verdict]:
        """Return the verdicts that are kept, by key."""
        found: dict[bytes, Verdict] = {}
        wanted = list(dict.fromkeys(keys))
        with self._lock, self._mended():
            for at in range(0, len(wanted), _AT_ONCE):
                found |= self._some(wanted[at : at + _AT_ONCE])
        self.hits += len(found)
        self.misses += len(wanted) - len(found)
        return found

    def _some(self, keys: list[bytes]) -> dict[bytes, Verdict]:
        db = self._connection()
        marks = ",".join("?" * len(keys))
        rows = db.execute(
            f"SELECT key, verdict, used_ms FROM verdicts WHERE key IN ({marks})", keys
        ).fetchall()
        now_ms = time.time_ns() // 10**6
        touch_ms = 1000 * self._touch_s
        stale = [(now_ms, key) for key, _, used_ms in rows if now_ms - used_ms >= touch_ms]
        if stale:
            with self._writing(db):
                db.executemany("UPDATE verdicts SET used_ms = ? WHERE key = ?", stale)
        found = {}
        for key, text, _ in rows:
            try:
                found[key] = Verdict.from_json(json.loads(text))
            except (ValueError, KeyError, TypeError):
                continue  # not written by us: judged again, and then replaced
        return found

    def put(self, verdicts: Mapping[bytes, Verdict]) -> None:
        """Keep verdicts."""
        now_ms = time.time_ns() // 10**6
        rows = [
            (key, text, now_ms)
            for key, verdict in verdicts.items()
            if len(text := json.dumps(verdict.to_json(), separators=(",", ":"))) <= _ENTRY_MOST
        ]
        if not rows:
            return
        with self._lock, self._mended():
            db = self._connection()
            with self._writing(db):
                db.executemany("INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?)", rows)
                freed = self._evict(db)
            if freed:
                db.executescript("PRAGMA incremental_vacuum")  # execute() would free a single page

    def _evict(self, db: sqlite3.Connection) -> bool:
        """Remove the least recently used, down to a share of the bound; return whether any went."""
        held = self._held(db)
        if held <= self._most:
            return False
        count = db.execute("SELECT COUNT(*) FROM verdicts").fetchone()[0]
        while held > self._most * _KEEP_SHARE and count:
            going = max(1, int(count * (1 - self._most * _KEEP_SHARE / held)))
            db.execute(
                "DELETE FROM verdicts WHERE key IN"
                " (SELECT key FROM verdicts ORDER BY used_ms LIMIT ?)",
                (going,),
            )
            count -= going
            held = self._held(db)
        return True

    def _held(self, db: sqlite3.Connection) -> int:
        pages, free, size = (
            db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def __len__(self) -> int:
        with self._lock, self._mended():
            return int(self._connection().execute("SELECT COUNT(*) FROM verdicts").fetchone()[0])
        return 0

    def _connection(self) -> sqlite3.Connection:
        """Return this process's connection: one must not be carried over a fork."""
        if self._db is not None and self._pid == os.getpid():
            return self._db
        self._parents = self._db  # held, for closing it here would be the parent's business
        self._db = None
        db = sqlite3.connect(
            self.path, timeout=self._wait_s, isolation_level=None, check_same_thread=False
        )
        self._inode = self.path.stat().st_ino
        until = time.monotonic() + self._wait_s
        while True:
            try:
                self._arrange(db)
                break
            except sqlite3.OperationalError:  # another process is just arranging the new file
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)
        self._db, self._pid = db, os.getpid()
        return db

    def _arrange(self, db: sqlite3.Connection) -> None:
        (layout,) = db.execute("PRAGMA user_version").fetchone()
        if layout == 0:
            db.executescript(_SETUP)
        elif layout != _LAYOUT:
            raise _OtherLayout(f"it has layout {layout}, and this is {_LAYOUT}")
        db.execute(f"PRAGMA journal_size_limit = {4 * _MIB}")

    @contextlib.contextmanager
    def _writing(self, db: sqlite3.Connection) -> Iterator[None]:
        db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            db.rollback()
            raise
        db.commit()

    @contextlib.contextmanager
    def _mended(self) -> Iterator[None]:
        """Go on without the cache where it fails, and set aside a file that is broken."""
        try:
            yield
        except sqlite3.OperationalError as error:  # locked for too long, a full disk, read-only
            if not self._warned:
                log.warning("verdicts are not kept path=%s error=%s", self.path, error)
            self._warned = True
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code not in _BROKEN and not isinstance(error, _OtherLayout):
                raise
            self._set_aside(error)

    def _set_aside(self, error: sqlite3.DatabaseError) -> None:
        db, self._db = self._db, None
        if db is not None:
            db.close()
        with contextlib.suppress(FileNotFoundError):
            if self.path.stat().st_ino == self._inode:  # else another process has done it
                aside = self.path.with_name(f"{self.path.name}.broken-{time.time_ns()}")
                for end in ("-wal", "-shm"):
                    with contextlib.suppress(FileNotFoundError):
                        Path(f"{self.path}{end}").rename(f"{aside}{end}")
                self.path.rename(aside)
                log.warning("a broken file of verdicts was set aside as %s: %s", aside, error)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            db, self._db = self._db, None
            if db is not None and self._pid == os.getpid():
                db.close()
