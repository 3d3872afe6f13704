"""Many sessions by id: bounded, swept, and independent of each other."""

from __future__ import annotations

import threading
import time

import pytest

from sandbox import Kind, Limits
from sandbox.session.many import Sessions, SessionsFull, UnknownSession
from sandbox.session.result import SessionOver

LIMITS = Limits(cpu_s=20, wall_s=60, memory_mb=256)


def test_each_id_has_a_state_of_its_own() -> None:
    with Sessions(most=3) as sessions:
        first, second = sessions.open(LIMITS), sessions.open(LIMITS)
        assert first != second and len(first) > 20
        sessions.run(first, "x = 1")
        sessions.run(second, "x = 2")
        assert sessions.run(first, "x").value == "1"
        assert sessions.run(second, "x").value == "2"
        sessions.close(first)
        for call in (sessions.run, lambda name, _: sessions.close(name)):
            with pytest.raises(UnknownSession, match="no session has the id"):
                call(first, "x")
        assert len(sessions) == 1


def test_no_more_than_so_many_live_and_those_that_ended_make_room() -> None:
    with Sessions(most=2) as sessions:
        first = sessions.open(LIMITS)
        sessions.open(LIMITS)
        with pytest.raises(SessionsFull, match="2 sessions"):
            sessions.open(LIMITS)
        result = sessions.run(first, "import os; os._exit(0)")
        assert result.over
        with pytest.raises(SessionOver):
            sessions.run(first, "1")
        third = sessions.open(LIMITS)
        assert sessions.run(third, "1").value == "1"
        with pytest.raises(UnknownSession):
            sessions.run(first, "1")


def test_a_new_session_of_a_kept_zygote_knows_nothing_of_the_last() -> None:
    with Sessions(most=1) as sessions:
        with sessions.borrowed(LIMITS) as session:
            session.put("left", b"x")
            session.run("x = 1")
        began = time.monotonic()
        with sessions.borrowed(LIMITS) as session:
            assert session.files == {} and session.run("x").kind is Kind.CRASHED
        assert time.monotonic() - began < 5
        assert len(sessions) == 0


@pytest.mark.slow
def test_idle_sessions_are_swept_and_busy_ones_are_not() -> None:
    with Sessions(most=2, idle_s=0.5) as sessions:
        idle, busy = sessions.open(LIMITS, 5), sessions.open(LIMITS, 5)
        values: list[str | None] = []
        thread = threading.Thread(
            target=lambda: values.append(
                sessions.run(busy, "import time; time.sleep(1.5); 3").value
            )
        )
        thread.start()
        time.sleep(0.8)
        assert sessions.sweep() == 1
        with pytest.raises(UnknownSession):
            sessions.run(idle, "1")
        thread.join()
        assert values == ["3"]
        assert sessions.run(busy, "4").value == "4"


@pytest.mark.slow
def test_many_threads_share_the_sessions() -> None:
    with Sessions(most=3, spare=3) as sessions:
        refused, values = [0], []

        def use(number: int) -> None:
            try:
                name = sessions.open(LIMITS)
            except SessionsFull:
                refused[0] += 1
                return
            values.append(sessions.run(name, f"{number}").value == str(number))
            sessions.close(name)

        for _ in range(3):
            threads = [threading.Thread(target=use, args=(n,)) for n in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert all(values) and len(values) + refused[0] == 24 and len(values) >= 9
    with pytest.raises(RuntimeError, match="closed"):
        sessions.open(LIMITS)
