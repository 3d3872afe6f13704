"""Keep modules from hooking into the zygote's forks, and give the hooks back to programs.

`threading` and `random` do work in every forked child: 170 page faults, a third of what a small
run costs. A child of a process without threads needs none of it, except that `random` must be
seeded anew where a program uses it (the driver does). A program's own forks need the hooks, so
each run whose source speaks of processes registers them before the program starts.
"""

from __future__ import annotations

import os
from typing import Any

_FORKING = ("fork", "rocess", "concurrent", "pty")
_kept: list[dict[str, Any]] = []
_register = os.register_at_fork


def keep_back() -> None:
    """Take the hooks of all modules imported from now on, until `stop_keeping`."""
    os.register_at_fork = lambda **hooks: _kept.append(hooks)


def stop_keeping() -> None:
    """Let modules register hooks again."""
    os.register_at_fork = _register


def give_back(source: str) -> None:
    """Register in this process what was kept, if the source seems to start processes."""
    if any(word in source for word in _FORKING):
        for hooks in _kept:
            _register(**hooks)
