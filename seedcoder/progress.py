"""How far a long job is: a bar on a terminal, else one line a minute; both on stderr."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol, TextIO

EVERY_S: Final = 60.0


class Progress(Protocol):
    """Counts what is done. May be called from any thread."""

    def advance(self, n: int = 1, note: str = "") -> None:
        """Count `n` more. note: a word on the state, shown until another comes."""
        ...


@contextmanager
def progress(
    total: int | None,
    label: str,
    *,
    done: int = 0,
    every_s: float = EVERY_S,
    stream: TextIO | None = None,
) -> Iterator[Progress]:
    """Show a job of `total` items (None: unknown) until the block ends, however it ends.

    done: how many were there before (a run that goes on); they count in the share but not in the
        speed. every_s: between two lines where there is no terminal; the first comes after as much,
        the last at the end. stream: default stderr.
    """
    out = stream if stream is not None else sys.stderr
    if out.isatty():
        with _bar(total, label, done, out) as bar:
            yield bar
        return
    lines = _Lines(total, label, done, every_s, out)
    try:
        yield lines
    finally:
        lines.finish()


class _Lines:
    def __init__(
        self, total: int | None, label: str, done: int, every_s: float, out: TextIO
    ) -> None:
        self._total = total
        self._label = label
        self._before = done
        self._done = done
        self._every_s = every_s
        self._out = out
        self._note = ""
        self._lock = threading.Lock()
        self._begun_s = time.monotonic()
        self._said_s = self._begun_s
        self._said: int | None = None

    def advance(self, n: int = 1, note: str = "") -> None:
        with self._lock:
            self._done += n
            self._note = note or self._note
            now_s = time.monotonic()
            if now_s - self._said_s >= self._every_s:
                self._say(now_s)

    def finish(self) -> None:
        with self._lock:
            if self._said != self._done:
                self._say(time.monotonic())

    def _say(self, now_s: float) -> None:
        took_s = now_s - self._begun_s
        fresh = self._done - self._before
        parts = [f"{self._label}: {self._done}"]
        if self._total is not None:
            share = f" ({100 * self._done / self._total:.0f}%)" if self._total else ""
            parts = [f"{self._label}: {self._done} of {self._total}{share}"]
        parts.append(f"after {_duration(took_s)}")
        if self._total is not None and fresh > 0 and self._done < self._total:
            left_s = took_s / fresh * (self._total - self._done)
            parts.append(f"about {_duration(left_s)} left")
        line = ", ".join(parts) + (f"; {' '.join(self._note.split())}" if self._note else "")
        self._out.write(line + "\n")
        self._out.flush()
        self._said_s = now_s
        self._said = self._done


@contextmanager
def _bar(total: int | None, label: str, done: int, out: TextIO) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as RichProgress

    shown = RichProgress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False, style="dim"),
        console=Console(file=out),
    )
    with shown:
        task = shown.add_task(label, total=total, completed=done, note="")

        class Bar:
            def advance(self, n: int = 1, note: str = "") -> None:
                if note:
                    shown.update(task, note=" ".join(note.split()))
                shown.advance(task, n)

        yield Bar()


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
