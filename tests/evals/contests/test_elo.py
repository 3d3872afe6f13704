"""Ratings out of contests, against figures worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evals.contests.elo import Contest, read_contests
from seedcoder.errors import UsageError

# Two problems for points; 100 people solved both, 101 none; all were rated 1500.
EVEN = Contest(
    results=tuple([(1500.0, 0.0)] * 100 + [(0.0, 0.0)] * 101),
    ratings=(1500,) * 201,
    problems={"1A": 500.0, "1B": 1000.0},
)


def test_points_fall_by_fifty_with_each_attempt_before_the_accepted_one() -> None:
    assert EVEN.result({"1A": [True], "1B": [False, False, True]}) == (500 + 900, 0)
    assert EVEN.result({"1A": [False] * 8, "1B": []}) == (0, 0)
    assert EVEN.result({"1A": [False] * 11 + [True]}) == (0, 0)  # never below zero
    assert EVEN.result({"2A": [True]}) == (0, 0)  # of another contest


def test_without_points_problems_count_and_attempts_are_minutes() -> None:
    counted = Contest(results=(), ratings=(1500,), problems={"1A": None, "1B": None, "1C": None})
    assert counted.result({"1A": [True], "1B": [False, False, True]}) == (2, 20)


def test_a_place_is_before_the_first_who_did_worse() -> None:
    assert EVEN.place(1600, 0) == 0
    assert EVEN.place(1500, 0) == 100  # as good as the best is behind them
    assert EVEN.place(0, 0) == 201
    timed = Contest(results=((2.0, 30.0), (2.0, 50.0), (1.0, 0.0)), ratings=(), problems={})
    assert [timed.place(2, minutes) for minutes in (20, 30, 49, 50)] == [0, 1, 1, 2]


@pytest.mark.parametrize(
    ("attempts", "rating"),
    [
        # Place 100: the last whole m with 1 + 201 / (1 + 10^((m - 1500) / 400)) >= 100, that is
        # 10^x <= 102 / 99, m <= 1500 + 400 * 0.012965 = 1505.19.
        ({"1A": [True], "1B": [True]}, 1505),
        # 1450 points: still place 100.
        ({"1A": [True], "1B": [False, True]}, 1505),
        # No point: place 201, so 10^x <= 1 / 200, m <= 1500 - 400 * 2.30103 = 579.6.
        ({}, 579),
        ({"1A": [False] * 8}, 579),
    ],
)
def test_a_rating_is_where_the_place_would_have_been_expected(
    attempts: dict[str, list[bool]], rating: int
) -> None:
    assert EVEN.rating(attempts) == rating


def test_the_first_place_is_rated_at_the_end_of_the_scale() -> None:
    better = Contest(results=EVEN.results, ratings=EVEN.ratings, problems={"1A": 9000.0})
    assert better.rating({"1A": [True]}) == 1599  # the best participant's 1500 + 100, less one


def test_stronger_participants_make_a_place_worth_more() -> None:
    strong = Contest(results=EVEN.results, ratings=(1900,) * 201, problems=EVEN.problems)
    assert strong.rating({"1B": [True]}) == EVEN.rating({"1B": [True]}) + 400
    assert EVEN.expected_place(1500) == pytest.approx(1 + 201 / 2)


def _file(people: int, *, wrapped: bool, **more: Any) -> dict[str, Any]:
    standings = {
        "problems": [
            {"contestId": 1, "index": "A", "points": 500.0},
            {"contestId": 1, "index": "B"},
        ],
        "rows": [
            {"party": {"members": [{"handle": f"h{n}"}]}, "points": people - n, "penalty": n}
            for n in range(people)
        ],
    }
    changes = [{"handle": f"h{n}", "oldRating": 1000 + n} for n in reversed(range(people))]
    if wrapped:
        return {
            "standings": {"status": "OK", "result": standings},
            "rating_changes": {"status": "OK", "result": changes},
            **more,
        }
    return {"standings": standings, "rating_changes": changes, **more}


@pytest.mark.parametrize("wrapped", [True, False])
def test_standings_are_read_as_codeforces_gives_them(tmp_path: Path, wrapped: bool) -> None:
    path = tmp_path / "standings.json"
    large, small = _file(201, wrapped=wrapped), _file(200, wrapped=wrapped)
    path.write_text(json.dumps({"1": large, "2": small}))
    contests = read_contests(path)
    assert set(contests) == {"1"}  # 200 participants are too few
    assert contests["1"].problems == {"1A": 500.0, "1B": None}
    assert contests["1"].results[0] == (201.0, 0.0)
    assert contests["1"].ratings[0] == 1000


def test_only_people_with_both_a_place_and_a_rating_count(tmp_path: Path) -> None:
    contest = _file(203, wrapped=False)
    contest["rating_changes"] = contest["rating_changes"][1:]
    contest["rating_changes"].append({"handle": "a stranger", "oldRating": 3000})
    path = tmp_path / "standings.json"
    path.write_text(json.dumps({"1": contest}))
    assert len(read_contests(path)["1"].ratings) == 202
    assert max(read_contests(path)["1"].ratings) < 3000


@pytest.mark.parametrize(
    ("text", "said"),
    [("[", "not JSON"), ("[]", "an object of contests"), ('{"7": {}}', "contest 7: KeyError")],
)
def test_a_bad_file_is_a_line_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "standings.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=said):
        read_contests(path)
    with pytest.raises(UsageError, match="No such file"):
        read_contests(tmp_path / "none.json")
