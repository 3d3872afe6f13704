"""The zygote's loop in C, where it was compiled: the structures of runs.c a second time."""

from __future__ import annotations

import ctypes

from sandbox.inside.settings import REQUEST

CHILD, WATCH, CLOSED, FAILED = range(4)


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
