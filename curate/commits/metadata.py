"""What is known of repositories beside their history: stars and forks.

JSON lines, a repository each, as GitHub's API names things or shorter:
{"repo": "owner/name", "stars": 120, "forks": 14} or full_name, stargazers_count, forks_count.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seedcoder.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Of a repository; None where it is not known."""

    stars: int | None = None
    forks: int | None = None


def standings(file: Path) -> Mapping[str, Standing]:
    """Read the file, by repository. UsageError: a line of it is none."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read metadata {str(file)!r}: {error}") from None
    found: dict[str, Standing] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        name = (row.get("repo") or row.get("full_name")) if isinstance(row, dict) else None
        if not isinstance(row, dict) or not isinstance(name, str):
            raise UsageError(f'{file}:{number}: no JSON with a "repo"')
        found[name] = Standing(
            stars=_number(row, file, number, "stars", "stargazers_count"),
            forks=_number(row, file, number, "forks", "forks_count"),
        )
    return found


def _number(row: Mapping[str, Any], file: Path, line: int, *names: str) -> int | None:
    value = next((row[name] for name in names if row.get(name) is not None), None)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise UsageError(f"{file}:{line}: {names[0]} is no number: {value!r}")
    return value
