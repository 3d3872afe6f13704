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
from sandbox.project.tests import ProjectTests

_SOURCES = ("*.py", "*.c")


class Known(Protocol):
    """What a pool tells of itself."""

    @property
    def box_name(self) -> str: ...
    @property
    def packages(self) -> tuple[str, ...]: ...


def of_tests(tests: Tests, version: str = "") -> bytes | None:
    """Return the digest of tests; None where they do not say all that they judge by.

    That is so with a comparer of yours; with a project whose snapshot is a folder, or an archive
    without its sha256; and with a project's folder of packages, unless `version` stands for it.
    """
    from sandbox.tests_json import tests_to_json

    if isinstance(tests, ProjectTests):
        pinned = tests.snapshot.sha256 or tests.snapshot.kind == "inline"
        if not pinned or (tests.packages_dir and not version):
            return None
    judges = [getattr(tests, name, None) for name in ("checker", "interactor")]
    tools = [_tools(one.language) for one in judges if isinstance(one, Program)]
    try:
        return _digest([tests_to_json(tests), tools])
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
    return _digest([pool.box_name, _judging(), _python(pool.packages), _tools(language), version])


def of_all(*digests: bytes) -> bytes:
    """Return the key of a verdict."""
    return hashlib.sha256(b"".join(digests)).digest()


def _tools(language: str) -> str:
    """Return what identifies a language's compiler or interpreter; Python is told by `_python`."""
    if language not in LANGUAGES or language == "python":
        return ""
    try:
        return installed.tools(language).identity
    except installed.Missing:
        return "missing"


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
