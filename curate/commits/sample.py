"""A commit as training text: message, README, directory tree, relevant files -> paths, changes.

What it holds is the paper's (section 2.2.2); how it is written is ours, as the paper is silent:

    [message]   the commit's, without trailers
    [readme] README.md
    [tree]
    [file] src/a.py          up to five, the most relevant last, before the change
    [paths]                  here begins what is to be predicted
    M src/a.py
    [diff]                   or [blocks]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from curate.commits.blocks import blocks_of
from curate.commits.change import Change
from curate.commits.changes import blob
from curate.commits.context import cut, entry_at, readme_of, tree_of
from curate.commits.objects import Objects
from curate.commits.relevance import Relevance
from curate.commits.unified import diff_of

FORMS: Final = ("diff", "blocks")
_RELEVANT: Final = 5  # paper, sec. 2.2.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """How much is read and shown. All ours: the paper gives none.

    changed_files, file_bytes: of a change, beyond which it is not read. readme_chars, tree_lines,
    shown_chars (of each relevant file): longer ones are cut, and say so. index_files,
    index_file_bytes: of a snapshot, to look for relevant files in.
    """

    changed_files: int = 50
    file_bytes: int = 200_000
    readme_chars: int = 4_000
    tree_lines: int = 200
    shown_chars: int = 12_000
    index_files: int = 20_000
    index_file_bytes: int = 100_000

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The text. target_at: where what is to be predicted begins, in characters. relevant: the
    files shown. seen: of the files that are changed or deleted, the share that is shown whole;
    1.0 where there are none."""

    text: str
    target_at: int
    relevant: tuple[str, ...]
    seen: float

    @property
    def prompt(self) -> str:
        """What is given."""
        return self.text[: self.target_at]

    @property
    def target(self) -> str:
        """What is to be predicted."""
        return self.text[self.target_at :]


def sample_of(
    objects: Objects,
    relevance: Relevance,
    tree: str,
    message: str,
    changes: Sequence[Change],
    form: str,
    caps: Caps,
) -> Sample:
    """Write a commit. tree: before it; `relevance` must be the index of that tree."""
    parts = [f"[message]\n{message}\n\n"]
    readme, text = readme_of(objects, tree, caps.file_bytes)
    if text:
        parts.append(f"[readme] {readme}\n{cut(text, caps.readme_chars)}\n")
    parts.append(f"[tree]\n{tree_of(objects, tree, caps.tree_lines)}\n")
    shown: list[tuple[str, str]] = []
    for path in relevance.top(message, _RELEVANT + 1):
        entry = entry_at(objects, tree, path)
        found, _ = blob(objects, entry, caps.index_file_bytes)
        if found is not None and path != readme:
            shown.append((path, found.text))
    shown = shown[:_RELEVANT]
    for path, text in reversed(shown):
        parts.append(f"[file] {path}\n{cut(text, caps.shown_chars)}\n")
    prompt = "".join(parts)
    whole = {path for path, text in shown if len(text) <= caps.shown_chars}
    needed = [one.renamed_from or one.path for one in changes if one.before is not None]
    seen = sum(path in whole for path in needed) / len(needed) if needed else 1.0
    return Sample(
        text=prompt + target_of(changes, form),
        target_at=len(prompt),
        relevant=tuple(path for path, _ in shown),
        seen=seen,
    )


def target_of(changes: Sequence[Change], form: str) -> str:
    """Return the changed paths and the changes, as "diff" or as "blocks"."""
    paths = "".join(f"{one.letter} {_named(one)}\n" for one in changes)
    body = diff_of(changes) if form == "diff" else blocks_of(changes)
    return f"[paths]\n{paths}\n[{form}]\n{body}"


def body_of(target: str) -> tuple[str, str]:
    """Return the form of a target, and its diff or blocks alone."""
    head, _, rest = target.partition("\n\n[")
    form, _, body = rest.partition("]\n")
    if not head.startswith("[paths]") or form not in FORMS:
        raise ValueError("no target of a commit")
    return form, body


def _named(change: Change) -> str:
    if change.renamed_from:
        return f"{change.renamed_from} -> {change.path}"
    return change.path
