"""Changes as search/replace blocks, and the strict way back. The form is ours, after aider's.

    edit src/a.py
    <<<<<<< SEARCH
    lines as they are, with as many around them as make them unique in the file
    =======
    lines as they become
    >>>>>>> REPLACE
    create bin/run
    mode 755
    <<<<<<< SEARCH
    =======
    the whole text
    >>>>>>> REPLACE
    delete old.py
    rename old/name.py
    to new/name.py

Blocks of a file apply one after another; what is searched for is there exactly once. Signs are made
longer where a line of the text looks like them, and "no newline" behind the sign that ends a part
says that its last line has none. So the files after are the same byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from curate.commits.change import Blob, Change, DoesNotApply, Edit, edits_of, lines_of

_SHORTEST: Final = 7
_RUN: Final = re.compile(r"^(<+|=+|>+)", re.MULTILINE)
_OPEN: Final = re.compile(r"(<{7,}) SEARCH\n")
_BARE: Final = " no newline"
_NEAR: Final = 1  # ours: lines around an edit, where they are enough to find it
_SLOWLY: Final = 16  # ours: so many lines are added one by one, then ever more at once


def blocks_of(changes: Sequence[Change]) -> str:
    """Return the blocks of changes, in their order."""
    return "".join(_file(change) for change in changes)


def apply_blocks(text: str, before: Mapping[str, Blob]) -> dict[str, Blob]:
    """Return the files that blocks make of `before`. DoesNotApply: they do not fit."""
    files = dict(before)
    lines = lines_of(text)
    at = 0
    while at < len(lines):
        at = _apply_file(lines, at, before, files)
    return files


def _file(change: Change) -> str:
    old, new = change.before, change.after
    if new is None:
        return f"delete {change.path}\n"
    if old is None:
        mode = "mode 755\n" if new.executable else ""
        body = _block("", new.text) if new.text else ""
        return f"create {change.path}\n{mode}{body}"
    head = f"edit {change.path}\n"
    if change.renamed_from:
        head = f"rename {change.renamed_from}\nto {change.path}\n"
    if old.executable != new.executable:
        head += f"mode {'755' if new.executable else '644'}\n"
    return head + "".join(_block(one, two) for one, two in pairs_of(old.text, new.text))


def pairs_of(before: str, after: str) -> list[tuple[str, str]]:
    """Return what to search for and what to put there, one after another."""
    if before == after:
        return []
    old, new = lines_of(before), lines_of(after)
    pairs = [
        ("".join(old[e.b0 : e.b1]), "".join(new[e.a0 : e.a1]))
        for e in _widened(edits_of(old, new), before, old)
    ]
    try:
        text = before
        for search, replace in pairs:
            text = _replaced(text, search, replace)
    except DoesNotApply:  # what one block puts there looks like what a later one searches for
        return [(before, after)]
    return pairs if text == after else [(before, after)]


def _widened(edits: Sequence[Edit], before: str, old: Sequence[str]) -> list[Edit]:
    """Return edits with as many lines around them as make each unique, one for those that touch."""
    found: list[tuple[int, int, Edit, Edit]] = []  # begin, end, first and last edit in it
    for edit in edits:
        b0, b1 = _unique(edit, before, old)
        first = edit
        while found and b0 <= found[-1][1]:
            begin, end, first, _ = found.pop()
            b0, b1 = min(b0, begin), max(b1, end)
        found.append((b0, b1, first, edit))
    return [
        Edit(b0, b1, first.a0 - (first.b0 - b0), last.a1 + (b1 - last.b1))
        for b0, b1, first, last in found
    ]


def _unique(edit: Edit, before: str, old: Sequence[str]) -> tuple[int, int]:
    """Return the lines that it takes to find the place of an edit."""
    reach = _NEAR
    grown = 0
    while True:
        b0, b1 = max(0, edit.b0 - reach), min(len(old), edit.b1 + reach)
        if (b0, b1) == (0, len(old)) or _count("".join(old[b0:b1]), before) == 1:
            return b0, b1
        grown += 1
        reach += 1 if grown < _SLOWLY else reach


def _count(search: str, text: str) -> int:
    """Return 0, 1, or 2 for more; overlaps count."""
    first = text.find(search)
    if first < 0:
        return 0
    return 1 if text.find(search, first + 1) < 0 else 2


def _replaced(text: str, search: str, replace: str) -> str:
    if not search:
        if text:
            raise DoesNotApply("nothing is searched for, but the file is not empty")
        return replace
    at = text.find(search)
    if at < 0:
        raise DoesNotApply(f"not there: {search[:80]!r}")
    if text.find(search, at + 1) >= 0:
        raise DoesNotApply(f"there more than once: {search[:80]!r}")
    if at and text[at - 1] != "\n":
        raise DoesNotApply(f"no whole lines: {search[:80]!r}")
    return text[:at] + replace + text[at + len(search) :]


def _block(search: str, replace: str) -> str:
    runs = {len(run) for text in (search, replace) for run in _RUN.findall(text)}
    size = next(n for n in range(_SHORTEST, len(runs) + _SHORTEST + 1) if n not in runs)
    one, bare_one = _part(search)
    two, bare_two = _part(replace)
    return (
        f"{'<' * size} SEARCH\n{one}{'=' * size}{bare_one}\n{two}{'>' * size} REPLACE{bare_two}\n"
    )


def _part(text: str) -> tuple[str, str]:
    return (f"{text}\n", _BARE) if text and not text.endswith("\n") else (text, "")


def _apply_file(
    lines: Sequence[str], at: int, before: Mapping[str, Blob], files: dict[str, Blob]
) -> int:
    what, _, source = lines[at].rstrip("\n").partition(" ")
    at += 1
    if what not in ("edit", "create", "delete", "rename") or not source:
        raise DoesNotApply(f"no edit, create, delete or rename: {lines[at - 1]!r}")
    old = before.get(source)
    if (old is None) != (what == "create"):
        raise DoesNotApply(f"{source!r} is {'there already' if old else 'not there'}")
    if what == "delete":
        files.pop(source, None)
        return at
    path = source
    if what == "rename":
        if at >= len(lines) or not lines[at].startswith("to "):
            raise DoesNotApply(f"rename of {source!r} says not to what")
        path = lines[at][3:].rstrip("\n")
        at += 1
        files.pop(source, None)
    executable = bool(old and old.executable)
    if at < len(lines) and lines[at] in ("mode 755\n", "mode 644\n"):
        executable = lines[at] == "mode 755\n"
        at += 1
    text = old.text if old else ""
    while at < len(lines) and (match := _OPEN.fullmatch(lines[at])):
        size = len(match[1])
        search, at = _read(lines, at + 1, "=" * size)
        replace, at = _read(lines, at, ">" * size + " REPLACE")
        text = _replaced(text, search, replace)
    files[path] = Blob(text=text, executable=executable)
    return at


def _read(lines: Sequence[str], at: int, end: str) -> tuple[str, int]:
    for number in range(at, len(lines)):
        line = lines[number].removesuffix("\n")
        if line in (end, end + _BARE):
            text = "".join(lines[at:number])
            return (text.removesuffix("\n") if line != end else text), number + 1
    raise DoesNotApply(f"a block has no {end!r}")
