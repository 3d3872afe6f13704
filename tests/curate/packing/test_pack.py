"""Packing a real corpus: every document once, the same bytes always, shares that are met."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")

import numpy as np
from typer.testing import CliRunner

from curate.cli import app
from curate.kept import kept
from curate.packing.pack import forecast, pack_recipe, words_of
from curate.packing.plan import plan_of
from curate.packing.reader import Packed
from curate.packing.recipe import PackRecipe
from curate.packing.unpack import check, documents
from curate.recipe import CurateRecipe
from seedcoder.errors import RecipeError, UsageError
from seedcoder.recipe import load_recipe

Asked = Callable[..., PackRecipe]


def _packed(recipe: PackRecipe, name: str = "test") -> Path:
    return pack_recipe(recipe, name, lambda *_: None)


def _bytes(folder: Path) -> dict[str, str]:
    names = [path for path in folder.iterdir() if path.name[:6].isdigit()]
    names.append(folder / "packed.json")
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in names}


def _texts(corpus: Path) -> dict[str, str]:
    found = {}
    for table in kept(load_recipe(corpus, CurateRecipe), ["text"]):
        found.update(zip(table["key"].to_pylist(), table["text"].to_pylist(), strict=True))
    return found


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"fim": {"rate": 1.0}},
        {"fim": {"rate": 1.0, "order": "psm"}},
        {"fim": {"rate": 0.0}, "layout": "cut"},
        {"layout": "cut", "bos": "<[begin▁of▁sentence]>", "shard_sequences": 7},
        {"length": 100000, "unit_kb": 100000},
        {"sources": [{"name": "all", "order": "repositories"}]},
        {
            "sources": [{"name": "all", "order": "repositories"}],
            "repositories": {"file": "<filename>", "max_kb": 20},
        },
    ],
)
def test_every_document_comes_back_once(asked: Asked, corpus: Path, facts: dict[str, Any]) -> None:
    recipe = asked(verify=True, **facts)
    folder = _packed(recipe)
    back = list(documents(folder, words_of(recipe)))
    assert {key: text for key, _, text in back} == _texts(corpus)
    assert len(back) == len(_texts(corpus))
    account = Packed(folder).facts["sources"]["all"]
    assert account["documents"] == len(back)
    assert account["altered"] == 0
    assert check(folder) == []


def test_the_accounts_are_those_of_the_tokens_on_disk(asked: Asked) -> None:
    recipe = asked()
    packed = Packed(_packed(recipe))
    samples = [packed[at] for at in range(len(packed))]
    pad = packed.facts["pad"]
    tokens = sum(recipe.length - one.padding for one in samples)
    account = packed.facts["sources"]["all"]
    assert tokens == packed.facts["tokens"] == account["tokens"]
    assert account["padding"] == sum(int((one.tokens == pad).sum()) for one in samples)
    assert sum(account["languages"].values()) == tokens
    ends = sum(int((one.tokens == packed.facts["eos"]).sum()) for one in samples)
    assert ends == account["documents"]
    fim = packed.facts["fim"]
    assert (
        account["rearranged"] == sum(int((s.tokens == fim["middle"]).sum()) for s in samples) > 20
    )


def test_the_number_of_workers_changes_no_byte_and_the_seed_does(
    asked: Asked, tmp_path: Path
) -> None:
    one = _bytes(_packed(asked(out=tmp_path / "a")))
    assert one == _bytes(_packed(asked(out=tmp_path / "b")))
    assert one != _bytes(_packed(asked(out=tmp_path / "d", seed=8)))


@pytest.mark.slow
def test_several_workers_write_the_same_bytes(asked: Asked, tmp_path: Path) -> None:
    sources = [
        {"name": "code", "where": ["language in [python]"], "weight": 3.0, "max_epochs": 9},
        {"name": "rest", "where": ["language in [markdown]"], "weight": 1.0, "max_epochs": 9},
    ]
    facts: dict[str, Any] = {"sources": sources, "tokens": 300_000, "unit_kb": 10}
    one = _bytes(_packed(asked(out=tmp_path / "a", **facts)))
    assert one == _bytes(_packed(asked(out=tmp_path / "b", workers=3, **facts)))


@pytest.mark.parametrize("layout", ["fit", "cut"])
def test_shares_hit_their_weights_to_one_sequence(asked: Asked, layout: str) -> None:
    sources = [
        {"name": "code", "where": ["language in [python]"], "weight": 3.0},
        {"name": "rest", "weight": 1.0, "languages": {"markdown": 4.0, "*": 1.0}, "max_epochs": 99},
    ]
    recipe = asked(sources, tokens=200_000, layout=layout)
    facts = Packed(_packed(recipe)).facts
    for name, share in {"code": 0.75, "rest:markdown": 0.2, "rest:*": 0.05}.items():
        one = facts["sources"][name]
        assert one["share_asked"] == pytest.approx(share)
        assert 0 <= one["tokens"] - round(200_000 * share) < recipe.length
        assert not one["is_short"]
    assert set(facts["sources"]["rest:markdown"]["languages"]) == {"markdown"}
    assert len(facts["sources"]["rest:markdown"]["epochs"]) > 1


def test_each_epoch_draws_its_middles_anew(asked: Asked) -> None:
    sources = [{"name": "all", "where": ["language in [markdown]"], "weight": 1.0}]
    recipe = asked(sources, tokens=60_000, fim={"rate": 0.5})
    folder = _packed(recipe)
    import pyarrow.parquet as pq

    layouts: dict[str, set[str]] = {}
    for path in folder.glob("*.parquet"):
        for row in pq.read_table(path).to_pylist():
            layouts.setdefault(row["key"], set()).add(row["layout"])
    assert sum(len(one) == 2 for one in layouts.values()) > len(layouts) / 3


def test_a_source_with_too_few_documents_is_told(asked: Asked, corpus: Path) -> None:
    sources = [{"name": "all", "where": ["language in [text]"], "weight": 1.0, "max_epochs": 2}]
    facts = Packed(_packed(asked(sources, tokens=10**6))).facts
    assert facts["sources"]["all"]["is_short"]


@pytest.mark.slow
def test_a_packing_that_was_killed_goes_on_to_the_same_bytes(
    asked: Asked, corpus: Path, tmp_path: Path
) -> None:
    whole = _packed(asked(out=tmp_path / "whole", shard_sequences=16))
    recipe = tmp_path / "pack.toml"
    recipe.write_text(
        f'out = "{tmp_path}/cut"\nlength = 512\nshard_sequences = 16\nunit_kb = 40\nworkers = 1\n'
        f'seed = 7\n[[sources]]\nname = "all"\nrecipe = "{corpus}"\n'
    )
    command = [sys.executable, "-m", "seedcoder", "curate", "pack", str(recipe)]
    kills = 0
    for after in (1, 5, 12, 25):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            if len(list((tmp_path / "cut").glob("*/*.bounds.npy"))) >= after:
                os.kill(process.pid, signal.SIGKILL)
                kills += process.wait() == -signal.SIGKILL
            time.sleep(0.002)
    assert kills >= 2
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    (folder,) = (tmp_path / "cut").iterdir()
    assert _bytes(folder) == _bytes(whole)


def test_a_shard_that_was_changed_is_found(asked: Asked) -> None:
    folder = _packed(asked())
    path = folder / "000000.tokens.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert check(folder) == ["000000"]


def test_a_forecast_is_near_what_comes(asked: Asked) -> None:
    recipe = asked()
    (told,) = forecast(recipe, plan_of(recipe))
    facts = Packed(_packed(recipe)).facts
    assert told.documents == facts["sources"]["all"]["documents"]
    assert told.tokens == pytest.approx(facts["tokens"], rel=0.05)
    assert told.sequences == pytest.approx(facts["sequences"], rel=0.1)


def test_a_dry_run_prints_the_plan_and_writes_nothing(corpus: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "pack.toml"
    recipe.write_text(f'out = "{tmp_path}/o"\n[[sources]]\nname = "all"\nrecipe = "{corpus}"\n')
    done = CliRunner().invoke(app, ["pack", str(recipe), "--dry-run", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["shards"] == 1 and told["bytes"] > 0
    assert told["sources"][0]["epochs"] == 1.0
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("source", "facts", "words"),
    [
        ({"name": "a", "where": ["quality.value > 1"]}, {}, "no column 'quality.value'"),
        ({"name": "a", "text": "secrets.redacted"}, {}, "no column 'secrets.redacted'"),
        ({"name": "a"}, {"tokenizer": "/nowhere/tokenizer.json"}, "tokenizer"),
        ({"name": "a"}, {"fim": {"format": "x"}}, "no FIM format"),
    ],
)
def test_what_is_not_there_is_one_line(
    asked: Asked, source: dict[str, Any], facts: dict[str, Any], words: str
) -> None:
    if "tokenizer" in facts:
        pytest.importorskip("tokenizers", reason="comes with the hf extra")
    with pytest.raises(UsageError, match=words):
        _packed(asked([source], **facts))


def test_weights_without_tokens_are_refused(corpus: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "pack.toml"
    recipe.write_text(f'[[sources]]\nname = "a"\nweight = 2.0\nrecipe = "{corpus}"\n')
    with pytest.raises(RecipeError, match="how many tokens"):
        load_recipe(recipe, PackRecipe)


def test_tokens_are_small_where_the_vocabulary_is(asked: Asked) -> None:
    folder = _packed(asked())
    assert np.load(folder / "000000.tokens.npy", mmap_mode="r").dtype == np.dtype("<u2")


def test_texts_are_told_apart_by_bounds(asked: Asked) -> None:
    packed = Packed(_packed(asked()))
    counts = Counter()
    for at in range(len(packed)):
        one = packed[at]
        counts["texts"] += len(one.cu_seqlens) - 1 - bool(one.padding)
        assert one.cu_seqlens[0] == 0 and one.cu_seqlens[-1] == packed.length
        assert (np.diff(one.cu_seqlens) > 0).all()
        assert (one.position_ids[one.cu_seqlens[:-1]] == 0).all()
        assert int((one.labels() == -100).sum()) == one.padding
    assert counts["texts"] >= packed.facts["sources"]["all"]["documents"]
