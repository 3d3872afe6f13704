"""Which rated pages are kept: a threshold and a sampling rate for each category.

Ratings are biased by the kind of site, so one threshold for all keeps too many manuals and shops
and too few forums (paper, section 2.2.3). It states no numbers; all are the recipe's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa

from curate.selection.classifier import place_of
from seedcoder.errors import RecipeError

_BELOW: Final = "below its category's threshold"
_NOT_DRAWN: Final = "not drawn at its category's rate"


class Drawing:
    """The step. Columns: keep, reason; value, the rating above its category's threshold. Null where
    there is no rating. Which pages are drawn is their keys' own: other pages change nothing."""

    name = "webdraw"
    version = 1

    def __init__(
        self,
        of: str,
        category: str,
        thresholds: Mapping[str, float],
        rates: Mapping[str, float],
        seed: int,
    ) -> None:
        """thresholds, rates: by category; "" is of all others."""
        self._of = of
        self._category = category
        self._thresholds = dict(thresholds)
        self._rates = dict(rates)
        self._seed = seed
        self.reads = (of, category)

    def schema(self) -> pa.Schema:
        """Return keep, reason, value."""
        return pa.schema([("keep", pa.bool_()), ("reason", pa.string()), ("value", pa.float64())])

    def settings(self) -> Mapping[str, Any]:
        """Return thresholds, rates, seed, and the columns' names."""
        return {
            "of": self._of,
            "category": self._category,
            "thresholds": self._thresholds,
            "rates": self._rates,
            "seed": self._seed,
        }

    def compute(self, table: pa.Table) -> pa.Table:
        """Compare and draw."""
        rows = [
            self._row(key, score, category)
            for key, score, category in zip(
                *(table.column(name).to_pylist() for name in ("key", self._of, self._category)),
                strict=True,
            )
        ]
        return pa.Table.from_pylist(rows, schema=self.schema())

    def _row(self, key: str, score: float | None, category: str | None) -> dict[str, Any]:
        if score is None:
            return {"keep": None, "reason": None, "value": None}
        name = category or ""
        above = score - self._thresholds.get(name, self._thresholds[""])
        rate = self._rates.get(name, self._rates[""])
        reason = ""
        if above < 0:
            reason = _BELOW
        elif place_of(key, self._seed, "rate") >= rate:
            reason = _NOT_DRAWN
        return {"keep": not reason, "reason": reason, "value": above}


def webdraw(
    *,
    of: str = "score.value",
    category: str = "category.category",
    threshold: float,
    thresholds: dict[str, float] | None = None,
    rate: float = 1.0,
    rates: dict[str, float] | None = None,
    seed: int = 0,
) -> Drawing:
    """Keep pages rated at least `threshold`, or their category's of `thresholds`; of these, draw
    `rate` of them, or their category's of `rates`. RecipeError: a rate is not from 0 to 1."""
    all_rates = {"": rate, **(rates or {})}
    for name, value in all_rates.items():
        if not 0 <= value <= 1:
            raise RecipeError(f"webdraw: rate of {name or 'all'} must be from 0 to 1, got {value}")
    return Drawing(of, category, {"": threshold, **(thresholds or {})}, all_rates, seed)
