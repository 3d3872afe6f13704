"""Engines as real processes: started, watched, started again, drained, never left behind."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvloop

from serve.card import ModelCard
from serve.engines import guard
from serve.engines.engine import Address, Feature
from serve.engines.keeper import Keeper
from serve.engines.terms import Terms, Turns
from serve.engines.upstream_engine import UpstreamEngine

DOUBLE = Path(__file__).parent / "engine_double.py"
ROOT = Path(__file__).parents[2]
QUICK = Terms(start_s=20, check_s=0.2, answer_s=0.5, misses=2, backoff_s=0.1, backoff_most_s=0.4)


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubleEngine:
    """An engine whose command is the double's."""

    address: Address
    words: tuple[str, ...] = ()
    before: tuple[str, ...] | None = None
    terms: Terms = QUICK
    features: frozenset[Feature] = frozenset()
    card: ModelCard = field(
        default_factory=lambda: ModelCard(name="double", role="base", context_tokens=64)
    )

    def command(self) -> tuple[str, ...]:
        """Return how it is started."""
        return (sys.executable, "-I", "-S", str(DOUBLE), str(self.address.socket), *self.words)

    def preparation(self) -> tuple[str, ...] | None:
        """Return what goes before."""
        return self.before

    def environment(self) -> Mapping[str, str]:
        """Return a word that the double says again."""
        return {"ENGINE_WORD": "plums"}


def engine(folder: Path, *words: str, **fields: Any) -> DoubleEngine:
    """Return an engine that listens in a folder."""
    address = Address(socket=folder / "double.sock", model="double")
    return DoubleEngine(address=address, words=words, **fields)


async def until(found: Callable[[], Any], within_s: float = 20) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + within_s
    while not found():
        assert time.monotonic() < deadline, "it did not come about"
        await asyncio.sleep(0.01)


async def ask(address: Address, path: str = "/") -> str:
    """Return what the engine answers."""
    connector = aiohttp.UnixConnector(str(address.socket))
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.get(f"http://engine{path}") as answer,
    ):
        return await answer.text()


def with_keeper(
    one: DoubleEngine,
    work: Callable[[Keeper], Coroutine[Any, Any, None]],
    drain_s: float = 5,
    loop: Callable[[Coroutine[Any, Any, None]], None] = asyncio.run,
    **given: Any,
) -> Keeper:
    """Keep an engine while something is done with it."""
    assert one.address.socket is not None
    keeper = Keeper(one, log_dir=one.address.socket.parent, **given)

    async def whole() -> None:
        await keeper.start()
        try:
            await work(keeper)
        finally:
            await keeper.stop(drain_s)

    loop(whole())
    return keeper


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.slow
@pytest.mark.parametrize("loop", [asyncio.run, uvloop.run])
def test_an_engine_becomes_ready_and_is_ended_in_good_order(
    tmp_path: Path, loop: Callable[[Coroutine[Any, Any, None]], None]
) -> None:
    seen: list[int] = []

    async def work(keeper: Keeper) -> None:
        assert (keeper.state, keeper.restarts) == ("starting", 0)
        assert keeper.why.startswith("it is being started (0 s so far)")
        await until(lambda: keeper.state == "ready")
        assert keeper.why == ""
        assert keeper.pid is not None
        assert int((await ask(keeper.engine.address)).split()[0]) == keeper.pid
        seen.append(keeper.pid)

    keeper = with_keeper(engine(tmp_path), work, loop=loop)
    assert (keeper.state, keeper.pid) == ("stopped", None)
    assert not is_alive(seen[0])
    said = keeper.log_file.read_text()
    assert "plums" in said
    assert said.endswith("ended in good order\n")
    assert not (tmp_path / "double.sock").exists()


def test_what_engines_say_is_for_this_user_only(tmp_path: Path) -> None:
    async def work(keeper: Keeper) -> None:
        await until(lambda: keeper.state == "ready")
        assert keeper.log_file.stat().st_mode & 0o077 == 0

    with_keeper(engine(tmp_path), work)


@pytest.mark.slow
def test_an_engine_killed_with_9_comes_back_and_its_family_is_gone(tmp_path: Path) -> None:
    async def work(keeper: Keeper) -> None:
        await until(lambda: keeper.state == "ready")
        first = keeper.pid
        assert first is not None
        family = [int(word) for word in (tmp_path / "double.family").read_text().split()]
        assert all(map(is_alive, family))
        os.kill(first, signal.SIGKILL)
        await until(lambda: keeper.state == "broken")
        await until(lambda: "started again in 0.1 s" in keeper.why)
        assert "it ended by SIGKILL" in keeper.why
        assert not any(map(is_alive, [first, *family]))
        await until(lambda: keeper.state == "starting")
        assert "started again; the last time, it ended by SIGKILL (" in keeper.why
        await until(lambda: keeper.state == "ready")
        assert keeper.restarts == 1
        assert keeper.pid not in (None, first)
        assert int((await ask(keeper.engine.address)).split()[0]) == keeper.pid

    with_keeper(engine(tmp_path, "family"), work)


@pytest.mark.slow
def test_an_engine_that_cannot_start_is_said_so_with_its_last_words(tmp_path: Path) -> None:
    pauses: list[str] = []

    async def work(keeper: Keeper) -> None:
        for number in range(4):
            await until(lambda: "; started again in" in keeper.why)
            assert keeper.state == "broken"
            pauses.append(keeper.why.rpartition("again in ")[2])
            assert "it ended with exit code 3 before it was ready" in keeper.why
            assert "ValueError: the weights are too heavy | cleaning up 3" in keeper.why
            assert "cleaning up 7" in keeper.why
            assert "loading" not in keeper.why  # nor the words of the start before
            assert "\n" not in keeper.why
            await until(lambda before=number: keeper.restarts > before)

    with_keeper(engine(tmp_path, "exit"), work)
    assert pauses == ["0.1 s", "0.2 s", "0.4 s", "0.4 s"]


@pytest.mark.slow
def test_an_engine_that_never_gets_healthy_is_said_so_and_ended(tmp_path: Path) -> None:
    terms = Terms(start_s=1, backoff_s=30, answer_s=0.5)

    async def work(keeper: Keeper) -> None:
        await until(lambda: keeper.pid is not None)
        pid = keeper.pid
        await until(lambda: "; started again in" in keeper.why)
        assert keeper.state == "broken"
        assert (
            "it was not healthy 1 s after its start: its health check says HTTP 503" in keeper.why
        )
        assert '"GET /health HTTP/1.1" 503' in keeper.why  # from its log
        assert pid is not None
        assert not is_alive(pid)

    with_keeper(engine(tmp_path, "ill"), work, terms=terms)


def test_a_command_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    class Absent(DoubleEngine):
        def command(self) -> tuple[str, ...]:
            return ("/no/such/engine",)

    async def work(keeper: Keeper) -> None:
        await until(lambda: "; started again in" in keeper.why)
        assert "could not be started: No such file or directory: /no/such/engine" in keeper.why

    address = Address(socket=tmp_path / "double.sock", model="double")
    with_keeper(Absent(address=address), work)


@pytest.mark.slow
def test_a_stuck_engine_is_started_again(tmp_path: Path) -> None:
    async def work(keeper: Keeper) -> None:
        await until(lambda: keeper.state == "ready")
        assert keeper.pid is not None
        os.kill(keeper.pid, signal.SIGSTOP)
        await until(lambda: keeper.state == "broken")
        assert "2 checks in a row went wrong" in keeper.why
        await until(lambda: keeper.state == "ready")
        assert keeper.restarts == 1

    with_keeper(engine(tmp_path), work)


@pytest.mark.slow
def test_a_report_makes_it_look_at_once(tmp_path: Path) -> None:
    terms = Terms(start_s=20, check_s=600, backoff_s=0.1)

    async def work(keeper: Keeper) -> None:
        await until(lambda: keeper.state == "ready")
        socket = keeper.engine.address.socket
        assert socket is not None
        keeper.report_dead("a false alarm")
        await asyncio.sleep(0.2)
        assert (keeper.state, keeper.restarts) == ("ready", 0)
        socket.unlink()  # it runs, and nobody can come to it
        keeper.report_dead("connection refused")
        await until(lambda: keeper.restarts == 1 and keeper.state == "ready")
        assert await ask(keeper.engine.address)

    with_keeper(engine(tmp_path), work, terms=terms)


@pytest.mark.slow
def test_an_answer_under_way_is_drained(tmp_path: Path) -> None:
    async def work() -> None:
        keeper = Keeper(engine(tmp_path), log_dir=tmp_path)
        await keeper.start()
        await until(lambda: keeper.state == "ready")
        asked = asyncio.create_task(ask(keeper.engine.address, "/slow"))
        await until(lambda: "double.sock" in Path("/proc/net/unix").read_text())
        await asyncio.sleep(0.1)
        stopping = asyncio.create_task(keeper.stop(20))
        await until(lambda: keeper.state == "draining")
        await asyncio.sleep(0.2)
        assert not asked.done()
        (tmp_path / "double.go").touch()
        assert "/slow" in await asked
        await stopping
        assert keeper.state == "stopped"
        assert keeper.log_file.read_text().endswith("ended in good order\n")

    asyncio.run(work())


@pytest.mark.slow
def test_one_that_will_not_end_is_killed_when_its_time_is_over(tmp_path: Path) -> None:
    seen: list[int] = []

    async def work(keeper: Keeper) -> None:
        await until(lambda: keeper.state == "ready")
        assert keeper.pid is not None
        seen.append(keeper.pid)
        seen.extend(int(word) for word in (tmp_path / "double.family").read_text().split())

    with_keeper(engine(tmp_path, "stubborn", "family"), work, drain_s=0.3)
    assert not any(map(is_alive, seen))


@pytest.mark.slow
def test_a_loop_that_ends_first_leaves_nothing_to_the_collector(tmp_path: Path) -> None:
    """What the collector would have to close then becomes an error of the test run."""
    seen: list[int] = []

    async def life() -> None:
        keeper = Keeper(engine(tmp_path, "family"), log_dir=tmp_path)
        await keeper.start()
        await until(lambda: keeper.state == "ready")
        assert keeper.pid is not None
        seen.append(keeper.pid)

    asyncio.run(life())
    gc.collect()
    asyncio.run(until(lambda: not is_alive(seen[0])))


GATEWAY = """
import asyncio, importlib.util, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("kit", sys.argv[1])
kit = importlib.util.module_from_spec(spec)
sys.modules["kit"] = kit
spec.loader.exec_module(kit)
async def main():
    folder = Path(sys.argv[2])
    keeper = kit.Keeper(kit.engine(folder, "family", "stubborn"), log_dir=folder)
    await keeper.start()
    await kit.until(lambda: keeper.state == "ready")
    print(keeper.pid, keeper._process._guard.pid, flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize("killed", ["gateway", "guard", "interrupt"])
def test_whoever_is_killed_with_9_no_engine_is_left_behind(tmp_path: Path, killed: str) -> None:
    gateway = subprocess.Popen(
        [sys.executable, "-c", GATEWAY, __file__, str(tmp_path)],
        stdout=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True,
    )  # fmt: skip
    try:
        assert gateway.stdout is not None
        pid, keeping = map(int, gateway.stdout.readline().split())
        family = [int(word) for word in (tmp_path / "double.family").read_text().split()]
        assert all(map(is_alive, [pid, keeping, *family]))
        if killed == "guard":
            os.kill(keeping, signal.SIGKILL)
            family = []  # its children are then their own affair, as the guard's docstring says
        elif killed == "gateway":
            gateway.kill()
        else:
            # Ctrl-C goes to the terminal's whole group; the engine must not be in it.
            os.killpg(gateway.pid, signal.SIGINT)
        asyncio.run(until(lambda: not any(map(is_alive, [pid, keeping, *family]))))
    finally:
        for left in (tmp_path / "double.family").read_text().split():
            if is_alive(int(left)):
                os.kill(int(left), signal.SIGKILL)
        gateway.kill()
        gateway.wait()


def test_two_services_do_not_share_a_socket(tmp_path: Path) -> None:
    async def work(keeper: Keeper) -> None:
        await until(lambda: keeper.state == "ready")
        second = Keeper(engine(tmp_path), log_dir=tmp_path)
        await second.start()
        await until(lambda: second.state == "broken")
        assert "another service keeps this engine already" in second.why
        await second.stop(1)
        assert (keeper.state, keeper.restarts) == ("ready", 0)
        assert int((await ask(keeper.engine.address)).split()[0]) == keeper.pid

    with_keeper(engine(tmp_path), work)


def test_what_an_engine_needs_is_made_ready_before_each_start(tmp_path: Path) -> None:
    made = tmp_path / "made"
    before = (sys.executable, "-c", f"open({str(made)!r}, 'a').write('x')")

    async def work(keeper: Keeper) -> None:
        await until(lambda: keeper.state == "ready")
        assert made.read_text() == "x"

    with_keeper(engine(tmp_path, before=before), work)


def test_a_preparation_that_fails_is_said_so(tmp_path: Path) -> None:
    before = (sys.executable, "-c", "raise SystemExit('no disk is left')")

    async def work(keeper: Keeper) -> None:
        await until(lambda: "; started again in" in keeper.why)
        assert "could not be made ready: with exit code 1" in keeper.why
        assert "no disk is left" in keeper.why

    with_keeper(engine(tmp_path, before=before), work)


def test_stopping_while_it_is_made_ready_does_not_wait_for_it(tmp_path: Path) -> None:
    before = (sys.executable, "-c", "import time; time.sleep(600)")
    seen: list[int] = []

    async def work(keeper: Keeper) -> None:
        await until(lambda: keeper.pid is not None)
        assert keeper.why.startswith("what it needs is being made ready")
        assert keeper.pid is not None
        seen.append(keeper.pid)

    with_keeper(engine(tmp_path, before=before), work, drain_s=5)
    assert not is_alive(seen[0])


def test_a_log_does_not_grow_without_bound(tmp_path: Path) -> None:
    async def work(keeper: Keeper) -> None:
        await until(lambda: keeper.state == "ready")
        kept = [keeper.log_file, Path(f"{keeper.log_file}.1")]
        assert all(file.stat().st_size < guard.LOG_BYTES + (1 << 20) for file in kept)
        assert sorted(tmp_path.glob("*.log*")) == sorted(kept)

    with_keeper(engine(tmp_path, "chatty"), work)


def test_a_charge_comes_back_from_its_argument() -> None:
    charge = guard.Charge(command=("a", "b c"), log="/l", lock="/k", socket=None)
    assert guard.Charge.from_argument(charge.to_argument()) == charge
    assert json.loads(charge.to_argument())["command"] == ["a", "b c"]


@contextmanager
def running(folder: Path, *words: str) -> Iterator[Address]:
    """Run the double as somebody else would."""
    socket = folder / "theirs.sock"
    command = [sys.executable, "-I", "-S", str(DOUBLE), str(socket), *words]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        asyncio.run(until(socket.exists))
        yield Address(socket=socket, model="theirs")
    finally:
        process.kill()
        process.wait()
        socket.unlink()


def looking_on(folder: Path, **headers: str) -> Keeper:
    """Return the keeper of a server that somebody else runs."""
    address = Address(socket=folder / "theirs.sock", model="theirs", headers=headers)
    card = ModelCard(name="theirs", role="base", context_tokens=64)
    one = UpstreamEngine(card=card, address=address, features=frozenset(), terms=QUICK)
    return Keeper(one, log_dir=folder)


def test_a_server_of_somebody_else_is_looked_at_and_left_alone(tmp_path: Path) -> None:
    keeper = looking_on(tmp_path)

    async def life() -> None:
        await keeper.start()
        await until(lambda: keeper.state == "broken")
        assert "nobody listens there (No such file or directory)" in keeper.why
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", str(DOUBLE), str(tmp_path / "theirs.sock"),
            stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        await until(lambda: keeper.state == "ready")
        assert (keeper.why, keeper.restarts, keeper.pid) == ("", 0, None)
        process.kill()
        await process.wait()
        await until(lambda: keeper.state == "broken")
        assert "nobody listens there (Connection refused)" in keeper.why
        await keeper.stop(1)
        assert keeper.state == "stopped"

    asyncio.run(life())


@pytest.mark.parametrize(("key", "state"), [("Bearer sk-1", "ready"), ("Bearer sk-2", "broken")])
def test_a_server_that_refuses_the_key_is_said_so(tmp_path: Path, key: str, state: str) -> None:
    keeper = looking_on(tmp_path, Authorization=key)

    async def life() -> None:
        await keeper.start()
        await until(lambda: keeper.state != "starting")
        assert keeper.state == state
        assert ("does not accept our key (HTTP 401)" in keeper.why) == (state == "broken")
        await keeper.stop(1)

    with running(tmp_path, "locked"):
        asyncio.run(life())


@pytest.mark.slow
def test_engines_of_one_device_start_one_after_the_other(tmp_path: Path) -> None:
    terms = Terms(start_s=20, device="gpu 0")

    async def whole() -> None:
        turns = Turns()
        folders = [tmp_path / "a", tmp_path / "b"]
        for folder in folders:
            folder.mkdir()
        # The first stays unhealthy until it is ended; only then is it the other's turn.
        first = Keeper(
            engine(folders[0], "ill"), log_dir=folders[0], terms=Terms(start_s=2, device="gpu 0"),
            turns=turns,
        )  # fmt: skip
        second = Keeper(engine(folders[1]), log_dir=folders[1], terms=terms, turns=turns)
        await first.start()
        await until(lambda: first.pid is not None)
        await second.start()
        while first.state == "starting":
            assert second.pid is None
            await asyncio.sleep(0.01)
        await until(lambda: second.state == "ready")
        await asyncio.gather(first.stop(1), second.stop(1))

    asyncio.run(whole())
