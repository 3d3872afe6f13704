"""The files in a reply of the edit format "whole".

The rules are those of `aider/coders/wholefile_coder.py` (`get_edits`): a fenced block is the file
that the line above its opening names, with its marks taken off; a path that is not one of the files
counts by its last part where that is one. A block without a name is the file that the prose before
it put in backquotes, else the only file there is; else nothing is changed. A block that the reply
ends in counts. Blocks with a name of their own are preferred over such guesses; of several for one
file the last one counts.

Only files that were given to be edited are taken: upstream may also make new ones, which no
exercise needs.
"""

from __future__ import annotations

from collections.abc import Collection

from evals.aider.prompts import Fence

_LONGEST_NAME = 250  # wholefile_coder.py


def whole_files(reply: str, names: Collection[str], fence: Fence) -> dict[str, str]:
    """Return the files that a reply gives new contents; empty where it gives none."""
    found: dict[str, dict[str, str]] = {"block": {}, "saw": {}, "chat": {}}
    lines = reply.splitlines(keepends=True)
    mentioned = ""
    name, how, content = "", "", list[str]()
    inside = False
    for number, line in enumerate(lines):
        if line.startswith(fence):
            if inside:
                _take(found, how, name, content, names)
                inside, mentioned, content = False, "", []
                continue
            inside = True
            name, how = _named(lines[number - 1] if number else "", names), "block"
            if not name:
                name, how = (mentioned, "saw") if mentioned else (_only(names), "chat")
        elif inside:
            content.append(line)
        else:
            words = (word.rstrip(".:,;!") for word in line.split())
            quoted = [word.strip("`") for word in words if word[:1] == word[-1:] == "`"]
            mentioned = next((word for word in reversed(quoted) if word in names), mentioned)
    if inside:
        _take(found, how, name, content, names)
    return {**found["chat"], **found["saw"], **found["block"]}


def _take(
    found: dict[str, dict[str, str]], how: str, name: str, content: list[str],
    names: Collection[str],
) -> None:  # fmt: skip
    if name in names:
        found[how][name] = "".join(content)


def _named(line: str, names: Collection[str]) -> str:
    """Return the name that the line above a fence gives, "" where it is blank."""
    name = line.strip().strip("*").rstrip(":").strip("`").lstrip("#").strip()
    if len(name) > _LONGEST_NAME:
        return ""
    last = name.rpartition("/")[2]
    return last if name not in names and last in names else name


def _only(names: Collection[str]) -> str:
    return next(iter(names)) if len(names) == 1 else ""
