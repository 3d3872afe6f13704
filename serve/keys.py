"""API keys of the gateway: who may ask, for which models, and how much.

    store = KeyStore(Path("keys.sqlite"), make=True)
    holder, secret = store.add("ada", KeyRights(models=("seed-coder-*",), tokens_total=1_000_000))
    store.find(secret)                # the holder; None for a key that is not known

A key is shown once, when it is made; the database keeps its SHA-256 digest. A key has 256 random
bits, so that a digest without salt gives nothing away, and how long it takes to look one up tells
nothing that helps to guess one.

Does not guard: the way (a key crosses the network as it stands: put TLS before a gateway that
others reach); against guessing by numbers (256 bits are the guard); against who can write the file.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import logging
import re
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from seedcoder.errors import UsageError
from serve.fault import Fault
from serve.key_database import connect

log = logging.getLogger(__name__)

_PREFIX = "sk-seedcoder-"  # "sk-": some clients refuse a key that does not begin so
_NAME = re.compile(r"[\w.@-]{1,64}", re.ASCII)
_COUNTED = ("requests_per_minute", "concurrent", "tokens_per_minute", "tokens_total")
_FIELDS = (
    "id, name, created_at_s, revoked_at_s, expires_at_s, models, requests_per_minute, concurrent,"
    " tokens_per_minute, tokens_total, may_run_code"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRights:
    """What a key may do. None is no bound.

    models: names or patterns ("seed-coder-*"); empty is every model. requests_per_minute: in any
    60 s. concurrent: requests under way at one time. tokens_per_minute, tokens_total: of prompts
    and replies together. expires_at_s: seconds since 1970. may_run_code: may ask for the tool that
    runs code in the sandbox.
    """

    models: tuple[str, ...] = ()
    requests_per_minute: int | None = None
    concurrent: int | None = None
    tokens_per_minute: int | None = None
    tokens_total: int | None = None
    expires_at_s: float | None = None
    may_run_code: bool = False

    def __post_init__(self) -> None:
        for field in _COUNTED:
            value = getattr(self, field)
            if value is not None and value < 1:
                raise ValueError(f"{field} must be at least 1, got {value}")
        if any(not model or "," in model for model in self.models):
            raise ValueError(f"models must be names or patterns, got {self.models!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyHolder:
    """A key, as all but its holder know it. id: what usage is counted by; it outlives a rotation.

    created_at_s, revoked_at_s: seconds since 1970.
    """

    id: str
    name: str
    rights: KeyRights
    created_at_s: float
    revoked_at_s: float | None = None

    @property
    def may_run_code(self) -> bool:
        """Whether it may ask for code to be run."""
        return self.rights.may_run_code

    def allows(self, *names: str) -> bool:
        """Whether it may use a model that goes by these names: its own, an alias."""
        allowed = self.rights.models
        return not allowed or any(
            fnmatch.fnmatchcase(name, pattern) for name in names for pattern in allowed
        )

    def check_model(self, *names: str) -> None:
        """Raise Fault 403 for a model that it may not use. The first name is the one shown."""
        if not self.allows(*names):
            raise Fault(
                403,
                f"this key may not use the model {names[0]!r}; it may use"
                f" {', '.join(self.rights.models)}",
                kind="permission_error",
                code="model_not_allowed",
                param="model",
            )


def check_name(name: str) -> None:
    """Raise UsageError for what cannot be a holder's name."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"a name has 1 to 64 letters, digits and ._@-, got {name!r}")


def digest_of(secret: str) -> bytes:
    """Return what the database keeps of a key."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


class KeyStore:
    """The keys in a database. Every method may be called from any thread.

    A change by another process (the command line) counts at the next request. make: begin a new
    database where there is none. UsageError for a file that is no database of keys.
    """

    def __init__(self, path: Path, *, make: bool = False) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._connection = connect(path, make=make)

    def find(self, secret: str) -> KeyHolder | None:
        """Return the holder of a key, None for a key that is not known.

        Raises Fault: 401 for a key that was revoked, replaced or has expired, 503 where the
        database cannot be read.
        """
        try:
            with self._lock:
                row = self._connection.execute(
                    f"SELECT {_FIELDS}, until_s FROM digests JOIN keys ON id = key_id"
                    " WHERE digest = ?",
                    (digest_of(secret),),
                ).fetchone()
        except sqlite3.Error as error:
            raise unreadable(self.path, error) from None
        if row is None:
            return None
        holder, until_s, now_s = _holder(row), row[-1], time.time()
        if holder.revoked_at_s is not None:
            raise _refused("this key was revoked")
        if until_s is not None and until_s <= now_s:
            raise _refused("this key was replaced by a new one")
        expires_at_s = holder.rights.expires_at_s
        if expires_at_s is not None and expires_at_s <= now_s:
            raise _refused(f"this key expired on {_date(expires_at_s)}")
        return holder

    def add(self, name: str, rights: KeyRights | None = None) -> tuple[KeyHolder, str]:
        """Make a key. Returns its holder and the key itself, which is kept nowhere.

        UsageError for a name that a living key has, or that is none.
        """
        check_name(name)
        rights, secret = rights or KeyRights(), _new_secret()
        holder = KeyHolder(
            id=f"key_{secrets.token_hex(8)}", name=name, rights=rights, created_at_s=time.time()
        )
        with self._writing():
            try:
                self._connection.execute(
                    f"INSERT INTO keys ({_FIELDS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    _row(holder),
                )
            except sqlite3.IntegrityError:
                raise UsageError(
                    f"there is a key of the name {name!r} already; rotate or revoke it"
                ) from None
            self._connection.execute(
                "INSERT INTO digests VALUES (?, ?, NULL)", (digest_of(secret), holder.id)
            )
        return holder, secret

    def rotate(self, name: str, *, grace_s: float = 0.0) -> tuple[KeyHolder, str]:
        """Give a holder a new key; the old one holds for `grace_s` more seconds.

        Rights and usage stay. UsageError where no living key has the name.
        """
        secret = _new_secret()
        with self._writing():
            holder = self._living(name)
            until_s = time.time() + grace_s
            self._connection.execute(
                "UPDATE digests SET until_s = ? WHERE key_id = ?"
                " AND (until_s IS NULL OR until_s > ?)",
                (until_s, holder.id, until_s),
            )
            self._connection.execute(
                "INSERT INTO digests VALUES (?, ?, NULL)", (digest_of(secret), holder.id)
            )
        return holder, secret

    def revoke(self, name: str) -> KeyHolder:
        """End a key, now and for good; its usage is kept. UsageError where none has the name."""
        with self._writing():
            holder = self._living(name)
            self._connection.execute(
                "UPDATE keys SET revoked_at_s = ? WHERE id = ?", (time.time(), holder.id)
            )
        return holder

    def list(self, *, with_revoked: bool = False) -> list[KeyHolder]:
        """Return the holders, in the order in which they were made. UsageError as `add`."""
        where = "" if with_revoked else "WHERE revoked_at_s IS NULL"
        with self._reading():
            rows = self._connection.execute(
                f"SELECT {_FIELDS} FROM keys {where} ORDER BY created_at_s, id"
            ).fetchall()
        return [_holder(row) for row in rows]

    def holder(self, key_id: str) -> KeyHolder | None:
        """Return the living holder of an id: who a batch goes on for after a restart.

        None where the key was revoked or has expired. Raises Fault 503 as `find`.
        """
        try:
            with self._lock:
                row = self._connection.execute(
                    f"SELECT {_FIELDS} FROM keys WHERE id = ? AND revoked_at_s IS NULL", (key_id,)
                ).fetchone()
        except sqlite3.Error as error:
            raise unreadable(self.path, error) from None
        holder = _holder(row) if row is not None else None
        if holder is None:
            return None
        expires_at_s = holder.rights.expires_at_s
        return None if expires_at_s is not None and expires_at_s <= time.time() else holder

    def close(self) -> None:
        """Let the file go."""
        with self._lock:
            self._connection.close()

    def _living(self, name: str) -> KeyHolder:
        row = self._connection.execute(
            f"SELECT {_FIELDS} FROM keys WHERE name = ? AND revoked_at_s IS NULL", (name,)
        ).fetchone()
        if row is None:
            raise UsageError(f"no key of the name {name!r}; `seedcoder serve keys list` shows all")
        return _holder(row)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            with self._lock:
                yield
        except sqlite3.Error as error:
            raise UsageError(f"cannot use the keys in {self.path}: {error}") from None

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._reading():
            self._connection.execute("BEGIN IMMEDIATE")
            done = False
            try:
                yield
                self._connection.execute("COMMIT")
                done = True
            finally:
                if not done:
                    self._connection.execute("ROLLBACK")


def unreadable(path: Path, error: sqlite3.Error) -> Fault:
    """Return what a client hears when the database fails; the log hears why."""
    log.error("the database of keys failed path=%s error=%s", path, error)
    return Fault(
        503, "the keys cannot be read now", kind="server_error", code="keys_unreadable",
        retry_after_s=5,
    )  # fmt: skip


def _refused(why: str) -> Fault:
    return Fault(401, why, kind="authentication_error", code="invalid_api_key")


def _new_secret() -> str:
    return _PREFIX + secrets.token_urlsafe(32)


def _date(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _row(holder: KeyHolder) -> tuple[Any, ...]:
    rights = holder.rights
    return (
        holder.id, holder.name, holder.created_at_s, holder.revoked_at_s, rights.expires_at_s,
        json.dumps(rights.models), rights.requests_per_minute, rights.concurrent,
        rights.tokens_per_minute, rights.tokens_total, int(rights.may_run_code),
    )  # fmt: skip


def _holder(row: tuple[Any, ...]) -> KeyHolder:
    return KeyHolder(
        id=row[0],
        name=row[1],
        created_at_s=row[2],
        revoked_at_s=row[3],
        rights=KeyRights(
            expires_at_s=row[4],
            models=tuple(json.loads(row[5])),
            requests_per_minute=row[6],
            concurrent=row[7],
            tokens_per_minute=row[8],
            tokens_total=row[9],
            may_run_code=bool(row[10]),
        ),
    )
