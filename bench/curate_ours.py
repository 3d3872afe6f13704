"""One piece of curation in a process of its own, so that its time and memory are its own.

    python bench/curate_ours.py STEP DOCUMENTS.jsonl [STORE PROBLEMS]

STEP: exact, minhash, neardup, licence, rules, syntax, secrets, fasttext, parquet, or pipeline (all
through decontamination, as a recipe in STORE). Says one JSON line: {"mb", "cpu_s", "peak_mb"} and
what came of it. CPU seconds are without imports and compilation: everything is done once before,
on a few documents.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from curate.catalogue import STEPS, make  # noqa: E402
from curate.recipe import CurateRecipe  # noqa: E402
from curate.running import run  # noqa: E402
from curate.store import write_table  # noqa: E402
from curate.task import Computed, Task, compute  # noqa: E402

BATCH_BYTES = 4 << 20
WARM = 100


class Here:
    """An engine that computes in this process: all CPU time and memory are seen."""

    def run(self, tasks: Iterator[Task]) -> Iterator[tuple[Task, Computed]]:
        """Do one task after another."""
        for task in tasks:
            yield task, compute(task)

    def close(self) -> None:
        """Nothing is open."""


class Walked:
    """Tables as a gather step walks them."""

    def __init__(self, tables: list[pa.Table]) -> None:
        """Hold them."""
        self.tables = tables

    def __iter__(self) -> Iterator[tuple[str, pa.Table]]:
        return ((str(n), table) for n, table in enumerate(self.tables))

    def only(self, *columns: str) -> Iterator[tuple[str, pa.Table]]:
        """Walk with some columns."""
        names = list(dict.fromkeys(("key", *columns)))
        return ((part, table.select(names)) for part, table in self)


COLUMNS_ONLY: Final = ("minhash", "secrets")  # steps that decide nothing


def batches(path: Path, most: int = 1 << 60) -> Iterator[pa.Table]:
    """Yield documents in batches as tasks hold them."""
    rows: list[dict[str, Any]] = []
    held = 0
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            if number == most:
                break
            rows.append(json.loads(line))
            held += len(line)
            if held >= BATCH_BYTES:
                yield _table(rows)
                rows, held = [], 0
    if rows:
        yield _table(rows)


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.table(
        {
            "key": [f"{row['id']:032x}" for row in rows],
            "text": pa.array([row["content"] for row in rows], pa.large_string()),
            "language": [row["lang"] for row in rows],
            "path": [row["path"] for row in rows],
            "licence": [""] * len(rows),
            "repo": [row["repo"] for row in rows],
        }
    )


def _again(table: pa.Table) -> pa.Table:
    keys = pa.array([f"f{key[1:]}" for key in table["key"].to_pylist()])
    return table.set_column(table.column_names.index("key"), "key", keys)


def _mapped(name: str) -> Callable[[list[pa.Table]], Any]:
    step = make(STEPS, name, {}, "step")
    return lambda tables: [step.compute(table.select(["key", *step.reads])) for table in tables]


def exact(tables: list[pa.Table]) -> Any:
    """SHA-256 of every text, and the step."""
    from hashlib import sha256

    hashed = [
        table.append_column(
            "sha256", pa.array([sha256(text.as_buffer()).digest() for text in table["text"]])
        )
        for table in tables
    ]
    step = make(STEPS, "exact", {}, "step")
    return list(step.gather(Walked(hashed), Path()))


def neardup(tables: list[pa.Table]) -> Any:
    """LSH, the check of each candidate, and the stars. tables: with signatures."""
    step = make(STEPS, "neardup", {}, "step")
    with tempfile.TemporaryDirectory() as scratch:
        found = [table for _, table in step.gather(Walked(tables), Path(scratch))]
    rows = pa.concat_tables(found).filter(pa.compute.invert(pa.concat_tables(found)["keep"]))
    return {
        "removed": [
            [int(key, 16), int(of, 16)]
            for key, of in zip(rows["key"].to_pylist(), rows["of"].to_pylist(), strict=True)
        ]
    }


def signed(tables: list[pa.Table]) -> list[pa.Table]:
    """Put signatures beside documents."""
    step = make(STEPS, "minhash", {}, "step")
    return [
        table.append_column("minhash.signature", step.compute(table)["signature"])
        for table in tables
    ]


def fasttext(tables: list[pa.Table]) -> Callable[[list[pa.Table]], Any]:
    """Learn the languages from some documents; return what predicts."""
    import fasttext as library

    with tempfile.NamedTemporaryFile("w", suffix=".txt", delete=False) as file:
        for table in tables:
            for row in table.select(["text", "language"]).to_pylist():
                words = " ".join(row["text"].split())
                file.write(f"__label__{row['language'] or 'none'} {words[:5000]}\n")
    model = library.train_supervised(file.name, epoch=2, dim=16, thread=1, verbose=0)
    Path(file.name).unlink()
    return lambda given: [
        model.predict([" ".join(text.split()) for text in table["text"].to_pylist()])
        for table in given
    ]


def parquet(tables: list[pa.Table]) -> None:
    """Write documents as the store does."""
    with tempfile.TemporaryDirectory() as folder:
        for number, table in enumerate(tables):
            write_table(table, Path(folder) / f"{number}.parquet")


def pipeline(path: Path, store: Path, problems: Path) -> dict[str, Any]:
    """Run the steps through decontamination as a recipe; return what came of them."""
    near = ["exact.keep", "rules.keep"]
    steps = [
        {"use": "exact"},
        {"use": "licence", "after": ["exact.keep"], "options": {"unknown": True}},
        {"use": "rules", "after": ["exact.keep"]},
        {"use": "minhash", "after": near},
        {"use": "neardup", "after": near},
        {"use": "syntax", "after": ["neardup.keep"]},
        {"use": "secrets", "after": ["syntax.keep"]},
        {"use": "decontaminate", "after": ["syntax.keep"], "options": {"problems": str(problems)}},
    ]
    recipe = {
        "store": str(store),
        "sources": [{"use": "jsonl", "options": {"files": [str(path)]}}],
        "steps": steps,
        "select": {
            "keep": [f"{step['use']}.keep" for step in steps if step["use"] not in COLUMNS_ONLY]
        },
    }
    result = run(CurateRecipe.model_validate_json(json.dumps(recipe), strict=True), Here())
    return {
        "documents": result.documents,
        "kept": result.kept,
        "dropped_by": result.dropped_by,
        "wall_s": {one.title: round(one.wall_s, 3) for one in result.steps},
        "mb": result.bytes / 1e6,
    }


def main() -> None:
    """Measure one of them."""
    name, path = sys.argv[1], Path(sys.argv[2])
    said: dict[str, Any] = {}
    if name == "pipeline":
        store, problems = Path(sys.argv[3]), Path(sys.argv[4])
        with tempfile.TemporaryDirectory() as folder:
            few = Path(folder) / "few.jsonl"
            with path.open(encoding="utf-8") as lines, few.open("w", encoding="utf-8") as out:
                out.writelines(line for _, line in zip(range(WARM), lines, strict=False))
            pipeline(few, Path(folder) / "store", problems)
        began = time.process_time()
        said = pipeline(path, store, problems)
        cpu_s = time.process_time() - began
    else:
        prepare = signed if name == "neardup" else lambda tables: tables
        warm = prepare([next(batches(path, WARM))])
        own = {"exact": exact, "neardup": neardup, "parquet": parquet}
        do = fasttext(warm) if name == "fasttext" else own.get(name) or _mapped(name)
        do([*warm, *map(_again, warm)])  # with pairs that are alike
        cpu_s = mb = 0.0
        if name in ("exact", "neardup"):
            tables = prepare(list(batches(path)))
            mb = sum(table["text"].nbytes for table in tables) / 1e6
            began = time.process_time()
            found = do(tables)
            cpu_s = time.process_time() - began
            said = found if name == "neardup" else {}
        else:
            for table in batches(path):
                mb += table["text"].nbytes / 1e6
                began = time.process_time()
                do([table])
                cpu_s += time.process_time() - began
        said["mb"] = mb
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({**said, "cpu_s": cpu_s, "peak_mb": peak_mb}))


if __name__ == "__main__":
    main()
