"""Where files that can be fetched or made again are kept."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """SEEDCODER_CACHE, else XDG_CACHE_HOME/seedcoder, else ~/.cache/seedcoder."""
    for name, below in (("SEEDCODER_CACHE", ""), ("XDG_CACHE_HOME", "seedcoder")):
        value = os.environ.get(name)
        if value:
            return Path(value) / below
    return Path.home() / ".cache" / "seedcoder"
