"""What the judge says of a program, and the reward that training makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.outcome import Kind, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """The first test that did not pass, in words for a person.

    index: which test, from 0. test: the call, the stdin or the failing line of test code.
    expected, got: shortened reprs; empty where there is none (a crash, a time-out).
    reason: one line.
    """

    index: int
    test: str
    expected: str
    got: str
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class SubtaskResult:
    """What one subtask earned.

    points: of points_most. failed: the case that earned it the least, None where none failed or
    the subtask was not judged. why: in a line, why it did not earn them all.
    """

    name: str
    points: float
    points_most: float
    failed: int | None = None
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the judge says: `kind` is PASSED only when every test was answered, and rightly.

    passed, total: tests passed before judging ended, and tests there are.
    outcomes: the runs of the program behind the verdict, in order; where test code has a box of its
        own, its run too, but none of a checker or an interactor.
    mode: how it was judged: "stdio", "checker", "interactive", "calls", "project", "proxy" (test
        code in a box of its own) or "shared" (test code beside the candidate: weaker, and counted
        wherever verdicts are).
    points, points_most: earned, and to be earned; both 0 where there are no subtasks.
    subtasks: what each earned, in their order.
    """

    kind: Kind
    passed: int
    total: int
    first_failure: Failure | None
    outcomes: tuple[Outcome, ...]
    mode: str
    points: float = 0.0
    points_most: float = 0.0
    subtasks: tuple[SubtaskResult, ...] = ()

    @property
    def ok(self) -> bool:
        """True when the program passed."""
        return self.kind is Kind.PASSED

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`."""
        return {
            "kind": self.kind.value,
            "passed": self.passed,
            "total": self.total,
            "first_failure": self.first_failure and self.first_failure.to_json(),
            "outcomes": [outcome.to_json() for outcome in self.outcomes],
            "mode": self.mode,
            "points": self.points,
            "points_most": self.points_most,
            "subtasks": [one.to_json() for one in self.subtasks],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Verdict:
        """Return the verdict that `to_json` wrote."""
        failure = data["first_failure"]
        return cls(
            kind=Kind(data["kind"]),
            passed=data["passed"],
            total=data["total"],
            first_failure=Failure(**failure) if failure else None,
            outcomes=tuple(Outcome.from_json(outcome) for outcome in data["outcomes"]),
            mode=data["mode"],
            points=data.get("points", 0.0),  # rows of earlier versions have none
            points_most=data.get("points_most", 0.0),
            subtasks=tuple(SubtaskResult(**one) for one in data.get("subtasks", ())),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reward:
    """A number for training, with what it is made of."""

    value: float
    parts: Mapping[str, float] = field(default_factory=dict)
    verdict: Verdict | None = None

    @classmethod
    def all_or_nothing(cls, verdict: Verdict) -> Reward:
        """Return 1.0 when every test passed, else 0.0."""
        value = 1.0 if verdict.ok else 0.0
        return cls(value=value, parts={"tests": value}, verdict=verdict)

    @classmethod
    def fraction(cls, verdict: Verdict) -> Reward:
        """Return the share of tests that passed; 0.0 when the program had none."""
        value = verdict.passed / verdict.total if verdict.total else 0.0
        return cls(value=value, parts={"tests": value}, verdict=verdict)

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`."""
        verdict = self.verdict.to_json() if self.verdict else None
        return {"value": self.value, "parts": dict(self.parts), "verdict": verdict}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Reward:
        """Return the reward that `to_json` wrote."""
        verdict = Verdict.from_json(data["verdict"]) if data["verdict"] else None
        return cls(value=data["value"], parts=data["parts"], verdict=verdict)
