"""How an engine wants to be kept, where the usual will not do. All times are our choice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The times an engine is given.

    start_s: from its start until it answers its health check. check_s: between two checks.
    answer_s: for one check. misses: checks in a row that may go unanswered before an engine is
        taken for stuck; a server that is busy with a long prompt can miss a few.
    backoff_s, backoff_most_s: before it is started again: the first, doubled each time, the most.
    steady_s: ready for so long, its next end begins with the first pause again.
    health_path: a GET that is answered once the model is loaded.
    device: engines that name the same are started one after the other (each measures what memory
        is free); empty is none.
    """

    start_s: float = 900.0
    check_s: float = 5.0
    answer_s: float = 10.0
    misses: int = 6
    backoff_s: float = 1.0
    backoff_most_s: float = 60.0
    steady_s: float = 60.0
    health_path: str = "/health"
    device: str = ""

    def __post_init__(self) -> None:
        for name in ("start_s", "check_s", "answer_s", "backoff_s", "backoff_most_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if self.misses < 1:
            raise ValueError(f"misses must be at least 1, got {self.misses}")


@runtime_checkable
class Particular(Protocol):
    """An engine with terms of its own."""

    @property
    def terms(self) -> Terms:
        """How it wants to be kept."""
        ...

    def preparation(self) -> Sequence[str] | None:
        """Return a command that must have ended well before each start, if there is one."""
        ...


class Turns:
    """Who may start now: one engine a device. One object for all engines of a service."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}

    def of(self, device: str) -> AbstractAsyncContextManager[None]:
        """Return what is to be held while an engine of that device starts."""
        return self._locks.setdefault(device, asyncio.Lock()) if device else nullcontext()
