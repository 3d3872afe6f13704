"""Run many benchmarks with one model: what a paper's table needs, as one recipe.

    [common]                     # keys of every run: any key of an eval recipe but bench and model
    protocol = "completion"
    [[runs]]
    bench = "humaneval+"
    [[runs]]
    bench = "cruxeval-o"
    options = { cot = true }

A benchmark whose data is not here is skipped aloud, and so is one that the machine cannot run; the
others go on. The model is opened once. Each run is a run folder of its own, as if its recipe had
been run alone, so that a suite that was cut off goes on where it was.
"""

from __future__ import annotations

import json
import logging
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from evals.bench import open_bench
from evals.recipe import EvalRecipe
from evals.result import FAILED, Result
from evals.runner import evaluate
from seedcoder.completion import Model
from seedcoder.errors import MachineLacks, RecipeError, SeedcoderError
from seedcoder.models import open_model
from seedcoder.recipe import Recipe, load_recipe

log = logging.getLogger(__name__)


class SuiteRecipe(Recipe):
    """One model, many benchmarks. about: a line for people. common, runs: see the module."""

    model: str
    about: str = ""
    common: dict[str, Any] = Field(default_factory=dict)
    runs: tuple[dict[str, Any], ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """How one benchmark of a suite came out: a result, or why there is none.

    status: "complete", "failed" or "skipped".
    """

    name: str
    bench: str
    status: str
    result: Result | None = None
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain data for scripts."""
        return {
            "name": self.name,
            "bench": self.bench,
            "status": self.status,
            "why": self.why,
            "result": self.result.to_json() if self.result else None,
        }


def is_suite(path: Path) -> bool:
    """Return whether the recipe is a suite; False for what cannot be read: reading it tells why."""
    try:
        return "runs" in tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return False


def load_suite(path: Path, changes: Sequence[str] = ()) -> list[tuple[str, EvalRecipe]]:
    """Return the recipes of a suite, by name. RecipeError, one line, names the run that is wrong.

    changes: "model=..." or "common.limit=20", as on the command line.
    """
    suite = load_recipe(path, SuiteRecipe, changes)
    recipes: dict[str, EvalRecipe] = {}
    for number, own in enumerate(suite.runs, start=1):
        said = _merged(suite.common, own)
        where = f"{path.name}: run {number} ({said.get('bench', 'no bench')})"
        name = _name(path.stem, own)
        try:
            recipe = EvalRecipe.model_validate_json(
                json.dumps({**said, "model": suite.model}, default=str), strict=True
            )
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "recipe"
            raise RecipeError(f"{where}: {place}: {first['msg']}") from None
        if name in recipes:
            raise RecipeError(f"{where}: the suite has this run twice")
        recipes[name] = recipe
    for name, recipe in recipes.items():
        try:
            open_bench(recipe.bench, recipe.options)
        except SeedcoderError as error:
            raise RecipeError(f"{path.name}: {name}: {error}") from error
    return list(recipes.items())


def run_suite(recipes: Sequence[tuple[str, EvalRecipe]], *, root: Path) -> Iterator[Part]:
    """Run each recipe in turn and yield how it came out.

    Raises SeedcoderError for what would stop every run: a model that cannot be opened.
    """
    lent = _Lent()
    try:
        for name, recipe in recipes:
            yield _part(name, recipe, root, lent)
    finally:
        lent.close()


class _Lent:
    """One model for all runs that ask for it alike; opened when the first needs it."""

    def __init__(self) -> None:
        self._model: Model | None = None

    def open(self, recipe: EvalRecipe) -> Model:
        """Return the model; its runs do not close it."""
        if recipe.model.startswith("scripted:"):
            return open_model(recipe.model)
        if self._model is None:
            self._model = open_model(recipe.model, threads=recipe.threads, batch=recipe.batch)
        return self._model

    def close(self) -> None:
        """Let go of it."""
        if self._model is not None:
            self._model.close()


def _part(name: str, recipe: EvalRecipe, root: Path, lent: _Lent) -> Part:
    bench = open_bench(recipe.bench, recipe.options)
    try:
        if not recipe.chosen(bench.problems()):
            why = "; ".join(f"{part}: {why}" for part, why in bench.left_out().items())
            return _skipped(name, recipe, why or "no problem is left to ask")
    except MachineLacks as error:
        return _skipped(name, recipe, str(error))
    lend: Callable[[EvalRecipe], Model] = lent.open
    result = evaluate(recipe, name=name, root=root, lend=lend)
    return Part(name=name, bench=recipe.bench, status=result.status, result=result)


def _skipped(name: str, recipe: EvalRecipe, why: str) -> Part:
    log.warning("skipped bench=%s: %s", recipe.bench, why)
    return Part(name=name, bench=recipe.bench, status="skipped", why=why)


def failed(parts: Sequence[Part]) -> bool:
    """Return whether any run failed; a skipped one did not."""
    return any(part.status == FAILED for part in parts)


def _merged(common: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return `own` over `common`; tables merge, everything else is replaced whole."""
    merged = dict(common)
    for key, value in own.items():
        before = merged.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            value = _merged(before, value)
        merged[key] = value
    return merged


def _name(suite: str, own: Mapping[str, Any]) -> str:
    """Return a name for run folders: the suite's, the benchmark's, and what its options say."""
    words = [suite, str(own.get("bench", ""))]
    for key, value in sorted(own.get("options", {}).items()):
        words.append(key if value is True else f"{key}-{value}")
    return re.sub(r"[^a-z0-9+]+", "-", "-".join(words).lower()).strip("-")
