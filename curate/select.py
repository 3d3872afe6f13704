"""Which documents are kept: conditions on columns, joined at the end.

    "exact.keep"                          true
    "not secrets.found"                   false
    "quality.value >= 0.1"                a comparison: < <= > >= == !=
    "language in [python, go]"            one of these
    "syntax.keep or language == sql"      at least one of several

A document is dropped by the first condition that is not met, and that is where it is counted. A
column that was not computed for a document (null) meets no condition.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from seedcoder.errors import RecipeError

_NAME: Final = r"(?!not\b)[A-Za-z_][\w-]*(?:\.[A-Za-z_]\w*)?"
_TRUTH: Final = re.compile(rf"(not\s+)?({_NAME})")
_COMPARISON: Final = re.compile(rf"({_NAME})\s*(<=|>=|==|!=|<|>)\s*(.+)")
_MEMBER: Final = re.compile(rf"({_NAME})\s+in\s+\[(.*)\]")
_COMPARE: Final = {
    "<": pc.less, "<=": pc.less_equal, ">": pc.greater, ">=": pc.greater_equal,
    "==": pc.equal, "!=": pc.not_equal,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Clause:
    column: str
    how: str
    value: Any

    def met(self, table: pa.Table) -> pa.ChunkedArray:
        column = table.column(self.column)
        if self.how in ("is", "is not"):
            if not pa.types.is_boolean(column.type) and not pa.types.is_null(column.type):
                raise RecipeError(f"select: {self.column} is no truth but {column.type}")
            return pc.invert(column) if self.how == "is not" else column
        if pa.types.is_null(column.type):
            return column
        try:
            if self.how == "in":
                members = pa.array(self.value).cast(column.type)
                found = pc.is_in(column, value_set=members)
                return pc.if_else(pc.is_null(column), None, found)
            return _COMPARE[self.how](column, pa.scalar(self.value).cast(column.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            why = str(error).splitlines()[0]
            raise RecipeError(f"select: {self.column} {self.how} {self.value!r}: {why}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One line of `select.keep`."""

    text: str
    clauses: tuple[_Clause, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """What it looks at."""
        return tuple(clause.column for clause in self.clauses)

    @property
    def comparisons(self) -> tuple[tuple[str, str, Any], ...]:
        """Column, sign and value of each comparison in it: thresholds, for those who draw them."""
        return tuple(
            (one.column, one.how, one.value) for one in self.clauses if one.how in _COMPARE
        )

    def met(self, table: pa.Table) -> pa.Array:
        """Return for each row whether it is met; never null."""
        found = self.clauses[0].met(table)
        for clause in self.clauses[1:]:
            found = pc.or_kleene(_truth(found), _truth(clause.met(table)))
        return pc.fill_null(_truth(found), False).combine_chunks()


def condition(text: str) -> Condition:
    """Read a condition. RecipeError for what is none."""
    clauses = tuple(_clause(part.strip(), text) for part in re.split(r"\s+or\s+", text.strip()))
    return Condition(text=text, clauses=clauses)


def first_unmet(table: pa.Table, conditions: Sequence[Condition]) -> pa.Array:
    """Return for each row the text of the first condition that is not met; null where all are."""
    dropped = pa.nulls(table.num_rows, pa.string())
    for one in conditions:
        unmet = pc.and_(pc.is_null(dropped), pc.invert(one.met(table)))
        dropped = pc.if_else(unmet, pa.scalar(one.text), dropped)
    return dropped


def _truth(column: Any) -> Any:
    return column.cast(pa.bool_())


def _clause(part: str, whole: str) -> _Clause:
    if match := _MEMBER.fullmatch(part):
        members = [_value(one) for one in match[2].split(",") if one.strip()]
        return _Clause(column=match[1], how="in", value=members)
    if match := _COMPARISON.fullmatch(part):
        return _Clause(column=match[1], how=match[2], value=_value(match[3]))
    if match := _TRUTH.fullmatch(part):
        return _Clause(column=match[2], how="is not" if match[1] else "is", value=None)
    raise RecipeError(
        f"select: {whole!r} is no condition; say STEP.COLUMN, not STEP.COLUMN, STEP.COLUMN >= 0.5"
        " or COLUMN in [a, b]"
    )


def _value(text: str) -> Any:
    word = text.strip().strip("\"'")
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word
