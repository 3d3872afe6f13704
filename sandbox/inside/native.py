"""The compiled part, where there is one: a plain library, preloaded into the guard's interpreter.

It is built when the project is installed. Without a compiler, or with a build from other sources,
all goes its way in Python. It comes as a memory file, so that no program reads in its own list of
mappings where on the host the checkout lies.
"""

from __future__ import annotations

import ctypes
import os
from importlib.machinery import EXTENSION_SUFFIXES

VERSION = 2  # raised with every change of memory.c or runs.c; an older build is not used
OFF = "SEEDCODER_PYTHON_ZYGOTE"  # set in the supervisor's environment, all is Python


def memory_file() -> int:
    """Return a descriptor of the library, for LD_PRELOAD; -1 where there is none, or it is off."""
    folder = os.path.dirname(__file__)
    for suffix in EXTENSION_SUFFIXES:
        path = f"{folder}/_native{suffix}"
        if not os.environ.get(OFF) and os.path.exists(path):
            with open(path, "rb") as file:
                content = file.read()
            fd = os.memfd_create("native", os.MFD_CLOEXEC)
            try:
                if os.write(fd, content) == len(content):
                    return fd
            except OSError:
                pass
            os.close(fd)  # a limit on the size of files cut it: half of it would end the guard
    return -1


def _loaded() -> ctypes.PyDLL | None:
    # Not CDLL: that would let go of the interpreter's lock around the fork.
    found = ctypes.PyDLL(None, use_errno=True)
    try:
        return found if found.seedcoder_version() == VERSION else None
    except AttributeError:
        return None


library = _loaded()


def settle() -> None:
    """Put the memory into huge pages: all that a zygote needs is loaded."""
    if library is not None:
        library.seedcoder_settle()


def collapse() -> None:
    """Put it there again, after this process has written while a child lived."""
    if library is not None:
        library.seedcoder_collapse()
