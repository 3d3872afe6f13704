"""A command as a message that the zygote's loop in C can follow, without a line of Python.

Starting Python in the run's process to lay a file down and call exec costs half of what a small
compiled program costs in all. The layout is read by be_command in inside/runs.c.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Mapping
from typing import Any

from sandbox.inside.settings import WORK


def message(job: Mapping[str, Any]) -> bytes | None:
    """Return the message of a `launch` job; None where it needs more than files and exec."""
    files = {**job["files"], **job["program"]}
    if job["packs"] or any("/" in name for name in files):
        return None
    try:
        return _message(job, files)
    except UnicodeEncodeError:  # launch says what is wrong with it
        return None


def _message(job: Mapping[str, Any], files: Mapping[str, bytes]) -> bytes:
    parts = [struct.pack("=QII", job["stack"], job["by_link"], len(files))]
    for name, content in files.items():
        parts += (struct.pack("=Q", len(content)), os.fsencode(name), b"\0", content)
    variables = {"HOME": WORK, "TMPDIR": WORK, **job["environment"]}
    words = map(os.fsencode, (*job["command"], *job["argv"]))
    return b"".join((*parts, *_words(words), *_words(_assignments(variables))))


def _assignments(variables: Mapping[str, str]) -> Iterable[bytes]:
    return (os.fsencode(f"{name}={value}") for name, value in variables.items())


def _words(words: Iterable[bytes]) -> Iterable[bytes]:
    found = tuple(words)
    yield struct.pack("=I", len(found))
    for word in found:
        yield word + b"\0"
