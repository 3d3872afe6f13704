"""Stages that are killed, whose model is away, whose boxes break."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from curate.instruct.pipeline import made
from curate.instruct.recipe import InstructRecipe
from sandbox import AssertTests
from sandbox.tests_json import tests_to_json
from seedcoder.completion import Completion, Request, Sampling
from seedcoder.errors import SeedcoderError
from seedcoder.models import open_model
from seedcoder.rows import read_rows as rows_of

RecipeOf = Callable[..., InstructRecipe]
ReadRows = Callable[[Path], list[dict[str, Any]]]
WriteRows = Callable[..., Path]

GOOD = "```python\ndef add(a, b):\n    return a + b\n```"
WRONG = "```python\ndef add(a, b):\n    return a - b\n```"
SLEEPS = "```python\nimport time\ndef add(a, b):\n    time.sleep(1)\n    return a + b\n```"
TESTS = "assert add(1, 2) == 3\nassert add(-1, 1) == 0"


def problem(key: str) -> dict[str, Any]:
    tests = tests_to_json(AssertTests(test=TESTS, entry_point="add", mode="proxy"))
    return {"key": key, "prompt": "Add.", "tests": tests}


class Away:
    """A model that has no answer for some keys until it is told to be back."""

    name = "away"

    def __init__(self, url: str, keys: Iterable[str]) -> None:
        self.inner = open_model(url)
        self.keys = set(keys)
        self.asked: Counter[str] = Counter()

    def generate(
        self, requests: Iterable[Request], sampling: Sampling, n: int = 1
    ) -> Iterator[Completion]:
        for request in requests:
            self.asked[request.key] += n
            if request.key in self.keys:
                for at in range(n):
                    yield Completion(key=request.key, n=at, text=GOOD, finish="error", error="503")
            else:
                yield from self.inner.generate([request], sampling, n)

    def close(self) -> None:
        """Nothing is held."""


@pytest.mark.slow
def test_failures_of_the_model_are_no_labels_and_are_asked_again(
    recipe_of: RecipeOf, write_rows: WriteRows, read_rows: ReadRows
) -> None:
    given = write_rows("in.jsonl", [problem("there"), problem("away")])
    answers: dict[Any, str] = {}
    for key in ("there", "away"):
        answers |= {(f"{key}/sample", 0): GOOD, (f"{key}/sample", 1): WRONG}
    recipe = recipe_of(answers, pairs={"input": given, "samples": 2}, max_error_rate=0.4)
    model = Away(recipe.model, ["away/sample"])
    with pytest.raises(SeedcoderError, match="pairs: 1 of 2 items were lost") as failure:
        made(recipe, "pairs", lend=lambda url: model)
    assert failure.value.exit_code == 1
    manifest = json.loads((recipe.out / "pairs.manifest.json").read_text())
    assert (manifest["dropped"], manifest["unfinished"]) == ({}, {"model": 1})
    assert [row["problem"] for row in read_rows(recipe.out / "pairs.jsonl")] == ["there"]
    model.keys.clear()
    result = made(recipe, "pairs", lend=lambda url: model)
    assert [row["problem"] for row in read_rows(result.file)] == ["there", "away"]
    assert result.unfinished == {}
    assert model.asked == {"there/sample": 2, "away/sample": 4}


def test_a_model_that_is_gone_ends_the_stage_early(
    recipe_of: RecipeOf, write_rows: WriteRows
) -> None:
    given = write_rows("in.jsonl", [problem(f"p{n}") for n in range(60)])
    recipe = recipe_of({}, correct={"input": given}, max_error_rate=0.01)
    with pytest.raises(SeedcoderError, match="25 of 25 replies and verdicts were lost"):
        made(recipe, "correct")


@pytest.mark.slow
def test_boxes_that_break_are_no_verdicts_and_are_judged_again(
    recipe_of: RecipeOf, write_rows: WriteRows, read_rows: ReadRows
) -> None:
    given = write_rows("in.jsonl", [problem("a")])
    answers: dict[Any, str] = {("a/sample", 0): SLEEPS, ("a/sample", 1): WRONG}
    recipe = recipe_of(answers, problems={"input": given, "samples": 2})
    over = threading.Event()

    class Breaks(Away):
        """Begins to kill all boxes once the controls were judged."""

        def generate(
            self, requests: Iterable[Request], sampling: Sampling, n: int = 1
        ) -> Iterator[Completion]:
            yield from super().generate(requests, sampling, n)
            threading.Thread(target=kill_boxes, args=(over,), daemon=True).start()

    model = Breaks(recipe.model, [])
    result = made(recipe, "problems", lend=lambda url: model)
    over.set()
    assert (result.rows, result.dropped, result.unfinished) == (0, {}, {"sandbox": 1})
    result = made(recipe, "problems")
    (row,) = read_rows(result.file)
    assert (row["passes"], row["samples"]) == (1, 2)
    assert model.asked == {"a/sample": 2}


def kill_boxes(over: threading.Event) -> None:
    while not over.wait(0.1):
        for pid in descendants(os.getpid()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def descendants(parent: int) -> set[int]:
    found: set[int] = set()
    for task in Path(f"/proc/{parent}/task").glob("*/children"):
        try:
            children = {int(pid) for pid in task.read_text().split()}
        except (OSError, ValueError):
            continue
        found |= children
        for child in children:
            found |= descendants(child)
    return found


@pytest.mark.slow
def test_a_stage_that_is_killed_goes_on_and_writes_the_same(
    tmp_path: Path, write_rows: WriteRows
) -> None:
    keys = [f"p{n:02}" for n in range(30)]
    given = write_rows("in.jsonl", [problem(key) for key in keys])
    answers = [
        {"key": f"{key}/sample", "n": n, "text": (GOOD, WRONG, "none")[(n + at) % 3]}
        for at, key in enumerate(keys)
        for n in range(4)
    ]
    model = write_rows("answers.jsonl", answers)
    toml = tmp_path / "instruct.toml"
    toml.write_text(
        f'out = "{tmp_path}/out"\nmodel = "scripted:{model}"\nchunk = 4\n[pool]\nworkers = 1\n'
        f'[pairs]\ninput = "{given}"\nsamples = 4\n'
    )
    command = [sys.executable, "-m", "seedcoder", "curate", "instruct", "pairs", str(toml)]
    kills = 0
    for wanted in (60, 200, 330):
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while child.poll() is None and time.monotonic() < deadline:
            if lines(tmp_path / "out") >= wanted:
                child.kill()
                kills += 1
                break
            time.sleep(0.01)
        child.wait()
        assert not (tmp_path / "out" / "pairs.jsonl").exists()
    assert kills == 3
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    whole = [*command, "--set", f"out={tmp_path}/whole"]
    subprocess.run(whole, check=True, capture_output=True, timeout=120)
    for name in ("pairs.jsonl", "pairs.manifest.json"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert len((tmp_path / "out" / "pairs.jsonl").read_text().splitlines()) == 30
    (file,) = (tmp_path / "out" / "runs").glob("*/rows.jsonl")
    again = Counter(
        (row["kind"], row["key"]) for row in map(json.loads, file.read_text().splitlines())
    )
    assert set(again.values()) == {1}  # nothing was asked or judged twice
    assert len(rows_of(file)) == sum(again.values())


def lines(out: Path) -> int:
    return sum(file.read_bytes().count(b"\n") for file in out.glob("runs/*/rows.jsonl"))
