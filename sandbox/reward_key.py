"""What a verdict depends on, as a digest: the key by which it is kept.

In it: program, tests, limits, box, the sandbox's own source text, interpreter, packages, and the
tools of the program's language. Not in it: the kernel, the machine's speed, what a container's
image holds behind a name that was moved, and what chance the program uses.
"""

from __future__ import annotations

import functools
import hashlib
import json
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

from sandbox import installed
from sandbox.cases import Tests
from sandbox.languages import LANGUAGES
from sandbox.program import Limits, Program

_SOURCES = ("*.py", "*.c")


class Known(Protocol):
    """What a pool tells of itself."""

    @property
    def box_name(self) -> str: ...
    @property
    def packages(self) -> tuple[str, ...]: ...


def of_tests(tests: Tests) -> bytes | None:
    """Return the digest of tests; None where they cannot be written down (a comparer of yours)."""
    from sandbox.tests_json import tests_to_json

    try:
        return _digest(tests_to_json(tests))
    except ValueError:
        return None


def of_program(program: Program) -> bytes:
    """Return the digest of a program with its files, arguments and stdin."""
    if not program.files and not program.argv:  # most: without the detour through base64
        texts = (program.language, program.source, program.stdin)
        return _hash("\0".join(f"{len(text)}:{text}" for text in texts))
    return _digest(program.to_json())


def of_limits(limits: Limits) -> bytes:
    """Return the digest of limits."""
    return _digest(limits.to_json())


def of_place(pool: Known, language: str, version: str) -> bytes:
    """Return the digest of where it is judged; version: what the user adds to it."""
    tools = ""
    if language in LANGUAGES and language != "python":
        try:
            tools = installed.tools(language).identity
        except installed.Missing:
            tools = "missing"
    return _digest([pool.box_name, _judging(), _python(pool.packages), tools, version])


def of_all(*digests: bytes) -> bytes:
    """Return the key of a verdict."""
    return hashlib.sha256(b"".join(digests)).digest()


@functools.cache
def _judging() -> str:
    """Return the digest of the sandbox's own text: whatever changes in it may change a verdict."""
    root = Path(__file__).parent
    total = hashlib.sha256()
    for path in sorted(path for pattern in _SOURCES for path in root.rglob(pattern)):
        content = path.read_bytes()
        total.update(f"{path.relative_to(root)}:{len(content)}\n".encode())
        total.update(content)
    return total.hexdigest()


@functools.cache
def _python(packages: tuple[str, ...]) -> list[str]:
    found = [sys.version, platform.machine()]
    for name in packages:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            found.append(f"{name} none")
    return found


def _digest(data: Any) -> bytes:
    return _hash(json.dumps(data, sort_keys=True, separators=(",", ":")))


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
