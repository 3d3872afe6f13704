"""HTTP to one sandbox server: connections kept alive, its greeting, and one run with its retries.

Loads httpx, which the extra "server" brings. `remote_retry` decides what may be sent again.
"""

from __future__ import annotations

import logging
import os
import random
import secrets
import socket
import ssl
import threading
import time
from dataclasses import replace
from importlib import metadata
from typing import Any
from urllib.parse import urlsplit

import httpx
import pydantic

from sandbox.errors import SandboxBroken, SandboxError, SandboxUnavailable, TestsBroken
from sandbox.remote_retry import Patience, Trying, is_doubtful, retry_after_s

log = logging.getLogger(__name__)

KEY_ENV = "SEEDCODER_SANDBOX_KEY"
INSTANCE = "Sandbox-Instance"  # a random word of each start of a server
_KEEP_ALIVE_S = 3.0  # ours: below uvicorn's 5, so that it is not the server that hangs up first
_PROBE_S = 10.0
_OPENING_RETRIES = 4
_AT_ONCE_S = 3.0  # ours: a server that takes nothing in any more says so within this time
# A server whose machine is gone sends nothing: the kernel asks, and gives up within 45 s.
_SOCKET_OPTIONS = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
)
_OURS = {kind.__name__: kind for kind in (SandboxBroken, SandboxUnavailable, TestsBroken)}

_warned: set[tuple[str, str]] = set()
_warned_lock = threading.Lock()


class JobRefused(SandboxError, ValueError):
    """The server will not take this job: too large, above its limits, or malformed."""


class Greeting(pydantic.BaseModel):
    """What /healthz says. instance: "" where the server has none."""

    box: str
    kind: str
    version: str = ""
    workers: int = 0
    instance: str = ""


class _Error(pydantic.BaseModel):
    type: str = ""
    message: str = ""


class _Refusal(pydantic.BaseModel):
    error: _Error


def checked_url(url: str) -> str:
    """Return a server's address without the slash at its end. Raises ValueError, never showing it.

    A name and password in it are refused: addresses get into manifests and messages.
    """
    try:
        parts = urlsplit(url.strip())
        is_right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        is_right = False
    if not is_right:
        raise ValueError("the sandbox server's URL must be http://HOST:PORT or https://HOST:PORT")
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"the sandbox server's URL holds credentials; give a key in {KEY_ENV}")
    if parts.query or parts.fragment:
        raise ValueError("the sandbox server's URL must end before any ? or #")
    checked = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
    try:
        httpx.URL(checked)
    except httpx.InvalidURL as error:
        raise ValueError(f"the sandbox server's URL is none: {error}") from None
    return checked


class Link:
    """One server. For many threads at once; each request has its own retries."""

    def __init__(self, url: str, key: str | None, patience: Patience) -> None:
        self.url = checked_url(url)
        self.greeting: Greeting
        self._patience = patience
        self._jitter = random.Random()
        key = os.environ.get(KEY_ENV, "") if key is None else key
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise ValueError("the sandbox server's key must be printable ASCII without spaces")
        self._headers = {"Accept-Encoding": "identity", "Content-Type": "application/json"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        # The transport without its client: neither cookies nor redirects, no proxy and no .netrc
        # between us and what judges, and a third less CPU time a request.
        self._transport = httpx.HTTPTransport(
            verify=_certificates(self.url),
            trust_env=False,
            limits=httpx.Limits(keepalive_expiry=_KEEP_ALIVE_S),
            socket_options=_SOCKET_OPTIONS,
        )
        self._health = httpx.URL(f"{self.url}/healthz")
        try:
            # Who opens a box waits for the answer: a wrong address should not take half a minute.
            opening = replace(patience, retries=min(patience.retries, _OPENING_RETRIES))
            self.greeting = self.greet(Trying(opening, self.url, jitter=self._jitter))
        except BaseException:
            self.close()
            raise
        _warn_of_version(self.url, self.greeting.version)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def _send(
        self,
        method: str,
        url: httpx.URL,
        headers: dict[str, str],
        body: bytes,
        *,
        silence_s: float,
        connect_s: float,
    ) -> httpx.Response:
        """Return the whole answer to one request. Raises httpx.TransportError."""
        times = {"connect": connect_s, "read": silence_s, "write": silence_s, "pool": silence_s}
        request = httpx.Request(
            method, url, headers=headers, content=body, extensions={"timeout": times}
        )
        answer = self._transport.handle_request(request)
        try:
            answer.read()
        finally:
            answer.close()
        return answer

    def greet(self, trying: Trying) -> Greeting:
        """Return what the server says of itself, asked until it answers."""
        while True:
            why = self._greeted()
            if isinstance(why, Greeting):
                return why
            trying.failed(why)

    def _greeted(self) -> Greeting | str:
        """Return the greeting, or why there is none. Raises where asking again is of no use."""
        try:
            answer = self._send(
                "GET", self._health, self._headers, b"", silence_s=_PROBE_S, connect_s=_PROBE_S
            )
        except httpx.TransportError as error:
            return _words(error)
        self._check_key(answer)
        if answer.status_code != 200:
            return f"/healthz answered {answer.status_code}"
        try:
            return Greeting.model_validate_json(answer.content)
        except pydantic.ValidationError:
            raise SandboxUnavailable(
                f"{self.url}: /healthz is not that of a seedcoder sandbox server"
            ) from None

    def ask(self, path: str, body: bytes) -> Any:
        """Return the JSON that a run or a judgement is answered with.

        Raises SandboxBroken, SandboxUnavailable, TestsBroken, JobRefused.
        """
        trying = Trying(self._patience, self.url, jitter=self._jitter)
        url = httpx.URL(f"{self.url}{path}")
        headers = self._headers | {"Idempotency-Key": secrets.token_hex(16)}
        while True:
            answer = self._attempt(url, body, headers, trying)
            if answer is not None:
                return self._settled(answer, trying)
            doubt = trying.doubt
            if doubt is not None:
                self._check_instance(trying, doubt.instance)
                headers[INSTANCE] = doubt.instance

    def _attempt(
        self, url: httpx.URL, body: bytes, headers: dict[str, str], trying: Trying
    ) -> httpx.Response | None:
        """Send it once. Return the answer; None where it is to be tried again, after a pause."""
        trying.check_memory()
        left_s = trying.left_s
        if left_s <= 0:
            raise trying.given_up(f"no answer within {self._patience.timeout_s:g} s")
        # Without an instance a silent attempt could not be asked for again.
        silence_s = min(left_s, self._patience.attempt_s) if self.greeting.instance else left_s
        connect_s = min(self._patience.connect_s, left_s)
        # What it was before this attempt: a server that is replaced meanwhile differs from it.
        instance, began = self.greeting.instance, time.monotonic()
        try:
            answer = self._send(
                "POST", url, headers, body, silence_s=silence_s, connect_s=connect_s
            )
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            trying.failed(_words(error))
            return None
        except httpx.ReadTimeout as error:
            trying.doubts(instance, _words(error))
            if isinstance(self._greeted(), Greeting):
                trying.still_running()
            else:
                trying.failed(_words(error))
            return None
        except httpx.TransportError as error:
            trying.doubts(instance, _words(error))
            trying.failed(_words(error))
            return None
        after_s = time.monotonic() - began
        return answer if self._is_answer(answer, instance, after_s, trying) else None

    def _is_answer(
        self, answer: httpx.Response, instance: str, after_s: float, trying: Trying
    ) -> bool:
        """Return whether it settles the request; else wait for the next attempt.

        instance, after_s: who was asked, and how long ago.
        """
        trying.reached = True
        self._check_key(answer)
        status = answer.status_code
        kind, message = _error(answer)
        if status == 429 or (status == 503 and kind not in _OURS):  # full, draining: it did not run
            if status == 503 and after_s > _AT_ONCE_S:
                # It was taken in, and the server's time to end ran out on it.
                trying.doubts(answer.headers.get(INSTANCE, instance), message or "answered 503")
            hint_s = retry_after_s(answer.headers.get("Retry-After"))
            trying.refused_for_now(message or f"answered {status}", hint_s)
            return False
        if status == 408:  # the body came too slowly: it did not run
            trying.failed(message or "answered 408")
            return False
        if is_doubtful(status):
            trying.doubts(answer.headers.get(INSTANCE, instance), f"answered {status}")
            trying.failed(f"answered {status}")
            return False
        return True

    def _settled(self, answer: httpx.Response, trying: Trying) -> Any:
        """Return what an answer says, or raise what it says."""
        self._check_who_answered(answer, trying)
        status = answer.status_code
        if status == 200:
            try:
                return answer.json()
            except ValueError:
                raise SandboxBroken(f"{self.url}: answered 200 without JSON") from None
        kind, message = _error(answer)
        if kind in _OURS:
            raise _OURS[kind](f"{self.url}: {message}")
        if 400 <= status < 500 and status != 404:
            raise JobRefused(f"{self.url}: refused with {status}: {message or 'no reason given'}")
        raise SandboxUnavailable(f"{self.url}: answered {status}; is it a seedcoder server?")

    def _check_who_answered(self, answer: httpx.Response, trying: Trying) -> None:
        """Throw away an answer after a doubt that another server gave; meet a new one."""
        said = answer.headers.get(INSTANCE, "")
        if trying.doubt is not None:
            if said and said != trying.doubt.instance:
                raise trying.lost("which is not the one that answered now")
            if not said:
                self._check_instance(trying, trying.doubt.instance)
        elif said and said != self.greeting.instance:
            self.meet(self.greet(trying))

    def _check_instance(self, trying: Trying, instance: str) -> None:
        """Raise SandboxBroken unless the server is still the one that may have run the program."""
        greeting = self.greet(trying)
        if greeting.instance != instance:
            self.meet(greeting)
            raise trying.lost("which has been started anew since")

    def meet(self, greeting: Greeting) -> None:
        """Take note of another server behind the address. Raises SandboxUnavailable.

        It must judge in the same kind of box: the first one was checked against what is required.
        """
        if greeting.kind != self.greeting.kind:
            raise SandboxUnavailable(
                f"{self.url}: its box was {self.greeting.kind} and is {greeting.kind} now"
            )
        self.greeting = greeting
        _warn_of_version(self.url, greeting.version)

    def _check_key(self, answer: httpx.Response) -> None:
        if answer.status_code in (401, 403):
            raise SandboxUnavailable(
                f"{self.url}: the key is missing or wrong; give the right one in {KEY_ENV}"
            )


def _certificates(url: str) -> ssl.SSLContext:
    """Return what servers are checked by; without TLS an empty one, since loading takes 20 ms."""
    if url.startswith("https://"):
        return ssl.create_default_context()
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _error(answer: httpx.Response) -> tuple[str, str]:
    """Return kind and message of an error, "" where it has none."""
    if answer.status_code == 200:
        return "", ""
    try:
        error = _Refusal.model_validate_json(answer.content).error
    except pydantic.ValidationError:
        return "", ""
    return error.type, " ".join(error.message.split())


def _words(error: httpx.TransportError) -> str:
    """Return what went wrong on the way, in a line."""
    if isinstance(error, httpx.ConnectTimeout):
        return "no connection in time"
    if isinstance(error, httpx.TimeoutException):
        return "silence"
    return " ".join(str(error).split()) or type(error).__name__


def _warn_of_version(url: str, version: str) -> None:
    """Say once a process that a server judges by another version of the code."""
    try:
        ours = metadata.version("seedcoder")
    except metadata.PackageNotFoundError:
        return
    with _warned_lock:
        if version == ours or (url, version) in _warned:
            return
        _warned.add((url, version))
    log.warning(
        "the server judges by another version url=%s version=%s ours=%s", url, version, ours
    )
