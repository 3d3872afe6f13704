"""Run a recipe: read the sources, compute what is not there yet, say what is kept.

Everything lies in the store under the digest of what it depends on, so a run that goes on, one
with more data and one with another threshold compute only what is new. The lock of the store
keeps a second run out.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curate.catalogue import SOURCES, STEPS, make
from curate.engine import Engine
from curate.joined import Joined
from curate.recipe import CurateRecipe, StepTable
from curate.select import Condition, condition, first_unmet
from curate.sources.source import Source
from curate.step import DOCUMENT_COLUMNS
from curate.store import Part, Store, groups_of
from curate.task import Computed, Lost, Task, nothing
from seedcoder.errors import RecipeError, UsageError
from seedcoder.recipe import sha256_of
from seedcoder.run_folder import Lock

log = logging.getLogger(__name__)

# Told of each stage: its name, rows done, rows in all.
Tell = Callable[[str, int, int], None]

_KEEP_S = 30.0  # ours: what is computed is on disk after so long, whatever comes


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A step of a recipe, and under which digest its columns lie."""

    title: str
    step: Any
    after: tuple[str, ...]
    digest: str

    @property
    def gathers(self) -> bool:
        """Whether it must see all documents at once."""
        return hasattr(self.step, "gather")


@dataclass(slots=True, kw_only=True)
class StepResult:
    """What came of one step. fresh: rows computed now. dropped: `keep` false, by reason."""

    title: str
    digest: str
    rows: int = 0
    fresh: int = 0
    quarantined: int = 0
    wall_s: float = 0.0
    kept: int | None = None
    dropped: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Result:
    """What came of a run. dropped_by: documents by the first condition that dropped them."""

    parts: tuple[Part, ...]
    refused: dict[str, int]
    steps: list[StepResult]
    documents: int = 0
    bytes: int = 0
    kept: int = 0
    kept_bytes: int = 0
    dropped_by: dict[str, int] = field(default_factory=dict)


def plan(recipe: CurateRecipe, parts: Sequence[Part]) -> tuple[list[Planned], list[Condition]]:
    """Make the steps and their digests, and read the conditions; RecipeError where they are wrong.

    parts: of the sources; a step that gathers depends on which there are.
    """
    planned: list[Planned] = []
    digests: dict[str, str] = {}
    schemas: dict[str, list[str]] = {}

    def check(column: str, where: str) -> None:
        step, dot, name = column.partition(".")
        if dot and step not in digests:
            raise RecipeError(f"{where}: {column!r}: no step {step!r} before it")
        if dot and name not in schemas[step]:
            there = ", ".join(schemas[step])
            raise RecipeError(f"{where}: {column!r}: {step!r} has {there}")
        if not dot and column not in DOCUMENT_COLUMNS:
            raise RecipeError(f"{where}: no column {column!r}")

    for table in recipe.steps:
        step = make(STEPS, table.use, table.options, "step")
        if table.title in digests:
            raise RecipeError(f"steps: two are named {table.title!r}; give one a name")
        for column in (*step.reads, *table.after):
            check(column, f"steps: {table.title}")
        digest = _digest(table, step, digests, parts)
        digests[table.title] = digest
        schemas[table.title] = step.schema().names
        planned.append(Planned(title=table.title, step=step, after=table.after, digest=digest))
    conditions = [condition(text) for text in recipe.select.keep]
    for one in conditions:
        for column in one.columns:
            check(column, "select")
    return planned, conditions


def run(recipe: CurateRecipe, engine: Engine, tell: Tell = lambda *_: None) -> Result:
    """Do what the recipe says. RunBusy when another run works on the same store."""
    store = Store(recipe.store)
    store.folder.mkdir(parents=True, exist_ok=True)
    lock = Lock.take(store.folder)
    try:
        plan(recipe, ())  # a wrong recipe ends here, before anything is read
        parts, refused = take_in(recipe, store, tell)
        planned, conditions = plan(recipe, parts)
        joined = Joined(store, {one.title: one.digest for one in planned})
        result = Result(parts=parts, refused=refused, steps=[])
        for one in planned:
            began = time.monotonic()
            done = StepResult(title=one.title, digest=one.digest)
            if one.gathers:
                _gather(one, store, joined, parts, done, tell)
            else:
                _map(one, store, joined, parts, engine, done, tell)
            _count(one, joined, parts, done)
            done.wall_s = time.monotonic() - began
            done.quarantined = len(store.quarantined(one.title, one.digest))
            result.steps.append(done)
        _select(conditions, joined, parts, result)
        return result
    finally:
        lock.release()


def take_in(
    recipe: CurateRecipe, store: Store, tell: Tell
) -> tuple[tuple[Part, ...], dict[str, int]]:
    """Read the sources that are not in the store; return all parts, and the records refused."""
    parts: list[Part] = []
    refused: dict[str, int] = {}
    for name, source, settings, digest in _sources(recipe):
        found = store.parts_of(digest)
        if found is None:
            tell(name, 0, 0)
            found = store.take_in(
                digest, name, source.documents(name, _refuser(store, name, digest)), settings
            )
        refused[name] = len(store.quarantined(f"source {name}", digest))
        parts += found
    return tuple(parts), refused


def planned_of(
    recipe: CurateRecipe, store: Store
) -> tuple[tuple[Part, ...], tuple[Planned, ...], tuple[Condition, ...], dict[str, int]]:
    """Return the parts, steps and conditions of a recipe whose sources were read, and how many
    records each source refused.

    UsageError: one was not, or has changed since.
    """
    plan(recipe, ())
    parts: list[Part] = []
    refused: dict[str, int] = {}
    for name, _, _, digest in _sources(recipe):
        found = store.parts_of(digest)
        if found is None:
            raise UsageError(
                f"source {name!r} is not in {str(store.folder)!r}, or has changed:"
                " first seedcoder curate run RECIPE"
            )
        parts += found
        refused[name] = len(store.quarantined(f"source {name}", digest))
    planned, conditions = plan(recipe, parts)
    return tuple(parts), tuple(planned), tuple(conditions), refused


def _sources(recipe: CurateRecipe) -> Iterator[tuple[str, Source, dict[str, Any], str]]:
    """Yield each source's name, itself, its settings and its digest."""
    names: set[str] = set()
    for table in recipe.sources:
        name = table.name or table.use
        if name in names:
            raise RecipeError(f"sources: two are named {name!r}; give one a name")
        names.add(name)
        source: Source = make(SOURCES, table.use, table.options, "source")
        settings = {"use": table.use, "name": name, **source.settings()}
        yield name, source, settings, sha256_of({**settings, "files": source.fingerprint()})[:16]


def _refuser(store: Store, name: str, digest: str) -> Callable[[str, str], None]:
    def refuse(place: str, why: str) -> None:
        store.quarantine(f"source {name}", digest, [{"key": place, "reason": why}])

    return refuse


def _digest(table: StepTable, step: Any, digests: Mapping[str, str], parts: Sequence[Part]) -> str:
    reads = {column: digests.get(column.partition(".")[0], "") for column in step.reads}
    facts: dict[str, Any] = {
        "use": table.use,
        "version": step.version,
        "settings": dict(step.settings()),
        "reads": reads,
    }
    if hasattr(step, "gather"):
        facts["after"] = {name: digests[name.partition(".")[0]] for name in table.after}
        facts["parts"] = [part.digest for part in parts]
    return sha256_of(facts)[:16]


def _map(
    one: Planned,
    store: Store,
    joined: Joined,
    parts: Sequence[Part],
    engine: Engine,
    done: StepResult,
    tell: Tell,
) -> None:
    waiting: dict[str, int] = {}  # tasks of a part that are not back
    computed: dict[str, list[pa.Table]] = {}
    total = sum(part.rows for part in parts)
    kept_s = time.monotonic()

    def keep(part: str) -> None:
        if tables := computed.pop(part, []):
            store.add_columns(one.title, one.digest, part, pa.concat_tables(tables))

    def tasks() -> Iterator[Task]:
        for part in parts:
            found = list(_tasks(one, store, joined, part))
            done.rows += part.rows - sum(len(task.at) for task in found)
            waiting[part.digest] = len(found)
            yield from found

    again: list[Task] = []
    source = tasks()
    while True:
        for task, came in engine.run(source):
            if isinstance(came, Lost):
                pieces, came = _lost(one, store, task, came)
                again += pieces
                waiting[task.part] += len(pieces)
            if isinstance(came, Computed):
                if came.bad:
                    store.quarantine(
                        one.title,
                        one.digest,
                        [{"key": key, "part": task.part, "reason": why} for key, why in came.bad],
                    )
                computed.setdefault(task.part, []).append(came.table)
                done.rows += came.table.num_rows
                done.fresh += came.table.num_rows
                tell(one.title, done.rows, total)
            waiting[task.part] -= 1
            if not waiting[task.part]:
                keep(task.part)
            elif time.monotonic() - kept_s > _KEEP_S:
                kept_s = time.monotonic()
                for name in list(computed):
                    keep(name)
        if not again:
            break
        source, again = iter(again), []
    _settle(one, store, parts)


def _settle(one: Planned, store: Store, parts: Sequence[Part]) -> None:
    for part in parts:
        if store.columns(one.title, one.digest, part.digest, ("key",)) is None:
            # No row of it was wanted: say so, which is another thing than not computed.
            none = nothing(one.step, pa.array([], pa.string()))
            store.add_columns(one.title, one.digest, part.digest, none)
        store.settle(one.title, one.digest, part.digest)


def _tasks(one: Planned, store: Store, joined: Joined, part: Part) -> Iterator[Task]:
    wanted = joined.wanted(part.digest, one.after)
    there = store.columns(one.title, one.digest, part.digest, ("key",))
    if there is not None:
        known = pc.is_in(store.keys(part.digest), value_set=there.column("key").combine_chunks())
        wanted = pc.and_not(wanted, known)
    if not pc.any(wanted).as_py():
        return
    others = [name for name in one.step.reads if "." in name]
    extra = joined.columns(part.digest, others).select(others) if others else None
    file, begin = store.document_file(part.digest), 0
    for group, rows in enumerate(groups_of(file)):
        at = pc.indices_nonzero(wanted.slice(begin, rows))
        if len(at):
            beside = extra.slice(begin, rows).take(at) if extra is not None else None
            yield Task(
                step=one.step,
                part=part.digest,
                file=file,
                group=group,
                at=tuple(at.to_pylist()),
                extra=beside,
            )
        begin += rows


def _lost(one: Planned, store: Store, task: Task, lost: Lost) -> tuple[list[Task], Computed | Lost]:
    if len(task.at) > 1:
        log.warning("task lost step=%s rows=%d why=%s", one.title, len(task.at), lost.why)
        return task.split(), lost
    keys = task.rows().column("key")
    return [], Computed(table=nothing(one.step, keys), bad=((keys[0].as_py(), lost.why),))


def _gather(
    one: Planned,
    store: Store,
    joined: Joined,
    parts: Sequence[Part],
    done: StepResult,
    tell: Tell,
) -> None:
    total = done.rows = sum(part.rows for part in parts)
    folder = store.column_folder(one.title, one.digest)
    if all((folder / f"{part.digest}.parquet").is_file() for part in parts):
        return

    schema = one.step.schema()
    with tempfile.TemporaryDirectory(prefix="gather-", dir=store.folder) as scratch:
        for part, table in one.step.gather(_Tables(one, joined, parts), Path(scratch)):
            columns = table.select(["key", *schema.names])
            typed = columns.cast(pa.schema([pa.field("key", pa.string()), *schema]))
            done.fresh += typed.num_rows
            store.add_columns(one.title, one.digest, part, typed)
            store.settle(one.title, one.digest, part)
            tell(one.title, done.fresh, total)
    _settle(one, store, parts)


@dataclass(frozen=True, slots=True)
class _Tables:
    one: Planned
    joined: Joined
    parts: Sequence[Part]

    def __iter__(self) -> Iterator[tuple[str, pa.Table]]:
        return self.only(*self.one.step.reads)

    def only(self, *columns: str) -> Iterator[tuple[str, pa.Table]]:
        for part in self.parts:
            table = self.joined.columns(part.digest, columns)
            yield part.digest, table.filter(self.joined.wanted(part.digest, self.one.after))


def _count(one: Planned, joined: Joined, parts: Sequence[Part], done: StepResult) -> None:
    names = one.step.schema().names
    if "keep" not in names:
        return
    done.kept = 0
    for part in parts:
        asked = [f"{one.title}.{name}" for name in ("keep", "reason") if name in names]
        table = joined.columns(part.digest, asked)
        keep = table.column(f"{one.title}.keep").cast(pa.bool_())
        done.kept += pc.sum(keep).as_py() or 0
        if "reason" in names:
            known = table.filter(pc.invert(pc.fill_null(keep, True)))
            for row in known.column(asked[1]).value_counts().to_pylist():
                done.dropped[row["values"]] = done.dropped.get(row["values"], 0) + row["counts"]


def _select(
    conditions: Sequence[Condition], joined: Joined, parts: Sequence[Part], result: Result
) -> None:
    result.dropped_by = {one.text: 0 for one in conditions}
    for part in parts:
        table, dropped = selected(conditions, joined, part)
        sizes = table.column("bytes")
        keep = pc.is_null(dropped)
        result.documents += table.num_rows
        result.bytes += pc.sum(sizes).as_py() or 0
        result.kept += pc.sum(keep).as_py() or 0
        result.kept_bytes += pc.sum(sizes.filter(keep)).as_py() or 0
        for row in dropped.filter(pc.invert(keep)).value_counts().to_pylist():
            words = row["values"]
            result.dropped_by[words] += row["counts"]


def selected(
    conditions: Sequence[Condition], joined: Joined, part: Part
) -> tuple[pa.Table, pa.Array]:
    """Return key, language and bytes of a part's rows, and what dropped each (null: kept)."""
    names = [name for one in conditions for name in one.columns]
    table = joined.columns(part.digest, ["language", "bytes", *dict.fromkeys(names)])
    return table, first_unmet(table, conditions)
