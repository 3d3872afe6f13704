"""The fleet's bookkeeping: every program has one result, wherever nodes come, go, fail and die."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from concurrent.futures import Future
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from sandbox import Kind, Outcome, SandboxBroken, SandboxUnavailable
from sandbox.cli import app
from sandbox.fleet.ledger import Ledger
from sandbox.fleet.nodes import Node, NodeFacts, PoolFacts
from sandbox.jobs import Result


def _node(name: str, workers: int = 2) -> Node:
    facts = NodeFacts(node_id=name, address="", hostname=name, cpus=workers)
    pool = PoolFacts(
        box_name="namespace", box_kind="namespace", workers=workers, version="", place=b""
    )
    return Node(facts=facts, state="serving", pool=pool)


def _outcome(text: str) -> Outcome:
    return Outcome(
        kind=Kind.PASSED, exit_code=0, signal=None, stdout=text, stderr="", truncated=False,
        cpu_s=0, wall_s=0, peak_mb=0,
    )  # fmt: skip


def _fill(ledger: Ledger, count: int, first: int = 0) -> list[Future[Result]]:
    futures: list[Future[Result]] = [Future() for _ in range(count)]
    for n, future in enumerate(futures, first):
        ledger.add(str(n).encode(), future)
    return futures


def _answer_all(ledger: Ledger, node: Node) -> None:
    for number, task in list(node.in_flight.items()):
        assert ledger.settle(node, number, _outcome(task.parcel.decode()))


def test_programs_go_where_there_are_the_fewest_for_each_worker() -> None:
    ledger, small, large = Ledger(2), _node("small", 1), _node("large", 4)
    _fill(ledger, 5)
    ledger.assign([small, large])
    assert (len(small.in_flight), len(large.in_flight)) == (1, 4)


def test_a_node_gets_no_more_than_it_has_room_for() -> None:
    ledger, node = Ledger(2), _node("a", 2)
    _fill(ledger, 100)
    ledger.assign([node])
    assert len(node.in_flight) == node.room == 4
    assert len(ledger) == 96
    node.answered(1000, 1.0)  # a fast one gets more ahead
    ledger.assign([node])
    assert 20 < len(node.in_flight) == node.room < 300


def test_a_node_that_does_not_serve_gets_nothing() -> None:
    ledger, node = Ledger(2), _node("a")
    node.state = "starting"
    _fill(ledger, 3)
    assert ledger.assign([node]) == []
    assert len(ledger) == 3


def test_what_a_dead_node_had_goes_first_and_to_others() -> None:
    ledger, dead, alive = Ledger(2), _node("dead"), _node("alive")
    futures = _fill(ledger, 10)
    ledger.assign([dead])
    had = [task.parcel.decode() for task in dead.in_flight.values()]
    assert ledger.lost(dead, "killed") == 4
    ledger.assign([alive])
    assert [task.parcel.decode() for task in alive.in_flight.values()] == had
    while any(not future.done() for future in futures):
        _answer_all(ledger, alive)
        ledger.assign([alive])
    assert [future.result().stdout for future in futures] == [str(n) for n in range(10)]


def test_a_late_result_of_a_dead_node_is_not_taken() -> None:
    ledger, dead, alive = Ledger(2), _node("dead"), _node("alive")
    (future,) = _fill(ledger, 1)
    ledger.assign([dead])
    (number,) = dead.in_flight
    ledger.lost(dead, "gone")
    assert not ledger.settle(dead, number, _outcome("late"))
    ledger.assign([alive])
    (again,) = alive.in_flight
    assert again != number
    assert ledger.settle(alive, again, _outcome("0"))
    assert not ledger.settle(alive, again, _outcome("again"))
    assert future.result().stdout == "0"  # type: ignore[union-attr]


def test_a_program_that_kills_every_node_is_given_up_and_its_neighbours_are_not() -> None:
    """The poison is among 100; every node it lands on dies at once, with all that it has."""
    ledger = Ledger(requeues=2)
    futures = _fill(ledger, 100)
    nodes = [_node("a", 4), _node("b", 4)]
    deaths = 0
    for _ in range(1000):
        ledger.assign(nodes)
        for node in nodes:
            node.unsent()
            if any(task.parcel.decode() == "50" for task in node.in_flight.values()):
                ledger.lost(node, "poisoned")
                deaths += 1
            else:
                _answer_all(ledger, node)
        if all(future.done() for future in futures):
            break
    with pytest.raises(SandboxBroken, match="3 pools ended while they had this program"):
        futures[50].result()
    assert deaths == 3
    others = [future for n, future in enumerate(futures) if n != 50]
    assert all(future.exception() is None for future in others)


def test_two_programs_under_suspicion_are_never_on_one_node() -> None:
    ledger, node = Ledger(requeues=5), _node("a", 4)
    _fill(ledger, 6)
    for _ in range(2):
        ledger.assign([node])
        node.unsent()
        ledger.lost(node, "killed")
    ledger.assign([node])
    assert len(node.in_flight) == 1
    _fill(ledger, 3, first=6)  # those that were never on a dead node are not held up
    ledger.assign([node])
    assert len(node.in_flight) == 4


def test_what_was_never_sent_is_not_suspected() -> None:
    ledger, node = Ledger(requeues=0), _node("a")
    (future,) = _fill(ledger, 1)
    ledger.assign([node])
    ledger.lost(node, "before anything was sent")
    assert not future.done()
    ledger.assign([node])
    node.unsent()
    ledger.lost(node, "after")
    assert isinstance(future.exception(), SandboxBroken)


def test_a_box_that_breaks_is_tried_again_a_bounded_number_of_times() -> None:
    ledger, node = Ledger(requeues=2), _node("a")
    (future,) = _fill(ledger, 1)
    for attempt in range(3):
        assert not future.done()
        ledger.assign([node])
        (number,) = node.in_flight
        ledger.settle(node, number, SandboxBroken(f"broke {attempt}"))
    assert str(future.exception()) == "broke 2"


def test_a_node_that_cannot_judge_a_program_leaves_it_to_others() -> None:
    ledger, a, b = Ledger(2), _node("a"), _node("b")
    (future,) = _fill(ledger, 1)
    for node in (a, b):
        ledger.assign([a, b])
        (number,) = node.in_flight
        ledger.settle(node, number, SandboxUnavailable(f"no Haskell on {node.facts.node_id}"))
    ledger.assign([a, b])
    assert str(future.exception()) == "no Haskell on b"


def test_a_message_holds_a_bounded_number_of_bytes() -> None:
    ledger, node = Ledger(2), _node("a", 4)
    for size_mb in (3, 2, 9, 1):
        ledger.add(bytes(size_mb << 20), Future())
    ledger.assign([node])
    sent = []
    while tasks := node.unsent():
        sent.append([len(task.parcel) >> 20 for task in tasks])
    assert sent == [[3], [2], [9], [1]]
    assert len(node.in_flight) == 4


def test_a_cancelled_program_is_not_given_out() -> None:
    ledger, node = Ledger(2), _node("a")
    futures = _fill(ledger, 3)
    futures[1].cancel()
    ledger.assign([node])
    assert [task.parcel.decode() for task in node.in_flight.values()] == ["0", "2"]


@given(st.integers(0, 2**32), st.integers(1, 60), st.integers(1, 4))
def test_every_program_ends_in_exactly_one_result(seed: int, count: int, members: int) -> None:
    """Nodes die, join, break boxes and answer in any order; nothing is lost, nothing is doubled."""
    rng = random.Random(seed)
    ledger = Ledger(requeues=2)
    futures = _fill(ledger, count)
    settled = [0] * count
    for n, future in enumerate(futures):
        future.add_done_callback(lambda _, n=n: settled.__setitem__(n, settled[n] + 1))
    nodes = [_node(str(n), rng.randint(1, 3)) for n in range(members)]
    for step in range(10_000):
        if all(future.done() for future in futures):
            break
        ledger.assign(nodes)
        place = rng.randrange(len(nodes))
        node = nodes[place]
        if rng.random() < 0.5:
            node.unsent()
        if rng.random() < 0.05:
            ledger.lost(node, "died")
            nodes[place] = _node(f"new {step}", rng.randint(1, 3))
        elif node.in_flight:
            number = rng.choice(list(node.in_flight))
            task = node.in_flight[number]
            fails = rng.random() < 0.1
            ledger.settle(
                node, number, SandboxBroken("x") if fails else _outcome(task.parcel.decode())
            )
    assert settled == [1] * count
    for n, future in enumerate(futures):
        error = future.exception()
        assert isinstance(error, SandboxBroken) or future.result().stdout == str(n)  # type: ignore[union-attr]


def test_the_sandbox_and_its_command_load_no_ray() -> None:
    code = "import sandbox.cli, sandbox.fleet, sys; sys.exit('ray' in sys.modules)"
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environ).returncode == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--address", "ray://host:1"], "address must be auto, local or HOST:PORT"),
        (["--box", "castle", "--address", "ray://"], "address must be"),
        (["--programs", "0"], "--programs must be positive, got 0"),
        (["--workers-per-node", "-1"], "workers_per_node must be positive, got -1"),
        (["run", "/no/such/file"], "cannot read /no/such/file"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(words: list[str], says: str) -> None:
    ran = CliRunner().invoke(app, ["fleet", *words])
    assert ran.exit_code == 2, ran.output
    assert says in ran.output
    assert len(ran.output.splitlines()) == 1


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", ":2: "),
        ('{"program": {"source": "1"}}', ":2: "),
        ('{"key": "a", "program": {"source": "1"}}', ":2: the key 'a' came before"),
        ('{"key": "b", "program": {"source": "1", "language": "cobol"}}', "cobol"),
    ],
)
def test_a_bad_line_of_a_file_is_named_before_anything_runs(
    line: str, says: str, tmp_path: Path
) -> None:
    jobs = tmp_path / "jobs.jsonl"
    jobs.write_text('{"key": "a", "program": {"source": "1"}}\n' + line + "\n")
    ran = CliRunner().invoke(app, ["fleet", "run", str(jobs)])
    assert ran.exit_code == 2
    assert says in ran.output and len(ran.output.splitlines()) == 1
