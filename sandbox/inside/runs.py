"""The zygote's loop in C, where it was compiled: the structures of runs.c, and how it is loaded."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from importlib.machinery import EXTENSION_SUFFIXES

from sandbox.inside.settings import REQUEST

VERSION = 1  # raised with every change of runs.c; an older build is not used
CHILD, WATCH, CLOSED, FAILED = range(4)
OFF = "SEEDCODER_PYTHON_ZYGOTE"  # set, it keeps to the loop in Python


class Plan(ctypes.Structure):
    """What holds for all runs of a zygote."""

    _fields_ = (
        ("control", ctypes.c_int32),
        ("join", ctypes.c_int32),
        ("uid", ctypes.c_int32),
        ("pids", ctypes.c_int32),
        ("mounts", ctypes.c_int32),
        ("cores", ctypes.c_int32),
        ("limits_data", ctypes.c_int32),
        ("work", ctypes.c_char_p),
        ("stack_top", ctypes.c_void_p),
        ("filter", ctypes.c_void_p),
        ("page", ctypes.c_void_p),
    )


class Run(ctypes.Structure):
    """The run under way."""

    _fields_ = (
        ("request", ctypes.c_uint8 * REQUEST.size),
        ("child", ctypes.c_int32),
        ("sleeper", ctypes.c_int32),
        ("began_s", ctypes.c_double),
        ("failed", ctypes.c_char_p),
    )


def load() -> Callable[..., int] | None:
    """Return the loop, or None where it was not compiled, or not from these sources."""
    folder = os.path.dirname(__file__)
    for suffix in EXTENSION_SUFFIXES:
        path = f"{folder}/_runs{suffix}"
        if os.path.exists(path):
            try:
                # Not CDLL: that would let go of the interpreter's lock around the fork.
                library = ctypes.PyDLL(path, use_errno=True)
                if library.version() == VERSION:
                    serve: Callable[..., int] = library.serve
                    return serve
            except (OSError, AttributeError):
                continue
    return None
