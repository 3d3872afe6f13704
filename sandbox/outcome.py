"""What one run did."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """How a run or a judgement ended. Our own failures are exceptions, never a kind."""

    PASSED = "passed"
    WRONG = "wrong"
    CRASHED = "crashed"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    OUTPUT = "output"
    COMPILE_ERROR = "compile_error"
    FORBIDDEN = "forbidden"
    NO_CODE = "no_code"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One run, told from outside the process.

    kind: PASSED means only that the program ended by itself with exit code 0 within its limits;
        it says nothing about right or wrong (`Verdict` does).
    exit_code: None when a signal ended the program. signal: None when it exited by itself.
    stdout, stderr: decoded as UTF-8, invalid bytes replaced; kept up to the limit.
    truncated: true when stdout or stderr went over the limit.
    cpu_s: of the program and all its descendants. peak_mb: MiB; of all processes together where
        a cgroup measures it, else of the largest process.
    files: regular files of the work folder that the caller asked for.
    """

    kind: Kind
    exit_code: int | None
    signal: int | None
    stdout: str
    stderr: str
    truncated: bool
    cpu_s: float
    wall_s: float
    peak_mb: float
    files: Mapping[str, bytes] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`; file contents become base64."""
        data = {name: getattr(self, name) for name in self.__slots__}
        data["kind"] = self.kind.value
        data["files"] = {k: base64.b64encode(v).decode() for k, v in self.files.items()}
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Outcome:
        """Return the outcome that `to_json` wrote."""
        files = {k: base64.b64decode(v) for k, v in data["files"].items()}
        return cls(**{**data, "kind": Kind(data["kind"]), "files": files})
