"""What each request used: written as requests end, added up by key, model and day.

    ledger = Ledger(Path("keys.sqlite"))
    ledger.record(Used(key_id=holder.id, model="seed-coder", prompt_tokens=12, ...))
    report(Path("keys.sqlite"), by=("key", "day"), since_s=...)

A thread of its own writes, so that no request waits for a disk. What a request used counts against
its key at once, and is on disk some 50 ms later; a kill -9 loses what was between.
A record has numbers and names, never a word of a prompt or a reply.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from seedcoder.errors import UsageError
from serve.key_database import connect
from serve.keys import unreadable

log = logging.getLogger(__name__)

_GATHER_S = 0.05  # ours: records of so long go to the disk together
_AGAIN_S = 5.0  # ours: after a write that failed
_HELD_MOST = 200_000  # ours: records that wait for a disk that does not take them

By = Literal["key", "model", "day", "route"]
_GROUPS: dict[By, str] = {
    "key": "coalesce(keys.name, usage.key_id)",
    "model": "model",
    "day": "date(at_s, 'unixepoch')",
    "route": "route",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """One request that has ended. status: of HTTP; 499 where the client went away."""

    key_id: str
    model: str
    route: str = ""
    status: int = 200
    prompt_tokens: int = 0
    completion_tokens: int = 0
    ms: float = 0.0
    at_s: float = field(default_factory=time.time)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageSum:
    """What the requests of one group used. group: from "key", "model", "day" to its value.

    failed: answered with 400 or more. mean_ms: of those answered well.
    """

    group: dict[str, str]
    requests: int
    failed: int
    prompt_tokens: int
    completion_tokens: int
    mean_ms: float

    def to_json(self) -> dict[str, Any]:
        """Return it as one flat object."""
        plain = asdict(self)
        return {**plain.pop("group"), **plain}


class Ledger:
    """Writes what requests used, and knows what each key has used. Any thread may call it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reading = connect(path)
        self._writing = connect(path)
        self._lock = threading.Lock()
        self._rows: list[Used] = []
        self._unwritten: Counter[str] = Counter()  # tokens by key, not in the database yet
        self._news = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._write, name="usage", daemon=True)
        self._thread.start()

    def record(self, used: Used) -> None:
        """Note a request that has ended; returns at once."""
        with self._lock:
            if self._ended:
                raise ValueError("the ledger is closed")
            if len(self._rows) >= _HELD_MOST:
                lost = self._rows.pop(0)
                log.error("a record of usage is lost: the disk takes none key=%s", lost.key_id)
            self._rows.append(used)
            self._unwritten[used.key_id] += used.prompt_tokens + used.completion_tokens
        self._news.set()

    def spent(self, key_id: str) -> int:
        """Return the tokens that a key has used in all. Raises Fault 503 as `KeyStore.find`."""
        try:
            with self._lock:
                row = self._reading.execute(
                    "SELECT tokens FROM totals WHERE key_id = ?", (key_id,)
                ).fetchone()
                return (row[0] if row else 0) + self._unwritten[key_id]
        except sqlite3.Error as error:
            raise unreadable(self._path, error) from None

    def close(self) -> None:
        """Write what waits, and end. May be called twice."""
        with self._lock:
            self._ended = True
        self._news.set()
        self._thread.join()
        with self._lock:
            self._reading.close()
            self._writing.close()

    def _write(self) -> None:
        while True:
            self._news.wait()
            self._news.clear()
            if not self._ended:
                time.sleep(_GATHER_S)
            with self._lock:
                rows, ended = self._rows, self._ended
                self._rows = []
            if rows and not self._put(rows):
                with self._lock:
                    self._rows[:0] = rows
                if ended:
                    log.error("records of usage are lost count=%d", len(rows))
                    return
                threading.Timer(_AGAIN_S, self._news.set).start()
            elif ended:
                return

    def _put(self, rows: Sequence[Used]) -> bool:
        tokens: Counter[str] = Counter()
        for row in rows:
            tokens[row.key_id] += row.prompt_tokens + row.completion_tokens
        connection = self._writing
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                "INSERT INTO usage VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (x.at_s, x.key_id, x.model, x.route, x.status, x.prompt_tokens,
                     x.completion_tokens, x.ms)
                    for x in rows
                ],
            )  # fmt: skip
            connection.executemany(
                "INSERT INTO totals VALUES (?, ?)"
                " ON CONFLICT (key_id) DO UPDATE SET tokens = tokens + excluded.tokens",
                list(tokens.items()),
            )
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            log.error("cannot write usage path=%s error=%s", self._path, error)
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            return False
        # Between the commit and this, a key seems to have used these tokens twice: for
        # microseconds, and on the safe side.
        with self._lock:
            self._unwritten.subtract(tokens)
            for key_id in tokens:
                if not self._unwritten[key_id]:
                    del self._unwritten[key_id]
        return True


def report(
    path: Path,
    *,
    by: Sequence[By] = ("key", "model", "day"),
    key: str | None = None,
    since_s: float | None = None,
    until_s: float | None = None,
) -> list[UsageSum]:
    """Return the sums of a database, in order of their groups.

    key: the name of a key, revoked ones of that name too. since_s, until_s: seconds since 1970.
    Days are UTC's. UsageError for a file that is no database of keys.
    """
    names = ", ".join(_GROUPS[one] for one in by)
    where, values = ["1"], []
    for condition, value in (
        ("keys.name = ?", key), ("at_s >= ?", since_s), ("at_s < ?", until_s)
    ):  # fmt: skip
        if value is not None:
            where.append(condition)
            values.append(value)
    connection = connect(path)
    try:
        rows = connection.execute(
            f"SELECT {names + ', ' if names else ''} count(*), sum(status >= 400),"
            " sum(prompt_tokens), sum(completion_tokens),"
            " coalesce(avg(CASE WHEN status < 400 THEN ms END), 0)"
            " FROM usage LEFT JOIN keys ON keys.id = usage.key_id"
            f" WHERE {' AND '.join(where)}"
            f"{f' GROUP BY {names} ORDER BY {names}' if names else ''}",
            values,
        ).fetchall()
    except sqlite3.Error as error:
        raise UsageError(f"cannot read the usage in {path}: {error}") from None
    finally:
        connection.close()
    return [
        UsageSum(
            group=dict(zip(by, row, strict=False)),
            requests=row[-5],
            failed=row[-4],
            prompt_tokens=row[-3],
            completion_tokens=row[-2],
            mean_ms=row[-1],
        )
        for row in rows
        if row[-5]
    ]


def forget(path: Path, *, before_s: float) -> int:
    """Delete the records from before a time; what counts against `tokens_total` stays.

    Returns how many there were. UsageError as `report`.
    """
    connection = connect(path)
    try:
        return connection.execute("DELETE FROM usage WHERE at_s < ?", (before_s,)).rowcount
    except sqlite3.Error as error:
        raise UsageError(f"cannot write to {path}: {error}") from None
    finally:
        connection.close()
