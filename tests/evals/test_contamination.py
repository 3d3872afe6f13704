"""A problem that lies in training data is found, and one that does not is not."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from evals.contamination import Index, Text, documents, texts
from evals.humaneval import HumanEval
from seedcoder.errors import UsageError

PROBLEM = Text(
    bench="b",
    key="b/0",
    text="Return the sum of all even numbers of the list that is given",
    solution="def f(xs):\n    return sum(x for x in xs if x % 2 == 0)\n",
)
OTHER = Text(
    bench="b", key="b/1", text="Sort the words of a sentence by their length, longest first."
)


def test_ten_words_in_a_row_are_a_hit_and_nine_are_not() -> None:
    words = PROBLEM.text.split()
    index = Index([PROBLEM, OTHER])
    assert not index.look("nine", "x " + " ".join(words[:9]) + " y")
    assert index.found() == []
    assert index.look("ten", "x " + " ".join(words[:10]).upper() + "! y")
    (hit,) = index.found()
    assert (hit.key, len(hit.found), hit.documents) == ("b/0", 1, ["ten"])
    assert hit.shared == " ".join(words[:10]).lower()
    assert index.documents == 2


def test_a_solution_is_looked_for_too_and_layout_does_not_hide_it() -> None:
    index = Index([PROBLEM])
    assert index.look("copy", PROBLEM.solution.replace("    ", "\t").replace(" % ", "%"))
    (hit,) = index.found()
    assert hit.to_json()["share"] < 1


def test_a_problem_shorter_than_an_n_gram_is_looked_for_whole() -> None:
    index = Index([Text(bench="b", key="short", text="Say hello to the world")])
    assert not index.look("other", "say hello to the moon")
    assert index.look("same", "... say hello to the world ...")


def test_of_humaneval_exactly_the_planted_problems_are_found(
    tmp_path: Path, humaneval: HumanEval
) -> None:
    rows = list(texts(humaneval))
    shard = tmp_path / "shard.jsonl.gz"
    with gzip.open(shard, "wt") as file:
        for text in ("nothing of interest " * 50, rows[3].text + rows[3].solution, rows[90].text):
            file.write(json.dumps({"content": text}) + "\n")
    index = Index(rows)
    for name, text in documents([shard]):
        index.look(name, text)
    found = {hit.key: hit.documents for hit in index.found()}
    assert found["HumanEval/3"] == ["shard.jsonl.gz:2"]
    assert found["HumanEval/90"] == ["shard.jsonl.gz:3"]
    assert len(found) <= 4  # a few problems share a doctest's words with those


def test_a_shard_of_another_form_is_one_line_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a"}\n{"body": "b"}\n')
    with pytest.raises(UsageError, match=r"a\.jsonl, row 2: no text in 'text' or 'content'"):
        list(documents([path]))
    assert list(documents([path][:0])) == []
    path.write_text("{")
    with pytest.raises(UsageError, match="is not JSON lines"):
        list(documents([path]))
    with pytest.raises(UsageError, match="cannot be read"):
        list(documents([tmp_path / "none.jsonl"]))
