"""What follows a request into the links without being handed through every function.

Set by the door for the task that answers a request; a task made from it inherits it.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Trail:
    """holder: of the request's key. headers: sent with whatever an engine is asked for this
    request. waited_s: in queues.
    """

    holder: Any | None = None
    headers: dict[str, str] = field(default_factory=dict)
    waited_s: float = 0.0


CURRENT: ContextVar[Trail | None] = ContextVar("trail", default=None)


def headers() -> dict[str, str]:
    """Return the headers for an engine."""
    trail = CURRENT.get()
    return trail.headers if trail is not None else {}


def holder() -> Any | None:
    """Return whom the key of the request belongs to."""
    trail = CURRENT.get()
    return trail.holder if trail is not None else None


def waited(waited_s: float) -> None:
    """Add to the time that the request has waited."""
    trail = CURRENT.get()
    if trail is not None:
        trail.waited_s += waited_s
