"""Each key's bounds: requests and tokens a minute, requests at one time, tokens in all.

    limiter = Limiter(ledger)
    async with limiter.admit(holder, model="seed-coder", route="/v1/chat/completions") as admission:
        ...
        admission.used(prompt_tokens=12, completion_tokens=90)

A minute is any 60 seconds, not the clock's. The tokens of a request are known when it has ended,
so that what is under way counts with what was expected of it, and the last request admitted may go
beyond the bound; that counts against the next minute. Counts of the last minute are this
process's: two gateways with one file of keys each allow the whole rate. Tokens in all are the
file's, and hold across gateways and restarts.

Everything happens in the event loop's thread.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from serve.fault import Fault
from serve.keys import KeyHolder, KeyRights
from serve.usage import Ledger, Used

_WINDOW_S = 60.0
_GONE = 499  # for the records only: the client went away
_SOON_S = 1.0  # ours: when to come again where only the end of another request makes room
_TOKEN_CHARACTERS = 4  # ours: about what tokenizers make of English and of code
_REPLY_TOKENS = 256  # ours: of a reply whose length the request leaves open
_REPLY_KEYS = ("max_completion_tokens", "max_tokens", "max_output_tokens", "n_predict")
_PROMPT_KEYS = (
    "messages", "prompt", "suffix", "input", "input_prefix", "input_suffix", "input_extra",
)  # fmt: skip


class _Account:
    """What one key did of late."""

    __slots__ = ("batched", "expected", "requests", "running", "spent", "tokens")

    def __init__(self) -> None:
        self.requests: deque[float] = deque()  # when they were admitted
        self.tokens: deque[tuple[float, int]] = deque()  # when they were known, and how many
        self.spent = 0  # the sum of `tokens`
        self.running = 0
        self.batched = 0  # lines of batches under way
        self.expected = 0  # tokens of what is under way

    def forget(self, now_s: float) -> None:
        """Drop what is older than the window."""
        since_s = now_s - _WINDOW_S
        while self.requests and self.requests[0] <= since_s:
            self.requests.popleft()
        while self.tokens and self.tokens[0][0] <= since_s:
            self.spent -= self.tokens.popleft()[1]

    @property
    def is_idle(self) -> bool:
        return not (self.running or self.batched or self.requests or self.tokens)


class Limiter:
    """Lets requests in or refuses them, by their key. ledger: None where there are no keys.

    clock: seconds, for tests.
    """

    def __init__(self, ledger: Ledger | None, *, clock: Callable[[], float] = time.monotonic):
        self._ledger = ledger
        self._clock = clock
        self._accounts: dict[str, _Account] = {}
        self._swept_at_s = clock()

    def admit(
        self,
        holder: KeyHolder | None,
        *,
        model: str = "",
        route: str = "",
        expected_tokens: int = 0,
        of_batch: bool = False,
    ) -> Admission:
        """Return the admission of one request, which begins with `async with`.

        holder: None (no keys are asked for) has no bounds. model: by its own name.
        expected_tokens: of the prompt and the reply, where something is known of them.
        of_batch: a line of a batch, whose tokens count and which is no request of its own to
        `requests_per_minute` and `concurrent`: batches wait for live requests anyway.
        """
        return Admission(self, holder, model, route, expected_tokens, of_batch)

    def running(self, holder: KeyHolder) -> int:
        """Return how many requests of a key are under way, lines of batches not counted."""
        account = self._accounts.get(holder.id)
        return account.running if account else 0

    def _enter(self, admission: Admission, holder: KeyHolder) -> _Account:
        """Count a request in. Raises Fault 429."""
        now_s = self._clock()
        self._sweep(now_s)
        account = self._accounts.get(holder.id) or _Account()
        account.forget(now_s)
        self._check(account, holder.rights, now_s, admission.of_batch)
        if holder.rights.tokens_total is not None and self._ledger is not None:
            spent = self._ledger.spent(holder.id) + account.expected
            if spent >= holder.rights.tokens_total:
                raise Fault(
                    429,
                    f"this key has used the {holder.rights.tokens_total} tokens it has in all",
                    kind="insufficient_quota",
                    code="insufficient_quota",
                )
        self._accounts[holder.id] = account
        account.running += not admission.of_batch
        account.batched += admission.of_batch
        account.expected += admission.expected_tokens
        if not admission.of_batch and holder.rights.requests_per_minute is not None:
            account.requests.append(now_s)
        return account

    def _check(self, account: _Account, rights: KeyRights, now_s: float, of_batch: bool) -> None:
        most = rights.requests_per_minute
        if most is not None and not of_batch and len(account.requests) >= most:
            free_at_s = account.requests[len(account.requests) - most] + _WINDOW_S
            raise _limited(f"this key may make {most} requests a minute", free_at_s - now_s)
        most = rights.tokens_per_minute
        if most is not None and account.spent + account.expected >= most:
            wait_s = _wait_for_tokens(account, most, now_s)
            raise _limited(f"this key may use {most} tokens a minute", wait_s)
        most = rights.concurrent
        if most is not None and not of_batch and account.running >= most:
            raise _limited(f"this key may have {most} requests under way at one time", _SOON_S)

    def _leave(self, admission: Admission, holder: KeyHolder, account: _Account) -> None:
        now_s = self._clock()
        tokens = admission.prompt_tokens + admission.completion_tokens
        account.running -= not admission.of_batch
        account.batched -= admission.of_batch
        account.expected -= admission.expected_tokens
        if tokens and holder.rights.tokens_per_minute is not None:
            account.tokens.append((now_s, tokens))
            account.spent += tokens
        if self._ledger is not None:
            self._ledger.record(
                Used(
                    key_id=holder.id,
                    model=admission.model,
                    route=admission.route,
                    status=admission.status,
                    prompt_tokens=admission.prompt_tokens,
                    completion_tokens=admission.completion_tokens,
                    ms=1000 * (now_s - admission.began_at_s),
                )
            )

    def _sweep(self, now_s: float) -> None:
        """Let go of keys that nobody uses any more."""
        if now_s - self._swept_at_s < _WINDOW_S:
            return
        self._swept_at_s = now_s
        for key_id, account in list(self._accounts.items()):
            account.forget(now_s)
            if account.is_idle:
                del self._accounts[key_id]


class Admission:
    """One request's way through the limits. Raises Fault 429 (or 503) at its beginning.

    Its end counts what it used; a way out by an error is recorded with that error's status.
    """

    def __init__(
        self,
        limiter: Limiter,
        holder: KeyHolder | None,
        model: str,
        route: str,
        expected_tokens: int,
        of_batch: bool,
    ) -> None:
        self._limiter = limiter
        self._holder = holder
        self._account: _Account | None = None
        self.model = model
        self.route = route
        self.expected_tokens = max(0, expected_tokens)
        self.of_batch = of_batch
        self.status = 200
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self.began_at_s = 0.0

    def used(self, *, prompt_tokens: int, completion_tokens: int) -> None:
        """Say what the request used; the last that is said counts."""
        self.prompt_tokens = max(0, prompt_tokens)
        self.completion_tokens = max(0, completion_tokens)

    def begin(self) -> Self:
        """Be let in, where no `async with` fits; `end` must follow. Raises Fault."""
        self.began_at_s = self._limiter._clock()
        if self._holder is not None:
            self._account = self._limiter._enter(self, self._holder)
        return self

    def end(self, error: BaseException | None = None) -> None:
        """Leave; may be called twice."""
        account, self._account = self._account, None
        if isinstance(error, Fault):
            self.status = error.status
        elif isinstance(error, (asyncio.CancelledError, GeneratorExit)):
            self.status = _GONE
        elif error is not None:
            self.status = 500
        if account is not None and self._holder is not None:
            self._limiter._leave(self, self._holder, account)

    def headers(self) -> dict[str, str]:
        """Return what OpenAI's servers tell of limits in headers; empty where there are none."""
        account, holder = self._account, self._holder
        if account is None or holder is None:
            return {}
        found: dict[str, str] = {}
        most = holder.rights.requests_per_minute
        if most is not None:
            found["x-ratelimit-limit-requests"] = str(most)
            found["x-ratelimit-remaining-requests"] = str(max(0, most - len(account.requests)))
        most = holder.rights.tokens_per_minute
        if most is not None:
            left = max(0, most - account.spent - account.expected)
            found["x-ratelimit-limit-tokens"] = str(most)
            found["x-ratelimit-remaining-tokens"] = str(left)
        return found

    async def __aenter__(self) -> Self:
        return self.begin()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end(error)


def expected_of(body: Mapping[str, Any]) -> int:
    """Guess the tokens of a request that may ask for anything, from its length and its bounds."""
    characters = sum(_characters(body.get(key), 0) for key in _PROMPT_KEYS)
    reply = next((n for key in _REPLY_KEYS if (n := body.get(key)) is not None), _REPLY_TOKENS)
    replies = body.get("n") or 1
    for count in (reply, replies):
        if not isinstance(count, int) or count < 0:
            return characters // _TOKEN_CHARACTERS  # it will be refused
    return characters // _TOKEN_CHARACTERS + int(reply) * int(replies)


def _characters(said: object, depth: int) -> int:
    if isinstance(said, str):
        return len(said)
    if depth > 3:  # content of a part of a message of a list
        return 0
    if isinstance(said, Mapping):
        return sum(_characters(one, depth + 1) for one in said.values())
    if isinstance(said, list):
        return sum(_characters(one, depth + 1) for one in said)
    return 0


def _wait_for_tokens(account: _Account, most: int, now_s: float) -> float:
    """Return the seconds until enough tokens have left the window."""
    left = account.spent + account.expected
    for at_s, count in account.tokens:
        left -= count
        if left < most:
            return at_s + _WINDOW_S - now_s
    return _SOON_S


def _limited(why: str, wait_s: float) -> Fault:
    wait_s = max(1, math.ceil(wait_s))
    return Fault(
        429,
        f"{why}; come again in {wait_s} s",
        kind="rate_limit_error",
        code="rate_limit_exceeded",
        retry_after_s=wait_s,
    )
