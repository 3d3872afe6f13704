"""Conditions on columns."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("pyarrow")

import pyarrow as pa

from curate.select import condition, first_unmet
from seedcoder.errors import RecipeError

TABLE = pa.table(
    {
        "language": ["python", "sql", "go"],
        "syntax.keep": [True, False, None],
        "quality.value": [0.05, 0.5, None],
        "bytes": [10, 20, 30],
        "later.keep": pa.nulls(3),
    }
)


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("syntax.keep", [True, False, False]),
        ("not syntax.keep", [False, True, False]),
        ("quality.value >= 0.5", [False, True, False]),
        ("quality.value < 1", [True, True, False]),
        ("bytes > 10", [False, True, True]),
        ("language == python", [True, False, False]),
        ('language != "python"', [False, True, True]),
        ("language in [go, python]", [True, False, True]),
        ("syntax.keep or language == sql", [True, True, False]),
        ("syntax.keep or bytes >= 30", [True, False, True]),
        ("later.keep", [False, False, False]),
    ],
)
def test_a_condition_is_met_by_the_right_rows(text: str, met: list[bool]) -> None:
    assert condition(text).met(TABLE).to_pylist() == met


@pytest.mark.parametrize("text", ["", "a b", "bytes => 3", "language in go", "not", "a.b.c"])
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(RecipeError, match="condition"):
        condition(text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("language", "is no truth"), ("bytes > many", "bytes > 'many'"), ("bytes in [x]", "bytes in")],
)
def test_a_condition_on_a_column_of_another_kind_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(RecipeError, match=complaint):
        condition(text).met(TABLE)


def test_the_first_condition_that_is_not_met_is_the_one_that_counts() -> None:
    conditions = [condition("bytes < 25"), condition("syntax.keep")]
    found: list[Any] = first_unmet(TABLE, conditions).to_pylist()
    assert found == [None, "syntax.keep", "bytes < 25"]
    assert first_unmet(TABLE, []).to_pylist() == [None, None, None]
