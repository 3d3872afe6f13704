"""The step `syntax`: does the document parse (paper, section 2.2.1)?

It is the slowest step of the first five: put it after the duplicates (`after = ["neardup.keep"]`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from curate.syntax.native import recogniser_of
from curate.syntax.policy import budget_of, grammar_of
from curate.syntax.trees import error_bytes, parser_of, require
from seedcoder.errors import UsageError


class Syntax:
    """The step.

    Columns: keep; reason ("syntax error" where the language is judged strictly, "syntax errors
    beyond the budget" where it has one); value (share of bytes in errors; null where not judged);
    judged (whether there is a grammar for it, and the text is not too long).
    """

    name = "syntax"
    version = 1
    reads = ("text", "language")
    row_s = 5.0

    def __init__(self, budgets: Mapping[str, float], most_bytes: int) -> None:
        """Set the budgets by language that are not the policy's."""
        self._budgets = dict(budgets)
        self._most_bytes = most_bytes

    def schema(self) -> pa.Schema:
        """Return keep, reason, value, judged."""
        return pa.schema(
            [
                ("keep", pa.bool_()),
                ("reason", pa.string()),
                ("value", pa.float64()),
                ("judged", pa.bool_()),
            ]
        )

    def settings(self) -> Mapping[str, Any]:
        """Return the budgets and the longest text that is parsed."""
        return {"budgets": self._budgets, "most_bytes": self._most_bytes}

    def compute(self, table: pa.Table) -> pa.Table:
        """Judge every text that has a grammar; parse those that are not recognised at once."""
        reasons: list[str] = []
        values: list[float | None] = []
        languages = table.column("language").to_pylist()
        for text, language in zip(table.column("text"), languages, strict=True):
            data = text.as_py().encode()
            share = self._share(data, language)
            budget = budget_of(language, self._budgets)
            reasons.append(_reason(share, budget))
            values.append(share)
        return pa.table(
            {
                "keep": [not reason for reason in reasons],
                "reason": pa.array(reasons, pa.string()),
                "value": pa.array(values, pa.float64()),
                "judged": [value is not None for value in values],
            }
        )

    def _share(self, data: bytes, language: str) -> float | None:
        grammar = grammar_of(language)
        parser = parser_of(grammar) if grammar else None
        if parser is None or len(data) > self._most_bytes:
            return None
        recogniser = recogniser_of(grammar)
        if recogniser is not None and recogniser.accepts(data):
            return 0.0
        return error_bytes(parser, data) / max(1, len(data))


def _reason(share: float | None, budget: float) -> str:
    if share is None or share <= budget:
        return ""
    return "syntax errors beyond the budget" if budget else "syntax error"


def syntax(*, budgets: dict[str, float] | None = None, most_bytes: int = 1_000_000) -> Syntax:
    """Judge by grammar. budgets: by language, what share of bytes may lie in errors (0 is strict,
    1 is not judged); most_bytes: longer texts are not parsed, and kept.

    UsageError: a budget that is no share. MachineLacks: no grammars.
    """
    for language, share in (budgets or {}).items():
        if not 0.0 <= share <= 1.0:
            raise UsageError(f"syntax: budgets.{language} must be from 0 to 1, got {share}")
    require()
    lowered = {language.lower(): share for language, share in (budgets or {}).items()}
    return Syntax(lowered, most_bytes)
