"""Which commits are kept: criteria of their repositories, and of themselves.

Reads what the source `commits` noted, and computes nothing of texts: other thresholds cost nothing.
Documents that are no commits are kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import pyarrow as pa

_STARS: Final = 100  # paper, sec. 2.2.2: "at least", as the next three
_FORKS: Final = 10
_COMMITS: Final = 100
_DAYS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
    """What a commit must have. See `commits`."""

    stars: int
    forks: int
    repo_commits: int
    days: int
    whole: bool
    words: int
    files: int
    lines: int
    target_bytes: int
    seen: float

    def reason(self, said: Mapping[str, Any]) -> str:
        """Return why a commit is dropped, "" where it is kept."""
        repo = (
            ("stars", self.stars, "stars"), ("forks", self.forks, "forks"),
            ("repo_commits", self.repo_commits, "commits"), ("repo_days", self.days, "days"),
        )  # fmt: skip
        for name, least, what in repo:
            if said.get(name) is not None and said[name] < least:
                return f"repository with few {what}"
        if said.get("reason"):
            return str(said["reason"])
        left_out = said.get("left_out") or {}
        if self.whole and left_out:
            return f"part {max(left_out, key=lambda why: (left_out[why], why))}"
        if said["words"] < self.words:
            return "message says too little"
        if said["files"] > self.files:
            return "too many files"
        if said["lines"] > self.lines or said["target_bytes"] > self.target_bytes:
            return "huge change"
        return "relevant files not found" if said["seen"] < self.seen else ""


class CommitsStep:
    """The step. Columns: keep, reason, value (bytes of the target), and facts to select by."""

    name = "commits"
    version = 1
    reads = ("meta",)

    def __init__(self, criteria: Criteria) -> None:
        """Set what is kept."""
        self._criteria = criteria

    def schema(self) -> pa.Schema:
        """Return keep, reason, value; files, lines, words, seen, form, target_at, stars, forks."""
        return pa.schema(
            [
                ("keep", pa.bool_()), ("reason", pa.string()), ("value", pa.float64()),
                ("files", pa.int64()), ("lines", pa.int64()), ("words", pa.int64()),
                ("seen", pa.float64()), ("form", pa.string()), ("target_at", pa.int64()),
                ("stars", pa.int64()), ("forks", pa.int64()),
            ]
        )  # fmt: skip

    def settings(self) -> Mapping[str, Any]:
        """Return the criteria."""
        return asdict(self._criteria)

    def compute(self, table: pa.Table) -> pa.Table:
        """Judge each document by its meta."""
        said = [json.loads(meta) for meta in table.column("meta").to_pylist()]
        reasons = [self._criteria.reason(one) if "commit" in one else "" for one in said]
        columns: dict[str, list[Any]] = {
            "keep": [not why for why in reasons],
            "reason": reasons,
            "value": [one.get("target_bytes") for one in said],
        }
        for field in list(self.schema())[3:]:
            columns[field.name] = [one.get(field.name) for one in said]
        return pa.table(
            {name: pa.array(values, self.schema().field(name).type)
             for name, values in columns.items()}
        )  # fmt: skip


def commits(
    *,
    stars: int = _STARS,
    forks: int = _FORKS,
    repo_commits: int = _COMMITS,
    days: int = _DAYS,
    whole: bool = True,
    words: int = 2,
    files: int = 20,
    lines: int = 1_000,
    target_bytes: int = 32_000,
    seen: float = 0.0,
) -> CommitsStep:
    """Keep commits of repositories with at least `stars`, `forks`, `repo_commits`, `days`.

    The first two count where they are known; days are from the first commit to the last. whole:
    drop commits of which a file was left out (binary, vendored, generated...), so that what is
    predicted is the whole change. words: of the message, at least. files, lines, target_bytes: of
    the change, at most. seen: share of the files it changes that must be among those shown. Ours,
    from `whole` on.
    """
    return CommitsStep(
        Criteria(
            stars=stars,
            forks=forks,
            repo_commits=repo_commits,
            days=days,
            whole=whole,
            words=words,
            files=files,
            lines=lines,
            target_bytes=target_bytes,
            seen=seen,
        )
    )
