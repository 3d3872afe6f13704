"""Commits of git repositories as documents: the text is a training sample, the facts are meta.

Every commit of a history is a document. Those that cannot be a sample (merges, first commits,
commits of bots, those that change too many files or only what is no text of the project) hold their
message alone, and meta.reason says why: the step `commits` drops them, so that they are counted.
Path: the commit's id. Names and addresses of people are nowhere.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from curate.commits.change import changed_lines
from curate.commits.changes import blob, changes_of
from curate.commits.gitdir import GitDir, NotReadable, opened, repositories
from curate.commits.history import History, Listed, Said, history_of, said_by
from curate.commits.metadata import Standing, standings
from curate.commits.objects import Objects, TooMany
from curate.commits.relevance import Relevance
from curate.commits.sample import FORMS, Caps, sample_of
from curate.document import Document
from curate.languages import language_of
from curate.licences import is_licence_file, licence_of
from curate.sources.source import Refuse, fingerprint_of, key_of
from seedcoder.errors import UsageError

_OURS: Final = Caps()
_LICENCE_BYTES: Final = 200_000  # ours: a licence file is no longer


@dataclass(frozen=True, slots=True, kw_only=True)
class Commits:
    """The source. See `commits`."""

    roots: tuple[Path, ...]
    each: bool
    revision: str
    target: str
    seed: int
    metadata: Path | None
    caps: Caps

    def settings(self) -> Mapping[str, Any]:
        """Return how commits are written."""
        return {
            "reader": 1, "each": self.each, "revision": self.revision, "target": self.target,
            "seed": self.seed, "caps": self.caps.to_json(),
            "metadata": hashlib.sha256(self.metadata.read_bytes()).hexdigest()
            if self.metadata else "",
        }  # fmt: skip

    def fingerprint(self) -> str:
        """Return a digest of which commit each repository is at."""
        return fingerprint_of_heads(self.roots, self.each, self.revision)

    def documents(self, name: str, refuse: Refuse) -> Iterator[Document]:
        """Yield the commits, repository by repository, parents before children."""
        known = standings(self.metadata) if self.metadata else {}
        for repo, path in repositories(self.roots, self.each):
            try:
                with opened(path) as gitdir, Objects(gitdir) as objects:
                    commit = objects.commit(gitdir.resolve(self.revision))
                    history = history_of(gitdir, commit)
                    standing = known.get(repo, Standing())
                    one = _Repository(self, name, repo, gitdir, objects, history, standing)
                    yield from one.documents(refuse)
            except NotReadable as error:
                refuse(repo, str(error))
            except (TooMany, RecursionError):
                refuse(repo, "its trees are endless")


class _Repository:
    """One repository, its commits being read."""

    def __init__(
        self,
        source: Commits,
        name: str,
        repo: str,
        gitdir: GitDir,
        objects: Objects,
        history: History,
        standing: Standing,
    ) -> None:
        self.source, self.name, self.repo = source, name, repo
        self.gitdir, self.objects, self.history = gitdir, objects, history
        self.trees = history.trees()
        self.licence = self._licence()
        self.relevance = self._index()
        self.facts: dict[str, Any] = {
            "repo_commits": len(history.commits), "repo_days": history.days,
            "repo_active_days": history.active_days, "stars": standing.stars,
            "forks": standing.forks,
        }  # fmt: skip

    def documents(self, refuse: Refuse) -> Iterator[Document]:
        for listed in self.history.commits:
            place = f"{self.repo}@{listed.sha}"
            try:
                said = said_by(self.objects, listed.sha)
                if said is None:
                    refuse(place, "its message is far too long")
                    continue
                yield self._document(listed, said)
            except (TooMany, RecursionError):
                refuse(place, "its trees are endless")
            except NotReadable as error:
                if self.objects.has_ended():
                    raise
                self.relevance = self._index()  # it may stand between two snapshots
                refuse(place, str(error))

    def _document(self, listed: Listed, said: Said) -> Document:
        meta: dict[str, Any] = {
            "commit": listed.sha, "parents": list(listed.parents), "time_s": listed.time_s,
            "words": said.words, **self.facts,
        }  # fmt: skip
        text, language = said.message, ""
        reason = self._by_itself(listed, said)
        if not reason:
            text, language, reason = self._sampled(listed, said, meta)
        return Document(
            key=key_of(self.name, self.repo, listed.sha),
            text=text,
            language=language,
            path=listed.sha,
            repo=self.repo,
            licence=self.licence,
            meta={**meta, "reason": reason},
        )

    def _by_itself(self, listed: Listed, said: Said) -> str:
        """Return why a commit is no sample, before its change is looked at."""
        if len(listed.parents) > 1:
            return "merge"
        if listed.sha in self.gitdir.shallow:
            return "parent not there"
        if not listed.parents:
            return "first commit"
        return "bot" if said.is_bot else ""

    def _sampled(self, listed: Listed, said: Said, meta: dict[str, Any]) -> tuple[str, str, str]:
        """Return text, language, and why it is no sample; note facts in `meta`."""
        caps = self.source.caps
        before = self.trees.get(listed.parents[0], "")
        if not before:
            return said.message, "", "parent not there"
        try:
            steps = self.objects.compare(before, listed.tree, caps.changed_files)
        except TooMany:
            return said.message, "", "too many files"
        if not steps:
            return said.message, "", "nothing changed"
        found = changes_of(self.objects, steps, caps.file_bytes)
        meta |= {"files": len(found.changes), "left_out": dict(sorted(found.left_out.items()))}
        if not found.changes:
            return said.message, "", f"only {found.most_left_out}"
        try:
            self.relevance.move_to(before)
        except TooMany:
            return said.message, "", "too many files in the repository"
        form = self._form(listed.sha)
        sample = sample_of(
            self.objects, self.relevance, before, said.message, found.changes, form, caps
        )
        sizes = Counter[str]()
        lines = 0
        for change in found.changes:
            count = changed_lines(change)
            lines += count
            side = change.after or change.before
            sizes[language_of(change.path, side.text if side else "")] += max(1, count)
        meta |= {
            "form": form, "target_at": sample.target_at, "seen": sample.seen, "lines": lines,
            "target_bytes": len(sample.target.encode()), "relevant": list(sample.relevant),
            "paths": [change.path for change in found.changes],
            "subject": said.message.partition("\n")[0],
        }  # fmt: skip
        return sample.text, _most(sizes), ""

    def _form(self, sha: str) -> str:
        """Return diff or blocks: as asked, or by lot."""
        if self.source.target in FORMS:
            return self.source.target
        drawn = hashlib.sha256(f"{self.source.seed} {sha}".encode()).digest()
        return FORMS[drawn[0] % 2]

    def _index(self) -> Relevance:
        caps = self.source.caps
        return Relevance(
            self.objects, most_files=caps.index_files, most_bytes=caps.index_file_bytes
        )

    def _licence(self) -> str:
        """Return what the licence files at the top say, of the last commit."""
        found: list[str] = []
        for raw, entry in self.objects.folder(self.history.commits[-1].tree).items():
            if not is_licence_file(posixpath.basename(raw.decode("utf-8", "replace"))):
                continue
            if entry.mode & 0o170000 == 0o100000:
                text, _ = blob(self.objects, entry, _LICENCE_BYTES)
                found += [licence_of(text.text)] if text else []
        return " OR ".join(dict.fromkeys(one for one in found if one))


def fingerprint_of_heads(roots: Sequence[Path], each: bool, revision: str) -> str:
    """Return a digest of what a revision is in each repository; a bundle's is its file's."""
    digest = hashlib.sha256()
    for repo, path in repositories(roots, each):
        if path.is_file():
            said = fingerprint_of([path])
        else:
            try:
                with opened(path) as gitdir:
                    said = f"{gitdir.resolve(revision)} {sorted(gitdir.shallow)}"
            except NotReadable as error:
                said = str(error)
        digest.update(f"{repo}\0{said}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def checked_roots(roots: Sequence[Path], each: bool) -> tuple[Path, ...]:
    """Return the roots. UsageError: one is not there, or holds no repository."""
    for root in roots:
        if not root.exists() or (each and not root.is_dir()):
            raise UsageError(f"no folder {str(root)!r} (sources: options.roots)")
    if not any(True for _ in repositories(roots, each)):
        raise UsageError("no git repository in options.roots")
    return tuple(roots)


def commits(
    *,
    roots: list[Path],
    each: bool = False,
    revision: str = "HEAD",
    target: Literal["diff", "blocks", "mixed"] = "mixed",
    seed: int = 0,
    metadata: Path | None = None,
    changed_files: int = _OURS.changed_files,
    file_bytes: int = _OURS.file_bytes,
    readme_chars: int = _OURS.readme_chars,
    tree_lines: int = _OURS.tree_lines,
    shown_chars: int = _OURS.shown_chars,
    index_files: int = _OURS.index_files,
    index_file_bytes: int = _OURS.index_file_bytes,
) -> Commits:
    """Read histories of repositories: working copies, bare ones, bundles.

    each: the repositories inside the roots, called NAME or, two folders down, OWNER/NAME. revision:
    HEAD, a branch, a tag or an id. target: how changes are written; "mixed": half of them each, by
    `seed`. metadata: see `curate.commits.metadata`. The rest: see `Caps`. UsageError: no root.
    """
    caps = Caps(
        changed_files=changed_files,
        file_bytes=file_bytes,
        readme_chars=readme_chars,
        tree_lines=tree_lines,
        shown_chars=shown_chars,
        index_files=index_files,
        index_file_bytes=index_file_bytes,
    )
    if metadata is not None:
        standings(metadata)
    return Commits(
        roots=checked_roots(roots, each), each=each, revision=revision, target=target, seed=seed,
        metadata=metadata, caps=caps,
    )  # fmt: skip


def _most(sizes: Mapping[str, int]) -> str:
    return max(sizes, key=lambda one: (sizes[one], one), default="")
