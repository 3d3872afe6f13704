"""SmolLM2 through all stages. It is a small model: what is looked at is that nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("gguf")

from curate.instruct.pipeline import made
from curate.instruct.recipe import InstructRecipe
from curate.instruct.replies import python_of
from sandbox import AssertTests, Program, judge
from sandbox.tests_json import tests_from_json, tests_to_json
from seedcoder.models import open_model

ReadRows = Callable[[Path], list[dict[str, Any]]]
WriteRows = Callable[..., Path]

SNIPPET = '''def mean(values):
    """Return the arithmetic mean of a list of numbers."""
    if not values:
        raise ValueError("no values")
    return sum(values) / len(values)


def median(values):
    """Return the middle value."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle]
'''


@pytest.mark.slow
def test_a_small_real_model_goes_through_every_stage(
    tmp_path: Path, write_rows: WriteRows, read_rows: ReadRows
) -> None:
    docs = write_rows(
        "docs.jsonl", [{"key": f"d{n}", "text": SNIPPET, "language": "python"} for n in range(1)]
    )
    queries = write_rows(
        "queries.jsonl",
        [
            {"key": "q", "prompt": "Write a Python function add(a, b) that returns a + b."},
        ],
    )
    tests = tests_to_json(
        AssertTests(
            test="assert add(1, 2) == 3\nassert add(-1, 5) == 4", entry_point="add", mode="proxy"
        )
    )
    given = write_rows(
        "problems-in.jsonl",
        [
            {
                "key": "p",
                "prompt": "Write a Python function `def add(a, b)` that returns a + b. "
                "Reply with one ```python block.",
                "tests": tests,
            }
        ],
    )
    recipe = InstructRecipe.model_validate(
        {
            "out": tmp_path / "out",
            "model": "smollm2:?dtype=float32",
            "sampling": {"max_tokens": 72, "temperature": 0.7},
            "pool": {"workers": 1},
            "synthesize": {"files": [docs], "queries": [queries], "limit": 1},
            "filter": {},
            "correct": {"input": queries, "revisions": 0, "asserts": 1},
            "problems": {"input": given, "samples": 4, "most": 1.0},
            "pairs": {"input": given, "samples": 2},
            "longcot": {
                "input": given,
                "samples": 1,
                "sampling": {"max_tokens": 48, "temperature": 0.6},
            },
        }
    )
    model = open_model(recipe.model, threads=1)
    for name in ("synthesize", "filter", "correct", "problems", "pairs", "longcot"):
        result = made(recipe, name, lend=lambda url: model)
        assert result.unfinished == {}
        # Nothing vanishes: each item gave a row or was dropped for a reason that is told.
        assert result.kept + sum(result.dropped.values()) == result.items
    model.close()
    (problem,) = read_rows(recipe.out / "problems.jsonl")  # it can add
    assert 0 < problem["passes"] <= problem["samples"] == 4
    checked = tests_from_json(tests)
    for pair in read_rows(recipe.out / "pairs.jsonl"):
        for name, passes in (("chosen", True), ("rejected", False)):
            code = python_of(pair[name][0]["content"], "add")
            assert code is not None
            assert judge(Program.python(code), checked).ok is passes
