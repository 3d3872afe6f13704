"""What is to be run, and how much of the machine it may use."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from sandbox.languages import LANGUAGES

# A patch of a project, for ProjectTests; and text that nothing runs.
_OTHERS = ("diff", "text")


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One program: its source, and what it finds when it starts.

    `language` is a name of `sandbox.languages.LANGUAGES` ("cpp", "java"), "diff" for a patch that
    `ProjectTests` judge, or "text" for what is only looked at.
    `files` maps relative paths to bytes; they lie in the work folder beside the source.
    `stdin` is text; it reaches the program as UTF-8 (lone surrogates as the bytes they stand for).
    """

    language: str = "python"
    source: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    argv: tuple[str, ...] = ()
    stdin: str = ""

    def __post_init__(self) -> None:
        if self.language not in LANGUAGES and self.language not in _OTHERS:
            known = ", ".join((*LANGUAGES, *_OTHERS))
            raise ValueError(f"language must be one of {known}, got {self.language!r}")
        for name in self.files:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name:
                raise ValueError(f"files: {name!r} is not a relative path inside the work folder")
        if any("\0" in arg for arg in self.argv):
            raise ValueError("argv: an argument holds a NUL byte")

    @classmethod
    def python(cls, source: str, *, stdin: str = "", argv: tuple[str, ...] = ()) -> Program:
        """Return a Python program without extra files."""
        return cls(source=source, stdin=stdin, argv=argv)

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`; file contents become base64."""
        return {
            "language": self.language,
            "source": self.source,
            "files": {k: base64.b64encode(v).decode() for k, v in self.files.items()},
            "argv": list(self.argv),
            "stdin": self.stdin,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Program:
        """Return the program that `to_json` wrote."""
        return cls(
            language=data["language"],
            source=data["source"],
            files={k: base64.b64decode(v) for k, v in data["files"].items()},
            argv=tuple(data["argv"]),
            stdin=data["stdin"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one run may use. CPU time decides; the wall clock is a backstop.

    cpu_s: CPU seconds of the program and all its descendants together.
    wall_s: wall seconds from the program's start; default 10 x cpu_s, at least 10.
    memory_mb: MiB held by all its processes together, files in the work folder included.
    processes: processes and threads alive at one time.
    output_kb: KiB kept of stdout, and of stderr; more than that is the verdict OUTPUT.
    disk_mb: MiB of files in the work folder.
    compile_cpu_s: CPU seconds of a compiler; 0 for what its language is given.
    """

    cpu_s: float = 10.0
    wall_s: float = 0.0
    memory_mb: int = 512
    processes: int = 64
    output_kb: int = 4096
    disk_mb: int = 64
    network: bool = False
    compile_cpu_s: float = 0.0

    def __post_init__(self) -> None:
        if self.wall_s == 0.0:
            object.__setattr__(self, "wall_s", max(10.0, 10 * self.cpu_s))
        for name in ("cpu_s", "wall_s", "memory_mb", "processes", "output_kb", "disk_mb"):
            value = getattr(self, name)
            if not value > 0:
                raise ValueError(f"{name} must be positive, got {value}")
        if not self.compile_cpu_s >= 0:
            raise ValueError(f"compile_cpu_s must not be negative, got {self.compile_cpu_s}")
        if self.network:
            raise ValueError("network=True: no box here offers a network to programs")

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Limits:
        """Return the limits that `to_json` wrote."""
        return cls(**data)
