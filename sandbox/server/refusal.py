"""Why a request gets no result: an exception with a status, and how each API says it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.errors import SandboxError, TestsBroken


class Refusal(Exception):
    """A request that is answered without a result.

    kind: a word for programs. message: one line for people. retry_after_s: 0 for none.
    place: where in the body something is wrong; empty where it is not the body.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        message: str,
        *,
        retry_after_s: int = 0,
        place: tuple[str | int, ...] = (),
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = " ".join(message.split())[:500]
        self.retry_after_s = retry_after_s
        self.place = place
        self.headers = headers


class Gone(Exception):
    """The client has gone away: nobody is there to be answered."""


def invalid(message: str, place: tuple[str | int, ...] = ()) -> Refusal:
    """Return the refusal of a request that can be read and makes no sense."""
    return Refusal(422, "InvalidRequest", message, place=place)


def full(what: str, retry_after_s: int) -> Refusal:
    """Return the refusal for want of room."""
    return Refusal(429, "QueueFull", what, retry_after_s=max(1, retry_after_s))


def draining() -> Refusal:
    """Return the refusal of a server that is about to end."""
    return Refusal(503, "Draining", "this server is about to end; ask another", retry_after_s=5)


def of_ours(error: SandboxError) -> Refusal:
    """Return what is answered when the sandbox failed; TestsBroken is the client's to mend."""
    kind = type(error).__name__
    if isinstance(error, TestsBroken):
        return Refusal(422, kind, str(error))
    return Refusal(503, kind, str(error), retry_after_s=1)


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole response. note: a word for the access log."""

    body: bytes
    status: int = 200
    content_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    note: str = ""


def reply_json(data: Any, status: int = 200, *, note: str = "") -> Reply:
    """Return plain data as a response."""
    return Reply(json.dumps(data).encode(), status, note=note)


Family = Callable[[Refusal], Reply]


def _reply(refusal: Refusal, data: dict[str, Any], status: int) -> Reply:
    headers = refusal.headers
    if refusal.retry_after_s:
        headers = (*headers, (b"retry-after", b"%d" % refusal.retry_after_s))
    return Reply(json.dumps(data).encode(), status, headers=headers, note=refusal.kind)


def _error(refusal: Refusal) -> dict[str, str]:
    return {"type": refusal.kind, "message": refusal.message}


def native(refusal: Refusal) -> Reply:
    """Say it as our own routes do."""
    return _reply(refusal, {"error": _error(refusal)}, refusal.status)


def fusion(refusal: Refusal) -> Reply:
    """Say it as SandboxFusion's routes do; a full queue is 504, which its clients try again."""
    status = {400: 422, 429: 504}.get(refusal.status, refusal.status)
    detail: Any = refusal.message
    if status == 422:
        place = ["body", *refusal.place]
        detail = [{"type": "value_error", "loc": place, "msg": refusal.message}]
    return _reply(refusal, {"detail": detail, "error": _error(refusal)}, status)


def piston(refusal: Refusal) -> Reply:
    """Say it as Piston does: every bad request is 400; a full queue is 504 here too."""
    status = {422: 400, 429: 504}.get(refusal.status, refusal.status)
    return _reply(refusal, {"message": refusal.message, "error": _error(refusal)}, status)
