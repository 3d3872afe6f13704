"""Rows of SWE-bench's format as problems: which columns there are, and what is made of each.

The columns are those of `swebench` 5.x: the twelve of the first release, and `image`, `log_parser`,
`eval_type`, `eval_script`. Rows of swe-mini have no image but `source`, `python`, `pip`,
`pythonpath` and `test_files`: a release of the project, and the packages that its tests need.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final, Literal

from evals.problem import Problem
from seedcoder.errors import UsageError

NEEDS: Final = (
    "instance_id", "repo", "base_commit", "patch", "test_patch", "problem_statement",
    "FAIL_TO_PASS", "PASS_TO_PASS",
)  # fmt: skip
Place = Literal["release", "image"]
_RELEASE: Final = ("source", "python", "pip", "pythonpath", "test_files")
_IMAGE: Final = ("image", "log_parser", "eval_script")
_HEADER: Final = re.compile(r"^(?:---|\+\+\+) [ab]/(.+?)(?:\t.*)?$", re.MULTILINE)


def problem_of(row: Mapping[str, Any], where: str) -> Problem:
    """Return the problem that a row is.

    where: for messages. Raises UsageError for a row that can be judged in no way that we know.
    """
    key = row["instance_id"]
    if not isinstance(key, str) or not key:
        raise UsageError(f"{where}: instance_id must be text, got {key!r}")
    where = f"{where}, {key}"
    tests: dict[str, Any] = {
        "fail_to_pass": ids(row["FAIL_TO_PASS"], f"{where}: FAIL_TO_PASS"),
        "pass_to_pass": ids(row["PASS_TO_PASS"], f"{where}: PASS_TO_PASS"),
        "test_patch": row["test_patch"],
        "gold_files": files_of(row["patch"]),
    }
    if not tests["fail_to_pass"] and not tests["pass_to_pass"]:
        raise UsageError(f"{where}: there is no test in FAIL_TO_PASS or PASS_TO_PASS")
    if row.get("source"):
        _take(row, _RELEASE, where, tests)
        tests["place"] = "release"
    else:
        _take(row, _IMAGE, where, tests)
        tests["eval_type"] = row.get("eval_type") or "pass_and_fail"
        tests["base_commit"] = row["base_commit"]
        tests["place"] = "image"
    tags = [f"repo:{row['repo']}"]
    tags += [f"{name}:{row[name]}" for name in ("language", "difficulty") if row.get(name)]
    return Problem(
        key=key,
        prompt=row["problem_statement"],
        entry_point="",
        tests=tests,
        canonical=row["patch"],
        tags=tuple(tags),
        date=str(row["created_at"])[:10] if row.get("created_at") else None,
        language="diff",
    )


def _take(
    row: Mapping[str, Any], names: tuple[str, ...], where: str, tests: dict[str, Any]
) -> None:
    for name in names:
        if not row.get(name):
            raise UsageError(
                f"{where}: no {name!r}; rows need the columns of swebench 5.x "
                f"({', '.join(_IMAGE)}) or those of swe-mini ({', '.join(_RELEASE)})"
            )
        tests[name] = row[name]


def ids(value: Any, where: str) -> list[str]:
    """Return a list of tests' ids, which upstream keeps as JSON inside a string."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise UsageError(f"{where} is no JSON list: {error}") from error
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise UsageError(f"{where} must be a list of ids")
    return value


def files_of(patch: str) -> list[str]:
    """Return the files that a patch's headers name, sorted."""
    return sorted(set(_HEADER.findall(patch)))
