"""An order in which every file comes after what it imports, and what to do where there is none.

Files that import each other in a circle have no such order. There, imports that are only looked at
late (inside a function, a Rust `mod`) are let go first; in what is still a circle the file with the
fewest imports left in it goes first, the earlier path where two have as few. So the order is a
function of the files alone.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Imports:
    """What a file imports, by the numbers of files. late: needed only when its code runs."""

    now: Set[int] = field(default_factory=frozenset)
    late: Set[int] = field(default_factory=frozenset)

    @property
    def all(self) -> Set[int]:
        """Both."""
        return self.now | self.late


def ordered(graph: Sequence[Imports], members: Sequence[int] | None = None) -> list[int]:
    """Return the numbers of files (of `members`, if given), each after what it imports.

    Numbers must stand in the order of paths: it decides wherever the imports do not.
    """
    inside = set(range(len(graph)) if members is None else members)
    edges = {one: {to for to in graph[one].all if to in inside and to != one} for one in inside}
    found: list[int] = []
    for circle in _in_order(components(edges), edges):
        found += circle if len(circle) == 1 else _broken(circle, graph)
    return found


def components(edges: Mapping[int, Set[int]]) -> list[list[int]]:
    """Return the strongly connected components (Tarjan 1972), each sorted."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    on_stack: set[int] = set()
    found: list[list[int]] = []
    for root in sorted(edges):
        if root in index:
            continue
        work = [(root, iter(sorted(edges[root])))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            one, rest = work[-1]
            for to in rest:
                if to not in index:
                    index[to] = low[to] = len(index)
                    stack.append(to)
                    on_stack.add(to)
                    work.append((to, iter(sorted(edges[to]))))
                    break
                if to in on_stack:
                    low[one] = min(low[one], index[to])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[one])
                if low[one] == index[one]:
                    circle = []
                    while True:
                        last = stack.pop()
                        on_stack.discard(last)
                        circle.append(last)
                        if last == one:
                            break
                    found.append(sorted(circle))
    return found


def pieces(edges: Mapping[int, Set[int]]) -> list[list[int]]:
    """Return the files that hang together, whichever imports which, each sorted."""
    parent = {one: one for one in edges}

    def root(one: int) -> int:
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    for one, targets in edges.items():
        for to in targets:
            a, b = root(one), root(to)
            parent[max(a, b)] = min(a, b)
    found: dict[int, list[int]] = {}
    for one in sorted(edges):
        found.setdefault(root(one), []).append(one)
    return list(found.values())


def _in_order(circles: Sequence[list[int]], edges: Mapping[int, Set[int]]) -> list[list[int]]:
    """Return components after those that they import; the first path decides where both may go."""
    of = {one: at for at, circle in enumerate(circles) for one in circle}
    needs = [
        {of[to] for one in circle for to in edges[one]} - {at} for at, circle in enumerate(circles)
    ]
    users: list[list[int]] = [[] for _ in circles]
    for at, targets in enumerate(needs):
        for to in targets:
            users[to].append(at)
    left = [len(targets) for targets in needs]
    ready = [(circle[0], at) for at, circle in enumerate(circles) if not left[at]]
    heapq.heapify(ready)
    found = []
    while ready:
        _, at = heapq.heappop(ready)
        found.append(circles[at])
        for user in users[at]:
            left[user] -= 1
            if not left[user]:
                heapq.heappush(ready, (circles[user][0], user))
    return found


def _broken(circle: Sequence[int], graph: Sequence[Imports]) -> list[int]:
    """Return an order of files that import each other in a circle."""
    inside = set(circle)
    now = {one: {to for to in graph[one].now if to in inside and to != one} for one in circle}
    found: list[int] = []
    for part in _in_order(components(now), now):
        found += part if len(part) == 1 else _fewest_first(part, now)
    return found


def _fewest_first(part: Sequence[int], edges: Mapping[int, set[int]]) -> list[int]:
    inside = set(part)
    left = {one: edges[one] & inside for one in part}
    users: dict[int, list[int]] = {one: [] for one in part}
    for one, targets in left.items():
        for to in targets:
            users[to].append(one)
    queue = [(len(targets), one) for one, targets in left.items()]
    heapq.heapify(queue)
    found: list[int] = []
    done: set[int] = set()
    while queue:
        number, one = heapq.heappop(queue)
        if one in done or number != len(left[one]):
            continue
        done.add(one)
        found.append(one)
        for user in users[one]:
            if user not in done:
                left[user].discard(one)
                heapq.heappush(queue, (len(left[user]), user))
    return found
