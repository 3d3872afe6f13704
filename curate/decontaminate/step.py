"""Drop documents that hold what a benchmark asks (paper, section 4).

A document is dropped when it shares ten words in a row with a problem or its solution, or when it
is, as a whole, similar to a solution (of which short ones have no ten words in a row).

Does not find: a problem told in other words or another language, or with renamed variables; a
problem of fewer than ten words without a solution; a short solution inside a longer document.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from curate.decontaminate.problems import Index, read_allowed, read_problems
from curate.neardup.shingles import bytes_of, jaccard, sets
from curate.neardup.signatures import unpacked
from curate.neardup.star import band_numbers
from seedcoder.errors import RecipeError

WORDS: Final = 10  # paper, section 4
_BANDS: Final = 32
_WORD: Final = re.compile(rb"[A-Za-z0-9_\x80-\xff]+")
_MOST_NAMES: Final = 20  # of problems, told of one document: ours


@dataclass(frozen=True, slots=True, kw_only=True)
class _Files:
    problems: Path
    allow: Path | None
    leave_out: tuple[str, ...]
    words: int

    def digests(self) -> tuple[str, ...]:
        paths = (self.problems, *((self.allow,) if self.allow else ()))
        return tuple(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths)


class Decontaminate:
    """The step. Columns: keep, reason, problems (their names), words (what is shared first), value
    (how many problems were found)."""

    name = "decontaminate"
    version = 1

    def __init__(self, *, files: _Files, signatures: str, similar: float) -> None:
        """See `decontaminate`."""
        self._files = files
        self._digests = files.digests()
        self._signatures = f"{signatures}.signature" if signatures else ""
        self._similar = similar
        self.reads = ("text", *((self._signatures,) if signatures else ()))

    def schema(self) -> pa.Schema:
        """Return keep, reason, problems, words, value."""
        return pa.schema(
            [
                ("keep", pa.bool_()), ("reason", pa.string()),
                ("problems", pa.list_(pa.string())), ("words", pa.string()),
                ("value", pa.float64()),
            ]
        )  # fmt: skip

    def settings(self) -> Mapping[str, Any]:
        """Return the digests of the files, and how they are looked for."""
        return {
            "files": self._digests,
            "words": self._files.words,
            "leave_out": sorted(self._files.leave_out),
            "similar": self._similar,
        }

    def compute(self, table: pa.Table) -> pa.Table:
        """Look for the problems in each document."""
        index, words = _index(self._files, self._digests), self._files.words
        data, offsets = bytes_of(table.column("text"))
        owners: list[dict[int, str]] = [{} for _ in range(table.num_rows)]
        shared = [""] * table.num_rows
        for text, place, end in zip(*index.known.look(data, offsets, words), strict=True):
            owners[text].setdefault(int(index.owners[place]), "words")
            shared[text] = shared[text] or _told(data, int(offsets[text]), int(end), words)
        if self._signatures:
            self._solutions(index, table, owners)
        reasons = [
            f"{'ten' if words == WORDS else words} words of {index.problems[next(iter(one))].bench}"
            if "words" in one.values()
            else f"a solution of {index.problems[next(iter(one))].bench}"
            if one
            else ""
            for one in owners
        ]
        names = [
            [index.problems[place].name for place in list(one)[:_MOST_NAMES]] for one in owners
        ]
        return pa.table(
            {
                "keep": pa.array([not one for one in owners], pa.bool_()),
                "reason": pa.array(reasons, pa.string()),
                "problems": pa.array(names, pa.list_(pa.string())),
                "words": pa.array(shared, pa.string()),
                "value": pa.array([float(len(one)) for one in owners], pa.float64()),
            }
        )

    def _solutions(self, index: Index, table: pa.Table, owners: list[dict[int, str]]) -> None:
        """Note the documents that are similar to a solution as a whole."""
        column = table.column(self._signatures)
        rows: Any = np.flatnonzero(column.is_valid().to_numpy())
        pairs = _candidates(unpacked(column.drop_null()), index.solution_signatures)
        if not pairs:
            return
        texts = sorted({text for text, _ in pairs})
        numbers, bounds = sets(table.column("text").take(rows[texts]))
        solutions, ends = index.solution_sets
        for text, solution in pairs:
            at = texts.index(text)
            found = jaccard(
                numbers[bounds[at] : bounds[at + 1]],
                solutions[ends[solution] : ends[solution + 1]],
            )
            if found >= self._similar:
                owner = int(index.solution_owners[solution])
                owners[int(rows[text])].setdefault(owner, "solution")


def decontaminate(
    *,
    problems: Path,
    allow: Path | None = None,
    words: int = WORDS,
    signatures: str = "minhash",
    similar: float = 0.7,
    leave_out: tuple[str, ...] = (),
) -> Decontaminate:
    """Drop what holds a benchmark's problem.

    problems: what `seedcoder eval problems all --export` wrote. allow: a list of what may be
    shared. leave_out: benchmarks. words: in a row. signatures: the step of the documents'
    signatures; "" looks for no similar solutions. similar: Jaccard similarity of a document and a
    solution from which it is dropped.
    UsageError, RecipeError: a file or a value that is wrong.
    """
    if words < 2:
        raise RecipeError(f"decontaminate: words must be 2 or more, got {words}")
    if not 0 < similar <= 1:
        raise RecipeError(f"decontaminate: similar must be above 0 and at most 1, got {similar}")
    read = read_problems(problems)
    read_allowed(allow, read, words)
    benches = {one.bench for one in read}
    if unknown := set(leave_out) - benches:
        raise RecipeError(f"decontaminate: leave_out: no problems of {sorted(unknown)[0]!r}")
    files = _Files(problems=problems, allow=allow, leave_out=leave_out, words=words)
    return Decontaminate(files=files, signatures=signatures, similar=similar)


@lru_cache(maxsize=2)
def _index(files: _Files, _digests: tuple[str, ...]) -> Index:
    read = [one for one in read_problems(files.problems) if one.bench not in files.leave_out]
    return Index(read, read_allowed(files.allow, read, files.words), files.words)


def _told(data: Any, begin: int, end: int, words: int) -> str:
    """Return the last `words` words before `end`."""
    found = _WORD.findall(data[max(begin, end - 100 * words) : end].tobytes())
    return b" ".join(found[-words:]).decode(errors="replace")


def _candidates(documents: Any, solutions: Any) -> list[tuple[int, int]]:
    """Return the pairs that share a bucket of the LSH."""
    found: set[tuple[int, int]] = set()
    if not len(documents) or not len(solutions):
        return []
    rows = documents.shape[1] // _BANDS
    worded = documents.min(axis=1) != np.uint32(0xFFFFFFFF)
    for band in range(_BANDS):
        theirs: Any = band_numbers(solutions, band * rows, rows)
        order: Any = np.argsort(theirs, kind="stable")
        mine: Any = band_numbers(documents, band * rows, rows)
        begins: Any = np.searchsorted(theirs[order], mine, "left")
        ends: Any = np.searchsorted(theirs[order], mine, "right")
        for text in np.flatnonzero((begins < ends) & worded):
            found.update((int(text), int(one)) for one in order[begins[text] : ends[text]])
    return sorted(found)
