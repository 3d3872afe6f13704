"""What a commit's message is read with: README, the directory tree, the files it is about."""

from __future__ import annotations

import re
from collections import deque
from typing import Final

from curate.commits.changes import blob
from curate.commits.objects import LINK, SUBMODULE, Entry, Objects
from curate.commits.vendored import is_vendored

_README: Final = re.compile(r"(?i)^readme(?:\.(?:md|markdown|rst|txt|adoc|org))?$")
_FOLDER: Final = 0o040000


def entry_at(objects: Objects, tree: str, path: str) -> Entry | None:
    """Return what a tree has at a path."""
    found: Entry | None = None
    for name in path.encode().split(b"/"):
        found = objects.folder(tree).get(name)
        if found is None:
            return None
        tree = found.sha if found.mode == _FOLDER else ""
        if not tree:
            break
    return found


def readme_of(objects: Objects, tree: str, most_bytes: int) -> tuple[str, str]:
    """Return name and text of the README at the top, "" and "" for none; Markdown first."""
    found: list[tuple[str, str]] = []
    for raw, entry in objects.folder(tree).items():
        name = raw.decode("utf-8", "replace")
        if _README.match(name) and entry.mode not in (_FOLDER, LINK, SUBMODULE):
            text, _ = blob(objects, entry, most_bytes)
            if text is not None and text.text.strip():
                found.append((name, text.text))
    found.sort(key=lambda one: (not one[0].lower().endswith(".md"), one[0]))
    return found[0] if found else ("", "")


def tree_of(objects: Objects, tree: str, most_lines: int) -> str:
    """Return the names in a tree, two spaces a level. Folders for which no line is left, and
    vendored ones, are closed, with how many files are in them."""
    lines_left = most_lines - len(objects.folder(tree))
    opened = {""}
    waiting = deque(_folders(objects, tree, ""))
    while waiting:
        path, sha = waiting.popleft()
        size = len(objects.folder(sha))
        if size <= lines_left and not is_vendored(f"{path}/"):
            opened.add(path)
            lines_left -= size
            waiting += _folders(objects, sha, f"{path}/")
    lines = _lines(objects, tree, "", 0, opened)
    if len(lines) > most_lines:
        lines = [*lines[:most_lines], f"({len(lines) - most_lines} more)"]
    return "".join(f"{line}\n" for line in lines)


def cut(text: str, most_chars: int) -> str:
    """Return a text's first lines, and how many more there are; it ends with a line feed."""
    if len(text) > most_chars:
        kept = text[:most_chars].rpartition("\n")[0] or text[:most_chars]
        return f"{kept}\n[{text.count(chr(10), len(kept))} more lines]\n"
    return text if text.endswith("\n") or not text else text + "\n"


def _folders(objects: Objects, tree: str, prefix: str) -> list[tuple[str, str]]:
    return [
        (prefix + _shown(name), entry.sha)
        for name, entry in objects.folder(tree).items()
        if entry.mode == _FOLDER
    ]


def _lines(objects: Objects, tree: str, prefix: str, depth: int, opened: set[str]) -> list[str]:
    found: list[str] = []
    for raw, entry in objects.folder(tree).items():
        name = _shown(raw)
        if entry.mode != _FOLDER:
            found.append(f"{'  ' * depth}{name}")
        elif prefix + name in opened:
            found.append(f"{'  ' * depth}{name}/")
            found += _lines(objects, entry.sha, f"{prefix}{name}/", depth + 1, opened)
        else:
            found.append(f"{'  ' * depth}{name}/ ({objects.count(entry.sha)} files)")
    return found


def _shown(name: bytes) -> str:
    text = name.decode("utf-8", "replace")
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else "\ufffd" for c in text)
