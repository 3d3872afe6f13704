"""A patch in git's form, made of a project's files and what became of some.

Text only: files that are not UTF-8, or hold a NUL, and names that git would have to quote are left
out of a patch. What a context is follows `difflib`: three lines.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

from sandbox.project.shell import Change, Changes


def git_diff(base: Mapping[str, Change], changes: Changes) -> str:
    """Return the patch that makes `changes` of `base`; "" where nothing of it can be told."""
    return "".join(
        line for name in sorted(changes) for line in _of_file(name, base.get(name), changes[name])
    )


def _of_file(name: str, before: Change | None, after: Change | None) -> Iterator[str]:
    old, new = _text(before), _text(after)
    if old is None or new is None or before == after or not name.isprintable() or '"' in name:
        return
    yield f"diff --git a/{name} b/{name}\n"
    if before is None and after is not None:
        yield f"new file mode {_mode(after)}\n"
    elif after is None and before is not None:
        yield f"deleted file mode {_mode(before)}\n"
    elif before is not None and after is not None and before.executable != after.executable:
        yield f"old mode {_mode(before)}\nnew mode {_mode(after)}\n"
    changed = difflib.unified_diff(
        _lines(old),
        _lines(new),
        f"a/{name}" if before is not None else "/dev/null",
        f"b/{name}" if after is not None else "/dev/null",
    )
    for line in changed:
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _text(change: Change | None) -> str | None:
    if change is None:
        return ""
    try:
        text = change.content.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _lines(text: str) -> list[str]:
    """Return the lines with their ends; other line ends than \\n are part of a line."""
    lines = [f"{line}\n" for line in text.split("\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines


def _mode(change: Change) -> str:
    return "100755" if change.executable else "100644"
