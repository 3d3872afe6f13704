"""The paper's figures: all there, as printed, and set beside only what compares."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from evals.catalogue import BENCHES
from evals.published import PublishedColumn, PublishedTable, published
from evals.stored import Stored, read_run

Keep = Callable[..., Path]
# As counted in the paper.
ROWS = {
    **{f"Table {n}": rows for n, rows in enumerate((12, 12, 10, 10, 10, 11, 17, 17, 15), 1)},
    **{f"Table {n}": rows for n, rows in enumerate((17, 17, 15, 15, 15, 12, 8), 10)},
    "IOI'2024": 10,
    "Codeforces": 5,
}


@pytest.fixture(scope="module")
def tables() -> dict[str, PublishedTable]:
    """The tables by id."""
    return {table.id: table for table in published()}


def test_every_table_is_there_with_all_its_rows(tables: dict[str, PublishedTable]) -> None:
    assert {name: len(table.rows) for name, table in tables.items()} == ROWS
    for table in tables.values():
        assert len({row.model for row in table.rows}) == len(table.rows)
        assert len({column.name for column in table.columns}) == len(table.columns)


@pytest.mark.parametrize(
    ("table", "model", "column", "value"),
    [
        ("Table 1", "Seed-Coder-8B-Base", "HE", 77.4),
        ("Table 1", "Seed-Coder-8B-Base", "MBPP+", 69.0),
        ("Table 1", "Qwen2.5-Coder-14B", "HE", 83.5),
        ("Table 5", "Seed-Coder-8B-Base", "Avg(weighted)", 82.4),
        ("Table 7", "Seed-Coder-8B-Instruct", "BCB-Full", 53.3),
        ("Table 7", "Seed-Coder-8B-Instruct", "LCB 2410-2502", 24.7),
        ("Table 9", "CodeQwen1.5-7B-Chat", "Total", 25.7),
        ("Table 12", "Qwen3-8B", "Output-CoT", 76.9),
        ("Table 15", "Seed-Coder-8B-Instruct", "SWE-V Agentless", 19.2),
        ("Table 16", "Qwen3-8B-Thinking", "Overall 4-mon", 57.4),
        ("Table 16", "Seed-Coder-8B-Reasoning", "Hard 2-mon", 31.0),
        ("IOI'2024", "Seed-Coder-8B-Reasoning", "Total", 146.5),
        ("Codeforces", "Seed-Coder-8B-Reasoning", "Elo", 1553.0),
    ],
)
def test_figures_are_as_printed(
    tables: dict[str, PublishedTable], table: str, model: str, column: str, value: float
) -> None:
    assert tables[table].value(model, column) == value


@pytest.mark.parametrize(
    ("table", "parts", "average"),
    [
        ("Table 2", slice(0, 8), "Avg"),
        ("Table 3", slice(0, 8, 2), "Avg EM"),
        ("Table 3", slice(1, 8, 2), "Avg ES"),
        ("Table 4", slice(0, 6, 2), "Avg EM"),
        ("Table 4", slice(1, 6, 2), "Avg ES"),
        ("Table 8", slice(0, 13), "Avg"),
    ],
)
def test_averages_agree_with_their_parts(
    tables: dict[str, PublishedTable], table: str, parts: slice, average: str
) -> None:
    for row in tables[table].rows:
        own = row.values[parts]
        assert tables[table].value(row.model, average) == pytest.approx(
            sum(own) / len(own), abs=0.11
        )


def test_the_one_total_that_disagrees_with_its_halves_is_the_one_noted(
    tables: dict[str, PublishedTable],
) -> None:
    table = tables["Table 9"]
    odd = [
        row.model
        for row in table.rows
        if abs((row.values[2] + row.values[5]) / 2 - row.values[6]) > 0.11
    ]
    assert odd == ["CodeQwen1.5-7B-Chat"]
    assert "28.95" in " ".join(table.notes)


def test_the_traps_are_noted_where_they_lie(tables: dict[str, PublishedTable]) -> None:
    for name in ("Table 1", "Table 7"):
        assert "399 tasks" in " ".join(tables[name].notes)
        assert tables[name].columns[3].problems == 399
    assert "Completion split" in " ".join(tables["Table 7"].notes)
    assert {column.options.get("cot") for column in tables["Table 6"].columns} == {True}


def test_the_options_that_columns_ask_for_are_those_of_the_benchmarks(
    tables: dict[str, PublishedTable],
) -> None:
    for table in tables.values():
        for column in table.columns:
            entry = BENCHES.get(column.bench)
            for name in column.options if entry else ():
                module, _, attribute = entry.place.partition(":") if entry else ("", "", "")
                made = getattr(importlib.import_module(module), attribute)
                assert name in inspect.signature(made).parameters, (table.id, column.name)


def run_of(keep_run: Keep, problems: int, version: str) -> Stored:
    return read_run(keep_run("one", {f"p/{n}": [True] for n in range(problems)}, version=version))


def test_a_run_stands_in_a_column_only_when_version_problems_and_options_are_the_same(
    keep_run: Keep,
) -> None:
    run = run_of(keep_run, 4, "v0.1.0")
    column = PublishedColumn(name="HE", bench="humaneval", version="v0.1.0", problems=4)
    assert column.why_not(run) == ""
    assert column.of(run) == run.scores[0]
    assert "v0.2.0" in replace(column, version="v0.2.0").why_not(run)
    assert "over 5 problems; this has 4" in replace(column, problems=5).why_not(run)
    assert "cot = true" in replace(column, options={"cot": True}).why_not(run)
    assert "in Elo" in replace(column, unit="Elo").why_not(run)
    assert "no part language:java" in replace(column, part="language:java").why_not(run)
    assert "no score" in replace(column, score="edit").why_not(run)


def test_a_part_and_a_named_score_stand_in_their_columns(keep_run: Keep) -> None:
    passes = {"p/1": [True], "p/2": [False]}
    tags = {"p/1": "language:java", "p/2": "language:cpp"}
    run = read_run(keep_run("one", passes, parts=tags))
    java = PublishedColumn(name="Java", bench="humaneval", part="language:java")
    assert java.why_not(run) == ""
    found = java.of(run)
    assert found is not None
    assert (found.value, found.problems) == (1.0, 1)
    named = PublishedColumn(name="x", bench="humaneval", score="PASS@1")
    assert named.of(run) == run.scores[0]


def test_an_option_left_out_counts_as_the_benchmarks_own_default(keep_run: Keep) -> None:
    passes = {"p/1": [True]}
    column = PublishedColumn(name="x", bench="cruxeval-o", options={"cot": False})
    assert column.why_not(read_run(keep_run("one", passes, bench="cruxeval-o"))) == ""
    thought = read_run(keep_run("two", passes, bench="cruxeval-o", options={"cot": True}))
    assert "cot = false; this has true" in column.why_not(thought)


def test_a_named_score_is_the_one_of_that_name_and_no_longer_one(keep_run: Keep) -> None:
    run = read_run(keep_run("one", {"p/1": [True]}))
    examples = replace(run, scores=[replace(run.scores[0], metric="pass@1 on examples")])
    column = PublishedColumn(name="MHPP", bench="humaneval", score="pass@1")
    assert column.why_not(run) == ""
    assert "no score 'pass@1'" in column.why_not(examples)
