"""Keep an engine alive: start it, see that it is healthy, start it again when it dies, drain it.

    keeper = Keeper(engine, log_dir=Path("logs"))
    await keeper.start()                 # returns at once
    keeper.state, keeper.why             # "starting", then "ready", or "broken" with its last words
    await keeper.stop(drain_s=30)

It never gives up: an engine that cannot start is tried again, at last once a minute, and `why`
says what its log said. An engine without a command (another server) is only looked at.
What it does not see: an engine that answers its health check and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from pathlib import Path

from serve.engines.engine import Engine, State
from serve.engines.guard import Charge
from serve.engines.health import Health, Pulse
from serve.engines.last_words import last_words
from serve.engines.places import file_stem
from serve.engines.process import Guarded, NotStarted, name_of_end
from serve.engines.terms import Particular, Terms, Turns

log = logging.getLogger(__name__)

_CLEARED_S = 1.0  # ours
_FIRST_CHECKS_S = 0.1  # ours: between checks while it starts; grows to a second


class Keeper:
    """One engine under supervision; a `Kept`. Belongs to the event loop that calls `start`."""

    def __init__(
        self,
        engine: Engine,
        *,
        log_dir: Path,
        terms: Terms | None = None,
        turns: Turns | None = None,
    ) -> None:
        """Keep `engine`; nothing is started yet.

        terms: instead of the engine's own. turns: shared by all engines of a service.
        """
        self._engine = engine
        own = engine.terms if isinstance(engine, Particular) else Terms()
        self._terms = terms or own
        self._turns = turns or Turns()
        self._name = engine.card.name
        self._log = log_dir / f"{file_stem(self._name)}.log"
        self._health = Health(
            engine.address, self._terms.health_path, answer_s=self._terms.answer_s
        )
        self._state: State = "stopped"
        self._why = "it was not started"
        self._since = time.monotonic()
        self._restarts = 0
        self._process: Guarded | None = None
        self._task: asyncio.Task[None] | None = None
        self._look = asyncio.Event()

    @property
    def engine(self) -> Engine:
        """What is kept."""
        return self._engine

    @property
    def state(self) -> State:
        """How it is doing now."""
        return self._state

    @property
    def why(self) -> str:
        """Why it is not ready, in a line; empty where it is."""
        if self._state == "starting":
            return f"{self._why} ({time.monotonic() - self._since:.0f} s so far)"
        return self._why

    @property
    def restarts(self) -> int:
        """How often it was started again."""
        return self._restarts

    @property
    def pid(self) -> int | None:
        """The engine's first process, while there is one."""
        return None if self._process is None or self._process.has_ended else self._process.pid

    @property
    def log_file(self) -> Path:
        """Where the engine's own words are written."""
        return self._log

    async def start(self) -> None:
        """Begin; returns at once, `state` tells how it goes."""
        if self._task is not None:
            return
        self._become("starting", "it is being started")
        keep = self._keep() if self._engine.command() is not None else self._look_on()
        self._task = asyncio.create_task(keep, name=f"keep-{self._name}")
        self._task.add_done_callback(self._fell)

    async def stop(self, drain_s: float) -> None:
        """End it: SIGTERM, `drain_s` seconds for what is under way, then SIGKILL."""
        if self._task is None:
            return
        self._become("draining", "it is being stopped")
        task, self._task = self._task, None
        task.cancel()
        await asyncio.wait((task,))
        if self._process is not None and not self._process.has_ended:
            self._process.ask_to_end()
            if await self._process.wait(drain_s) is None:
                log.warning("engine did not end in time name=%s drain_s=%g", self._name, drain_s)
        await self._clear()
        self._become("stopped", "it was stopped")

    def report_dead(self, why: str) -> None:
        """Say that a request found it gone: it is looked at now, not at the next check."""
        if self._state == "ready":
            log.warning("a request found an engine gone name=%s why=%s", self._name, why)
            self._look.set()

    def _become(self, state: State, why: str = "") -> None:
        if (state, why) == (self._state, self._why):
            return
        if state != self._state:
            self._since = time.monotonic()
        self._state, self._why = state, why
        level = logging.WARNING if state == "broken" else logging.INFO
        log.log(level, "engine name=%s state=%s why=%s", self._name, state, why or "-")

    def _fell(self, task: asyncio.Task[None]) -> None:
        """Say it where the keeper itself failed: a bug of ours, and nobody waits for its task."""
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("the keeper failed name=%s", self._name, exc_info=error)
            self._become("broken", f"its keeper failed: {type(error).__name__}: {error}")

    async def _keep(self) -> None:
        pause_s = self._terms.backoff_s
        while True:
            why = await self._live()
            if self._state == "ready" and self._age_s() >= self._terms.steady_s:
                pause_s = self._terms.backoff_s
            # Broken from the first moment on: clearing up what is left can take seconds.
            self._become("broken", why)
            full = why
            if self._process is not None:
                await self._clear()
                full = self._with_words(why)
            self._become("broken", f"{full}; started again in {pause_s:g} s")
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, self._terms.backoff_most_s)
            self._restarts += 1
            self._become("starting", f"it is being started again; the last time, {why}")

    def _age_s(self) -> float:
        return time.monotonic() - self._since

    def _with_words(self, why: str) -> str:
        words = last_words(self._log)
        return f"{why}; its log ({self._log}) ends: {words}" if words else why

    async def _live(self) -> str:
        """Start the engine and watch it; return why it is no more, or must not be."""
        async with self._turns.of(self._terms.device):
            why = await self._begin()
        return why or await self._watch()

    async def _begin(self) -> str:
        """Start the engine and wait until it is healthy; return why it is not, or nothing."""
        try:
            if (why := await self._prepare()) is not None:
                return why
            command = self._engine.command()
            assert command is not None
            self._process = process = await self._start(command)
        except NotStarted as error:
            return f"it could not be started: {error}"
        deadline = time.monotonic() + self._terms.start_s
        pause_s, pulse = _FIRST_CHECKS_S, Pulse(kind="gone", why="nobody listens there")
        while (left_s := deadline - time.monotonic()) > 0:
            code = await process.wait(min(pause_s, left_s))
            if code is not None:
                return f"it ended {name_of_end(code)} before it was ready"
            pulse = await self._health.ask()
            if pulse.kind == "well":
                self._look.clear()
                self._become("ready")
                return ""
            pause_s = min(pause_s * 1.5, 1.0)
        return f"it was not healthy {self._terms.start_s:g} s after its start: {pulse.why}"

    async def _prepare(self) -> str | None:
        engine = self._engine
        command = engine.preparation() if isinstance(engine, Particular) else None
        if command is None:
            return None
        self._become("starting", "what it needs is being made ready")
        self._process = await self._start(command)
        code = await self._process.ended()
        self._become("starting", "it is being started")
        return f"what it needs could not be made ready: {name_of_end(code)}" if code else None

    async def _start(self, command: Sequence[str]) -> Guarded:
        address = self._engine.address
        beside = self._log if address.socket is None else address.socket
        try:
            for folder in (self._log.parent, beside.parent):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise NotStarted(f"cannot make the folder {error.filename}: {error.strerror}") from None
        charge = Charge(
            command=tuple(command),
            log=str(self._log),
            lock=str(beside.with_suffix(".lock")),
            socket=None if address.socket is None else str(address.socket),
        )
        return await Guarded.start(charge, self._engine.environment())

    async def _watch(self) -> str:
        """Watch a healthy engine; return why it must be started again."""
        assert self._process is not None
        misses = 0
        while True:
            ended = asyncio.ensure_future(self._process.ended())
            look = asyncio.ensure_future(self._look.wait())
            try:
                await asyncio.wait(
                    (ended, look),
                    timeout=self._terms.check_s,
                    return_when=asyncio.FIRST_COMPLETED,
                )
            finally:
                ended.cancel()
                look.cancel()
            if self._process.has_ended:
                return f"it ended {name_of_end(await self._process.ended())}"
            self._look.clear()
            pulse = await self._health.ask()
            misses = 0 if pulse.kind == "well" else misses + 1
            if pulse.kind == "gone":
                # Most often it has just died: the guard says so once it has cleared up.
                if (code := await self._process.wait(_CLEARED_S)) is not None:
                    return f"it ended {name_of_end(code)}"
                return f"it runs, but {pulse.why}"
            if misses >= self._terms.misses:
                return f"{misses} checks in a row went wrong; the last: {pulse.why}"

    async def _look_on(self) -> None:
        """Look at a server that somebody else runs."""
        while True:
            pulse = await self._health.ask()
            if pulse.kind == "well":
                self._become("ready")
            else:
                address = self._engine.address
                place = address.url if address.socket is None else f"unix:{address.socket}"
                self._become("broken", f"{place}: {pulse.why}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._look.wait(), self._terms.check_s)
            self._look.clear()

    async def _clear(self) -> None:
        """Leave no process."""
        if self._process is not None:
            await self._process.kill()
            self._process = None
