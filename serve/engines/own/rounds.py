"""Replies in rounds: one forward pass gives each of them its next token (continuous batching).

A thread of its own does the arithmetic. A reply joins as soon as its prompt is computed and leaves
when it is done or nobody listens; prompts are computed piece by piece between rounds, so that a
long one does not make the others wait. What a round has said goes to the event loop in one call.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from seedcoder.models.slots import Slots
from serve.engines.own.prompting import Prompts, Text
from serve.engines.own.sampler import Drawn, Row, choose
from serve.engines.own.telling import Finish, Telling, Weighed
from serve.fault import Fault
from serve.stops import Stops

_CHUNK_TOKENS = 256  # ours: of a prompt, computed between two rounds


@dataclass(slots=True, kw_only=True)
class Reply:
    """One reply, from when it was asked for until its end.

    ends: the tokens that end it, with what is told as the reason (None for the model's own ends).
    least_tokens: before one of them may. keeps_stop: the stop string that ended it stays in its
    text.
    """

    telling: Telling
    at: int
    prompt: list[int]
    most_tokens: int
    row: Row
    text: Text
    stops: Stops
    ends: Mapping[int, int | str | None]
    least_tokens: int = 0
    keeps_stop: bool = False
    is_unwanted: bool = False
    tokens: int = 0
    computed: int = 0  # of the prompt
    next_token: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """What one round said of one reply."""

    reply: Reply
    text: str = ""
    weighed: tuple[Weighed, ...] = ()
    finish: Finish | None = None
    reason: int | str | None = None
    fault: Fault | None = None


class Rounds:
    """Generates for one model. batch: replies under way at once.

    broke: called in the event loop when the arithmetic failed in a way that nobody foresaw.
    """

    def __init__(
        self,
        make_slots: Callable[[int], Slots],
        prompts: Prompts,
        *,
        batch: int,
        broke: Callable[[], None],
    ) -> None:
        self._slots = make_slots(batch)
        self._prompts = prompts
        self._batch = batch
        self._broke = broke
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Reply] = deque()
        self._rows: list[Reply] = []
        self._filling: Reply | None = None
        self._wake = threading.Condition()
        threading.Thread(target=self._work, name="rounds", daemon=True).start()

    @property
    def load(self) -> tuple[int, int]:
        """Replies (under way, waiting)."""
        return len(self._rows) + (self._filling is not None), len(self._waiting)

    def add(self, replies: Sequence[Reply]) -> None:
        """Take replies; they begin in their order."""
        with self._wake:
            self._waiting.extend(replies)
            self._wake.notify()

    # Below: the thread of its own.

    def _work(self) -> None:
        try:
            while True:
                self._round()
        finally:  # it has no other end than an error, which the thread's hook writes out
            self._loop.call_soon_threadsafe(self._broke)

    def _round(self) -> None:
        with self._wake:
            while not (self._waiting or self._rows or self._filling):
                self._wake.wait()
        for at in reversed(range(len(self._rows))):
            if self._rows[at].is_unwanted:
                self._leave(at)
        self._fill()
        if self._rows:
            self._step()

    def _fill(self) -> None:
        """Compute a piece of the next prompt, or all of it where nobody waits for a round."""
        while True:
            if self._filling is None and len(self._rows) < self._batch:
                self._filling = self._next()
            reply = self._filling
            if reply is None:
                return
            if reply.is_unwanted:
                self._filling = None
                continue
            whole = len(reply.prompt) - 1  # the last token goes into the first round
            reply.computed = min(whole, reply.computed + _CHUNK_TOKENS)
            self._slots.fill(len(self._rows), reply.prompt[: reply.computed])
            if reply.computed == whole:
                reply.next_token = reply.prompt[-1]
                self._rows.append(reply)
                self._filling = None
            if self._rows:
                return

    def _next(self) -> Reply | None:
        with self._wake:
            while self._waiting:
                reply = self._waiting.popleft()
                if not reply.is_unwanted:
                    return reply
        return None

    def _step(self) -> None:
        rows = self._rows
        logits = self._slots.step([reply.next_token for reply in rows])
        for reply in rows:
            is_early = reply.tokens < reply.least_tokens
            reply.row.forbidden = frozenset(reply.ends) if is_early else frozenset()
        drawn = choose(logits, [reply.row for reply in rows])
        said = [self._take(reply, one) for reply, one in zip(rows, drawn, strict=True)]
        # From the back, so that the row that moves into the gap has been seen already.
        for at in reversed(range(len(said))):
            if said[at].finish is not None or said[at].fault is not None:
                self._leave(at)
        self._loop.call_soon_threadsafe(_deliver, said)

    def _leave(self, at: int) -> None:
        """Take a row out: the last takes its slot, and the prompt under way the last one's."""
        last = len(self._rows) - 1
        if at != last:
            self._slots.move(last, at)
            self._rows[at] = self._rows[last]
        self._rows.pop()
        if self._filling is not None:
            self._slots.move(last + 1, last)

    def _take(self, reply: Reply, drawn: Drawn) -> _Said:
        token = drawn.token
        if token is None:
            fault = Fault(500, "the model's logits are not finite", kind="server_error")
            return _Said(reply=reply, fault=fault)
        reply.tokens += 1
        reply.next_token = token
        if reply.row.past is not None:
            reply.row.past.add(token)
        if token in reply.ends:
            return self._end(reply, "", (), "stop", reply.ends[token])
        weighed = self._weigh(drawn, reply)
        text, is_cut = reply.stops.feed(reply.text.push(token))
        if is_cut:
            return self._cut(reply, text, weighed)
        if reply.tokens >= reply.most_tokens:
            return self._end(reply, text, weighed, "length", None)
        return _Said(reply=reply, text=text, weighed=weighed)

    def _end(
        self,
        reply: Reply,
        text: str,
        weighed: tuple[Weighed, ...],
        finish: Finish,
        reason: int | str | None,
    ) -> _Said:
        """End a reply by a token or by its length, with what was held back of it."""
        rest, is_cut = reply.stops.feed(reply.text.finish())
        if is_cut:
            return self._cut(reply, text + rest, weighed)
        text += rest + reply.stops.finish()
        return _Said(reply=reply, text=text, weighed=weighed, finish=finish, reason=reason)

    def _cut(self, reply: Reply, text: str, weighed: tuple[Weighed, ...]) -> _Said:
        stop = reply.stops.found or ""
        if reply.keeps_stop:
            text += stop
        return _Said(reply=reply, text=text, weighed=weighed, finish="stop", reason=stop)

    def _weigh(self, drawn: Drawn, reply: Reply) -> tuple[Weighed, ...]:
        if reply.row.wishes.top is None or drawn.token is None:
            return ()
        text, raw = self._prompts.shown(drawn.token)
        top = [(*self._prompts.shown(token), logprob) for token, logprob in drawn.top]
        return (Weighed(text, drawn.logprob, tuple(top), raw),)


def _deliver(said: Sequence[_Said]) -> None:
    """Tell what a round said; in the event loop's thread."""
    for one in said:
        reply, telling = one.reply, one.reply.telling
        if telling.is_over:
            reply.is_unwanted = True
            continue
        if one.fault is not None:
            telling.fail(one.fault)
            continue
        telling.say(reply.at, one.text, weighed=one.weighed)
        if one.finish is not None:
            telling.end(reply.at, one.finish, one.reason)
    for one in said:
        one.reply.telling.flush()
