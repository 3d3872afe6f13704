"""Pack a recipe's corpora: units in processes, shards in one order, from where it was cut off.

The order of sequences in the shards is that of the plan's schedule, whatever finishes first. After
each shard a row of the run says where the next one begins; what was not in a whole shard is packed
again, to the same bytes.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from curate.packing.lots import Shuffle
from curate.packing.plan import Component, Plan, plan_of
from curate.packing.recipe import PackRecipe
from curate.packing.shards import Filling, Shard, added, digests
from curate.packing.unit import Packed, dtype_of, pack, specials_of, work_of
from curate.packing.vocabulary import Vocabulary, fim_tokens, vocabulary
from seedcoder.machine import facts
from seedcoder.run import Run
from seedcoder.run_folder import read_json, write_json

PACKED: Final = "packed.json"
_SAMPLES: Final = 3  # ours: units of each source that a forecast packs

Tell = Callable[[str, int, int], None]


@dataclass(slots=True)
class _Place:
    """Where the next sequence comes from: units packed of each source, tokens given, and how many
    sequences of the unit under way are in a shard already."""

    units: dict[str, int]
    tokens: dict[str, int]
    skip: int = 0
    done: list[str] = field(default_factory=list)
    cut_edges: int = 0
    cyclic: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a source will come to. tokens: of one epoch, about; asked: of the budget; epochs."""

    name: str
    documents: int
    repositories: int
    bytes: int
    units: int
    tokens: int
    asked: int
    epochs: float
    max_epochs: float
    sequences: int


def words_of(recipe: PackRecipe) -> Vocabulary:
    """Return the recipe's tokenizer; errors as `vocabulary` has them."""
    return vocabulary(recipe.tokenizer, specials_of(recipe))


def forecast(recipe: PackRecipe, plan: Plan) -> list[Forecast]:
    """Return what each source will come to, from a few units of it that are packed for it."""
    found = []
    for one in plan.components:
        tokens = size = places = 0
        order = Shuffle(len(one.units), recipe.seed, "units", one.name, 0)
        for at in range(min(_SAMPLES, len(one.units))):
            packed = pack(work_of(recipe, one, at))
            tokens += int(packed.bounds[:, 2].sum())
            places += packed.tokens.size
            size += one.units[order(at)].bytes
        whole = round(tokens * one.bytes / size) if size else tokens
        asked = whole if recipe.tokens is None else round(recipe.tokens * (one.share or 0))
        fill = tokens / places if places else 1.0
        found.append(
            Forecast(
                name=one.name,
                documents=one.documents,
                repositories=one.repositories,
                bytes=one.bytes,
                units=len(one.units),
                tokens=whole,
                asked=asked,
                epochs=asked / whole if whole else 0.0,
                max_epochs=1.0 if recipe.tokens is None else one.source.max_epochs,
                sequences=-(-round(asked / fill) // recipe.length),
            )
        )
    return found


def pack_recipe(recipe: PackRecipe, name: str, tell: Tell) -> Path:
    """Pack; return the folder. One that is whole already is left as it is.

    UsageError, MachineLacks: as `plan_of`, `vocabulary` and `Run` have them.
    """
    words = words_of(recipe)
    plan = plan_of(recipe)
    data = {**plan.data, "tokenizer": words.digest}
    identity = recipe.identity()
    with Run.open(
        recipe.out, verb="pack", name=name, recipe=identity, data_sha256=data, facts=facts()
    ) as run:
        if read_json(run.folder / PACKED) is None:
            _Packing(recipe, plan, run, tell).all(words)
        return run.folder


class _Packing:
    def __init__(self, recipe: PackRecipe, plan: Plan, run: Run, tell: Tell) -> None:
        self.recipe = recipe
        self.plan = plan
        self.run = run
        self.tell = tell
        self.names = [one.name for one in plan.components]
        self.quota = {
            one.name: None if recipe.tokens is None else _quota(recipe.tokens, one)
            for one in plan.components
        }
        self.shards: list[dict[str, Any]] = []
        self.place = _Place(dict.fromkeys(self.names, 0), dict.fromkeys(self.names, 0))
        for row in run.rows():
            if not _is_there(run.folder, row["shard"]):
                break
            self.shards.append(row["shard"])
            self.place = _Place(**row["next"])

    def all(self, words: Vocabulary) -> None:
        """Pack what is not packed yet, and say at the end what there is."""
        filling = Filling()
        done = set(self.place.done)
        for component, packed in self._units(done):
            name = component.name
            if name in done:
                continue
            first = self.place.skip
            last = self._last(name, packed, first)
            while first < last:
                room = self.recipe.shard_sequences - filling.sequences
                upto = min(last, first + room)
                filling.add(packed, first, upto)
                taken = (packed.bounds[:, 0] >= first) & (packed.bounds[:, 0] < upto)
                self.place.tokens[name] += int(packed.bounds[taken, 2].sum())
                first = self.place.skip = upto
                if filling.sequences == self.recipe.shard_sequences:
                    self._write(filling, done)
                    filling = Filling()
            quota = self.quota[name]
            if quota is not None and self.place.tokens[name] >= quota:
                done.add(name)
            self.place.skip = 0
            self.place.units[name] += 1
            self.place.cut_edges += packed.cut_edges
            self.place.cyclic += packed.cyclic
        if filling.sequences:
            self._write(filling, done)
        self._finish(words)

    def _last(self, name: str, packed: Packed, first: int) -> int:
        """Return how many of a unit's sequences are needed: to the first that fills the quota."""
        quota = self.quota[name]
        total = len(packed.tokens)
        if quota is None:
            return total
        left = quota - self.place.tokens[name]
        if left <= 0:
            return first
        import numpy as np

        sizes = np.bincount(packed.bounds[:, 0], packed.bounds[:, 2], minlength=total)[first:]
        return min(total, first + int(np.searchsorted(np.cumsum(sizes), left)) + 1)

    def _units(self, done: set[str]) -> Iterator[tuple[Component, Packed]]:
        """Yield packed units in the order of the schedule."""
        schedule = self.plan.schedule(self.place.units, done)
        workers = self.recipe.workers or len(os.sched_getaffinity(0))
        if workers == 1:
            for component, at in schedule:
                yield component, pack(work_of(self.recipe, component, at))
            return
        context = multiprocessing.get_context("spawn")
        waiting: deque[tuple[Component, Future[Packed]]] = deque()
        pool = ProcessPoolExecutor(workers, mp_context=context)
        try:
            more = True
            while more or waiting:
                while more and len(waiting) < 2 * workers:
                    asked = next(schedule, None)
                    if asked is None:
                        more = False
                        break
                    work = work_of(self.recipe, *asked)
                    waiting.append((asked[0], pool.submit(pack, work)))
                if waiting:
                    component, future = waiting.popleft()
                    yield component, future.result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _write(self, filling: Filling, done: set[str]) -> None:
        shard: Shard = filling.write(self.run.folder, f"{len(self.shards):06d}")
        self.shards.append(shard.to_json())
        place = self.place
        following = {
            "units": place.units,
            "tokens": place.tokens,
            "skip": place.skip,
            "done": sorted(done),
            "cut_edges": place.cut_edges,
            "cyclic": place.cyclic,
        }
        row = {"kind": "shard", "key": shard.name, "shard": self.shards[-1], "next": following}
        self.run.append(row)
        sequences = sum(one["sequences"] for one in self.shards)
        self.tell("packed: sequences", sequences, self._expected(sequences))

    def _expected(self, done: int) -> int:
        """Sequences in all, 0 where unknown; padding can make them more than their tokens do."""
        recipe = self.recipe
        return 0 if recipe.tokens is None else max(done, -(-recipe.tokens // recipe.length))

    def _finish(self, words: Vocabulary) -> None:
        recipe = self.recipe
        sources = {}
        whole = sum(self.place.tokens.values())
        for one in self.plan.components:
            mine = [
                shard["accounts"][one.name]
                for shard in self.shards
                if one.name in shard["accounts"]
            ]
            quota = self.quota[one.name]
            given = self.place.tokens[one.name]
            sources[one.name] = {
                **added(mine),
                "share_asked": one.share,
                "share": given / whole if whole else 0.0,
                "tokens_asked": quota,
                "is_short": quota is not None and given < quota,
                "documents_there": one.documents,
                "units": self.place.units[one.name],
                "units_an_epoch": len(one.units),
            }
        fim = fim_tokens(recipe.fim.format)
        marks = {}
        if all(name in specials_of(recipe) for name in fim):
            marks = dict(zip(("prefix", "suffix", "middle"), map(words.special, fim), strict=True))
        packed = {
            "format": 1,
            "length": recipe.length,
            "dtype": str(dtype_of(words.size)),
            "tokenizer": {"sha256": words.digest, "size": words.size},
            "bos": words.special(recipe.bos) if recipe.bos else None,
            "eos": words.special(recipe.eos),
            "pad": words.special(recipe.pad),
            "fim": {**marks, "order": recipe.fim.order} if marks else None,
            "sequences": sum(one["sequences"] for one in self.shards),
            "tokens": whole,
            "repositories_left_out": dict(self.plan.left_out),
            "imports_cut": self.place.cut_edges,
            "files_in_cycles": self.place.cyclic,
            "sources": sources,
            "shards": self.shards,
        }
        write_json(self.run.folder / PACKED, packed)


def _quota(tokens: int, component: Component) -> int:
    return round(tokens * (component.share or 0.0))


def _is_there(folder: Path, shard: dict[str, Any]) -> bool:
    try:
        return bool(digests(folder, shard["name"]) == shard["sha256"])
    except OSError:
        return False
