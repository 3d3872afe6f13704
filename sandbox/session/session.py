"""Sessions: one box kept alive between cells of Python, as a notebook is.

Every cell runs in one process with all layers of a run on, under the session's `Limits`; what a
cell may use is limited too. An endless cell is interrupted and the state kept; a cell that ignores
that, ends its process, runs out of memory or plays with our descriptors ends the session, and
nothing else.

Stops: what each box stops; time of a cell (CPU and wall), of a session (CPU, life, idleness), its
memory, processes and disk; hangs; a reply to one cell that is taken for another's (each cell has a
nonce of its own, and the link must be silent between cells).
Does not stop: a cell that forges its own result. Its code shares the process with what reports it,
so value, error, displays and PASSED are claims of the cells' author, and what a cell leaves behind
(threads, processes, patched builtins) can do the same to later cells of the same session. Never
grade by them: judge with `sandbox.judge`. Sessions do not share anything with each other.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from types import TracebackType

from sandbox import reasons
from sandbox.box import DEFAULT_PACKAGES, STRENGTH
from sandbox.errors import SandboxBroken, SandboxUnavailable
from sandbox.inside import cells, settings
from sandbox.outcome import Kind, Outcome
from sandbox.program import Limits
from sandbox.ran import Ran
from sandbox.session import files, reply
from sandbox.session.clock import CellClock, CpuClock
from sandbox.session.link import Link, LinkLost
from sandbox.session.result import CellError, CellResult, SessionOver
from sandbox.slot import Slot

log = logging.getLogger(__name__)

# Ours. cpu_s is the budget of all cells together, wall_s the longest life.
LIMITS = Limits(cpu_s=600, wall_s=3600, memory_mb=1024)
_START_S = 30.0
_SEND_S = 10.0
_SOURCE_MOST = 4 << 20  # bytes


class Session:
    """A box that keeps its state between cells. One cell runs at a time; others wait their turn.

    box: "namespace", "restricted", or "auto" for the strongest that starts; "unsafe" only for tests
        of the harness. require: as for `open_box`.
    limits: of the session as a whole: cpu_s is the budget of all its cells, wall_s its life.
        output_kb is kept of each stream of each cell.
    cell_s: CPU seconds of a cell. cell_wall_s: wall seconds; default 10 x cell_s, at least 10.
    idle_s: seconds without a cell after which the session ends.
    slot: one of the engine "session" to run in, which stays the caller's; then `box` is not asked.
    """

    def __init__(
        self,
        box: str = "auto",
        *,
        limits: Limits | None = None,
        cell_s: float = 10.0,
        cell_wall_s: float = 0.0,
        idle_s: float = 600.0,
        require: str | None = None,
        packages: tuple[str, ...] = DEFAULT_PACKAGES,
        slot: Slot | None = None,
    ) -> None:
        for name, value in (("cell_s", cell_s), ("idle_s", idle_s)):
            if not value > 0:
                raise ValueError(f"{name} must be positive, got {value}")
        if not cell_wall_s >= 0:
            raise ValueError(f"cell_wall_s must not be negative, got {cell_wall_s}")
        self.limits = limits or LIMITS
        self.cell_s = cell_s
        self.cell_wall_s = cell_wall_s or max(10.0, 10 * cell_s)
        self.idle_s = idle_s
        self._lock = threading.Lock()
        self._closed = False
        self._over = ""
        self._number = 0
        self._link: Link | None = None
        self._folder = -1
        self._thread: ThreadPoolExecutor | None = None
        self._owns_slot = slot is None
        self._slot = slot or open_slot(box, require=require, packages=packages)
        self.used_at = time.monotonic()
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    @property
    def kind(self) -> str:
        """The kind of box."""
        return self._slot.kind

    @property
    def over(self) -> str:
        """Why the session has ended; "" while it lives, as far as is known."""
        return self._over

    @property
    def busy(self) -> bool:
        """Whether a cell is running."""
        return self._lock.locked()

    def lives(self) -> bool:
        """Return whether the session can take a cell, as far as can be seen at once."""
        link = self._link
        return not self._closed and link is not None and (self.busy or not link.has_ended())

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        link = Link(ours)
        limits = self.limits
        # A cell that floods is interrupted first; the watchdog ends what goes on to the disk limit.
        flood_kb = max(limits.output_kb, limits.disk_mb * 1024)
        with theirs:
            self._slot.begin(
                settings.SESSION,
                {"idle_s": min(self.idle_s, limits.wall_s)},
                dataclasses.replace(limits, output_kb=flood_kb),
                link=theirs.fileno(),
                collect=True,
            )
        self._link, self._over, self._number = link, "", 0
        try:
            link.greet(_START_S)
            self._folder = self._slot.work_folder()
        except LinkLost as lost:
            ran = self._ended()
            raise SandboxBroken(
                f"a session did not start: {lost}: {reasons.why(ran.outcome)}"
            ) from None
        self._cpu = CpuClock(self._slot.cpu_file, link.pid)
        self._began = self.used_at = time.monotonic()

    def run(self, source: str) -> CellResult:
        """Run a cell and return what it did.

        Raises SessionOver when the session had ended before, SandboxBroken when the box failed.
        """
        raw = source.encode("utf-8", "surrogatepass")
        if len(raw) > _SOURCE_MOST:
            raise ValueError(f"source: {len(raw)} bytes are more than the {_SOURCE_MOST} of a cell")
        with self._lock:
            link = self._living()
            self._number += 1
            clock = self._clock()
            try:
                parts = self._asked(link, clock, [cells.CELL, b"%d" % self._number, raw])
                return self._result(parts, clock)
            except LinkLost as lost:
                return self._lost(clock, str(lost))
            finally:
                self.used_at = time.monotonic()

    def _clock(self) -> CellClock:
        return CellClock(
            self._cpu,
            cell_s=self.cell_s,
            wall_s=self.cell_wall_s,
            output=self.limits.output_kb * 1024,
            sizes=self._slot.output_sizes,
        )

    def _asked(self, link: Link, clock: CellClock, parts: list[bytes]) -> list[bytes]:
        """Send a request and wait for its reply, interrupting the cell at its limits.

        Raises LinkLost where there will be none, or what came is not it.
        """
        nonce = secrets.token_hex(16).encode()
        link.send([nonce, *parts], _SEND_S)
        while (reply := link.receive(clock.tick_s())) is None:
            due = clock.due()
            if due is signal.SIGINT:
                link.signal(signal.SIGINT)
            elif due is signal.SIGKILL:
                raise LinkLost(f"it went on when it was interrupted at its limit of {clock.why()}")
        if reply[0] != nonce:
            raise LinkLost("it wrote on the session's link")
        return reply

    def _result(self, parts: list[bytes], clock: CellClock) -> CellResult:
        clock.due()  # output that came with the reply counts too
        (out, more_out), (err, more_err) = self._slot.take_output(self.limits.output_kb * 1024)
        said = reply.read(parts, clock)
        return dataclasses.replace(
            said,
            stdout=out,
            stderr=err,
            truncated=said.truncated or more_out or more_err,
            cpu_s=clock.cpu_s(),
            wall_s=clock.wall_s(),
            number=self._number,
        )

    def _lost(self, clock: CellClock, why: str) -> CellResult:
        """End the session that a cell broke, and return the cell's result."""
        cpu_s, wall_s = clock.cpu_s(), clock.wall_s()
        (out, more_out), (err, more_err) = self._slot.take_output(self.limits.output_kb * 1024)
        by_itself = self._link is not None and self._link.has_ended()
        outcome = self._ended().outcome
        kind = clock.kind or Kind.CRASHED
        if by_itself and clock.kind is None:
            why = self._why(outcome)
            if outcome.kind is not Kind.PASSED:
                kind = outcome.kind
        elif by_itself:
            why = f"it ended when it was interrupted at its limit of {clock.why()}"
        self._over = f"the session ended with cell {self._number}: {why}"
        return CellResult(
            kind=kind,
            stdout=out,
            stderr=err,
            truncated=more_out or more_err,
            error=CellError(name="SessionOver", message=why, traceback=self._over),
            cpu_s=cpu_s,
            wall_s=wall_s,
            number=self._number,
            over=self._over,
        )

    def _why(self, outcome: Outcome) -> str:
        if outcome.kind is Kind.TIMEOUT:
            if outcome.wall_s >= self.limits.wall_s:
                return f"its life of {self.limits.wall_s:g} s is over"
            return f"the CPU budget of {self.limits.cpu_s:g} s is used up"
        if outcome.exit_code == cells.IDLE_CODE:
            return f"no cell came for {self.idle_s:g} s"
        if outcome.exit_code is not None and outcome.kind in (Kind.PASSED, Kind.CRASHED):
            return f"it ended its process with exit code {outcome.exit_code}"
        return reasons.why(outcome)

    def _living(self) -> Link:
        """Return the link of a session that lives. Raises SessionOver."""
        if self._closed:
            raise SessionOver("this session is closed")
        if self._link is not None and not self._link.is_clean():
            ended = self._link.has_ended()
            outcome = self._ended().outcome
            why = self._why(outcome) if ended else "something it had left wrote on its link"
            self._over = f"the session ended after cell {self._number}: {why}"
        if self._link is None:
            raise SessionOver(self._over)
        return self._link

    def _ended(self) -> Ran:
        """End the process and all that it left, and return how it ended."""
        link, self._link = self._link, None
        if self._folder >= 0:
            os.close(self._folder)
            self._folder = -1
        if link is not None:
            link.close()
        self._over = self._over or "the box of the session broke"
        return self._slot.finish()

    def interrupt(self) -> None:
        """Interrupt the running cell, as Ctrl-C would; any thread may.

        One that has not begun yet may miss it: whoever asked looks again.
        """
        link = self._link
        if link is not None and self.busy:
            link.signal(signal.SIGINT)

    def restart(self) -> None:
        """Begin anew: no state, no files, new budgets."""
        with self._lock:
            if self._closed:
                raise SessionOver("this session is closed")
            if self._link is not None:
                self._ended()
            self._start()

    async def arun(self, source: str) -> CellResult:
        """Run a cell without blocking the event loop; a cancelled one is interrupted."""
        # A thread of its own: the event loop's are few, and a cell may take long.
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="session")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self.run, source)
        except asyncio.CancelledError:
            self.interrupt()
            raise

    def run_all(self, sources: Iterable[str], *, stop_at_error: bool = False) -> list[CellResult]:
        """Run cells in order; fewer results than cells when the session ended among them."""
        results: list[CellResult] = []
        for source in sources:
            try:
                results.append(self.run(source))
            except SessionOver:
                if not results:
                    raise
                break
            if results[-1].over or (stop_at_error and not results[-1].ok):
                break
        return results

    def put(self, name: str, content: bytes) -> None:
        """Write a file of the work folder; folders on the way are made.

        Written from within the box, with the rights and limits of its cells. Raises OSError where
        that failed, ValueError for a name that leads elsewhere.
        """
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name:
            raise ValueError(f"{name!r} is not a relative path inside the work folder")
        with self._lock:
            link = self._living()
            clock = self._clock()
            try:
                parts = self._asked(link, clock, [cells.PUT, os.fsencode(name), content])
            except LinkLost as lost:
                result = self._lost(clock, str(lost))
                raise SessionOver(result.over) from None
            finally:
                self.used_at = time.monotonic()
        if parts[1] != cells.FINE:
            raise reply.error_of(parts, name)

    def get(self, name: str) -> bytes:
        """Return a file of the work folder, up to the disk limit.

        Raises FileNotFoundError where no regular file lies there; no link is followed.
        """
        with self._lock:
            self._living()
            return files.read(self._folder, name, self.limits.disk_mb << 20)

    @property
    def files(self) -> Mapping[str, int]:
        """The regular files of the work folder and their sizes in bytes; the first 1,000 found."""
        with self._lock:
            self._living()
            return files.listed(self._folder)

    def close(self) -> None:
        """End the session, a running cell too."""
        self._closed = True
        link = self._link
        if link is not None:
            link.signal(signal.SIGKILL)  # whoever waits for a cell gets its result first
        with self._lock:
            try:
                if self._link is not None:
                    self._ended()
            except SandboxBroken as error:  # whoever closes it wants nothing more of it
                log.warning("a session's box broke at its end error=%s", error)
            finally:
                self._over = "this session is closed"
                if self._thread is not None:
                    self._thread.shutdown(wait=False)
                if self._owns_slot:
                    self._slot.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.close)


def open_slot(
    box: str = "auto",
    *,
    require: str | None = None,
    packages: tuple[str, ...] = DEFAULT_PACKAGES,
) -> Slot:
    """Return a slot for sessions: in the box named, or the strongest that starts here.

    Raises SandboxUnavailable when none starts that is as strong as `require`.
    """
    if require not in (None, "auto", *STRENGTH):
        raise ValueError(f"require must be auto or one of {', '.join(STRENGTH)}, got {require!r}")
    if box not in ("auto", "namespace", "restricted", "unsafe"):
        raise ValueError(f"box must be auto, namespace, restricted or unsafe, got {box!r}")
    said = []
    for kind in ("namespace", "restricted") if box == "auto" else (box,):
        if STRENGTH[kind] < STRENGTH.get(require or "auto", 0):
            said.append(f"{kind} is weaker than the required {require}")
            continue
        try:
            return Slot(kind, packages, engine="session")
        except SandboxUnavailable as error:
            said.append(str(error))
    raise SandboxUnavailable("; ".join(said) + "; `seedcoder doctor` says how to get a box")
