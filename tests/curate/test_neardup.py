"""Near duplicates against exact similarities of real files, and against sets made by hand."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numba")
pytest.importorskip("pyarrow")

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.engine import LocalEngine
from curate.neardup.files import neardup
from curate.neardup.shingles import body_of, jaccard, runs, sets
from curate.neardup.signatures import PERMUTATIONS, minhash, packed, signatures, unpacked
from curate.neardup.star import buckets
from curate.recipe import CurateRecipe
from curate.running import run
from seedcoder.errors import RecipeError

WORD = re.compile(rb"[A-Za-z0-9_\x80-\xff]+")


def _plain_set(text: str) -> frozenset[tuple[bytes, ...]]:
    words = WORD.findall(text.encode())
    if 0 < len(words) < 5:
        return frozenset([tuple(words)])
    return frozenset(tuple(words[n : n + 5]) for n in range(len(words) - 4))


def _plain_jaccard(left: str, right: str) -> float:
    mine, its = _plain_set(left), _plain_set(right)
    return len(mine & its) / len(mine | its) if mine | its else 0.0


class _Walked:
    """Texts as a step gathers them, in two parts."""

    def __init__(self, texts: list[str], **columns: Any) -> None:
        table = pa.table({"text": pa.array(texts, pa.large_string())})
        signed = minhash(strip_licences=False).compute(table)
        keys = [f"{n:032x}" for n in range(len(texts))]
        self.table = pa.table(
            {
                "key": keys,
                "text": table["text"],
                "minhash.signature": signed["signature"],
                **columns,
            }
        )

    def __iter__(self) -> Iterator[tuple[str, pa.Table]]:
        return self.only(*self.table.column_names)

    def only(self, *columns: str) -> Iterator[tuple[str, pa.Table]]:
        table = self.table.select(list(dict.fromkeys(["key", *columns])))
        half = table.num_rows // 2
        yield "a", table.slice(0, half)
        yield "b", table.slice(half)


def _dropped(walked: _Walked, scratch: Path, **options: Any) -> dict[int, tuple[int, float]]:
    """Each text that is dropped: for which, and how similar they are."""
    step = neardup(strip_licences=False, **options)
    found = {}
    for name, table in step.gather(walked, scratch):
        for row in table.to_pylist():
            assert row["keep"] == (not row["of"]) == (not row["reason"]), name
            if not row["keep"]:
                found[int(row["key"], 16)] = (int(row["of"], 16), row["value"])
    return found


@pytest.mark.slow
@given(st.lists(st.text(alphabet="ab cé_\n1.", max_size=60), max_size=8))
@settings(max_examples=100)
def test_runs_are_those_of_five_words(texts: list[str]) -> None:
    numbers, bounds = sets(pa.array(texts, pa.large_string()), strip=False)
    for row, text in enumerate(texts):
        assert bounds[row + 1] - bounds[row] == len(_plain_set(text)), text
    for row, text in enumerate(texts):
        for other, second in enumerate(texts):
            found = jaccard(
                numbers[bounds[row] : bounds[row + 1]], numbers[bounds[other] : bounds[other + 1]]
            )
            assert found == pytest.approx(_plain_jaccard(text, second))


def test_signatures_estimate_the_similarity() -> None:
    chance = random.Random(7)
    words = [f"word{n}" for n in range(2000)]
    base = [chance.choice(words) for _ in range(3000)]
    for share in (0.0, 0.02, 0.1, 0.5):
        other = [word if chance.random() > share else chance.choice(words) for word in base]
        texts = [" ".join(base), " ".join(other)]
        made = signatures(*runs(pa.array(texts, pa.large_string())))
        estimate = float((made[0] == made[1]).mean())
        exact = _plain_jaccard(*texts)
        assert abs(estimate - exact) < 4 * (max(exact * (1 - exact), 0.01) / PERMUTATIONS) ** 0.5


def test_a_column_slice_is_read_where_it_begins() -> None:
    texts = pa.array(["one two three four five six", "", "x", "one two three four five six"])
    whole, ends = runs(texts.cast(pa.large_string()))
    part, part_ends = runs(texts.cast(pa.large_string()).slice(2))
    assert part.tolist() == whole[int(ends[2]) :].tolist() and part_ends.tolist() == [0, 1, 3]
    made = signatures(whole, ends)
    assert (made[1] == 0xFFFFFFFF).all()
    assert (unpacked(packed(made).slice(1, 2)) == made[1:3]).all()


HEADERS = {
    "/* Copyright 2020 */\nint main() { return 0; }": "\nint main() { return 0; }",
    "#!/bin/sh\n# SPDX-License-Identifier: MIT\n\necho one": "\n\necho one",
    "// Licensed to us\n// under terms\n\npackage main": "\n\npackage main",
    "<!-- LICENCE -->\n<p>text</p>": "\n<p>text</p>",
    '"""Copyright us."""\nimport os': "\nimport os",
    "# what this is\nimport os  # copyright": "# what this is\nimport os  # copyright",
    "/* first */ /* copyright */ /* stays */ x": " /* stays */ x",
    "-- SPDX\nSELECT 1": "\nSELECT 1",
    "/* copyright, never closed": "",
}


@pytest.mark.parametrize("text", HEADERS)
def test_licences_at_the_head_are_left_out(text: str) -> None:
    assert body_of(text) == HEADERS[text]


def test_a_text_that_is_all_licence_is_compared_as_it_is() -> None:
    text = "/* copyright one two three four five */"
    assert runs(pa.array([text], pa.large_string()))[0].size > 0


def test_a_file_is_dropped_only_for_one_that_is_kept(tmp_path: Path) -> None:
    """A chain: each like the next, the ends unlike. Groups would leave one of all."""
    words = [f"w{n}" for n in range(1000)]
    chain = [" ".join(words[n * 70 : n * 70 + 500]) for n in range(7)]
    found = _dropped(_Walked(chain), tmp_path)
    assert found
    for text, (kept, similar) in found.items():
        assert kept not in found
        assert similar == pytest.approx(_plain_jaccard(chain[text], chain[kept]))
        assert similar >= 0.7
    assert len(chain) - len(found) > 1


def test_the_best_of_similar_files_is_kept(tmp_path: Path) -> None:
    texts = [" ".join(f"w{m + n}" for m in range(500)) for n in range(3)] + ["other text here"]
    assert set(_dropped(_Walked(texts), tmp_path)) == {1, 2}
    scored = _Walked(texts, **{"quality.value": [1.0, 9.0, None, 2.0]})
    found = _dropped(scored, tmp_path, best="quality.value")
    assert {text: kept for text, (kept, _) in found.items()} == {0: 1, 2: 1}


def test_texts_without_words_are_all_kept(tmp_path: Path) -> None:
    assert _dropped(_Walked(["", "...", "{}", "a b", "a b"]), tmp_path) == {4: (3, 1.0)}
    found, count = buckets(np.zeros((0, PERMUTATIONS), np.uint32), 32, 8)
    assert found.shape == (0, 32) and count == 0


def test_documents_without_a_signature_are_not_computed(tmp_path: Path) -> None:
    walked = _Walked(["one two three", "one two three"])
    column = walked.table.column("minhash.signature").to_pylist()
    place = walked.table.column_names.index("minhash.signature")
    walked.table = walked.table.set_column(
        place, "minhash.signature", pa.array([None, column[1]], pa.binary(4 * PERMUTATIONS))
    )
    tables = list(neardup().gather(walked, tmp_path))
    assert [table.num_rows for _, table in tables] == [0, 1]


def test_wrong_options_are_refused() -> None:
    with pytest.raises(RecipeError, match="bands must divide"):
        neardup(bands=7)
    with pytest.raises(RecipeError, match="threshold"):
        neardup(threshold=0)


@pytest.fixture(scope="module")
def truth(curate_data: Path) -> tuple[list[str], list[tuple[int, int, float]]]:
    """Real files, and every pair of them with a Jaccard similarity of 0.3 or more."""
    zstandard = pytest.importorskip("zstandard")
    folder = curate_data
    with (folder / "neardup_files.jsonl.zst").open("rb") as file:
        lines = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), "utf-8")
        rows = [json.loads(line) for line in lines]
    place = {row["id"]: n for n, row in enumerate(rows)}
    with gzip.open(folder / "neardup_pairs.csv.gz", "rt") as pairs:
        found = [
            (place[type(rows[0]["id"])(row["a"])], place[type(rows[0]["id"])(row["b"])],
             float(row["jaccard_5gram_words"]))
            for row in csv.DictReader(pairs)
        ]  # fmt: skip
    return [row["content"] for row in rows], found


@pytest.mark.slow
def test_similar_real_files_are_found_and_no_other_is_dropped(
    truth: tuple[list[str], list[tuple[int, int, float]]], tmp_path: Path
) -> None:
    texts, pairs = truth
    found = _dropped(_Walked(texts), tmp_path)
    similar = {(min(a, b), max(a, b)): value for a, b, value in pairs}
    for at_least, reach in ((0.8, 0.99), (0.9, 0.999)):
        wanted = [pair for pair, value in similar.items() if value >= at_least]
        done = sum(a in found or b in found for a, b in wanted)
        assert len(wanted) > 200 and done >= reach * len(wanted), (at_least, done, len(wanted))
    assert len(found) > 300
    for text, (kept, value) in found.items():
        assert kept not in found
        known = similar[min(text, kept), max(text, kept)]
        assert known >= 0.7 and value == pytest.approx(known, abs=0.002)


@pytest.mark.slow
def test_a_recipe_drops_near_copies_and_computes_only_new_signatures(tmp_path: Path) -> None:
    text = " ".join(f"w{n}" for n in range(400))
    first = [text, text + " more", "something else", text]

    def recipe(*files: list[str]) -> CurateRecipe:
        sources = []
        for n, texts in enumerate(files):
            path = tmp_path / f"{n}.jsonl"
            if not path.exists():
                path.write_text("".join(json.dumps({"content": one}) + "\n" for one in texts))
            sources.append({"use": "jsonl", "name": f"s{n}", "options": {"files": [str(path)]}})
        data = {
            "store": str(tmp_path / "store"),
            "sources": sources,
            "steps": [
                {"use": "exact"},
                {"use": "minhash", "after": ["exact.keep"]},
                {"use": "neardup", "after": ["exact.keep"]},
            ],
            "select": {"keep": ["exact.keep", "neardup.keep"]},
        }
        return CurateRecipe.model_validate_json(json.dumps(data), strict=True)

    with LocalEngine(1) as engine:
        one = run(recipe(first), engine)
        two = run(recipe(first, ["another", text + " and"]), engine)
    assert one.dropped_by == {"exact.keep": 1, "neardup.keep": 1} and one.kept == 2
    assert [step.fresh for step in two.steps] == [6, 2, 5]
    assert two.dropped_by == {"exact.keep": 1, "neardup.keep": 2}
