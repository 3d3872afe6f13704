"""Benchmarks' problems as data, and the list of what may be shared with them.

The problems are what `seedcoder eval problems --export` writes: JSON lines of bench, key, text
(what the model is asked) and solution. curate/ knows nothing else of a benchmark.

The allow-list is a text file of lines: `BENCH/KEY` for a problem that is no matter, or ten words
or more that may be shared (a licence's, a textbook's), and comments after #.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from curate.decontaminate.grams import Known, all_grams
from curate.neardup.shingles import bytes_of, runs, sets
from curate.neardup.signatures import signatures
from seedcoder.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One problem of a benchmark."""

    bench: str
    key: str
    text: str
    solution: str = ""

    @property
    def name(self) -> str:
        """Its name among all."""
        return f"{self.bench}/{self.key}"


def read_problems(path: Path) -> list[Problem]:
    """Return the problems of a file. UsageError, one line: there is none, or a line is none."""
    found = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UsageError(
            f"cannot read problems {str(path)!r} ({error.strerror});"
            " seedcoder eval problems all --export FILE makes them"
        ) from None
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            names = ("bench", "key", "text", "solution")
            found.append(Problem(**{name: str(row.get(name) or "") for name in names}))
        except (ValueError, AttributeError):
            raise UsageError(f"{path}:{number}: no problem (JSON of bench, key, text)") from None
    if not found:
        raise UsageError(f"{path} holds no problems")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """The allow-list: names of problems, and texts whose runs of words may be shared."""

    names: frozenset[str] = frozenset()
    texts: tuple[str, ...] = ()


def read_allowed(path: Path | None, problems: Sequence[Problem], words: int) -> Allowed:
    """Return the list. UsageError: a line is neither a problem's name nor `words` words long."""
    if path is None:
        return Allowed()
    known = {problem.name for problem in problems}
    names, texts = set(), []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UsageError(f"cannot read allow-list {str(path)!r}: {error.strerror}") from None
    for number, line in enumerate(lines, 1):
        said = line.partition("#")[0].strip()
        if not said:
            continue
        if said in known:
            names.add(said)
        elif len(said.split()) >= words:
            texts.append(said)
        else:
            raise UsageError(
                f"{path}:{number}: {said!r} is no problem's BENCH/KEY and not {words} words"
            )
    return Allowed(names=frozenset(names), texts=tuple(texts))


class Index:
    """What documents are held against: runs of words, and signatures of solutions.

    owners: for each known run, in the order of `known.numbers`, the first problem that has it.
    too_short: problems with fewer words than a run, which only their solution can find.
    """

    def __init__(self, problems: Sequence[Problem], allowed: Allowed, words: int) -> None:
        """Read all problems that are not allowed."""
        self.problems = [one for one in problems if one.name not in allowed.names]
        self.words = words
        texts = [text for one in self.problems for text in (one.text, one.solution)]
        numbers, _, ends = all_grams(*bytes_of(pa.array(texts, pa.large_string())), words)
        own: Any = np.repeat(np.arange(len(self.problems)), np.diff(ends[::2]))
        free = all_grams(*bytes_of(pa.array(allowed.texts, pa.large_string())), words)[0]
        left = ~np.isin(numbers, free)
        numbers, own = numbers[left], own[left]
        self.known = Known(numbers)
        self.owners = own[np.unique(numbers, return_index=True)[1]]
        self.too_short = int((np.diff(ends[::2]) == 0).sum())
        solved = [place for place, one in enumerate(self.problems) if one.solution.strip()]
        column = pa.array([self.problems[place].solution for place in solved], pa.large_string())
        self.solution_owners: Any = np.array(solved, np.int64)
        self.solution_signatures = signatures(*runs(column))
        self.solution_sets = sets(column)
