"""The database of keys and usage: one sqlite file, and connections to it.

Its tables hold digests of keys, never a key; names, limits, and what each request used.
Everything that was committed survives a kill -9; the last commits may be lost when the machine
itself loses power. The file is its owner's alone (0600), and so are the two that sqlite puts
beside it.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from seedcoder.errors import UsageError

_APPLICATION = 0x5EEDC0DE  # ours: tells this file from any other of sqlite's
_VERSION = 1
_BUSY_S = 5.0  # ours: another process may be writing for so long
_TABLES = """
CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    created_at_s REAL NOT NULL,
    revoked_at_s REAL,
    expires_at_s REAL,
    models TEXT NOT NULL,
    requests_per_minute INTEGER,
    concurrent INTEGER,
    tokens_per_minute INTEGER,
    tokens_total INTEGER,
    may_run_code INTEGER NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS live_names ON keys (name) WHERE revoked_at_s IS NULL;
CREATE TABLE IF NOT EXISTS digests (
    digest BLOB PRIMARY KEY,
    key_id TEXT NOT NULL REFERENCES keys (id),
    until_s REAL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS usage (
    at_s REAL NOT NULL,
    key_id TEXT NOT NULL,
    model TEXT NOT NULL,
    route TEXT NOT NULL,
    status INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    ms REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS usage_times ON usage (at_s);
CREATE TABLE IF NOT EXISTS totals (
    key_id TEXT PRIMARY KEY,
    tokens INTEGER NOT NULL
) WITHOUT ROWID;
"""


def connect(path: Path, *, make: bool = False) -> sqlite3.Connection:
    """Return a connection that any thread may use, one at a time.

    make: begin a new database where there is none. UsageError for a file that is not there, that
    cannot be opened, or that is no database of keys.
    """
    if not make and not path.is_file():
        raise UsageError(
            f"no database of keys at {path}: `seedcoder serve keys add NAME --file {path}`"
            " makes one"
        )
    try:
        # Before sqlite opens it: the files that it puts beside take this one's mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(
            path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
        )
    except (OSError, sqlite3.Error) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot open the keys in {path}: {why}") from None
    try:
        _prepare(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise UsageError(f"cannot use the keys in {path}: {error}") from None
    except UsageError:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != _APPLICATION:
        tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if application or tables:
            raise UsageError(f"{path} is a database, but none of keys")
    elif version != _VERSION:
        raise UsageError(
            f"{path} has version {version} of the database of keys, this program knows {_VERSION}"
        )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    if application != _APPLICATION:
        connection.executescript(
            f"BEGIN IMMEDIATE; {_TABLES} PRAGMA application_id = {_APPLICATION};"
            f" PRAGMA user_version = {_VERSION}; COMMIT;"
        )
