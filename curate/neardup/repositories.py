"""Repositories that are copies of each other as a whole: forks, mirrors, vendored trees.

A repository is what its files' texts are: the set of their SHA-256. From the largest to the
smallest (or from the best, by a column), each is compared with those kept before it that share a
file with it; it is dropped, with all its files, when their Jaccard similarity reaches the
threshold, or when so much of it is in a kept one (a subtree that was copied out).

Memory: about 100 bytes a file. Texts that more than a thousand repositories hold (empty files,
licences) join no two of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from curate.step import Tables
from seedcoder.errors import RecipeError

_COMMON: Final = 1000  # ours: repositories with one text, beyond which it says nothing
_FEWEST: Final = 3  # ours: files below which a repository is left to the comparison of files


class Repositories:
    """The step. Columns: keep, reason, of (the repository kept), value (how similar it is)."""

    name = "repositories"
    version = 1

    def __init__(self, *, threshold: float, contained: float, best: str) -> None:
        """See `repositories`."""
        self._threshold, self._contained, self._best = threshold, contained, best
        self.reads = ("repo", "sha256", *((best,) if best else ()))

    def schema(self) -> pa.Schema:
        """Return keep, reason, of, value."""
        return pa.schema(
            [
                ("keep", pa.bool_()), ("reason", pa.string()), ("of", pa.string()),
                ("value", pa.float64()),
            ]
        )  # fmt: skip

    def settings(self) -> Mapping[str, Any]:
        """Return thresholds, and what is the best."""
        return {"threshold": self._threshold, "contained": self._contained, "best": self._best}

    def gather(self, tables: Tables, scratch: Path) -> Iterator[tuple[str, pa.Table]]:
        """Yield the columns."""
        files: dict[str, set[bytes]] = {}
        scores: dict[str, float] = {}
        for _, table in tables:
            values = table.column(self._best) if self._best else pa.nulls(table.num_rows)
            for repo, digest, value in zip(
                table.column("repo").to_pylist(),
                table.column("sha256").to_pylist(),
                pc.fill_null(values.cast(pa.float64()), 0.0).to_pylist(),
                strict=True,
            ):
                if repo:
                    files.setdefault(repo, set()).add(digest)
                    scores[repo] = scores.get(repo, 0.0) + value
        dropped = self._dropped(files, scores)
        for part, table in tables.only("repo"):
            found = [dropped.get(repo) for repo in table.column("repo").to_pylist()]
            yield (
                part,
                pa.table(
                    {
                        "key": table.column("key"),
                        "keep": pa.array([one is None for one in found], pa.bool_()),
                        "reason": pa.array([one[0] if one else "" for one in found], pa.string()),
                        "of": pa.array([one[1] if one else "" for one in found], pa.string()),
                        "value": pa.array([one[2] if one else 0.0 for one in found], pa.float64()),
                    }
                ),
            )

    def _dropped(
        self, files: Mapping[str, set[bytes]], scores: Mapping[str, float]
    ) -> dict[str, tuple[str, str, float]]:
        """Return the repositories to drop: why, for which one, and how similar they are."""
        holders = Counter(digest for mine in files.values() for digest in mine)
        kept: dict[bytes, list[str]] = {}
        dropped: dict[str, tuple[str, str, float]] = {}
        order = sorted(files, key=lambda repo: (-scores[repo], -len(files[repo]), repo))
        for repo in order:
            mine = files[repo]
            both = (
                Counter(other for digest in mine for other in kept.get(digest, ()))
                if len(mine) >= _FEWEST
                else Counter[str]()
            )
            best = max(both, key=lambda other: (both[other], other), default="")
            if best:
                shared, its = both[best], files[best]
                similar = shared / (len(mine) + len(its) - shared)
                if similar >= self._threshold:
                    words = "same repository" if similar == 1 else "similar repository"
                    dropped[repo] = (words, best, similar)
                    continue
                if shared / len(mine) >= self._contained:
                    dropped[repo] = ("inside another repository", best, shared / len(mine))
                    continue
            for digest in mine:
                if holders[digest] <= _COMMON:
                    kept.setdefault(digest, []).append(repo)
        return dropped


def repositories(
    *, threshold: float = 0.8, contained: float = 0.95, best: str = ""
) -> Repositories:
    """Drop repositories that are copies of one that is kept.

    threshold: Jaccard similarity of their files. contained: share of its files in the other. best:
    a column of numbers, such as "quality.value": of copies the one with the highest sum is kept, by
    default the one with most files. All ours: the paper deduplicates repositories and names no
    number. RecipeError where a value makes no sense.
    """
    for name, value in (("threshold", threshold), ("contained", contained)):
        if not 0 < value <= 1:
            raise RecipeError(f"repositories: {name} must be above 0 and at most 1, got {value}")
    return Repositories(threshold=threshold, contained=contained, best=best)
