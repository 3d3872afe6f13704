"""How a run stands after a call: what the command line prints and the report shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from evals.cost import Cost
from evals.tally import Tally
from seedcoder.run import REPORT

COMPLETE: Final = "complete"
FAILED: Final = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A run's figures and where they lie.

    status: "complete" (every planned sample judged, or lost to no more errors than allowed) or
        "failed" (more than that).
    worked: False when there was nothing left to do. changed: for a regrade, keys whose verdict is
        of another kind than before, each with both kinds.
    """

    folder: Path
    status: str
    tally: Tally
    manifest: Mapping[str, Any]
    worked: bool
    changed: Mapping[str, tuple[str, str]]
    cost: Cost

    @property
    def report(self) -> Path:
        """The page for people."""
        return self.folder / REPORT

    def to_json(self) -> dict[str, Any]:
        """Return plain data for scripts."""
        return {
            "folder": str(self.folder),
            "report": str(self.report),
            "status": self.status,
            "changed": {key: list(kinds) for key, kinds in self.changed.items()},
            **self.tally.summary(),
            "cost": self.cost.to_json(),
        }
