"""`run_code`: the tool that executes what a model writes, in sandbox sessions.

    runner = RunCode(recipe.sandbox)
    ran = await runner.toolbox(owner="ada").call({"code": "1 + 1"})

A conversation has one session of Python, kept for `idle_s` so that a later request may go on with
it: by its id, which cannot be guessed, and only under the key that began it. Other languages, and
Python with a standard input, run each by itself.

Guards: what the sandbox's boxes stop; a model's arguments (a schema); how much runs at one time;
one key's sessions from another. Does not guard against a model that believes what its program
printed. What goes wrong on our side is a Fault 503, and never a result.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from sandbox import (
    CellResult,
    Limits,
    Outcome,
    Pool,
    Program,
    SandboxError,
    Session,
    SessionOver,
    Sessions,
    SessionsFull,
    UnknownSession,
)
from serve.config import SandboxTable
from serve.fault import Fault
from serve.tools import arguments, report
from serve.tools.arguments import Wanted, WrongCall
from serve.tools.report import Ran

_IDLE_S = 600.0  # ours: what a person thinks between two questions
_SESSIONS_A_WORKER = 8  # ours: most sessions are idle
_OUTPUT_KB = 64  # ours: a chat is no place for more
_SESSION_S = 3600.0  # ours: longest life
_SESSION_CPU_S = 600.0
_BUSY_S = 5.0


@dataclass(slots=True)
class _Owned:
    """Whose a session is, and how many requests hold it now."""

    owner: str
    held: int = 0


class RunCode:
    """All sessions of one gateway. Nothing is started before the first call."""

    def __init__(self, settings: SandboxTable) -> None:
        self._settings = settings
        self._limits = Limits(
            cpu_s=settings.cpu_s,
            wall_s=settings.wall_s,
            memory_mb=settings.memory_mb,
            output_kb=_OUTPUT_KB,
        )
        self._lock = threading.Lock()
        self._sessions: Sessions | None = None
        self._owned: dict[str, _Owned] = {}  # the least lately used first
        self._pool: Pool | None = None
        self._threads = ThreadPoolExecutor(settings.workers, thread_name_prefix="run-code")
        self._closed = False

    @property
    def is_closed(self) -> bool:
        """Whether the service has ended, or is about to."""
        return self._closed

    def toolbox(self, owner: str = "", session: str = "") -> Toolbox:
        """Return the tool for one conversation.

        owner: whose it is. session: the id of an earlier one to go on with; where it is gone, or is
        another's, the first call begins a new one and says so.
        """
        return Toolbox(self, owner, session)

    def close(self) -> None:
        """End all sessions, running cells too. Idempotent."""
        with self._lock:
            self._closed = True
            sessions, self._sessions = self._sessions, None
            pool, self._pool = self._pool, None
        if sessions is not None:
            sessions.close_all()
        if pool is not None:
            pool.close(wait_for_jobs=False)
        self._threads.shutdown(wait=False, cancel_futures=True)

    def open(self, owner: str) -> str:
        """Start a session, in a thread; return its id. Raises Fault where there is no room."""
        sessions = self._all()
        limits = Limits(
            cpu_s=max(_SESSION_CPU_S, self._limits.cpu_s),
            wall_s=max(_SESSION_S, self._limits.wall_s),
            memory_mb=self._limits.memory_mb,
            output_kb=_OUTPUT_KB,
        )
        sessions.sweep()
        while True:
            try:
                name = sessions.open(limits, self._limits.cpu_s, self._limits.wall_s)
            except SessionsFull:
                if not self._drop_oldest(sessions):
                    raise Fault(
                        503, "as many programs run as may; come again",
                        kind="server_error", code="sandbox_busy", retry_after_s=_BUSY_S,
                    ) from None  # fmt: skip
                continue
            with self._lock:
                self._owned[name] = _Owned(owner)
            return name

    def hold(self, name: str, owner: str) -> bool:
        """Keep a session from being dropped; False where it is not there, or another's."""
        with self._lock:
            owned = self._owned.get(name)
            if owned is None or owned.owner != owner:
                return False
            owned.held += 1
            self._owned[name] = self._owned.pop(name)
        return True

    def let_go(self, name: str) -> None:
        """Hold a session no more."""
        with self._lock:
            if name in self._owned:
                self._owned[name].held -= 1

    def drop(self, name: str) -> None:
        """End a session."""
        with self._lock:
            self._owned.pop(name, None)
            sessions = self._sessions
        if sessions is not None:
            with contextlib.suppress(UnknownSession):
                sessions.close(name)

    def _drop_oldest(self, sessions: Sessions) -> bool:
        with self._lock:
            oldest = next((name for name, owned in self._owned.items() if not owned.held), None)
        if oldest is not None:
            self.drop(oldest)
        return oldest is not None

    def session(self, name: str) -> Session:
        """Return a session. Raises SessionOver where it was swept away."""
        try:
            return self._all().get(name)
        except UnknownSession:
            self.drop(name)
            raise SessionOver("nobody used it for a while") from None

    def in_thread(self, work: Any, *args: Any) -> Future[Any]:
        """Do what blocks in one of the threads, of which there are as many as may run at once."""
        if self._closed:
            raise _ending()
        return self._threads.submit(work, *args)

    def program(self, wanted: Wanted) -> Outcome:
        """Run a program by itself, in a thread."""
        program = Program(language=wanted.language, source=wanted.code, stdin=wanted.stdin or "")
        return self._boxes().run(program, self._limits)

    def _all(self) -> Sessions:
        with self._lock:
            if self._closed:
                raise _ending()
            if self._sessions is None:
                settings = self._settings
                if settings.box == "docker" or "docker:" in settings.box or "://" in settings.box:
                    raise Fault(
                        501, f"the box {settings.box!r} of this service keeps no sessions",
                        kind="server_error", code="sandbox_unavailable",
                    )  # fmt: skip
                self._sessions = Sessions(
                    most=_SESSIONS_A_WORKER * settings.workers,
                    idle_s=_IDLE_S,
                    box=settings.box,
                    require=settings.require,
                )
            return self._sessions

    def _boxes(self) -> Pool:
        with self._lock:
            if self._closed:
                raise _ending()
            if self._pool is None:
                settings = self._settings
                self._pool = Pool(
                    settings.workers, box=settings.box, require=settings.require,
                    confirm_timeouts=False,
                )  # fmt: skip
            return self._pool


class Toolbox:
    """The tool of one conversation; calls come one after the other."""

    def __init__(self, runner: RunCode, owner: str, session: str) -> None:
        self._runner, self._owner, self._asked = runner, owner, session
        self._session = ""

    async def call(self, given: str | Mapping[str, Any]) -> Ran:
        """Answer a call: run it, or say what of its arguments is wrong (status "refused").

        Raises Fault 503 where the sandbox fails. Cancelled, it interrupts the program.
        """
        try:
            wanted = arguments.wanted(given)
        except WrongCall as error:
            return report.refused(str(error))
        return await self.run(wanted)

    async def run(self, wanted: Wanted) -> Ran:
        """Run what was asked for. Raises as `call` does."""
        try:
            if wanted.language == "python" and wanted.stdin is None:
                return await self._cell(wanted.code)
            outcome = await asyncio.wrap_future(
                self._runner.in_thread(self._runner.program, wanted)
            )
        except SandboxError as error:
            self._lose()
            raise Fault(
                503, f"the sandbox failed, and the program was not run: {error}",
                kind="server_error", code="sandbox_unavailable", retry_after_s=_BUSY_S,
            ) from error  # fmt: skip
        except RuntimeError:
            if self._runner.is_closed:
                raise _ending() from None
            raise
        return report.of_program(outcome)

    async def _cell(self, source: str) -> Ran:
        note = ""
        for attempt in range(2):
            was_new = await self._settle()
            if was_new and (self._asked or attempt):
                note = "this is a new session: nothing of earlier calls is left"
            try:
                result = await self._in_session(source)
            except SessionOver:  # between two calls: its program had left something that ended it
                self._lose()
                continue
            name = self._session
            if result.over:
                self._lose()
                self._asked = name  # so that the next call says what it lost
            return report.of_cell(result, name, note)
        raise Fault(
            503, "the sandbox failed: its sessions end before anything is run",
            kind="server_error", code="sandbox_unavailable", retry_after_s=_BUSY_S,
        )  # fmt: skip

    async def _settle(self) -> bool:
        """See to it that there is a session; return whether it is a new one."""
        if self._session:
            return False
        if self._asked and self._runner.hold(self._asked, self._owner):
            self._session, self._asked = self._asked, ""
            return False
        name = await asyncio.wrap_future(self._runner.in_thread(self._runner.open, self._owner))
        self._runner.hold(name, self._owner)
        self._session = name
        return True

    async def _in_session(self, source: str) -> CellResult:
        session = self._runner.session(self._session)
        future: Future[CellResult] = self._runner.in_thread(session.run, source)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            # Whoever asked has gone. A cell that begins at this moment may miss the interrupt: it
            # then ends at its limits.
            session.interrupt()
            raise

    def _lose(self) -> None:
        if self._session:
            self._runner.drop(self._session)
            self._session = ""

    def leave(self) -> None:
        """The request has ended: the session may be dropped when there is need of its place."""
        if self._session:
            self._runner.let_go(self._session)
            self._asked, self._session = self._session, ""


def _ending() -> Fault:
    return Fault(503, "this service is about to end", kind="server_error", retry_after_s=_BUSY_S)
