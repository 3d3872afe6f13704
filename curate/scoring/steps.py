"""The scorer as a step, and the drop of the worst of each language."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from curate.scoring.scorer import Scorer, card_of, digest_of, open_scorer
from curate.scoring.served import check_address
from curate.step import Tables
from seedcoder.errors import RecipeError


class Score:
    """The step `score`. Column: value, 0 to 10.

    Where it is computed (here, or at an address) is no part of its settings: the scores differ by
    rounding only.
    """

    name = "score"
    version = 2
    reads = ("text", "language")
    row_s = 60.0  # a long text, and a share of loading

    def __init__(self, folder: Path, address: str) -> None:
        """Name the scorer's folder; it is loaded once a process."""
        self._folder, self._address = folder, address
        self._digest = digest_of(folder)

    def schema(self) -> pa.Schema:
        """Return value."""
        return pa.schema([("value", pa.float64())])

    def settings(self) -> Mapping[str, Any]:
        """Return the digest of the scorer."""
        return {"scorer": self._digest}

    def compute(self, table: pa.Table) -> pa.Table:
        """Score."""
        texts, languages = (table.column(name).to_pylist() for name in ("text", "language"))
        found = _opened(self._folder, self._digest, self._address).scores(texts, languages)
        return pa.table({"value": pa.array(found, pa.float64())})


class Bottom:
    """The step `bottom`. Columns: keep, reason, value: the share of its language that is not
    better, so that "bottom.value > 0.2" in `select` drops another share and computes nothing."""

    name = "bottom"
    version = 2

    def __init__(self, *, of: str, share: float, fewest: int) -> None:
        """See `bottom`."""
        self._of, self._share, self._fewest = of, share, fewest
        self.reads = ("language", of)

    def schema(self) -> pa.Schema:
        """Return keep, reason, value."""
        return pa.schema([("keep", pa.bool_()), ("reason", pa.string()), ("value", pa.float64())])

    def settings(self) -> Mapping[str, Any]:
        """Return of what, and how much."""
        return {"share": self._share, "fewest": self._fewest}

    def gather(self, tables: Tables, scratch: Path) -> Iterator[tuple[str, pa.Table]]:
        """Yield the columns. Memory: 8 bytes a document; files without a score are left out."""
        seen: dict[str, list[Any]] = {}
        for _, table in tables:
            for language, _, values in self._by_language(self._known(table)):
                seen.setdefault(language, []).append(values)
        ordered = {language: np.sort(np.concatenate(found)) for language, found in seen.items()}
        del seen
        reason = f"worst {100 * self._share:g}% of its language"
        for part, table in tables:
            known = self._known(table)
            shares = np.zeros(known.num_rows)
            keep = np.ones(known.num_rows, bool)
            for language, rows, values in self._by_language(known):
                there = ordered[language]
                not_better = np.searchsorted(there, values, "right")
                shares[rows] = not_better / len(there)
                if len(there) >= self._fewest:
                    keep[rows] = not_better > int(self._share * len(there) + 1e-9)
            yield (
                part,
                pa.table(
                    {
                        "key": known.column("key"),
                        "keep": pa.array(keep, pa.bool_()),
                        "reason": pa.array(["" if one else reason for one in keep], pa.string()),
                        "value": pa.array(shares, pa.float64()),
                    }
                ),
            )

    def _by_language(self, table: pa.Table) -> Iterator[tuple[str, Any, Any]]:
        """Yield each language, its rows and their scores."""
        languages = np.array(table.column("language").to_pylist(), object).astype(str)
        values = table.column(self._of).to_numpy()
        for language in np.unique(languages):
            rows = np.flatnonzero(languages == language)
            yield str(language), rows, values[rows]

    def _known(self, table: pa.Table) -> pa.Table:
        return table.filter(table.column(self._of).is_valid())


def score(*, scorer: Path, address: str = "") -> Score:
    """Score by the trained scorer in this folder. UsageError where there is none.

    address: of a vLLM server that has it, http://HOST:PORT#NAME; "" runs it in the step's process.
    """
    card = card_of(scorer)
    if address:
        check_address(address)
        if card["kind"] != "llama":
            raise RecipeError(f"score: address is for llama scorers; this is a {card['kind']} one")
    return Score(scorer, address)


def bottom(*, of: str = "score.value", share: float = 0.1, fewest: int = 20) -> Bottom:
    """Drop the worst `share` of each language (the paper drops about 10%).

    of: a column of numbers. fewest: files of a language below which none is dropped (ours).
    Equal scores fall or stay together: never more than `share` is dropped, less where the cut
    would go through equal ones.
    """
    if not 0 <= share < 1:
        raise RecipeError(f"bottom: share must be 0 or more and below 1, got {share}")
    return Bottom(of=of, share=share, fewest=fewest)


@lru_cache(maxsize=2)
def _opened(folder: Path, _digest: str, address: str) -> Scorer:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # there is a process a core already
    return open_scorer(folder, address)
