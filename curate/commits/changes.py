"""From two trees to changes of text: what cannot be one is left out, with the reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from curate.commits.change import Blob, Change, similarity
from curate.commits.objects import LINK, SUBMODULE, Entry, Objects, Step
from curate.commits.unified import is_plain
from curate.commits.vendored import is_generated, is_vendored, says_generated

_RENAMED: Final = 0.5  # git's: from this similarity on it is the same file under another name
_PAIRS: Final = 400  # ours: of a file that goes with one that comes, compared


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What differs between two trees, by path. left_out: paths that are not in `changes`, by
    reason."""

    changes: tuple[Change, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)

    @property
    def most_left_out(self) -> str:
        """The reason why most were left out, "" for none."""
        return max(self.left_out, key=lambda why: (self.left_out[why], why), default="")


def changes_of(objects: Objects, steps: Sequence[Step], most_bytes: int) -> Changes:
    """Read the files that differ. most_bytes: of a file, before or after."""
    left_out: Counter[str] = Counter()
    read: list[tuple[str, Step]] = []
    for step in steps:
        why = _by_name(step)
        if why:
            left_out[why] += 1
        else:
            read.append((step.path.decode(), step))
    ids = [one.sha for _, step in read for one in (step.before, step.after) if one is not None]
    sizes = {sha: size for sha, _, size in objects.facts(ids)}
    objects.contents([sha for sha in ids if sizes[sha] <= most_bytes], "blob", most_bytes)
    found: list[Change] = []
    for path, step in read:
        sides = [one for one in (step.before, step.after) if one is not None]
        if any(sizes[one.sha] > most_bytes for one in sides):
            left_out["too large"] += 1
            continue
        before, why_before = blob(objects, step.before, most_bytes)
        after, why_after = blob(objects, step.after, most_bytes)
        why = why_before or why_after
        if not why and any(one and says_generated(one.text) for one in (before, after)):
            why = "generated"
        if why:
            left_out[why] += 1
        else:
            found.append(Change(path=path, before=before, after=after))
    return Changes(changes=tuple(_with_renames(found)), left_out=dict(left_out))


def blob(objects: Objects, entry: Entry | None, most_bytes: int) -> tuple[Blob | None, str]:
    """Return a file as text, or why it is none; None and "" where there is no file."""
    if entry is None:
        return None, ""
    data = objects.read(entry.sha, "blob", most_bytes)
    if data is None:
        return None, "too large"
    if b"\0" in data:
        return None, "binary"
    try:
        return Blob(text=data.decode("utf-8"), executable=bool(entry.mode & 0o100)), ""
    except UnicodeDecodeError:
        return None, "not UTF-8"


def _by_name(step: Step) -> str:
    """Return why a path is left out without reading it, "" where it is not."""
    modes = {one.mode for one in (step.before, step.after) if one is not None}
    if SUBMODULE in modes:
        return "submodules"
    if LINK in modes:
        return "links"
    try:
        path = step.path.decode("utf-8")
    except UnicodeDecodeError:
        return "odd names"
    if not is_plain(path):
        return "odd names"
    if is_vendored(path):
        return "vendored"
    return "generated" if is_generated(path) else ""


def _with_renames(changes: Sequence[Change]) -> list[Change]:
    """Make one change of a file that goes and one that comes with like content, as git does."""
    gone = [one for one in changes if one.before is not None and one.after is None]
    come = [one for one in changes if one.before is None and one.after is not None]
    if not gone or not come:
        return list(changes)
    pairs: list[tuple[float, bool, str, str]] = []
    small = len(gone) * len(come) <= _PAIRS
    for old in gone:
        for new in come:
            assert old.before is not None and new.after is not None
            one, two = old.before.text, new.after.text
            alike = 1.0 if one == two else (similarity(one, two) if small else 0.0)
            if one and alike >= _RENAMED:
                named = old.path.rpartition("/")[2] == new.path.rpartition("/")[2]
                pairs.append((alike, named, old.path, new.path))
    pairs.sort(key=lambda pair: (-pair[0], not pair[1], pair[2], pair[3]))
    source: dict[str, str] = {}
    for _, _, old_path, new_path in pairs:
        if new_path not in source and old_path not in source.values():
            source[new_path] = old_path
    taken = {one.path: one for one in gone if one.path in source.values()}
    found: list[Change] = []
    for change in changes:
        if change.path in source:
            old = taken[source[change.path]]
            found.append(
                Change(
                    path=change.path,
                    before=old.before,
                    after=change.after,
                    renamed_from=old.path,
                )
            )
        elif change.path not in taken:
            found.append(change)
    return found
