"""Tokens handed out at an exact rate, over all streams together.

One timer serves all streams: at each tick the tokens that are due by now go round the streams in
turn. What a late tick has missed it makes up for, so that the rate holds over any second, up to
the time that a whole process may have been put off.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from serve.engines.own.telling import Finish, Telling, Weighed

_LATE_S = 0.5  # ours: what is missed beyond this is not made up for
_AT_ONCE = 64  # ours: tokens a stream gets in its turn where there is no rate


@dataclass(slots=True, eq=False)
class Line:
    """One reply that is known already. is_weighed: told with logprobs, all of them certain."""

    telling: Telling
    at: int
    pieces: Sequence[str]
    finish: Finish
    reason: str | None = None
    calls: Sequence[dict[str, object]] = ()
    is_weighed: bool = False
    said: int = 0
    is_ended: bool = False

    def give(self, count: int) -> int:
        """Say up to so many more pieces; return how many there were. The last one ends it."""
        told = self.pieces[self.said : self.said + count]
        self.said += len(told)
        for piece in told:
            if self.is_weighed:
                raw = piece.encode()
                one = Weighed(piece, 0.0, ((piece, raw, 0.0),), raw)
                self.telling.say(self.at, piece, weighed=(one,))
            else:
                self.telling.say(self.at, piece)
        self.telling.flush()
        if self.said >= len(self.pieces):
            self.is_ended = True
            if self.calls:
                self.telling.call(self.at, self.calls)
            self.telling.end(self.at, self.finish, self.reason)
        return len(told)


class Pacer:
    """Gives lines their tokens.

    tokens_per_s: of all lines together; None is as fast as they are read. tick_s: how often what
    is due is given out. first_token_s: before a line's first token.
    """

    def __init__(
        self, *, tokens_per_s: float | None, tick_s: float = 0.002, first_token_s: float = 0.0
    ) -> None:
        self._rate = tokens_per_s
        self._tick_s = tick_s
        self._first_s = first_token_s
        self._loop = asyncio.get_running_loop()
        self._lines: deque[Line] = deque()
        self._waiting = 0
        self._timer: asyncio.Handle | None = None
        self._since = 0.0
        self._given = 0

    @property
    def load(self) -> tuple[int, int]:
        """Lines (that are given tokens, that wait for their first)."""
        return len(self._lines), self._waiting

    def add(self, line: Line) -> None:
        """Give a line its tokens from now on, or from `first_token_s` on."""
        if self._first_s:
            self._waiting += 1
            self._loop.call_later(self._first_s, self._join, line)
        else:
            self._lines.append(line)
            self._wake()

    def _join(self, line: Line) -> None:
        self._waiting -= 1
        if not line.telling.is_over:
            self._lines.append(line)
            self._wake()

    def _wake(self) -> None:
        if self._timer is not None:
            return
        self._since, self._given = self._loop.time(), 0
        self._timer = self._loop.call_later(self._tick_s if self._rate else 0, self._tick)

    def drop(self, lines: Iterable[Line]) -> None:
        """Give lines no more tokens."""
        for line in lines:
            if line in self._lines:
                self._lines.remove(line)

    def _tick(self) -> None:
        now = self._loop.time()
        if self._rate is None:
            self._share(_AT_ONCE * len(self._lines))
        else:
            due = int((now - self._since) * self._rate) - self._given
            most = int(_LATE_S * self._rate) + 1
            if due > most:
                self._since, self._given, due = now - most / self._rate, 0, most
            self._given += self._share(due)
        if not self._lines:
            self._timer = None
            return
        self._timer = self._loop.call_at(now + self._tick_s, self._tick)

    def _share(self, due: int) -> int:
        """Give `due` tokens to the lines in turn, and return how many were taken.

        Only those whose turn it is are looked at: with many lines and short ticks that is what a
        tick costs. Who is behind is passed over.
        """
        left, lines = due, self._lines
        while left > 0 and lines:
            before, each = left, max(1, left // len(lines))
            for _ in range(len(lines)):
                line = lines.popleft()
                if line.telling.is_over:
                    continue
                if not line.telling.is_behind:
                    left -= line.give(min(each, left))
                if not line.is_ended:
                    lines.append(line)
                if left <= 0:
                    break
            if left == before:
                break
        return due - left
