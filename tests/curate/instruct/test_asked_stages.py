"""Tasks and responses from excerpts, filters, and the whole chain by the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")

from typer.testing import CliRunner

from curate.cli import app
from curate.engine import LocalEngine
from curate.instruct.pipeline import made
from curate.instruct.recipe import InstructRecipe, SynthesizeTable
from curate.instruct.snippets import excerpt, items_of
from curate.recipe import CurateRecipe
from curate.running import run as run_curate
from seedcoder.errors import UsageError

RecipeOf = Callable[..., InstructRecipe]
ReadRows = Callable[[Path], list[dict[str, Any]]]
WriteRows = Callable[..., Path]

CODE = "\n\n".join(f"def f{n}(x):\n    y = x + {n}\n    return y" for n in range(20))
TASK = "<task>Write a function add(a, b) that adds two numbers.</task>"
GOOD = "```python\ndef add(a, b):\n    return a + b\n```"
TESTS = "```python\nassert add(1, 2) == 3\nassert add(4, 5) == 9\nassert add(0, 1) == 1\n```"
WRONG = "```python\ndef add(a, b):\n    return a - b\n```"


def scores(key: str, correctness: int, difficulty: int) -> dict[str, str]:
    return {
        f"{key}/correctness": f"Looks right.\ncorrectness: {correctness}",
        f"{key}/difficulty": f"topics: sums\ndifficulty: {difficulty}",
    }


def chat(key: str, reply: str) -> dict[str, Any]:
    told = [{"role": "user", "content": "Add."}, {"role": "assistant", "content": reply}]
    return {"key": key, "messages": told}


def test_tasks_and_responses_come_from_excerpts_and_the_queries_of_users(
    recipe_of: RecipeOf, write_rows: WriteRows, read_rows: ReadRows
) -> None:
    keys = ("good", "untagged", "short", "copied", "mute")
    docs = write_rows(
        "docs.jsonl", [{"key": key, "text": CODE, "language": "Python"} for key in keys]
    )
    queries = write_rows("queries.jsonl", [{"key": "q", "prompt": "How do I add?"}])
    said = {"files": [docs], "queries": [queries], "lines": [8, 40]}
    table = SynthesizeTable.model_validate(said)
    (copied,) = [x.data["excerpt"] for x in items_of(table, seed=0) if x.key == "copied.0"]
    recipe = recipe_of(
        {
            "good.0/task": TASK,
            "good.0/response": GOOD,
            "untagged.0/task": "Write something that adds numbers.",
            "short.0/task": "<task>Add.</task>",
            "copied.0/task": f"<task>Explain {copied}</task>",
            "mute.0/task": TASK,
            "mute.0/response": "  ",
            "q/response": "With +.",
        },
        synthesize=said,
    )
    result = made(recipe, "synthesize")
    rows = {row["key"]: row for row in read_rows(result.file)}
    assert set(rows) == {"good.0", "q"}
    assert rows["good.0"]["messages"] == [
        {"role": "user", "content": TASK[6:-7]},
        {"role": "assistant", "content": GOOD},
    ]
    assert (rows["good.0"]["document"], rows["good.0"]["language"]) == ("good", "python")
    assert rows["q"]["style"] == "query"
    assert result.dropped == {
        "response: empty": 1,
        "task: not between <task> and </task>": 1,
        "task: quotes its excerpt": 1,
        "task: too short": 1,
    }


def test_excerpts_are_what_a_curated_corpus_keeps(tmp_path: Path, write_rows: WriteRows) -> None:
    corpus = write_rows(
        "corpus.jsonl",
        [
            {"content": CODE, "path": "a.py", "lang": "python"},
            {"content": CODE, "path": "copy.py", "lang": "python"},
            {"content": CODE.replace("y", "z"), "path": "b.py", "lang": "python"},
            {"content": CODE + "\n", "path": "c.go", "lang": "go"},
        ],
    )
    toml = tmp_path / "corpus.toml"
    toml.write_text(
        f'store = "{tmp_path}/store"\n[[sources]]\nuse = "jsonl"\noptions = {{files = '
        f'["{corpus}"]}}\n[[steps]]\nuse = "exact"\n[select]\nkeep = ["exact.keep"]\n'
    )
    asked = SynthesizeTable.model_validate({"corpus": toml, "languages": ["python"]})
    with pytest.raises(UsageError, match="curate run"):
        items_of(asked, seed=0)
    from seedcoder.recipe import load_recipe

    with LocalEngine(1) as engine:
        run_curate(load_recipe(toml, CurateRecipe), engine)
    items = items_of(asked, seed=0)
    assert len(items) == 2
    assert items == items_of(asked, seed=0)
    assert all(item.data["excerpt"].startswith("def f") for item in items)
    one = items_of(SynthesizeTable.model_validate({"corpus": toml, "limit": 1}), seed=0)
    assert len(one) == 1


def test_pieces_of_hybrids_hold_code() -> None:
    table = SynthesizeTable(hybrid_chars=200)
    text = "Words.\n\n" * 30 + "Then:\n\n```python\nx = 1\n```\n\nEnd."
    assert "```python\nx = 1\n```" in excerpt(text, "markdown", "k", table, seed=0)
    assert excerpt("Words.\n\n" * 30, "markdown", "k", table, seed=0) == ""
    cells = [
        {"cell_type": "markdown", "source": ["# Add\n", "two"]},
        {"cell_type": "code", "source": "1 + 1"},
    ]
    book = json.dumps({"cells": cells})
    found = excerpt(book, "jupyter notebook", "k", table, seed=0)
    assert found == "# Add\ntwo\n\n```python\n1 + 1\n```"
    assert excerpt("{", "jupyter notebook", "k", table, seed=0) == ""
    assert excerpt("x = 1", "python", "k", table, seed=0) == ""


@pytest.mark.slow
def test_rows_are_filtered_by_syntax_correctness_and_difficulty(
    recipe_of: RecipeOf, write_rows: WriteRows, read_rows: ReadRows
) -> None:
    pytest.importorskip("tree_sitter_language_pack")
    given = write_rows(
        "in.jsonl",
        [
            chat("good", f"{GOOD}\n```text\nnot ( code\n```"),
            chat("broken", GOOD + "\n```python\ndef add(a, b:\n    return\n```"),
            chat("wrong", GOOD),
            chat("easy", GOOD),
            chat("unscored", GOOD),
            {"key": "alone", "prompt": "Add."},
        ],
    )
    answers = {
        **scores("good", 6, 3),
        **scores("broken", 10, 10),
        **scores("wrong", 5, 10),
        **scores("easy", 10, 2),
        "unscored/correctness": "It is fine.",
    }
    result = made(recipe_of(answers, filter={"input": given}), "filter")
    (row,) = read_rows(result.file)
    assert (row["key"], row["correctness"], row["difficulty"]) == ("good", 6, 3)
    assert row["topics"] == ["sums"]
    assert result.dropped == {
        "correctness: low": 1,
        "correctness: no score in the reply": 1,
        "difficulty: too easy": 1,
        "no task or no response": 1,
        "syntax: syntax error": 1,
    }


@pytest.mark.slow
def test_what_a_benchmark_asks_is_taken_out_of_every_output(
    recipe_of: RecipeOf, write_rows: WriteRows, read_rows: ReadRows
) -> None:
    pytest.importorskip("numba")
    words = "return the sum of every second number of a given list of integers"
    solution = "def second(xs):\n    total = 0\n    for x in xs[1::2]:\n        total += x\n"
    solution += "    return total\n"
    problems = write_rows(
        "problems.jsonl", [{"bench": "one", "key": "p", "text": words, "solution": solution}]
    )
    given = write_rows(
        "in.jsonl",
        [
            chat("asks", f"You want to {words}."),
            chat("solves", f"Here:\n```python\n{solution}```"),
            chat("clean", GOOD),
        ],
    )
    answers = {k: v for key in ("asks", "solves", "clean") for k, v in scores(key, 9, 9).items()}
    recipe = recipe_of(answers, filter={"input": given, "syntax": None})
    assert made(recipe, "filter").rows == 3
    step = {"use": "decontaminate", "options": {"problems": str(problems)}}
    recipe = recipe_of(answers, filter={"input": given, "syntax": None}, decontaminate=step)
    result = made(recipe, "filter")
    assert [row["key"] for row in read_rows(result.file)] == ["clean"]
    assert sum(result.dropped.values()) == 2
    assert all(reason.startswith("decontaminate: ") for reason in result.dropped)


@pytest.mark.slow
def test_the_whole_chain_by_the_command_line(
    tmp_path: Path, write_rows: WriteRows, read_rows: ReadRows
) -> None:
    pytest.importorskip("tree_sitter_language_pack")
    docs = write_rows("docs.jsonl", [{"key": "d", "text": CODE, "language": "python"}])
    answers: list[dict[str, Any]] = [
        {"key": key, "text": text}
        for key, text in {
            "d.0/task": TASK,
            "d.0/response": GOOD,
            **scores("d.0", 9, 5),
            "d.0/solve": f"{WRONG}\n{TESTS}",
            "d.0/revise0": GOOD,
        }.items()
    ]
    samples = [f"<think>Add.</think>{GOOD}", GOOD, WRONG, "none"]
    answers += [{"key": "d.0/sample", "n": n, "text": text} for n, text in enumerate(samples)]
    model = write_rows("answers.jsonl", answers)
    toml = tmp_path / "instruct.toml"
    toml.write_text(
        f'out = "{tmp_path}/out"\nmodel = "scripted:{model}"\n'
        f'[pool]\nworkers = 1\n[synthesize]\nfiles = ["{docs}"]\n[filter]\n[correct]\n'
        "[problems]\nsamples = 4\n[pairs]\nsamples = 4\n[longcot]\nsamples = 4\n"
    )
    result = CliRunner().invoke(app, ["instruct", "run", str(toml)])
    assert result.exit_code == 0, result.output
    out = tmp_path / "out"
    for stage in ("synthesize", "filter", "correct", "problems", "pairs", "longcot"):
        assert f"{stage}: 1 rows of 1 items" in result.output
        manifest = json.loads((out / f"{stage}.manifest.json").read_text())
        assert (manifest["rows"], manifest["dropped"], manifest["unfinished"]) == (1, {}, {})
    (problem,) = read_rows(out / "problems.jsonl")
    assert (problem["pass_rate"], problem["difficulty"]) == (0.5, 5)
    (pair,) = read_rows(out / "pairs.jsonl")
    assert pair["rejected"][0]["content"] == WRONG
    (thought,) = read_rows(out / "longcot.jsonl")
    assert thought["messages"][1]["content"] == samples[0]
    again = CliRunner().invoke(app, ["instruct", "longcot", str(toml), "--json"])
    assert json.loads(again.stdout)["rows"] == 1
    wrong = CliRunner().invoke(app, ["instruct", "pairs", str(toml), "--set", "out=/nowhere"])
    assert isinstance(wrong.exception, UsageError)
    assert "do 'problems' first" in str(wrong.exception)
