"""The fleet on a real Ray cluster of two nodes, one of them killed in the middle."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sandbox import (
    AssertTests,
    CallTests,
    Job,
    Kind,
    Limits,
    Outcome,
    Program,
    SandboxBroken,
    SandboxError,
    SandboxUnavailable,
    StdioTests,
    TestsBroken,
)
from sandbox.cli import app
from sandbox.fleet import Fleet

pytestmark = [
    pytest.mark.alone,
    pytest.mark.slow,
    # Not imported here: it reads its settings when it is.
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed"),
]
LIMITS = Limits(cpu_s=2, wall_s=60, memory_mb=256)


@pytest.fixture(scope="module")
def fleet(ray_cluster: Any) -> Iterator[Fleet]:
    """A fleet of one worker a node."""
    with Fleet(
        ray_cluster.address, workers_per_node=1, confirm_timeouts=False, node_wait_s=30
    ) as made:
        yield made


def _until(true: Callable[[], bool], within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.05)


def _echo(n: int, sleep_s: float = 0.0) -> Job:
    source = f"import time\ntime.sleep({sleep_s})\nprint({n})"
    return Job(program=Program.python(source), limits=LIMITS, key=str(n))


def _serving(fleet: Fleet) -> int:
    return sum(node.state == "serving" for node in fleet.nodes())


def test_a_fleet_judges_as_a_pool_does(fleet: Fleet) -> None:
    assert _serving(fleet) == fleet.workers == 2
    assert fleet.box_name == f"fleet:{fleet.box_kind}"
    echo = Program.python("print(input())")
    assert fleet.judge(echo, StdioTests.of(("a\n", "a\n")), LIMITS).ok
    assert fleet.judge(echo, StdioTests.of(("a\n", "b\n")), LIMITS).kind is Kind.WRONG
    calls = CallTests.of("add", ((1, 2), 3))
    assert fleet.judge(Program.python("def add(a, b): return a + b"), calls, LIMITS).ok
    assert fleet.run(Program.python("1 / 0"), LIMITS).kind is Kind.CRASHED
    outcome = fleet.submit(
        Program.python("open('x', 'w').write('y')"), None, LIMITS, collect=("x",)
    ).result()
    assert isinstance(outcome, Outcome) and outcome.files == {"x": b"y"}
    with pytest.raises(TestsBroken):
        broken = AssertTests(test="syntax error here", entry_point="add")
        fleet.judge(Program.python("def add(a, b): return a + b"), broken, LIMITS)


def test_results_come_in_order_or_as_completed(fleet: Fleet) -> None:
    jobs = [_echo(n, 0.3 if n == 0 else 0) for n in range(40)]
    inorder = [one.stdout for one in fleet.map(jobs) if isinstance(one, Outcome)]
    assert inorder == [f"{n}\n" for n in range(40)]
    pairs = list(fleet.map_jobs(jobs, ordered=False))
    assert sorted(int(job.key) for job, _ in pairs) == list(range(40))
    assert all(result.stdout.strip() == job.key for job, result in pairs)  # type: ignore[union-attr]
    assert pairs[0][0].key != "0"


def test_jobs_are_taken_only_as_fast_as_the_fleet_works(fleet: Fleet) -> None:
    taken = 0

    def jobs() -> Iterator[Job]:
        nonlocal taken
        for n in range(10_000):
            taken += 1
            yield _echo(n)

    results = fleet.map(jobs())
    for _ in range(10):
        next(results)
    assert taken < 1000
    results.close()  # type: ignore[attr-defined]


def test_the_event_loop_goes_on_while_a_fleet_judges(fleet: Fleet) -> None:
    async def all_of_them() -> tuple[list[str], int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.01)

        ticking = asyncio.create_task(tick())
        outcome = await fleet.arun(Program.python("print('a')"), LIMITS)
        found = [outcome.stdout.strip()]
        async for one in fleet.amap(_echo(n, 0.05) for n in range(10)):
            assert isinstance(one, Outcome)
            found.append(one.stdout.strip())
        ticking.cancel()
        return found, ticks

    found, ticks = asyncio.run(all_of_them())
    assert found == ["a", *map(str, range(10))]
    assert ticks > 10


def test_both_nodes_work(fleet: Fleet) -> None:
    before = {node.node_id: node.done for node in fleet.nodes()}
    list(fleet.map([_echo(n, 0.02) for n in range(40)]))
    gained = [node.done - before[node.node_id] for node in fleet.nodes()]
    assert sum(gained) == 40
    assert min(gained) >= 10


def _pids_of_pools() -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if b"ray::NodePool" in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return sorted(found)


def test_a_pool_that_is_killed_comes_back_on_its_node_and_nothing_is_lost(fleet: Fleet) -> None:
    victim = _pids_of_pools()[0]
    got: dict[str, str] = {}
    for job, result in fleet.map_jobs((_echo(n, 0.01) for n in range(100)), ordered=False):
        assert isinstance(result, Outcome), result
        assert job.key not in got
        got[job.key] = result.stdout
        if len(got) == 30:
            os.kill(victim, signal.SIGKILL)
    assert got == {str(n): f"{n}\n" for n in range(100)}
    _until(lambda: _serving(fleet) == 2, 30)
    assert sum(node.restarts for node in fleet.nodes()) == 1


def _kills_its_pool(got: object, expected: object) -> bool:
    """A comparer of the user's own runs outside every box: it can kill what judges."""
    os.kill(os.getpid(), signal.SIGKILL)
    return True


def test_what_cannot_travel_is_refused_and_what_cannot_be_judged_is_raised(fleet: Fleet) -> None:
    lock = threading.Lock()

    def holds_a_lock(got: object, expected: object) -> bool:
        return lock.locked()

    def fails(got: object, expected: object) -> bool:
        raise KeyError("of the user's own")

    program = Program.python("def f(): return 1")
    with pytest.raises(TypeError, match="pickle"):
        fleet.judge(program, CallTests.of("f", ((), 1), comparer=holds_a_lock), LIMITS)
    with pytest.raises(SandboxError, match="KeyError"):
        fleet.judge(program, CallTests.of("f", ((), 1), comparer=fails), LIMITS)
    big = Program(source="print(len(open('a').read()))", files={"a": b"x" * (3 << 20)})
    jobs = [Job(program=big, limits=LIMITS)] * 6  # more than a message holds
    assert {one.stdout for one in fleet.map(jobs) if isinstance(one, Outcome)} == {"3145728\n"}
    assert _serving(fleet) == 2  # the control: nobody was hurt


def test_a_poison_that_kills_every_pool_is_given_up_and_takes_nobody_along(fleet: Fleet) -> None:
    restarts = sum(node.restarts for node in fleet.nodes())
    tests = CallTests.of("f", ((), 1), comparer=_kills_its_pool)
    poison = Job(program=Program.python("def f(): return 1"), tests=tests, limits=LIMITS, key="-")
    jobs = [*(_echo(n) for n in range(20)), poison, *(_echo(n) for n in range(20, 40))]
    results = {job.key: result for job, result in fleet.map_jobs(jobs, ordered=False)}
    error = results.pop("-")
    assert isinstance(error, SandboxBroken)
    assert "3 pools ended while they had this program" in str(error)
    assert {key: one.stdout for key, one in results.items() if isinstance(one, Outcome)} == {
        str(n): f"{n}\n" for n in range(40)
    }
    _until(lambda: _serving(fleet) == 2, 30)
    assert sum(node.restarts for node in fleet.nodes()) == restarts + 3


def test_a_node_with_a_weaker_box_than_required_is_refused_aloud(
    ray_cluster: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(SandboxUnavailable, match="unsafe is weaker than the required restricted"):
        Fleet(
            ray_cluster.address,
            workers_per_node=1,
            reserve_cpus=0,
            box="unsafe",
            require="restricted",
        )
    assert "a node is refused" in caplog.text


def test_the_command_checks_every_node_and_runs_a_file(ray_cluster: Any, tmp_path: Path) -> None:
    runner = CliRunner()
    command = ["fleet", "--address", ray_cluster.address, "--workers-per-node", "1", "--share"]
    shown = runner.invoke(app, [*command, "--json", "--programs", "20"])
    assert shown.exit_code == 0, shown.output
    found = json.loads(shown.stdout)
    assert found["ok"] and found["workers"] == 2 and found["programs_per_s"] > 0
    assert [node["check"]["ok"] for node in found["nodes"]] == [True, True]
    jobs = tmp_path / "jobs.jsonl"
    lines = [{"key": str(n), "program": {"source": f"print({n})"}} for n in range(20)]
    jobs.write_text("".join(json.dumps(line) + "\n" for line in lines))
    ran = runner.invoke(app, [*command, "run", str(jobs)])
    assert ran.exit_code == 0, ran.output
    rows = [json.loads(line) for line in ran.stdout.splitlines()]
    assert {row["key"]: row["outcome"]["stdout"] for row in rows} == {
        str(n): f"{n}\n" for n in range(20)
    }


def test_400_jobs_survive_the_death_of_a_node_and_a_new_node_is_used(
    ray_cluster: Any, fleet: Fleet
) -> None:
    # Another fleet, which only the second node is large enough for.
    lonely = Fleet(
        ray_cluster.address,
        workers_per_node=1,
        reserve_cpus=2,
        confirm_timeouts=False,
        node_wait_s=1,
    )
    with lonely:
        known = {node.node_id for node in fleet.nodes()}
        hopeless = lonely.submit(_echo(1, 50).program, None, LIMITS)
        began = time.monotonic()
        got: dict[str, str] = {}
        for job, result in fleet.map_jobs((_echo(n, 0.01) for n in range(400)), ordered=False):
            assert isinstance(result, Outcome), result
            assert job.key not in got
            got[job.key] = result.stdout
            if len(got) == 150:
                ray_cluster.kill(ray_cluster.second)
        assert got == {str(n): f"{n}\n" for n in range(400)}
        assert time.monotonic() - began < 40
        _until(lambda: _serving(fleet) == 1, 30)
        assert [node.state for node in fleet.nodes()].count("lost") == 1
        # Where no node is left, what waits is told so, and not for ever.
        with pytest.raises(SandboxUnavailable, match="no node of the fleet serves"):
            hopeless.result(timeout=30)
        ray_cluster.second = ray_cluster.add(cpus=3)
        _until(lambda: _serving(fleet) == 2, 60)
        _until(lambda: _serving(lonely) == 1, 60)
        assert lonely.run(_echo(7).program, LIMITS).stdout == "7\n"
        list(fleet.map([_echo(n, 0.02) for n in range(20)]))
        (new,) = (node for node in fleet.nodes() if node.node_id not in known)
        assert new.done > 0


def test_a_closed_fleet_answers_what_it_has_and_takes_no_more(ray_cluster: Any) -> None:
    made = Fleet(ray_cluster.address, workers_per_node=1, reserve_cpus=0)
    futures = [made.submit(_echo(n).program, None, LIMITS) for n in range(10)]
    made.close()
    assert [future.result().stdout for future in futures] == [  # type: ignore[union-attr]
        f"{n}\n" for n in range(10)
    ]
    made.close()
    with pytest.raises(RuntimeError, match="closed"):
        made.run(Program.python("1"), LIMITS)
