"""What each kind of verdict is called in reports, and its colour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sandbox import Kind
from seedcoder.report import Tone

TONES: Final[Mapping[Kind, Tone]] = {
    Kind.PASSED: "good",
    Kind.WRONG: "bad",
    Kind.CRASHED: "hot",
    Kind.TIMEOUT: "warn",
    Kind.MEMORY: "odd",
    Kind.OUTPUT: "odd",
    Kind.COMPILE_ERROR: "cool",
    Kind.FORBIDDEN: "odd",
    Kind.NO_CODE: "muted",
}
WORDS: Final[Mapping[Kind, str]] = {
    Kind.PASSED: "passed",
    Kind.WRONG: "wrong",
    Kind.CRASHED: "crashed",
    Kind.TIMEOUT: "time-out",
    Kind.MEMORY: "memory",
    Kind.OUTPUT: "output",
    Kind.COMPILE_ERROR: "does not compile",
    Kind.FORBIDDEN: "forbidden",
    Kind.NO_CODE: "no code",
}
LOST: Final = "lost"
NOT_TRIED: Final = "not tried"
