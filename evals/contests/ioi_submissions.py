"""Which of a model's programs are handed in: 50 a problem, as at the contest, and what they earn.

huggingface/ioi run_tests/selection_simulator.py. A program is written for one subtask, and judged
on all of its problem's; the points of a problem are the sum over subtasks of the most that any
program handed in earned there.

The order: subtasks take turns, the last one first. Of those written for it, each gives the best
one left: what solves the examples first, then what was thought about longest (tokens of the
reply). What does not compile is not handed in. When all turns are over, the rest follows in the
same order up to 50.

One quirk of upstream's is kept, for its published figures were made with it: it notes the place of
a subtask that is solved where it looks for its name. So no solved subtask is passed over, and the
turns end as soon as solved places and emptied subtasks are as many as there are subtasks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

MOST = 50  # at the IOI, and selection_simulator.py


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One program. target: the subtask it was written for. thought: tokens of its reply.

    shares, points: what it earned of each subtask, as a share of 1 and in points.
    """

    target: str
    thought: int
    compiles: bool
    shares: tuple[float, ...]
    points: tuple[float, ...]

    @property
    def rank(self) -> tuple[float, int]:
        """What is handed in first: it does the examples (the first subtask), it is long."""
        return self.shares[0], self.thought


def handed_in(
    submissions: Sequence[Submission], subtasks: Sequence[str], *, most: int = MOST
) -> list[Submission]:
    """Return the submissions of one problem that are handed in, in their order.

    subtasks: names, in order, the examples first.
    """
    waiting = {
        name: deque(
            sorted(
                (one for one in submissions if one.compiles and one.target == name),
                key=lambda one: one.rank,
                reverse=True,
            )
        )
        for name in subtasks
    }
    emptied = {name for name in subtasks if not waiting[name]}
    solved: set[str | int] = {subtasks[0]}  # nobody cares for the examples
    chosen: list[Submission] = []
    turn = len(subtasks) - 1
    while len(chosen) < most and len(solved | emptied) < len(subtasks):
        name = subtasks[turn]
        if name not in solved and name not in emptied:
            one = waiting[name].popleft()
            chosen.append(one)
            solved |= {place for place, share in enumerate(one.shares) if share == 1.0}
            if not waiting[name]:
                emptied.add(name)
        turn = (turn - 1) % len(subtasks)
    rest = sorted(
        (one for queue in waiting.values() for one in queue),
        key=lambda one: (*one.rank, subtasks.index(one.target)),
        reverse=True,
    )
    return [*chosen, *rest[: max(0, most - len(chosen))]]


def points(submissions: Sequence[Submission]) -> float:
    """Return what they earn together: of each subtask the best."""
    best = [max(each) for each in zip(*(one.points for one in submissions), strict=True)]
    return float(sum(best))
