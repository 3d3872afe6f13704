"""Benchmarks' problems put into documents, and documents that only look like it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numba")
pytest.importorskip("pyarrow")

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from curate.cli import app
from curate.decontaminate.grams import Known, all_grams
from curate.decontaminate.step import decontaminate
from curate.neardup.shingles import bytes_of
from curate.neardup.signatures import minhash
from seedcoder.errors import RecipeError, UsageError

PROMPT = "Write a function that returns the sum of every second number of a list of integers."
SOLUTION = "def second(xs):\n    return sum(xs[1::2])\n"
PROBLEMS = [
    {"bench": "one", "key": "p/1", "text": PROMPT, "solution": SOLUTION},
    {"bench": "two", "key": "q", "text": "print 1 2 3 4 5 6 7 8 9 10 11", "solution": ""},
    {"bench": "two", "key": "short", "text": "add two", "solution": "lambda a, b: a + b"},
]


@pytest.fixture
def problems(tmp_path: Path) -> Path:
    """A file as `seedcoder eval problems --export` writes it."""
    path = tmp_path / "problems.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in PROBLEMS))
    return path


def _rows(problems: Path, texts: list[str], **options: Any) -> list[dict[str, Any]]:
    table = pa.table({"text": pa.array(texts, pa.large_string())})
    signed = minhash().compute(table)
    table = table.append_column("minhash.signature", signed.column("signature"))
    found: list[dict[str, Any]] = (
        decontaminate(problems=problems, **options).compute(table).to_pylist()
    )
    return found


def test_ten_words_in_a_row_are_enough_and_nine_are_not(problems: Path) -> None:
    words = PROMPT.split()
    texts = [
        "x = 1\n# " + " ".join(words[2:12]).upper() + "\ny",
        "x = 1\n# " + " ".join(words[2:11]) + " other",
        " ".join([*words[:8], "INSERTED", *words[8:]]),
        "/*" + PROMPT.replace(" ", "\n * ") + "*/",
        "",
    ]
    ten, nine, broken, laid_out, empty = _rows(problems, texts)
    assert (
        not ten["keep"] and ten["reason"] == "ten words of one" and ten["problems"] == ["one/p/1"]
    )
    assert ten["words"] == " ".join(words[2:12]).upper()
    assert nine["keep"] and nine["reason"] == "" and nine["problems"] == [] and nine["value"] == 0
    assert broken["keep"] and not laid_out["keep"] and empty["keep"]


def test_a_document_that_is_a_short_solution_is_found(problems: Path) -> None:
    texts = ["lambda a,b : a+b\n", "lambda a, c: a * c", "x\n" * 50 + "lambda a, b: a + b"]
    same, other, inside = _rows(problems, texts)
    assert same["reason"] == "a solution of two" and same["problems"] == ["two/short"]
    assert other["keep"] and inside["keep"]
    assert _rows(problems, texts, similar=1.0)[0]["keep"] is False


def test_what_may_be_shared_is_shared(problems: Path, tmp_path: Path) -> None:
    allow = tmp_path / "allow.txt"
    allow.write_text("# counting\n1 2 3 4 5 6 7 8 9 10\n\none/p/1  # known\n")
    counting = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10"
    texts = [counting, counting + ", 11", PROMPT]
    assert [row["keep"] for row in _rows(problems, texts)] == [False, False, False]
    assert [row["keep"] for row in _rows(problems, texts, allow=allow)] == [True, False, True]
    assert [row["keep"] for row in _rows(problems, texts, leave_out=("two",))] == [
        True,
        True,
        False,
    ]
    allow.write_text("one two three\n")
    with pytest.raises(UsageError, match=r"allow.txt:1: 'one two three' is no problem's"):
        decontaminate(problems=problems, allow=allow)


def test_wrong_files_are_told_in_one_line(problems: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="seedcoder eval problems all --export"):
        decontaminate(problems=tmp_path / "absent")
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"bench": "x"}\n[1]\n')
    with pytest.raises(UsageError, match=r"bad\.jsonl:2"):
        decontaminate(problems=bad)
    with pytest.raises(RecipeError, match="leave_out: no problems of 'three'"):
        decontaminate(problems=problems, leave_out=("three",))


def test_another_file_of_problems_is_another_step(problems: Path) -> None:
    before = decontaminate(problems=problems).settings()
    problems.write_text(problems.read_text().replace("second", "third"))
    assert decontaminate(problems=problems).settings() != before


@pytest.mark.slow
@given(
    st.lists(st.text(alphabet="abAé_ ,\n", max_size=80), min_size=1, max_size=4),
    st.lists(st.text(alphabet="abAé_ ,\n", max_size=80), max_size=4),
)
@settings(max_examples=100)
def test_runs_are_found_as_a_plain_search_finds_them(known: list[str], texts: list[str]) -> None:
    def plain(text: str) -> set[bytes]:
        words = re.findall(rb"[A-Za-z0-9_\x80-\xff]+", text.encode())
        low = [bytes(c + 32 if 65 <= c <= 90 else c for c in word) for word in words]
        return {b" ".join(low[n : n + 3]) for n in range(len(low) - 2)}

    asked = set().union(*map(plain, known))
    numbers, spans, ends = all_grams(*bytes_of(pa.array(known, pa.large_string())), 3)
    assert len(spans) == len(numbers) == ends[-1]
    index = Known(numbers)
    assert len(index.numbers) == len(asked)
    found, _, _ = index.look(*bytes_of(pa.array(texts, pa.large_string())), 3)
    assert set(found.tolist()) == {n for n, text in enumerate(texts) if plain(text) & asked}


@pytest.mark.slow
def test_a_corpus_is_cleaned_and_told_of(problems: Path, tmp_path: Path) -> None:
    texts = [PROMPT, "a clean text of no benchmark", SOLUTION, "x " * 20]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps({"content": t}) + "\n" for t in texts))
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(f"""
store = "{tmp_path}/store"
workers = 1
[[sources]]
use = "jsonl"
options = {{ files = ["{tmp_path}/rows.jsonl"] }}
[[steps]]
use = "minhash"
[[steps]]
use = "decontaminate"
options = {{ problems = "{problems}" }}
[select]
keep = ["decontaminate.keep"]
""")
    runner = CliRunner()
    done = runner.invoke(app, ["run", str(recipe), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["kept"] == 2
    told = json.loads(runner.invoke(app, ["contamination", str(recipe), "--json"]).stdout)
    assert [(one["bench"], one["documents"]) for one in told] == [("one", 2)]
    assert told[0]["problems"] == {"one/p/1": 2}
    done = runner.invoke(app, ["contamination", str(recipe), "--step", "minhash"])
    assert "no step 'minhash' that looks for problems" in str(done.exception)


@pytest.mark.slow
def test_every_problem_of_the_benchmarks_is_found_in_itself(data_dir: Path, tmp_path: Path) -> None:
    from evals.problems_out import texts_of, write

    path = tmp_path / "all.jsonl"
    write(texts_of(["humaneval", "mbpp"]), path)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    found = _rows(path, [f"first\n{row['text']}\n{row['solution']}\nlast" for row in rows])
    assert len(rows) > 250
    for row, one in zip(rows, found, strict=True):
        longest = max(len(re.findall(r"\w+", row[name])) for name in ("text", "solution"))
        assert one["keep"] == (longest < 10), row["key"]
    assert sum(one["keep"] for one in found) < 0.02 * len(rows)
