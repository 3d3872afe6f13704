"""Read packed shards for training: shuffled by a seed, shared by ranks, resumed to the sequence.

    reader = PackedReader(Packed(folder), seed=1, rank=0, world=8)
    for sample in reader:
        sample.tokens, sample.cu_seqlens, sample.position_ids
        state = reader.state_dict()

The order of an epoch depends on the seed and the epoch only. Rank r of w takes places r, r + w, ...
of it; a state counts places of all ranks, so it goes on with another number of ranks too. At the
end of an epoch, fewer sequences than ranks are left out, so that all ranks make as many steps.

Does not guard: a state given to ranks at different steps. Use it in the process that trains, or
with one loader process: each loader process that holds a copy would read the same sequences.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from curate.packing.lots import Shuffle
from seedcoder.errors import UsageError
from seedcoder.recipe import sha256_of
from seedcoder.run_folder import read_json

_PACKED: Final = "packed.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A sequence. number: among all of them. tokens: (length,). cu_seqlens: int32, where texts
    begin, the padding as one more at the end, and the length last. padding: tokens at the end that
    are no text."""

    number: int
    tokens: Any
    cu_seqlens: Any
    padding: int

    @property
    def position_ids(self) -> Any:
        """Positions that begin again with each text, int32."""
        sizes = np.diff(self.cu_seqlens)
        at: Any = np.arange(len(self.tokens), dtype=np.int32)
        return at - np.repeat(self.cu_seqlens[:-1], sizes).astype(np.int32)

    def labels(self, ignored: int = -100) -> Any:
        """Return tokens as int64, those of the padding as `ignored`. The first token of a text is a
        label as any other: whoever shifts labels must not predict it from the text before."""
        found = self.tokens.astype(np.int64)
        if self.padding:
            found[-self.padding :] = ignored
        return found


class Packed:
    """The sequences of a folder, by number. UsageError: it holds no finished packing."""

    def __init__(self, folder: Path) -> None:
        """Read what there is; shards are mapped when they are asked for."""
        facts = read_json(folder / _PACKED)
        if facts is None:
            raise UsageError(f"no packed data in {str(folder)!r}: {_PACKED} is not there")
        self.folder = folder
        self.facts: dict[str, Any] = facts
        self.length = int(facts["length"])
        self.digest = sha256_of([one["sha256"] for one in facts["shards"]])
        self._names = [one["name"] for one in facts["shards"]]
        self._ends = np.cumsum([one["sequences"] for one in facts["shards"]], dtype=np.int64)
        self._mapped: dict[int, tuple[Any, Any, Any]] = {}

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, number: int) -> Sample:
        if not 0 <= number < len(self):
            raise IndexError(f"sequence {number} of {len(self)}")
        shard = int(np.searchsorted(self._ends, number, side="right"))
        tokens, bounds, firsts = self._shard(shard)
        row = number - (int(self._ends[shard - 1]) if shard else 0)
        mine = bounds[firsts[row] : firsts[row + 1]]
        used = int(mine[-1, 1] + mine[-1, 2])
        marks = [*mine[:, 1].tolist(), used] + ([self.length] if used < self.length else [])
        return Sample(
            number=number,
            tokens=np.array(tokens[row]),
            cu_seqlens=np.array(marks, dtype=np.int32),
            padding=self.length - used,
        )

    def _shard(self, number: int) -> tuple[Any, Any, Any]:
        if number not in self._mapped:
            name = self._names[number]
            tokens = np.load(self.folder / f"{name}.tokens.npy", mmap_mode="r")
            bounds = np.load(self.folder / f"{name}.bounds.npy", mmap_mode="r")
            firsts = np.searchsorted(bounds[:, 0], np.arange(len(tokens) + 1))
            self._mapped[number] = (tokens, bounds, firsts)
        return self._mapped[number]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_mapped": {}}


class PackedReader:
    """Samples of one rank, without end or for a number of epochs."""

    def __init__(
        self,
        packed: Packed,
        *,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
        epochs: int | None = 1,
        shuffle: bool = True,
    ) -> None:
        """Begin at the beginning. ValueError: a rank outside the world, or more ranks than
        sequences."""
        if not 0 <= rank < world:
            raise ValueError(f"rank must be between 0 and {world - 1}, got {rank}")
        if world > len(packed):
            raise ValueError(f"{world} ranks for {len(packed)} sequences")
        self.packed = packed
        self.seed = seed
        self.rank = rank
        self.world = world
        self.epochs = epochs
        self.shuffle = shuffle
        self.epoch = 0
        self.taken = 0

    def __iter__(self) -> Iterator[Sample]:
        while self.epochs is None or self.epoch < self.epochs:
            order = Shuffle(len(self.packed), self.seed, "reader", self.epoch)
            while self.taken + self.world <= len(self.packed):
                place = self.taken + self.rank
                self.taken += self.world
                yield self.packed[order(place) if self.shuffle else place]
            self.epoch += 1
            self.taken = 0

    def state_dict(self) -> dict[str, Any]:
        """Return where it is, as plain data: after the sample that was given last."""
        return {
            "packed": self.packed.digest,
            "seed": self.seed,
            "shuffle": self.shuffle,
            "epoch": self.epoch,
            "taken": self.taken,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there. UsageError: it is a state of other data, or of another order."""
        own = self.state_dict()
        for name in ("packed", "seed", "shuffle"):
            if state.get(name) != own[name]:
                raise UsageError(
                    f"this state is of another order: its {name} is {state.get(name)!r},"
                    f" here it is {own[name]!r}"
                )
        epoch, taken = state.get("epoch"), state.get("taken")
        if not isinstance(epoch, int) or not isinstance(taken, int):
            raise UsageError("this state has no epoch and no place")
        if epoch < 0 or not 0 <= taken <= len(self.packed):
            raise UsageError(f"this state's place is not of these {len(self.packed)} sequences")
        self.epoch, self.taken = epoch, taken
