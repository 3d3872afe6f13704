"""Ratings out of contests, by the method of CodeElo (Quan et al. 2025, arXiv 2501.01257).

A model is put into the standings of a contest that people took part in, and its rating is the one
that would have been expected to come out at its place; the mean over contests is its rating.
Everything is as in QwenLM/CodeElo calc_rating.py (`calc_elo_rating`):

- Of a problem's attempts, the first that is accepted counts. It earns the problem's points less 50
  for each attempt before it, never below 0; in contests without points it counts 1, and each
  attempt before it is 10 minutes of penalty. Time itself costs nothing.
- The place is that of the first participant who has fewer points, or as many and more penalty,
  counted from 0; the number of participants when there is none.
- The rating is the last whole number, between 0 and the best participant's rating + 100, at which
  1 + sum of 1 / (1 + 10^((m - r_i) / 400)) over all participants is not below that place.
- A contest with 200 participants or fewer, or whose standings and ratings do not fit each other,
  gives no rating.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from seedcoder.errors import UsageError

_LEAST_PARTICIPANTS: Final = 201
_LOST_POINTS: Final = 50
_PENALTY_MINUTES: Final = 10
_ABOVE_BEST: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """One contest as it went. Its participants are those with a rating before it, best first.

    results: of each, points and penalty. ratings: of each before the contest, in any order.
    problems: id ("1984A") to its points; None in contests that only count problems.
    """

    results: tuple[tuple[float, float], ...]
    ratings: tuple[int, ...]
    problems: Mapping[str, float | None]

    def place(self, points: float, penalty: float) -> int:
        """Return the place, from 0, that a result would have had."""
        for place, (their_points, their_penalty) in enumerate(self.results):
            if their_points < points or (their_points == points and their_penalty > penalty):
                return place
        return len(self.results)

    def result(self, attempts: Mapping[str, Sequence[bool]]) -> tuple[float, float]:
        """Return points and penalty. attempts: of each problem, which were accepted, in order."""
        earned, penalty = 0.0, 0.0
        for name, points in self.problems.items():
            tries = attempts.get(name, ())
            if True not in tries:
                continue
            before = list(tries).index(True)
            if points is None:
                earned += 1
                penalty += _PENALTY_MINUTES * before
            else:
                earned += max(0.0, points - _LOST_POINTS * before)
        return earned, penalty

    def rating(self, attempts: Mapping[str, Sequence[bool]]) -> int:
        """Return the rating at which the place of these attempts would have been expected."""
        place = self.place(*self.result(attempts))
        low, high = 0, max(self.ratings) + _ABOVE_BEST
        while high - low > 1:
            middle = (low + high) // 2
            if self.expected_place(middle) < place:
                high = middle
            else:
                low = middle
        return low

    def expected_place(self, rating: float) -> float:
        """Return the place, from 1, that a participant of this rating would be expected at."""
        return 1 + math.fsum(1 / (1 + 10 ** ((rating - other) / 400)) for other in self.ratings)


def read_contests(path: Path) -> dict[str, Contest]:
    """Return the contests of a file: an object of contest id to its standings and rating changes.

    Each is {"standings": ..., "rating_changes": ...}, the answers of Codeforces' API methods
    contest.standings and contest.ratingChanges, with or without their {"status", "result"} around
    them. Contests that give no rating are left out. Raises UsageError, with the place, for a file
    of another form.
    """
    where = f"codeforces: options.standings: {path}"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{where}: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{where} is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise UsageError(f"{where}: an object of contests was expected")
    found = {}
    for name, both in data.items():
        try:
            contest = _contest(_bare(both["standings"]), _bare(both["rating_changes"]))
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise UsageError(f"{where}: contest {name}: {error!r}") from error
        if contest is not None:
            found[str(name)] = contest
    return found


def _bare(answer: Any) -> Any:
    return answer["result"] if isinstance(answer, dict) and "result" in answer else answer


def _contest(standings: Mapping[str, Any], changes: Sequence[Mapping[str, Any]]) -> Contest | None:
    rows = {row["party"]["members"][0]["handle"]: row for row in standings["rows"]}
    before = {change["handle"]: int(change["oldRating"]) for change in changes}
    both = [name for name in rows if name in before]
    if len(both) < _LEAST_PARTICIPANTS:
        return None
    return Contest(
        results=tuple((float(rows[x]["points"]), float(rows[x]["penalty"])) for x in both),
        ratings=tuple(before[name] for name in both),
        problems={
            f"{problem['contestId']}{problem['index']}": (
                float(problem["points"]) if "points" in problem else None
            )
            for problem in standings["problems"]
        },
    )
