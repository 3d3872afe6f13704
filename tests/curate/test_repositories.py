"""Repositories that are copies, forks, subtrees, and those that only share common files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")

import pyarrow as pa

from curate.neardup.repositories import repositories
from seedcoder.errors import RecipeError


class _Walked:
    def __init__(self, repos: dict[str, list[str]], scores: dict[str, float] | None = None) -> None:
        rows = [(repo, text) for repo, texts in repos.items() for text in texts]
        self.table = pa.table(
            {
                "key": [f"{n:032x}" for n in range(len(rows))],
                "repo": [repo for repo, _ in rows],
                "sha256": [hashlib.sha256(text.encode()).digest() for _, text in rows],
                "quality.value": [(scores or {}).get(repo, 1.0) for repo, _ in rows],
            }
        )

    def __iter__(self) -> Iterator[tuple[str, pa.Table]]:
        return self.only(*self.table.column_names)

    def only(self, *columns: str) -> Iterator[tuple[str, pa.Table]]:
        table = self.table.select(list(dict.fromkeys(["key", *columns])))
        yield "a", table.slice(0, 7)
        yield "b", table.slice(7)


def _said(walked: _Walked, tmp_path: Path, **options: Any) -> dict[str, tuple[str, str]]:
    """Each repository's reason and of whom it is a copy; all its files say the same."""
    found: dict[str, tuple[str, str]] = {}
    tables = [table for _, table in repositories(**options).gather(walked, tmp_path)]
    rows = pa.concat_tables(tables)
    assert rows.column("key").equals(walked.table.column("key"))
    for repo, row in zip(walked.table.column("repo").to_pylist(), rows.to_pylist(), strict=True):
        assert row["keep"] == (row["reason"] == "")
        assert found.setdefault(repo, (row["reason"], row["of"])) == (row["reason"], row["of"])
    return found


def _files(*numbers: int) -> list[str]:
    return [f"file {n}" for n in numbers]


def test_forks_copies_and_subtrees_are_dropped(tmp_path: Path) -> None:
    walked = _Walked(
        {
            "fork": _files(*range(19), 100),
            "whole": _files(*range(21)),
            "copy": _files(*range(21)),
            "part": _files(*range(5)),
            "other": _files(*range(200, 210), 0, 1, 2),
            "": _files(*range(21)),
        }
    )
    assert _said(walked, tmp_path) == {
        "fork": ("similar repository", "copy"),
        "whole": ("same repository", "copy"),
        "copy": ("", ""),
        "part": ("inside another repository", "copy"),
        "other": ("", ""),
        "": ("", ""),
    }


def test_the_best_of_copies_is_kept(tmp_path: Path) -> None:
    walked = _Walked({"a": _files(*range(9)), "b": _files(*range(9))}, {"a": 1.0, "b": 2.0})
    assert _said(walked, tmp_path)["b"] == ("same repository", "a")
    assert _said(walked, tmp_path, best="quality.value")["a"] == ("same repository", "b")


def test_tiny_repositories_are_left_to_the_comparison_of_files(tmp_path: Path) -> None:
    walked = _Walked({"a": _files(1, 2), "b": _files(1, 2), "c": _files(1, 2, 3)})
    assert set(_said(walked, tmp_path).values()) == {("", "")}


def test_wrong_thresholds_are_refused() -> None:
    with pytest.raises(RecipeError, match="contained"):
        repositories(contained=0)
