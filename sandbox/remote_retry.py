"""When a request to a sandbox server may be sent again, and when it must not be.

A run is sent under one random key, and every retry carries it. A server that knows the key joins
the retry to the run under way or hands out its answer; so a retry is safe as long as the server
that may have taken the first request is still the one that answers, and still knows the key. Both
are checked where there is a doubt (an attempt that may have been read and was not answered): the
server must have an instance id, a random word of each start, that is the same before and after, and
the retry must come within the time for which answers are kept. Where this cannot be shown, no
retry is sent, or what it brought is thrown away, and SandboxBroken says that the program may have
run: whoever runs it again then knows.

Does not guard against a server that forgets a key of its own before its time (too many answers
kept) or keeps none of a run that failed there, nor against two processes that say they are one.
"""

from __future__ import annotations

import email.utils
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sandbox.errors import SandboxBroken, SandboxError, SandboxUnavailable

_KEPT_S = 300.0  # ours: below what our server keeps answers for
_RESPONSES_THAT_DOUBT = (500, 502, 504)  # the program may have run behind them
_HINT_MOST_S = 60.0  # a server that asks for more is asked again sooner


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a request is tried. All ours.

    timeout_s: wall seconds for a run, its retries and its wait in the server's queue included.
    attempt_s: wall seconds of silence after which the same run is asked for again by its key.
    connect_s: wall seconds for a connection.
    retries: failures of the way there that are borne; a full queue is waited for until timeout_s.
    backoff_s, backoff_most_s: the first pause after a failure, doubled each time, and the longest.
    """

    timeout_s: float = 1800.0
    attempt_s: float = 300.0
    connect_s: float = 10.0
    retries: int = 8
    backoff_s: float = 0.1
    backoff_most_s: float = 10.0

    def __post_init__(self) -> None:
        for name in ("timeout_s", "attempt_s", "connect_s", "backoff_s", "backoff_most_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if self.retries < 0:
            raise ValueError(f"retries must not be negative, got {self.retries}")


@dataclass(slots=True)
class Doubt:
    """An attempt that may have started the program: on which instance, since when, and why."""

    instance: str
    since: float
    why: str


class Trying:
    """One request with its retries: counts, waits, and gives up.

    jitter: spreads the retries of many clients; it decides no result.
    """

    def __init__(self, patience: Patience, where: str, *, jitter: random.Random) -> None:
        self._patience = patience
        self._where = where
        self._jitter = jitter
        self._deadline = time.monotonic() + patience.timeout_s
        self._failures = 0
        self.reached = False
        self.doubt: Doubt | None = None

    @property
    def left_s(self) -> float:
        """Seconds until the deadline, never negative."""
        return max(0.0, self._deadline - time.monotonic())

    def doubts(self, instance: str, why: str) -> None:
        """Note that the program may have run. Raises SandboxBroken where no retry is safe."""
        self.reached = True
        # The oldest doubt counts: it is the one whose answer is forgotten first.
        if self.doubt is None:
            self.doubt = Doubt(instance, time.monotonic(), why)
        if not instance:
            raise self.lost("which cannot say whether it still knows of it")

    def still_running(self) -> None:
        """Note that the server lives and was silent until now: it still knew the run then."""
        if self.doubt is not None:
            self.doubt.since = time.monotonic()

    def check_memory(self) -> None:
        """Raise SandboxBroken where a retry would come after the answer may be forgotten."""
        if self.doubt is not None and time.monotonic() - self.doubt.since > _KEPT_S:
            raise self.lost("which may have forgotten it by now")

    def lost(self, which: str) -> SandboxBroken:
        """Return the error for a program that may have run unseen."""
        why = self.doubt.why if self.doubt else "no answer"
        return SandboxBroken(
            f"{self._where}: {why}; the program may have run on that server, {which}"
        )

    def failed(self, why: str) -> None:
        """Count a failure and wait before the next attempt. Raises when there is none."""
        self._failures += 1
        if self._failures > self._patience.retries:
            raise self.given_up(f"{why}, {self._failures} times")
        pause = self._patience.backoff_s * 2 ** (self._failures - 1)
        pause = min(pause, self._patience.backoff_most_s)
        self._wait(pause * self._jitter.uniform(0.5, 1.0), why)

    def refused_for_now(self, why: str, retry_after_s: float) -> None:
        """Wait as long as the server asks to, and a little more. Raises at the deadline."""
        self.reached = True
        pause = min(max(retry_after_s, self._patience.backoff_s), _HINT_MOST_S)
        self._wait(pause * self._jitter.uniform(1.0, 1.25), why)

    def _wait(self, pause_s: float, why: str) -> None:
        if pause_s >= self.left_s:
            raise self.given_up(f"{why}, for {self._patience.timeout_s:g} s")
        time.sleep(pause_s)

    def given_up(self, why: str) -> SandboxError:
        """Return the error for a request without an answer."""
        if self.doubt is not None:
            return self.lost(f"which gave no answer since ({why})")
        if self.reached:
            return SandboxBroken(f"{self._where}: {why}; the program did not run")
        return SandboxUnavailable(f"{self._where}: {why}")


def is_doubtful(status: int) -> bool:
    """Return whether the program may have run behind an answer with that status."""
    return status in _RESPONSES_THAT_DOUBT


def retry_after_s(header: str | None, now: Callable[[], datetime] | None = None) -> float:
    """Return the seconds that a Retry-After asks for, as a number or as a date; 0 for neither."""
    if not header:
        return 0.0
    if header.strip().isdigit():
        return float(header)
    try:
        when = email.utils.parsedate_to_datetime(header)
    except ValueError:
        return 0.0
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    moment = now() if now else datetime.now(UTC)
    return max(0.0, (when - moment).total_seconds())
