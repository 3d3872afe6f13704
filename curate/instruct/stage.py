"""Work a stage off: its run, its items in chunks, what it writes.

    <out>/<stage>.jsonl            what the stage made, in the form that trainers read
    <out>/<stage>.manifest.json    counts by reason, digests, who answered, which box judged
    <out>/runs/instruct-<stage>-.../   replies, verdicts and settled items, row by row

A settled item is never worked on again; one that was cut off goes on with the replies and verdicts
that it had. Items lost to failures of ours are counted apart, "unfinished", and tried again by the
next call. The output is written whole, by rename, in the order of the items.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from curate.instruct.desk import Desk
from curate.instruct.item import Item, Stage
from curate.instruct.passed import passed
from curate.instruct.recipe import InstructRecipe
from sandbox import Pool, SandboxUnavailable
from seedcoder import machine
from seedcoder.completion import Model
from seedcoder.errors import MachineLacks, SeedcoderError, UsageError
from seedcoder.models import open_model
from seedcoder.progress import progress
from seedcoder.run import Run
from seedcoder.run_folder import write_json, write_text

log = logging.getLogger(__name__)

Lend = Callable[[str], Model]


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a stage came to. dropped: items without rows, and rows taken out, by reason."""

    stage: str
    file: Path
    items: int
    kept: int
    rows: int
    dropped: Mapping[str, int]
    unfinished: Mapping[str, int]
    facts: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`."""
        data = {name: getattr(self, name) for name in self.__slots__}
        return {**data, "file": str(self.file), "dropped": dict(self.dropped)}


def work(
    recipe: InstructRecipe,
    name: str,
    items: Sequence[Item],
    stage: Stage,
    *,
    lend: Lend | None = None,
) -> Made:
    """Do the stage `name` of a recipe and write its output; goes on where it was cut off.

    lend: gives a model for a URL and keeps it open; by default they are opened here.
    SeedcoderError for what stops it: a model that cannot be opened, no box that is strong enough, a
    full disk, or more items lost to failures of ours than the recipe allows (what could be made is
    written before that).
    """
    urls = {"writer": recipe.model, "judge": recipe.judge or recipe.model}
    with ExitStack() as stack:
        run = stack.enter_context(
            Run.open(
                recipe.out / "runs",
                verb="instruct",
                name=name,
                recipe=_identity(recipe, name),
                data_sha256={"items": _sha256(items), **_answers(urls)},
                facts={"machine": machine.facts()},
            )
        )
        settled = {row["key"] for row in run.rows() if row["kind"] == "item"}
        open_items = [item for item in items if item.key not in settled]
        errors: dict[str, str] = {}
        if open_items:
            desk = _desk(stack, recipe, run, urls, {item.key for item in open_items}, lend)
            done = len(items) - len(open_items)
            meter = stack.enter_context(progress(len(items), name, done=done))
            kept = 0
            for begin in range(0, len(open_items), recipe.chunk):
                chunk = open_items[begin : begin + recipe.chunk]
                for end in stage.settle(chunk, desk):
                    run.append(
                        {
                            "kind": "item",
                            "key": end.key,
                            "rows": [dict(row) for row in end.rows],
                            "reason": end.reason,
                            "facts": dict(end.facts),
                        }
                    )
                    kept += bool(end.rows)
                    meter.advance(1, f"{kept} kept, {len(desk.errors)} errors")
                desk.forget({item.key for item in chunk})
            errors = desk.errors
        made = _write(recipe, name, items, run, errors)
    lost = sum(made.unfinished.values())
    if lost > recipe.max_error_rate * len(items):
        raise SeedcoderError(
            f"{name}: {lost} of {len(items)} items were lost to failures of the model or the"
            f" sandbox (the rest is in {made.file}); run the same command again to try them again"
        )
    return made


def _desk(
    stack: ExitStack,
    recipe: InstructRecipe,
    run: Run,
    urls: Mapping[str, str],
    keys: set[str],
    lend: Lend | None,
) -> Desk:
    models: dict[str, Model] = {}
    for who, url in urls.items():
        if lend is not None:
            models[who] = lend(url)
            continue
        twin = next((had for had in models if urls[had] == url), None)
        if twin is not None:
            models[who] = models[twin]
            continue
        models[who] = open_model(url, threads=recipe.threads, batch=recipe.batch)
        stack.callback(models[who].close)
    try:
        pool = stack.enter_context(
            Pool(recipe.pool.workers, box=recipe.pool.box, require=recipe.pool.require)
        )
    except SandboxUnavailable as error:
        raise MachineLacks(f"{error} (seedcoder doctor says more)") from error
    run.note(box=pool.box_name, models={who: model.name for who, model in models.items()})
    return Desk(
        run, pool, models, recipe.limits.limits(), keys, max_error_rate=recipe.max_error_rate
    )


def _write(
    recipe: InstructRecipe, name: str, items: Sequence[Item], run: Run, errors: Mapping[str, str]
) -> Made:
    ends = {row["key"]: row for row in run.rows() if row["kind"] == "item"}
    dropped: Counter[str] = Counter()
    facts: Counter[str] = Counter()
    rows: list[Mapping[str, Any]] = []
    for item in items:
        end = ends.get(item.key)
        if end is None:
            continue
        rows.extend(end["rows"])
        facts.update(end["facts"])
        if not end["rows"]:
            dropped[end["reason"]] += 1
    if recipe.decontaminate is not None:
        rows, refused = passed(recipe.decontaminate, rows)
        dropped.update(refused)
    file = recipe.out / f"{name}.jsonl"
    text = "".join(json.dumps(row, ensure_ascii=True) + "\n" for row in rows)
    lost = Counter(_stage_of(item.key, errors) for item in items if item.key not in ends)
    made = Made(
        stage=name,
        file=file,
        items=len(items),
        kept=sum(1 for end in ends.values() if end["rows"]),
        rows=len(rows),
        dropped=dict(sorted(dropped.items())),
        unfinished=dict(sorted(lost.items())),
        facts=dict(sorted(facts.items())),
    )
    try:
        write_text(file, text)
        write_json(
            recipe.out / f"{name}.manifest.json",
            {
                **made.to_json(),
                "file": file.name,
                "sha256": hashlib.sha256(text.encode()).hexdigest(),
                "run": run.folder.name,
                "models": run.manifest.get("models"),
                "box": run.manifest.get("box"),
                "decontaminated": recipe.decontaminate is not None,
                "recipe": run.manifest["recipe"],
            },
        )
    except OSError as error:
        raise MachineLacks(f"cannot write {file}: {error.strerror or error}") from error
    run.write_summary({**made.to_json(), "file": file.name})
    return made


def _stage_of(key: str, errors: Mapping[str, str]) -> str:
    return next((stage for name, stage in errors.items() if name.startswith(f"{key}/")), "unknown")


def _identity(recipe: InstructRecipe, name: str) -> dict[str, Any]:
    """What the replies and verdicts of this stage depend on. Decontamination is done over them."""
    whole = recipe.identity()
    names = ("model", "judge", "seed", "sampling", "limits", name)
    return {**{key: whole[key] for key in names}, "box": recipe.pool.box}


def _sha256(items: Sequence[Item]) -> str:
    digest = hashlib.sha256()
    for item in items:
        line = json.dumps([item.key, dict(item.data)], sort_keys=True)
        digest.update(line.encode("ascii"))
    return digest.hexdigest()


def _answers(urls: Mapping[str, str]) -> dict[str, str]:
    """Return the digests of scripted models' files: other answers are another run."""
    found: dict[str, str] = {}
    for who, url in urls.items():
        scheme, _, path = url.partition(":")
        if scheme == "scripted":
            try:
                found[who] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
            except OSError as error:
                raise UsageError(f"model {url!r} cannot be read: {error.strerror}") from error
    return found
