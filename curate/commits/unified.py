"""Changes as a unified diff that `git apply` takes, and the strict way back.

No index lines: they say nothing that can be predicted. Paths must be plain (`is_plain`). The way
back takes what `diff_of` writes: line numbers and context must fit exactly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from curate.commits.change import (
    Blob,
    Change,
    DoesNotApply,
    Edit,
    edits_of,
    lines_of,
    similarity,
)

_CONTEXT: Final = 3
_NO_NEWLINE: Final = "\\ No newline at end of file\n"
_HUNK: Final = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@.*\n")


def is_plain(path: str) -> bool:
    """Whether a path can be written as it is: no control characters, quotes or backslashes, no
    space at an end, no way out of the tree."""
    parts = path.split("/")
    return (
        path.isprintable()
        and not set('"\\') & set(path)
        and path == path.strip()
        and not any(part in ("", ".", "..") or part.lower() == ".git" for part in parts)
    )


def diff_of(changes: Sequence[Change]) -> str:
    """Return a unified diff of changes, in their order."""
    return "".join(_file(change) for change in changes)


def apply_diff(text: str, before: Mapping[str, Blob]) -> dict[str, Blob]:
    """Return the files that a diff makes of `before`. DoesNotApply: it does not fit."""
    files = dict(before)
    lines = lines_of(text)
    at = 0
    if text and not text.startswith("diff --git "):
        raise DoesNotApply("a diff begins with diff --git")
    while at < len(lines):
        at = _apply_file(lines, at, before, files)
    return files


def _mode(blob: Blob) -> str:
    return "100755" if blob.executable else "100644"


def _file(change: Change) -> str:
    old, new = change.before, change.after
    source = change.renamed_from or change.path
    parts = [f"diff --git a/{source} b/{change.path}\n"]
    if old is None and new is not None:
        parts.append(f"new file mode {_mode(new)}\n")
    elif new is None and old is not None:
        parts.append(f"deleted file mode {_mode(old)}\n")
    elif old is not None and new is not None:
        if old.executable != new.executable:
            parts.append(f"old mode {_mode(old)}\nnew mode {_mode(new)}\n")
        if change.renamed_from:
            same = int(100 * similarity(old.text, new.text))
            same = 100 if old.text == new.text else min(same, 99)
            parts.append(f"similarity index {same}%\n")
            parts.append(f"rename from {source}\nrename to {change.path}\n")
    before = lines_of(old.text) if old else []
    after = lines_of(new.text) if new else []
    found = edits_of(before, after)
    if found:
        parts.append(f"--- {_side('a', source) if old else '/dev/null'}\n")
        parts.append(f"+++ {_side('b', change.path) if new else '/dev/null'}\n")
        parts += (_hunk(group, before, after) for group in _groups(found))
    return "".join(parts)


def _side(side: str, path: str) -> str:
    """As git writes it: a tab ends a name that has a space."""
    return f"{side}/{path}\t" if " " in path else f"{side}/{path}"


def _groups(edits: Sequence[Edit]) -> Iterator[list[Edit]]:
    group: list[Edit] = []
    for edit in edits:
        if group and edit.b0 - group[-1].b1 > 2 * _CONTEXT:
            yield group
            group = []
        group.append(edit)
    if group:
        yield group


def _hunk(group: Sequence[Edit], before: Sequence[str], after: Sequence[str]) -> str:
    first, last = group[0], group[-1]
    lead = min(_CONTEXT, first.b0)
    trail = min(_CONTEXT, len(before) - last.b1)
    b0, b1 = first.b0 - lead, last.b1 + trail
    a0, a1 = first.a0 - lead, last.a1 + trail
    parts = [f"@@ -{_span(b0, b1)} +{_span(a0, a1)} @@\n"]
    at = b0
    for edit in group:
        parts += (_line(" ", line) for line in before[at : edit.b0])
        parts += (_line("-", line) for line in before[edit.b0 : edit.b1])
        parts += (_line("+", line) for line in after[edit.a0 : edit.a1])
        at = edit.b1
    parts += (_line(" ", line) for line in before[at:b1])
    return "".join(parts)


def _span(begin: int, end: int) -> str:
    size = end - begin
    start = begin + 1 if size else begin
    return str(start) if size == 1 else f"{start},{size}"


def _line(sign: str, line: str) -> str:
    return f"{sign}{line}" if line.endswith("\n") else f"{sign}{line}\n{_NO_NEWLINE}"


def _apply_file(
    lines: Sequence[str], at: int, before: Mapping[str, Blob], files: dict[str, Blob]
) -> int:
    """Apply the file whose header is at `at`; return where the next begins."""
    first = lines[at]
    said: dict[str, str] = {}
    at += 1
    names = (
        "new file mode ", "deleted file mode ", "old mode ", "new mode ", "similarity index ",
        "rename from ", "rename to ", "--- ", "+++ ",
    )  # fmt: skip
    while at < len(lines) and (name := next((n for n in names if lines[at].startswith(n)), "")):
        said[name.strip()] = lines[at][len(name) :].rstrip("\n")
        at += 1
        if name == "+++ ":
            break
    source, path = _paths(first, said)
    old = before.get(source)
    is_new = "new file mode" in said
    if is_new != (old is None):
        raise DoesNotApply(f"{source!r} is {'there already' if is_new else 'not there'}")
    text, at = _apply_hunks(lines, at, lines_of(old.text) if old else [])
    if "deleted file mode" in said:
        if text:
            raise DoesNotApply(f"{source!r} is deleted, but something of it is left")
        files.pop(source, None)
        return at
    mode = said.get("new file mode", said.get("new mode", ""))
    executable = mode == "100755" if mode else bool(old and old.executable)
    if source != path:
        files.pop(source, None)
    files[path] = Blob(text=text, executable=executable)
    return at


def _paths(first: str, said: Mapping[str, str]) -> tuple[str, str]:
    if "rename from" in said:
        return said["rename from"], said["rename to"]
    both = first.removeprefix("diff --git ").rstrip("\n")
    half = len(both) // 2
    if not first.startswith("diff --git ") or both[2:half] != both[half + 3 :]:
        raise DoesNotApply(f"no file's header: {first!r}")
    return both[2:half], both[half + 3 :]


def _apply_hunks(lines: Sequence[str], at: int, old: Sequence[str]) -> tuple[str, int]:
    new: list[str] = []
    done = 0
    while at < len(lines) and (match := _HUNK.fullmatch(lines[at])):
        at += 1
        b_size = int(match[2]) if match[2] is not None else 1
        a_size = int(match[4]) if match[4] is not None else 1
        begin = int(match[1]) - (1 if b_size else 0)
        if not done <= begin <= len(old):
            raise DoesNotApply(f"no line {match[1]}")
        new += old[done:begin]
        done = begin
        while b_size or a_size:
            if at >= len(lines):
                raise DoesNotApply("a hunk ends early")
            sign, line = lines[at][:1], lines[at][1:]
            at += 1
            if at < len(lines) and lines[at] == _NO_NEWLINE:
                line = line.removesuffix("\n")
                at += 1
            if sign in (" ", "-"):
                if done >= len(old) or old[done] != line:
                    raise DoesNotApply(f"line {done + 1} is not {line!r}")
                done += 1
                b_size -= 1
            if sign in (" ", "+"):
                new.append(line)
                a_size -= 1
            if sign not in (" ", "-", "+"):
                raise DoesNotApply(f"no line of a hunk: {line!r}")
    if at < len(lines) and not lines[at].startswith("diff --git "):
        raise DoesNotApply(f"neither hunk nor file: {lines[at]!r}")
    return "".join([*new, *old[done:]]), at
