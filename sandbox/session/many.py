"""Many sessions at once, by id, for a server: a bounded number, and none kept for ever.

Zygotes of sessions that have ended are kept for the next ones, which then start in milliseconds;
a zygote knows nothing of what ran in it.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence

from sandbox.box import DEFAULT_PACKAGES
from sandbox.program import Limits
from sandbox.session.result import CellResult
from sandbox.session.session import Session, open_slot
from sandbox.slot import Slot


class SessionsFull(RuntimeError):
    """As many sessions live as may; a later try may find room."""


class UnknownSession(KeyError):
    """No session has that id: it never had, or was closed, or swept away."""

    def __str__(self) -> str:
        return f"no session has the id {self.args[0]!r}"


class Sessions:
    """Sessions by id. Any thread may call; cells of different sessions run at the same time.

    most: sessions alive at once. idle_s: seconds without a cell after which one may be swept away.
    spare: zygotes kept for new sessions. box, require, packages: as for `Session`.
    """

    def __init__(
        self,
        *,
        most: int = 8,
        idle_s: float = 600.0,
        spare: int = 1,
        box: str = "auto",
        require: str | None = None,
        packages: tuple[str, ...] = DEFAULT_PACKAGES,
    ) -> None:
        if most < 1:
            raise ValueError(f"most must be positive, got {most}")
        self.most, self.idle_s, self._keep = most, idle_s, spare
        self._box, self._require, self._packages = box, require, packages
        self._lock = threading.Lock()
        self._sessions: dict[str, tuple[Session, Slot]] = {}
        self._spare: list[Slot] = []
        self._coming = 0  # places taken by sessions that are being started
        self._closed = False

    def __len__(self) -> int:
        return len(self._sessions)

    def open(
        self, limits: Limits | None = None, cell_s: float = 10.0, cell_wall_s: float = 0.0
    ) -> str:
        """Start a session and return its id, which cannot be guessed.

        Raises SessionsFull, SandboxUnavailable, SandboxBroken.
        """
        self._take_place()
        slot: Slot | None = None
        try:
            slot = self._slot()
            session = Session(
                limits=limits, cell_s=cell_s, cell_wall_s=cell_wall_s, idle_s=self.idle_s, slot=slot
            )
        except BaseException:
            if slot is not None:
                slot.close()
            with self._lock:
                self._coming -= 1
            raise
        name = secrets.token_urlsafe(18)
        with self._lock:
            self._coming -= 1
            if not self._closed:
                self._sessions[name] = (session, slot)
                return name
        self._end(session, slot)
        raise RuntimeError("these sessions are closed")

    def _take_place(self) -> None:
        for attempt in ("as they are", "without the idle"):
            with self._lock:
                if self._closed:
                    raise RuntimeError("these sessions are closed")
                if len(self._sessions) + self._coming < self.most:
                    self._coming += 1
                    return
            if attempt == "as they are":
                self.sweep(over=True)
        raise SessionsFull(f"{self.most} sessions are open, and that is as many as may be")

    def _slot(self) -> Slot:
        with self._lock:
            if self._spare:
                return self._spare.pop()
        return open_slot(self._box, require=self._require, packages=self._packages)

    def get(self, name: str) -> Session:
        """Return the session. Raises UnknownSession."""
        with self._lock:
            if name not in self._sessions:
                raise UnknownSession(name)
            return self._sessions[name][0]

    def run(self, name: str, source: str) -> CellResult:
        """Run a cell. Raises UnknownSession, SessionOver, SandboxBroken."""
        return self.get(name).run(source)

    def close(self, name: str) -> None:
        """End a session. Raises UnknownSession."""
        with self._lock:
            if name not in self._sessions:
                raise UnknownSession(name)
            session, slot = self._sessions.pop(name)
        self._end(session, slot)

    def sweep(self, *, over: bool = False) -> int:
        """End the sessions that nobody has used for `idle_s`; return how many.

        over: those too that have ended by themselves, whose users have not looked yet.
        """
        now = time.monotonic()
        with self._lock:
            names = [
                name
                for name, (session, _) in self._sessions.items()
                if not session.busy
                and (now - session.used_at >= self.idle_s or (over and not session.lives()))
            ]
            ended = [self._sessions.pop(name) for name in names]
        for session, slot in ended:
            self._end(session, slot)
        return len(ended)

    def _end(self, session: Session, slot: Slot) -> None:
        session.close()
        with self._lock:
            if not self._closed and len(self._spare) < self._keep:
                self._spare.append(slot)
                return
        slot.close()

    @contextlib.contextmanager
    def borrowed(
        self, limits: Limits | None = None, cell_s: float = 10.0, cell_wall_s: float = 0.0
    ) -> Iterator[Session]:
        """A session for the length of a `with` block; it counts among the others."""
        name = self.open(limits, cell_s, cell_wall_s)
        try:
            yield self.get(name)
        finally:
            with contextlib.suppress(UnknownSession):
                self.close(name)

    def close_all(self) -> None:
        """End all sessions, running cells too."""
        with self._lock:
            self._closed = True
            ended = list(self._sessions.values())
            spare, self._spare = self._spare, []
            self._sessions.clear()
        for session, slot in ended:
            self._end(session, slot)
        for slot in spare:
            slot.close()

    def __enter__(self) -> Sessions:
        return self

    def __exit__(self, *_: object) -> None:
        self.close_all()


def run_cells(
    sources: Sequence[str],
    files: Mapping[str, bytes] | None = None,
    *,
    box: str = "auto",
    limits: Limits | None = None,
    cell_s: float = 10.0,
    cell_wall_s: float = 0.0,
    stop_at_error: bool = False,
) -> list[CellResult]:
    """Run cells in a session of their own and return what each did.

    Fewer results than cells: the session ended with the last of them, which says why.
    Whoever wants files back opens a `Session`: `put`, `run_all`, `get`.
    """
    with Session(box, limits=limits, cell_s=cell_s, cell_wall_s=cell_wall_s) as session:
        for name, content in (files or {}).items():
            session.put(name, content)
        return session.run_all(sources, stop_at_error=stop_at_error)
