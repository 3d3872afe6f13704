"""Pacing, in a time of our own making."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("httptools", reason="the engines' HTTP needs httptools")
from serve.engines.own.bodies import TextBody
from serve.engines.own.pace import Line, Pacer
from serve.engines.own.telling import Telling
from serve.engines.own.wire import Exchange, Wire

RATE = 10_000
_PIECES = ["x"] * 30_000


class _Instant(selectors.SelectSelector):
    """Does not wait: the loop's clock is put forward instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.late_s = 0.0

    def select(self, timeout: float | None = None) -> Any:
        self.now_s += (timeout or 0.0) + self.late_s
        self.late_s = 0.0
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.clock = _Instant()
        super().__init__(self.clock)

    def time(self) -> float:
        return self.clock.now_s


class _Reader(asyncio.Transport):
    """A client's side of a connection: counts the events that it is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.events = 0

    def write(self, data: Any) -> None:
        self.events += bytes(data).count(b"data: ")

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def is_closing(self) -> bool:
        return False


class _Stream:
    """One stream of so many tokens."""

    def __init__(self, tokens: int) -> None:
        self.reader = _Reader()
        self.wire = Wire(lambda exchange: None, set(), 1 << 20)
        self.wire.connection_made(self.reader)
        exchange = Exchange(self.wire, "POST", b"/", {})
        telling = Telling(exchange, TextBody(prompt="x", stream=True), "m")
        telling.open(prompt_tokens=1, choices=1)
        self.line = Line(telling=telling, at=0, pieces=_PIECES[:tokens], finish="stop")

    @property
    def said(self) -> int:
        return self.reader.events


def in_our_time(play: Callable[[_Instant], Any]) -> None:
    loop = _Loop()
    try:
        loop.run_until_complete(play(loop.clock))
    finally:
        loop.close()


@pytest.mark.parametrize("count", [1, 3, 64, 200])
def test_the_rate_holds_over_all_streams_and_is_shared_evenly(count: int) -> None:
    async def play(clock: _Instant) -> None:
        pacer = Pacer(tokens_per_s=RATE)
        streams = [_Stream(len(_PIECES)) for _ in range(count)]
        for stream in streams:
            pacer.add(stream.line)
        await asyncio.sleep(1.0)
        said = [stream.said for stream in streams]
        assert RATE - 20 * 2 <= sum(said) <= RATE
        assert max(said) - min(said) <= 1

    in_our_time(play)


def test_what_a_late_tick_missed_is_made_up_for_but_not_a_long_absence() -> None:
    async def play(clock: _Instant) -> None:
        pacer = Pacer(tokens_per_s=RATE)
        stream = _Stream(len(_PIECES))
        pacer.add(stream.line)
        await asyncio.sleep(0.5)
        clock.late_s = 0.3
        await asyncio.sleep(0.5)
        assert stream.said == pytest.approx(RATE * clock.now_s, rel=0.01)
        said = stream.said
        clock.late_s = 60.0
        await asyncio.sleep(0.1)
        assert stream.said - said < RATE

    in_our_time(play)


def test_who_is_behind_is_passed_over_and_the_others_get_its_share() -> None:
    async def play(clock: _Instant) -> None:
        pacer = Pacer(tokens_per_s=RATE)
        slow, quick = _Stream(len(_PIECES)), _Stream(len(_PIECES))
        pacer.add(slow.line)
        pacer.add(quick.line)
        slow.wire.pause_writing()
        await asyncio.sleep(0.5)
        assert slow.said == 0
        assert quick.said == pytest.approx(RATE / 2, rel=0.01)
        slow.wire.resume_writing()
        await asyncio.sleep(0.5)
        assert slow.said == pytest.approx(RATE / 4, rel=0.01)

    in_our_time(play)


def test_streams_of_different_length_all_come_to_their_end() -> None:
    async def play(clock: _Instant) -> None:
        pacer = Pacer(tokens_per_s=RATE)
        streams = [_Stream(length) for length in (0, 1, 7, 500, 3000)]
        for stream in streams:
            pacer.add(stream.line)
        while pacer.load != (0, 0):
            await asyncio.sleep(0.01)
        # Two more events than tokens: how it ended, and [DONE].
        assert [stream.said - 2 for stream in streams] == [0, 1, 7, 500, 3000]
        assert clock.now_s == pytest.approx(3508 / RATE, abs=0.02)

    in_our_time(play)


def test_the_first_token_waits_as_long_as_it_is_told() -> None:
    async def play(clock: _Instant) -> None:
        pacer = Pacer(tokens_per_s=RATE, first_token_s=0.2)
        stream = _Stream(10)
        pacer.add(stream.line)
        await asyncio.sleep(0.19)
        assert (stream.said, pacer.load) == (0, (0, 1))
        await asyncio.sleep(0.02)
        assert stream.said > 0

    in_our_time(play)
