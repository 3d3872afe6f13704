"""Take documents so that they differ: from each kind in turn, the best of it first."""

from __future__ import annotations

from collections.abc import Mapping, Set

from curate.selection.classifier import place_of


def spread(
    keys: Set[str],
    stratum: Mapping[str, str],
    quality: Mapping[str, float],
    most: int,
    seed: int,
) -> list[str]:
    """Return at most `most` of `keys`: the best of each stratum, then the second best of each...

    So a small stratum is taken whole before a large one gives its worse ones. Of equal quality, by
    lot. The same for the same keys, in whatever order they come.
    """
    kinds: dict[str, list[str]] = {}
    for key in keys:
        kinds.setdefault(stratum[key], []).append(key)
    ranked: list[tuple[int, float, float, str]] = []
    for found in kinds.values():
        found.sort(key=lambda key: (-quality[key], place_of(key, seed, "spread"), key))
        ranked += [
            (rank, -quality[key], place_of(key, seed, "spread"), key)
            for rank, key in enumerate(found)
        ]
    ranked.sort()
    return [key for *_, key in ranked[: max(0, most)]]
