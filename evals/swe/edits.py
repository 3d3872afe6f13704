"""SEARCH/REPLACE edits in a reply, and what they make of a project's files.

    ### path/to/file.py
    <<<<<<< SEARCH
    the lines as they are
    =======
    the lines as they should be
    >>>>>>> REPLACE

The lines are looked for as they are, then without the white space at their ends; the first place
counts. An empty SEARCH makes a new file, or adds to the end of one.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from sandbox.project.shell import Change, Changes

_EDIT: Final = re.compile(
    r"^[ \t]*<{5,9} ?SEARCH[ \t]*\n(.*?)^[ \t]*={5,9}[ \t]*\n(.*?)^[ \t]*>{5,9} ?REPLACE",
    re.DOTALL | re.MULTILINE,
)
_PATH: Final = re.compile(
    r"^[#*\s`]*(?:[Ff]ile:?\s*)?[`*]*([\w./+-]+\.\w+|[\w./+-]*/[\w.+-]+)[`*:]*\s*$"
)


class EditError(ValueError):
    """Edits that cannot be made; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One replacement in a file."""

    path: str
    search: str
    replace: str


def edits_in(text: str, default: str = "") -> list[Edit]:
    """Return the edits of a reply. default: the file of edits that name none."""
    found: list[Edit] = []
    path, at = default, 0
    for match in _EDIT.finditer(text):
        for line in text[at : match.start()].splitlines():
            if named := _PATH.match(line):
                path = named.group(1).removeprefix("./")
        at = match.end()
        found.append(Edit(path=path, search=match.group(1), replace=match.group(2)))
    return found


def applied(edits: Sequence[Edit], base: Mapping[str, Change]) -> Changes:
    """Return what edits make of the files. Raises EditError where one cannot be made.

    Python files must parse afterwards, unless they did not before.
    """
    if not edits:
        raise EditError("there are no edits")
    texts: dict[str, str] = {}
    for edit in edits:
        path = PurePosixPath(edit.path)
        if not edit.path or path.is_absolute() or ".." in path.parts:
            raise EditError(f"{edit.path!r} is no file of the project")
        before = texts.get(edit.path, _text(base.get(edit.path)))
        texts[edit.path] = _replaced(edit, before)
    changes = {}
    for name, text in texts.items():
        old = base.get(name)
        if name.endswith(".py") and not parses(text) and (old is None or parses(_text(old) or "")):
            raise EditError(f"{name} is no Python after the edits")
        change = Change(content=text.encode(), executable=bool(old and old.executable))
        if change != old:
            changes[name] = change
    if not changes:
        raise EditError("the edits change nothing")
    return changes


def parses(text: str) -> bool:
    """Return whether a text is Python."""
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return False
    return True


def _text(change: Change | None) -> str | None:
    try:
        return change.content.decode() if change else None
    except UnicodeDecodeError:
        return None


def _replaced(edit: Edit, text: str | None) -> str:
    if not edit.search.strip():
        return (text or "") + edit.replace
    if text is None:
        raise EditError(f"there is no file {edit.path!r}")
    if f"\n{edit.search}" in f"\n{text}":
        at = f"\n{text}".index(f"\n{edit.search}")
        return text[:at] + edit.replace + text[at + len(edit.search) :]
    # Models lose white space at the ends of lines, and empty lines around a block.
    lines, wanted = text.split("\n"), edit.search.strip("\n").split("\n")
    stripped, sought = [line.rstrip() for line in lines], [line.rstrip() for line in wanted]
    for start in range(len(lines) - len(sought) + 1):
        if stripped[start : start + len(sought)] == sought:
            new = edit.replace.strip("\n").split("\n") if edit.replace.strip("\n") else []
            return "\n".join([*lines[:start], *new, *lines[start + len(sought) :]])
    raise EditError(f"the lines to replace are not in {edit.path}")
