"""What became of each test of a project; it rides in the verdict's outcome, as a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.verdict import Verdict

FILE = "project.json"

# Said in every result, for reports.
OPEN = (
    "The candidate's code ran in the same process as the tests. It cannot change test files, "
    "settings or plugins, and one that makes everything pass is caught by tests that must fail; "
    "but code that singles out the tests it is judged by can answer for them."
)
OPEN_COMMAND = (
    "The results are those of the XML that the instance's command left. Code of the candidate that "
    "ran under this command could have written it."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectResult:
    """statuses: of each id that must pass: passed, failed, error, skipped, xfailed or missing.

    counts: tests in the XML, by status, without the planted ones. stage: how far it came: "patch",
    "start" or "run". applied: by what the patch was applied; "" where it was empty or did not.
    undone: what of the patch was undone, for it was not the candidate's to change.
    doubt: why no result counts, where the run gives reason to doubt them; "" for none.
    channels: how many independent reports agreed: 2 for pytest, 1 for a command.
    open: what this judgement could not rule out. log: the end of what was printed.
    """

    statuses: Mapping[str, str]
    counts: Mapping[str, int] = field(default_factory=dict)
    stage: str = "run"
    why: str = ""
    applied: str = ""
    undone: tuple[str, ...] = ()
    doubt: str = ""
    channels: int = 2
    open: str = OPEN
    log: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`."""
        data = {name: getattr(self, name) for name in self.__slots__}
        return {**data, "statuses": dict(self.statuses), "counts": dict(self.counts),
                "undone": list(self.undone)}  # fmt: skip

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ProjectResult:
        """Return the result that `to_json` wrote."""
        return cls(**{**data, "undone": tuple(data["undone"])})

    @classmethod
    def of(cls, verdict: Verdict) -> ProjectResult:
        """Return the result that a verdict of mode "project" carries. Raises ValueError."""
        for outcome in verdict.outcomes:
            if FILE in outcome.files:
                return cls.from_json(json.loads(outcome.files[FILE]))
        raise ValueError(f"a verdict of mode {verdict.mode!r} carries no result of a project")
