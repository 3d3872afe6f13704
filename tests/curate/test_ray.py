"""The same recipe on a real Ray cluster of two nodes, one of them killed in the middle."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")

from curate import catalogue
from curate.engine import LocalEngine
from curate.ray_engine import RayEngine
from curate.recipe import CurateRecipe
from curate.running import Result, run

pytestmark = [
    pytest.mark.alone,
    pytest.mark.slow,
    # Not imported here: it reads its settings when it is.
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed"),
]

STEPS_FILE = """
import hashlib
import os
import time
import pyarrow as pa


class Digits:
    name, version, reads = "digits", 1, ("text", "exact.keep")

    def __init__(self, slow_s):
        self.slow_s = slow_s

    def schema(self):
        return pa.schema([("keep", pa.bool_()), ("value", pa.float64()), ("word", pa.string())])

    def settings(self):
        return {}

    def compute(self, table):
        texts = table.column("text").to_pylist()
        time.sleep(self.slow_s * len(texts))
        if any("die" in text for text in texts):
            os._exit(3)
        if any("raise" in text for text in texts):
            raise ValueError("cannot be counted")
        words = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
        values = [float(sum(one.isdigit() for one in word)) for word in words]
        return pa.table({"keep": [v > 38 for v in values], "value": values, "word": words})


def digits(*, slow_s: float = 0.0) -> Digits:
    return Digits(slow_s)
"""


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A step that every node can import, in the catalogue as "digits"."""
    folder = tmp_path_factory.mktemp("steps")
    (folder / "curate_ray_steps.py").write_text(STEPS_FILE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setenv("PYTHONPATH", str(folder))
        names = {**catalogue.STEPS, "digits": "curate_ray_steps:digits"}
        patch.setattr("curate.running.STEPS", names)
        yield


def _recipe(folder: Path, store: str, slow_s: float = 0.0) -> CurateRecipe:
    texts = [f"document {n % 900} " * (1 + n % 7) * 200 for n in range(1200)]
    texts[100], texts[200] = "raise", "die"
    file = folder / "documents.jsonl"
    if not file.exists():
        file.write_text("".join(json.dumps({"content": text}) + "\n" for text in texts))
    data: dict[str, Any] = {
        "store": str(folder / store),
        "sources": [{"use": "jsonl", "options": {"files": [str(file)]}}],
        "steps": [
            {"use": "exact"},
            {"use": "digits", "after": ["exact.keep"], "options": {"slow_s": slow_s}},
        ],
        "select": {"keep": ["exact.keep", "digits.keep"]},
    }
    return CurateRecipe.model_validate_json(json.dumps(data), strict=True)


def _columns(store: Path) -> dict[str, str]:
    return {
        str(path.relative_to(store)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((store / "columns").rglob("*.parquet"))
    }


def _facts(result: Result) -> tuple[Any, ...]:
    return result.kept, result.dropped_by, [one.quarantined for one in result.steps]


def test_a_cluster_writes_the_columns_of_one_machine(
    steps: None, ray_cluster: Any, tmp_path: Path
) -> None:
    with LocalEngine(2) as local:
        here = run(_recipe(tmp_path, "here"), local)
    with RayEngine(ray_cluster.address) as cluster:
        there = run(_recipe(tmp_path, "there"), cluster)
    assert _facts(here) == _facts(there)
    assert here.steps[1].quarantined == 2
    assert 0 < here.kept < here.documents
    assert _columns(tmp_path / "here") == _columns(tmp_path / "there") != {}


def test_a_node_that_dies_costs_no_document(steps: None, ray_cluster: Any, tmp_path: Path) -> None:
    with LocalEngine(2) as local:
        here = run(_recipe(tmp_path, "here"), local)
    begun = threading.Event()

    def tell(stage: str, done: int, total: int) -> None:
        if stage == "digits" and done:
            begun.set()

    def kill() -> None:
        begun.wait(60)
        ray_cluster.kill(ray_cluster.second)

    killer = threading.Thread(target=kill)
    killer.start()
    with RayEngine(ray_cluster.address) as cluster:
        there = run(_recipe(tmp_path, "there", slow_s=0.005), cluster, tell)
    killer.join()
    assert begun.is_set()
    assert _facts(here) == _facts(there)
    assert _columns(tmp_path / "here") == _columns(tmp_path / "there")
    ray_cluster.second = ray_cluster.add(cpus=3)
