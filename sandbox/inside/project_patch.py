"""Apply a unified diff strictly, where a box has neither git nor patch(1).

Every hunk must fit at its line, or at one other place only; all files are read before any is
written. Takes: changed, new, deleted and renamed text files, in git's form or with --- and +++.
Refuses: names that leave the tree, links, binary files, submodules.
"""

from __future__ import annotations

import itertools
import os
import re

_SCRIPT = re.compile(rb"\d[\d,]*[acd][\d,\s]*|\*{15}.*")
_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


class PatchError(ValueError):
    """The patch does not apply; the message says where."""


def check(patch: bytes) -> None:
    """Refuse what no tool shall read: names that leave the tree, and diffs of other forms.

    patch(1) runs ed(1) on what looks like a script for it, even where told that it is not one. It
    may still find one that is indented; that runs in the box, and all it could change of the
    instance's is put back afterwards. Quoted names are left to the tools, which check them too.
    """
    lines = patch.split(b"\n")
    for line, second, third in itertools.zip_longest(lines, lines[1:], lines[2:], fillvalue=b""):
        if _SCRIPT.fullmatch(line):
            said = line[:80].decode("utf-8", "replace")
            raise PatchError(f"it is no unified diff: {said!r}")
        if line.startswith(b"--- ") and second.startswith(b"+++ ") and third.startswith(b"@@ "):
            for head in (line, second):
                if not head.startswith(b'"', 4):
                    _name(head[4:])
        elif line.startswith((b"rename to ", b"copy to ")) and b'"' not in line:
            _inside(line.partition(b" to ")[2])


def apply(patch: bytes, root: str) -> None:
    """Apply `patch` to the files below `root`, all of it or nothing."""
    written: dict[str, bytes | None] = {}
    lines = patch.split(b"\n")
    at, found = 0, False
    old = new = ""
    while at < len(lines):
        line = lines[at]
        if line.startswith(b"diff --git "):
            old = new = ""
        elif line.startswith((b"GIT binary patch", b"Binary files ")):
            raise PatchError("it changes a binary file")
        elif re.match(rb"(new|old|deleted) (file )?mode (120|160)", line):
            raise PatchError("it changes a link or a submodule")
        elif line.startswith(b"rename from "):
            old = _inside(line[12:])
        elif line.startswith(b"rename to "):
            new, found = _inside(line[10:]), True
            written[new] = _read(old, root, written)
            written[old] = None
        elif line.startswith(b"--- ") and at + 1 < len(lines) and lines[at + 1][:4] == b"+++ ":
            old, new = _name(line[4:]), _name(lines[at + 1][4:])
            at, found = at + 2, True
            at = _file(lines, at, old, new, root, written)
            continue
        at += 1
    if not found:
        raise PatchError("there is no change in it")
    for name, content in written.items():
        path = os.path.join(root, name)
        if content is None:
            os.unlink(path)
            continue
        mode = os.stat(path).st_mode & 0o777 if os.path.exists(path) else 0o644
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
        os.chmod(path, mode)


def _name(raw: bytes) -> str:
    """Return the file of a --- or +++ line, "" for none."""
    raw = raw.split(b"\t")[0].rstrip(b"\r")
    if raw == b"/dev/null":
        return ""
    _, slash, rest = raw.partition(b"/")
    if not slash:
        raise PatchError(f"{raw.decode('utf-8', 'replace')!r} has no folder before it to leave out")
    return _inside(rest)


def _inside(raw: bytes) -> str:
    name = os.fsdecode(raw.strip())
    parts = name.split("/")
    if not name or name.startswith(("/", '"')) or ".." in parts or ".git" in parts or "\0" in name:
        raise PatchError(f"{name!r} does not stay in the tree")
    return name


def _read(name: str, root: str, written: dict[str, bytes | None]) -> bytes:
    if name in written:
        content = written[name]
    else:
        path = os.path.join(root, name)
        if os.path.realpath(path) != os.path.join(os.path.realpath(root), name):
            raise PatchError(f"{name} is beyond a link")
        try:
            with open(path, "rb") as file:
                content = file.read()
        except OSError:
            content = None
    if content is None:
        raise PatchError(f"{name} is not there")
    return content


def _file(
    lines: list[bytes], at: int, old: str, new: str, root: str,
    written: dict[str, bytes | None],
) -> int:  # fmt: skip
    have: list[bytes] = []
    if old:
        # After a rename the content is under its new name.
        gone = old in written and written[old] is None
        have = _lines(_read(new if gone else old, root, written))
    elif written.get(new, b"") is not None and os.path.lexists(os.path.join(root, new)):
        raise PatchError(f"{new} is there already")
    made: list[bytes] = []
    done = 0  # lines of `have` that were taken over
    while at < len(lines):
        head = _HUNK.match(lines[at])
        if head is None:
            break
        start, count = int(head[1]), int(head[2] or 1)
        at, before, after = _hunk(lines, at + 1, count, int(head[4] or 1), new or old)
        place = _place(have, before, max(start - 1 if count else start, done), done, new or old)
        made += have[done:place] + after
        done = place + len(before)
    made += have[done:]
    if new:
        written[new] = b"".join(made)
    elif made:
        raise PatchError(f"{old} has more lines than are deleted")
    if old and old != new:
        written[old] = None
    return at


def _lines(content: bytes) -> list[bytes]:
    """Return the lines, each with its end; the last may have none."""
    found = [line + b"\n" for line in content.split(b"\n")]
    found[-1] = found[-1][:-1]
    return found if found[-1] else found[:-1]


def _hunk(
    lines: list[bytes], at: int, old_count: int, new_count: int, name: str
) -> tuple[int, list[bytes], list[bytes]]:
    before: list[bytes] = []
    after: list[bytes] = []
    last = b""
    while at < len(lines):
        mark, text = lines[at][:1], lines[at][1:] + b"\n"
        full = len(before) >= old_count and len(after) >= new_count
        if mark == b"\\":  # the line before it has no end
            for side in (before, after):
                if side and last in ((b" ", b"", b"-") if side is before else (b" ", b"", b"+")):
                    side[-1] = side[-1][:-1]
        elif full or mark not in (b" ", b"+", b"-", b""):
            break
        if mark in (b" ", b"-", b""):
            before.append(text)
        if mark in (b" ", b"+", b""):
            after.append(text)
        last, at = mark, at + 1
    if (len(before), len(after)) != (old_count, new_count):
        raise PatchError(f"a hunk of {name} has another number of lines than it says")
    return at, before, after


def _place(have: list[bytes], before: list[bytes], wanted: int, least: int, name: str) -> int:
    size = len(before)
    if have[wanted : wanted + size] == before:
        return wanted
    places = [at for at in range(least, len(have) - size + 1) if have[at : at + size] == before]
    if len(places) != 1:
        raise PatchError(f"a hunk of {name} fits nowhere, or at more places than one")
    return places[0]
