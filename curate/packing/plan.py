"""What is packed, in which portions: known before any text is read.

A component is a source of the recipe, or one language of it. Its documents, or repositories, in the
corpus's order make units of about `unit_kb` of text: what a process packs at once. In each epoch
the units come in another order by lot. So a last epoch that is not whole is a sample of units.

Memory: 4 bytes and a key's 8 a document; for repositories also the names of repositories.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow.compute as pc

from curate.joined import Joined
from curate.kept import Corpus
from curate.packing.lots import Shuffle
from curate.packing.recipe import PackRecipe, SourceTable
from curate.recipe import CurateRecipe
from curate.select import condition, first_unmet
from curate.step import DOCUMENT_COLUMNS
from curate.store import Store
from seedcoder.errors import UsageError
from seedcoder.recipe import load_recipe

# Rows of a part: (the part's digest, row numbers in it).
Rows = tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """Documents that are packed together. groups: of rows; each is a repository, or there is one
    of single documents. bytes: of text."""

    groups: tuple[Rows, ...]
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One entry of the mixture. share: of all tokens, None where everything is packed once."""

    name: str
    source: SourceTable
    store: Store
    joined: Joined
    units: tuple[Unit, ...]
    documents: int
    repositories: int
    bytes: int
    share: float | None

    def unit(self, at: int, seed: int) -> tuple[int, Unit]:
        """Return the epoch and the unit that comes as number `at` of all."""
        epoch, place = divmod(at, len(self.units))
        order = Shuffle(len(self.units), seed, "units", self.name, epoch)
        return epoch, self.units[order(place)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All components, and what they are made from. data: digests of the corpora's parts."""

    components: tuple[Component, ...]
    data: Mapping[str, str]
    seed: int
    left_out: Mapping[str, int] = field(default_factory=dict)

    def schedule(self, begun: Mapping[str, int], done: set[str]) -> Iterator[tuple[Component, int]]:
        """Yield components with the numbers of their units, so that each advances by its share.

        begun: how many units of each are packed already. done: names to leave out, looked at each
        time; the order of the others does not depend on it. Ends where every document is packed
        once, if there are no shares; else when all are done or have reached their last epoch.
        """
        waiting: list[tuple[float, str, int]] = []
        by_name = {one.name: one for one in self.components if one.units}
        costs: dict[str, float] = {}
        for one in by_name.values():
            costs[one.name] = sum(one.unit(at, self.seed)[1].bytes for at in range(begun[one.name]))
            self._push(waiting, one, begun[one.name], costs)
        while waiting:
            _, name, at = heapq.heappop(waiting)
            if name in done:
                continue
            one = by_name[name]
            yield one, at
            self._push(waiting, one, at + 1, costs)

    def _push(
        self,
        waiting: list[tuple[float, str, int]],
        one: Component,
        at: int,
        costs: dict[str, float],
    ) -> None:
        last = 1.0 if one.share is None else one.source.max_epochs
        if at >= round(last * len(one.units)):
            return
        costs[one.name] += one.unit(at, self.seed)[1].bytes
        heapq.heappush(waiting, (costs[one.name] / (one.share or max(1, one.bytes)), one.name, at))


def plan_of(recipe: PackRecipe) -> Plan:
    """Look up everything that the recipe names. UsageError: a corpus was not run, no document is
    left, or a column is not there."""
    whole = sum(source.weight or 0.0 for source in recipe.sources)
    components: list[Component] = []
    data: dict[str, str] = {}
    left_out: dict[str, int] = {}
    for source in recipe.sources:
        corpus = Corpus(load_recipe(source.recipe, CurateRecipe, source.changes))
        for name in _columns(source):
            _check(corpus, name, source)
        data[source.name] = ",".join(
            [part.digest for part in corpus.parts] + [one.digest for one in corpus.steps]
        )
        share = None if source.weight is None else source.weight / whole
        made, poor = _components(recipe, source, corpus, share)
        components += made
        if poor:
            left_out[source.name] = poor
    return Plan(components=tuple(components), data=data, seed=recipe.seed, left_out=left_out)


def _columns(source: SourceTable) -> list[str]:
    names = [name for text in source.where for name in condition(text).columns]
    return [name for name in (*names, source.score, source.text) if name]


def _check(corpus: Corpus, name: str, source: SourceTable) -> None:
    there = [*DOCUMENT_COLUMNS]
    there += [f"{one.title}.{column}" for one in corpus.steps for column in one.step.schema().names]
    if name not in there:
        raise UsageError(f"source {source.name!r}: no column {name!r}; {', '.join(there)}")


def _components(
    recipe: PackRecipe, source: SourceTable, corpus: Corpus, share: float | None
) -> tuple[list[Component], int]:
    weights = source.languages or {"": 1.0}
    gathered = {language: _Gathered(recipe.unit_kb * 1000) for language in weights}
    conditions = [condition(text) for text in source.where]
    beside = {name for one in conditions for name in one.columns} | {source.score} - {""}
    names = list(dict.fromkeys(["language", "repo", "bytes", *sorted(beside)]))
    for part, table in zip(corpus.parts, corpus.tables(names, whole=True), strict=True):
        keep = pc.is_null(table.column("dropped"))
        if conditions:
            keep = pc.and_(keep, pc.is_null(first_unmet(table, conditions)))
        rows = pc.indices_nonzero(keep)
        found = table.take(rows)
        scores = found.column(source.score).to_pylist() if source.score else [None] * len(rows)
        columns = (rows, found.column("language"), found.column("repo"), found.column("bytes"))
        for row, language, repo, size, score in zip(
            *(column.to_pylist() for column in columns), scores, strict=True
        ):
            place = language if language in gathered else "*" if "*" in gathered else ""
            if place not in gathered:
                continue
            if source.order == "repositories" and repo:
                gathered[place].file(part.digest, row, size, repo, score)
            else:
                gathered[place].document(part.digest, row, size)
    all_weights = sum(weights.values())
    made, poor = [], 0
    for language, weight in weights.items():
        one = gathered[language]
        poor += one.close(source.min_score if source.score else None)
        name = f"{source.name}:{language}" if language else source.name
        if share is not None and not one.units:
            raise UsageError(f"source {name!r} has a weight but no document is left for it")
        made.append(
            Component(
                name=name,
                source=source,
                store=corpus.store,
                joined=corpus.joined,
                units=tuple(one.units),
                documents=one.documents,
                repositories=one.repositories,
                bytes=sum(unit.bytes for unit in one.units),
                share=None if share is None else share * weight / all_weights,
            )
        )
    return made, poor


class _Gathered:
    """Rows on their way into units."""

    def __init__(self, unit_bytes: int) -> None:
        self.units: list[Unit] = []
        self.documents = 0
        self.repositories = 0
        self._unit_bytes = unit_bytes
        self._single: dict[str, list[int]] = {}
        self._single_bytes = 0
        self._repos: dict[str, tuple[dict[str, list[int]], list[float]]] = {}

    def document(self, part: str, row: int, size: int) -> None:
        """Add a single document."""
        self._single.setdefault(part, []).append(row)
        self._single_bytes += size
        self.documents += 1
        if self._single_bytes >= self._unit_bytes:
            self._end_single()

    def file(self, part: str, row: int, size: int, repo: str, score: Any) -> None:
        """Add a file of a repository."""
        rows, sums = self._repos.setdefault(repo, ({}, [0, 0, 0, 0]))
        rows.setdefault(part, []).append(row)
        sums[0] += size
        sums[1] += 1
        if score is not None:
            sums[2] += score
            sums[3] += 1

    def close(self, min_score: float | None) -> int:
        """Make the last units; return how many repositories are left out for their score."""
        self._end_single()
        groups: list[Rows] = []
        held = poor = 0
        for rows, (size, files, total, scored) in self._repos.values():
            if min_score is not None and (not scored or total / scored < min_score):
                poor += 1
                continue
            groups.append(_rows(rows))
            held += int(size)
            self.documents += int(files)
            self.repositories += 1
            if held >= self._unit_bytes:
                self.units.append(Unit(groups=tuple(groups), bytes=held))
                groups, held = [], 0
        if groups:
            self.units.append(Unit(groups=tuple(groups), bytes=held))
        return poor

    def _end_single(self) -> None:
        if self._single:
            self.units.append(Unit(groups=(_rows(self._single),), bytes=self._single_bytes))
            self._single, self._single_bytes = {}, 0


def _rows(rows: Mapping[str, Sequence[int]]) -> Rows:
    return tuple((part, tuple(numbers)) for part, numbers in rows.items())
