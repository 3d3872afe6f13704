"""A repository's commits, oldest first, and what each says of itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from curate.commits.gitdir import GitDir, NotReadable
from curate.commits.objects import Objects

_COMMIT_BYTES: Final = 1 << 20  # ours: of a commit object; longer is no message that someone wrote
# Lines that tools and reviewers add: names and addresses of people, and nothing of the change.
_TRAILER: Final = re.compile(
    r"(?im)^(?:signed-off-by|co-authored-by|reviewed-by|acked-by|tested-by|reported-by|cc|"
    r"suggested-by|approved-by|change-id|git-svn-id|reviewed-on|commit-queue):[^\n]*\n?"
)
# Programs that commit, by name or address.
_BOT: Final = re.compile(
    r"(?i)\[bot\]|\bbot\b|-bot@|-bot$|^bot-|bot@|robot|dependabot|renovate|greenkeeper|pyup|"
    r"github[ -]?actions?\b|actions@github|travis|circleci|semantic-release|snyk|pre-commit-ci|"
    r"mergify|allcontributors|imgbot|codecov|whitesource|jenkins|weblate|transifex|crowdin|"
    r"\bauto-?(?:roll|commit|update)|autoroller|\bci@|\bbuild@|copybara|export[ -]?bot"
)
_BOT_SUBJECT: Final = re.compile(
    r"(?i)^(?:chore\(deps[^)]*\)|build\(deps[^)]*\)|bump \S+ from \S+ to \S+|"
    r"update dependency \S+ to |\[create-pull-request\]|automatic |auto-?(?:generated|merge|roll)|"
    r"translated using weblate)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A commit as the list of a history has it. time_s: the committer's, since 1970."""

    sha: str
    tree: str
    time_s: int
    parents: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """All commits that a revision reaches, parents first.

    days: from the first to the last; active_days: on which there was one. The dates are what the
    repository says.
    """

    commits: tuple[Listed, ...]
    days: int
    active_days: int

    def trees(self) -> dict[str, str]:
        """Return the tree of each commit."""
        return {one.sha: one.tree for one in self.commits}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a commit says. message: without trailers. is_bot: a program made it."""

    message: str
    is_bot: bool

    @property
    def words(self) -> int:
        """How many words the message has."""
        return len(re.findall(r"\w+", self.message))


def history_of(gitdir: GitDir, commit: str) -> History:
    """List the commits that `commit` reaches, in one process. NotReadable: git could not."""
    process = gitdir.start(
        "log", "--topo-order", "--reverse", "--no-decorate", "--format=%H|%T|%ct|%P", commit, "--"
    )
    assert process.stdout is not None
    found: list[Listed] = []
    for line in process.stdout:
        sha, tree, time_s, parents = line.decode("ascii", "replace").strip("\n").split("|")
        time = int(time_s) if time_s.isdigit() else 0
        found.append(Listed(sha=sha, tree=tree, time_s=time, parents=tuple(parents.split())))
    process.stdout.close()
    if process.wait() or not found:
        raise NotReadable("its history is broken")
    return History(commits=tuple(found), days=_span_days(found), active_days=_active_days(found))


def said_by(objects: Objects, sha: str) -> Said | None:
    """Return what a commit says; None for one whose message is far too long."""
    data = objects.read(sha, "commit", _COMMIT_BYTES)
    if data is None:
        return None
    head, _, body = data.partition(b"\n\n")
    encoding = "utf-8"
    people = []
    for line in head.split(b"\n"):
        name, _, value = line.partition(b" ")
        if name == b"encoding":
            encoding = value.decode("ascii", "replace")
        elif name in (b"author", b"committer"):
            people.append(value.decode("utf-8", "replace").rpartition(">")[0])
    message = clean(_decoded(body, encoding))
    author, _, address = people[0].partition(" <") if people else ("", "", "")
    is_bot = bool(_BOT.search(author) or _BOT.search(address) or _BOT_SUBJECT.match(message))
    return Said(message=message, is_bot=is_bot)


def clean(message: str) -> str:
    """Return a message without trailers, and without space at ends of lines."""
    lines = [line.rstrip() for line in _TRAILER.sub("", message).replace("\r", "").split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _decoded(data: bytes, encoding: str) -> str:
    data = data.replace(b"\0", b"")
    for one in ("utf-8", encoding, "latin-1"):
        try:
            return data.decode(one)
        except (UnicodeDecodeError, LookupError, ValueError):
            continue
    return data.decode("utf-8", "replace")


def _span_days(commits: Sequence[Listed]) -> int:
    times = [one.time_s for one in commits]
    return (max(times) - min(times)) // 86_400


def _active_days(commits: Sequence[Listed]) -> int:
    return len({one.time_s // 86_400 for one in commits})
