"""Parquet files, datasets, and WARC files: real ones and torn ones."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("warcio")

import pyarrow as pa
import pyarrow.parquet as pq

from curate.document import Document
from curate.engine import LocalEngine
from curate.recipe import CurateRecipe
from curate.running import run
from curate.sources.rows import hub, parquet
from curate.sources.source import Source
from curate.sources.warc import warc
from seedcoder.errors import MachineLacks, UsageError


def _read(source: Source) -> tuple[list[Document], dict[str, str]]:
    refused: dict[str, str] = {}
    return list(source.documents("x", lambda place, why: refused.update({place: why}))), refused


def _rows(path: Path) -> Path:
    rows = [
        {"content": "print(1)", "path": "a.py", "repo_name": "o/r", "lang": "Python", "stars": 3,
         "license": ["MIT", "ISC"]},
        {"content": "int x;", "path": "b.c", "repo_name": "o/r", "lang": None, "stars": 4,
         "license": None},
        {"content": None, "path": "c.c", "repo_name": "o/r", "lang": None, "stars": 5,
         "license": None},
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def test_parquet_rows_become_documents(tmp_path: Path) -> None:
    file = _rows(tmp_path / "rows.parquet")
    found, refused = _read(parquet(files=[file]))
    assert [(one.language, one.licence, one.meta) for one in found] == [
        ("python", "MIT AND ISC", {"stars": 3}), ("c", "", {"stars": 4}),
    ]  # fmt: skip
    assert refused == {"rows.parquet:3": "no string 'content'"}
    torn = tmp_path / "torn.parquet"
    torn.write_bytes(file.read_bytes()[:-20])
    found, refused = _read(parquet(files=[torn, file]))
    assert len(found) == 2 and "no parquet" in refused["torn.parquet:0"]
    with pytest.raises(UsageError, match="no file"):
        parquet(files=[tmp_path / "absent"])


def test_a_dataset_is_streamed_by_name(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    file = _rows(tmp_path / "rows.parquet")
    load = {"data_files": {"train": str(file)}}
    found, refused = _read(hub(dataset="parquet", revision="", load=load))
    assert [one.path for one in found] == ["a.py", "b.c"] and len(refused) == 1
    assert len(_read(hub(dataset="parquet", revision="", load=load, most=1))[0]) == 1
    with pytest.raises(MachineLacks, match="cannot be read"):
        _read(hub(dataset=str(tmp_path / "absent"), revision="main"))


def test_a_dataset_without_its_package_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(MachineLacks, match="'hub' extra"):
        _read(hub(dataset="any", revision="main"))


def test_real_pages_are_read_from_a_warc(curate_data: Path, tmp_path: Path) -> None:
    folder = curate_data
    found, refused = _read(warc(files=[folder / "docs_pages.warc.gz"]))
    with (folder / "docs_pages.tsv").open(encoding="utf-8") as file:
        lines = list(csv.reader(file, delimiter="\t"))
    known = {cell for line in lines for cell in line}
    assert len(found) == 280 and not refused
    assert all(one.path in known for one in found)
    assert all(one.language == "html" and "<" in one.text and one.repo for one in found)
    small, _ = _read(warc(files=[folder / "warcio_example.warc.gz"]))
    assert len(small) == 1 and "Example Domain" in small[0].text


def test_a_torn_warc_gives_what_came_before(curate_data: Path, tmp_path: Path) -> None:
    torn = tmp_path / "torn.warc.gz"
    torn.write_bytes((curate_data / "docs_pages.warc.gz").read_bytes()[:400_000])
    found, _ = _read(warc(files=[torn]))
    assert 10 < len(found) < 280
    (tmp_path / "none.warc").write_bytes(b"this is no warc")
    found, refused = _read(warc(files=[tmp_path / "none.warc"]))
    assert not found and "no WARC" in next(iter(refused.values()))
    _, refused = _read(warc(files=[curate_data / "docs_pages.warc.gz"], most_bytes=2000))
    assert "more than 2000 bytes" in refused.values()


@pytest.mark.slow
def test_sources_of_all_kinds_feed_one_recipe(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "a.py").write_text("print(1)")
    data = {
        "store": str(tmp_path / "store"),
        "sources": [
            {"use": "folders", "options": {"roots": [str(tmp_path / "p")]}},
            {"use": "parquet", "options": {"files": [str(_rows(tmp_path / "r.parquet"))]}},
        ],
        "steps": [{"use": "exact"}, {"use": "licence", "options": {"unknown": True}}],
        "select": {"keep": ["exact.keep", "licence.keep"]},
    }
    recipe = CurateRecipe.model_validate_json(json.dumps(data), strict=True)
    with LocalEngine(1) as engine:
        result = run(recipe, engine)
    assert result.documents == 3 and result.kept == 2
    assert result.refused == {"folders": 0, "parquet": 1}
