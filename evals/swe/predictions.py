"""Predictions as SWE-bench's own harness reads and writes them: one patch an instance.

JSON lines, or JSON: a list of predictions or an object of them by instance (SWE-agent's form), each
{"instance_id", "model_name_or_path", "model_patch"} (`get_predictions_from_file` in swebench 5.0.2,
`swebench/harness/utils.py`). A `model_patch` of null is an empty one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seedcoder.completion import Completion, Request, Sampling
from seedcoder.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One patch. model: who made it. text: the diff, "" for none."""

    instance: str
    model: str
    text: str

    def to_json(self) -> dict[str, str]:
        """Return it with the official names."""
        return {
            "instance_id": self.instance,
            "model_name_or_path": self.model,
            "model_patch": self.text,
        }


def read_predictions(path: Path) -> tuple[Mapping[str, Prediction], str]:
    """Return the predictions by instance, and the file's sha256.

    Raises UsageError, with the place, for a file of another form or an instance that is there
    twice. The file's name does not matter, its content does.
    """
    try:
        raw = path.read_bytes()
        text = raw.decode()
    except OSError as error:
        raise UsageError(f"predictions {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"predictions {path}: not UTF-8 at byte {error.start}") from error
    found: dict[str, Prediction] = {}
    for place, row in _rows(text, path):
        made = _prediction(row, place)
        if made.instance in found:
            raise UsageError(f"{place}: a second patch for {made.instance!r}")
        found[made.instance] = made
    return found, hashlib.sha256(raw).hexdigest()


def _rows(text: str, path: Path) -> Iterator[tuple[str, Any]]:
    where = f"predictions {path}"
    try:
        whole = json.loads(text)
    except ValueError:
        whole = None
    if isinstance(whole, list):
        yield from ((f"{where}, prediction {n}", row) for n, row in enumerate(whole, start=1))
        return
    if isinstance(whole, dict) and "instance_id" not in whole:
        yield from ((f"{where}, {key!r}", row) for key, row in whole.items())
        return
    # Not splitlines: a patch may hold the other line ends that Unicode knows.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield f"{where}:{number}", json.loads(line)
            except ValueError as error:
                raise UsageError(f"{where}:{number}: no JSON: {error}") from error


def _prediction(row: Any, place: str) -> Prediction:
    if not isinstance(row, dict):
        raise UsageError(f"{place}: an object was expected")
    for name in ("instance_id", "model_patch"):
        if name not in row:
            raise UsageError(f"{place}: no {name!r}")
    instance, model = row["instance_id"], row.get("model_name_or_path") or "unknown"
    patch = row["model_patch"] or ""
    for name, value in (
        ("instance_id", instance), ("model_name_or_path", model), ("model_patch", patch)
    ):  # fmt: skip
        if not isinstance(value, str):
            raise UsageError(f"{place}: {name} must be text, got {type(value).__name__}")
    return Prediction(instance=instance, model=model, text=patch)


def write_predictions(path: Path, predictions: Iterable[Prediction]) -> int:
    """Write predictions and return how many: a list where `path` ends in .json, else JSON lines.

    Raises UsageError where the file cannot be written.
    """
    rows = [made.to_json() for made in predictions]
    if path.suffix == ".json":
        text = json.dumps(rows, indent=2) + "\n"
    else:
        text = "".join(json.dumps(row) + "\n" for row in rows)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error
    return len(rows)


class Predictor:
    """Answers with the patches of a file, as a model would; instances not in it get none."""

    def __init__(self, predictions: Mapping[str, Prediction], sha256: str, known: set[str]) -> None:
        """known: the instances there are. Raises UsageError for a prediction of another."""
        if strange := [key for key in predictions if key not in known]:
            raise UsageError(f"predictions: {strange[0]!r} is no instance of this benchmark")
        self._predictions = predictions
        makers = {made.model for made in predictions.values()}
        self._name = makers.pop() if len(makers) == 1 else f"predictions {sha256[:12]}"

    @property
    def name(self) -> str:
        """Who made the patches."""
        return self._name

    def generate(
        self, requests: Iterable[Request], sampling: Sampling, n: int = 1
    ) -> Iterator[Completion]:
        """Yield each instance's patch, `n` times."""
        for request in requests:
            made = self._predictions.get(request.key)
            for sample in range(n):
                yield Completion(
                    key=request.key, n=sample, text=made.text if made else "", finish="stop"
                )

    def close(self) -> None:
        """Nothing is held."""


def predictions_of(folder: Path, sample: int = 0) -> list[Prediction]:
    """Return what a run answered: sample `sample` of each instance that has one, in order.

    Raises UsageError for a folder that is no run on one of these benchmarks.
    """
    from evals.bench import open_bench
    from evals.recipe import EvalRecipe
    from evals.swe.benchmark import SweBench, patch_in
    from evals.tally import read_answers
    from evals.think import split
    from seedcoder.rows import read_rows
    from seedcoder.run import MANIFEST, ROWS
    from seedcoder.run_folder import read_json

    manifest = read_json(folder / MANIFEST) if folder.is_dir() else None
    if manifest is None or manifest.get("verb") != "eval":
        raise UsageError(f"{folder} is no run of 'eval'")
    recipe = EvalRecipe.model_validate(manifest["recipe"])
    if not 0 <= sample < recipe.samples:
        raise UsageError(f"{folder} has samples 0 to {recipe.samples - 1}, not {sample}")
    bench = open_bench(recipe.bench, recipe.options)
    if not isinstance(bench, SweBench):
        raise UsageError(f"{folder} is a run on {recipe.bench}, whose answers are no patches")
    problems = recipe.chosen(bench.problems())
    answers = read_answers(
        read_rows(folder / ROWS), problems, recipe.samples, manifest.get("grading", 1)
    )
    found = []
    for answer in answers:
        if answer.n == sample and answer.sample is not None:
            text = answer.sample.text
            text = split(text, *recipe.think).answer if recipe.think else text
            model = str(manifest.get("model", "unknown"))
            found.append(Prediction(instance=answer.problem, model=model, text=patch_in(text)))
    return found
