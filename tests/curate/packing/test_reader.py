"""The reader that training uses."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")

from curate.packing.pack import pack_recipe
from curate.packing.reader import Packed, PackedReader
from seedcoder.errors import UsageError


@pytest.fixture
def packed(asked: Callable[..., Any]) -> Packed:
    return Packed(pack_recipe(asked(), "read", lambda *_: None))


def _numbers(reader: PackedReader, n: int | None = None) -> list[int]:
    return [sample.number for sample in islice(reader, n)]


@pytest.mark.parametrize("world", [1, 2, 3, 8])
def test_ranks_share_every_sequence_once(packed: Packed, world: int) -> None:
    ranks = [_numbers(PackedReader(packed, seed=3, rank=r, world=world)) for r in range(world)]
    assert len({len(one) for one in ranks}) == 1
    seen = [number for one in ranks for number in one]
    assert len(set(seen)) == len(seen) == len(packed) // world * world


def test_the_order_is_the_seeds_and_the_epochs(packed: Packed) -> None:
    two = _numbers(PackedReader(packed, seed=3, epochs=2))
    first, second = two[: len(packed)], two[len(packed) :]
    assert sorted(first) == sorted(second) == list(range(len(packed)))
    assert first != second
    assert first == _numbers(PackedReader(packed, seed=3))
    assert first != _numbers(PackedReader(packed, seed=4))
    assert _numbers(PackedReader(packed, shuffle=False)) == list(range(len(packed)))


@pytest.mark.parametrize("stop", [0, 1, 17])
def test_a_reader_goes_on_where_another_stopped(packed: Packed, stop: int) -> None:
    whole = _numbers(PackedReader(packed, seed=3, epochs=2))
    first = PackedReader(packed, seed=3, epochs=2)
    begun = _numbers(first, stop)
    second = PackedReader(packed, seed=3, epochs=2)
    second.load_state_dict(first.state_dict())
    assert begun + _numbers(second) == whole


def test_a_state_from_the_second_epoch_goes_on_there(packed: Packed) -> None:
    stop = len(packed) + 5
    whole = _numbers(PackedReader(packed, seed=3, epochs=2))
    first = PackedReader(packed, seed=3, epochs=2)
    begun = _numbers(first, stop)
    second = PackedReader(packed, seed=3, epochs=2)
    second.load_state_dict(first.state_dict())
    assert begun + _numbers(second) == whole


def test_other_ranks_go_on_together(packed: Packed) -> None:
    whole = _numbers(PackedReader(packed, seed=3))
    two = [PackedReader(packed, seed=3, rank=rank, world=2) for rank in range(2)]
    begun = [_numbers(one, 10) for one in two]
    state = two[0].state_dict()
    assert state == two[1].state_dict()
    rest = []
    for rank in range(3):
        reader = PackedReader(packed, seed=3, rank=rank, world=3)
        reader.load_state_dict(state)
        rest.append(_numbers(reader))
    seen = [*begun[0], *begun[1], *(number for one in rest for number in one)]
    assert sorted(seen) == sorted(whole[: len(seen)])


def test_a_state_of_other_data_or_another_seed_is_refused(packed: Packed) -> None:
    reader = PackedReader(packed, seed=3)
    with pytest.raises(UsageError, match="its seed"):
        PackedReader(packed, seed=4).load_state_dict(reader.state_dict())
    with pytest.raises(UsageError, match="its packed"):
        reader.load_state_dict({**reader.state_dict(), "packed": "0"})
    with pytest.raises(UsageError, match="place"):
        reader.load_state_dict({**reader.state_dict(), "taken": 10**9})


def test_a_folder_without_packed_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no packed data"):
        Packed(tmp_path)


def test_a_world_larger_than_the_data_is_refused(packed: Packed) -> None:
    with pytest.raises(ValueError, match="ranks for"):
        PackedReader(packed, rank=0, world=10**6)
