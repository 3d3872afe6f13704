"""Two runs of one benchmark beside each other: how far apart, by chance or not, and where.

    found = compare([read_run(a), read_run(b)])
    found.pairs[0].passing.value        # how much higher the second is, and its interval
    found.pairs[0].chance.p_value       # McNemar
    found.pairs[0].flips                # problem by problem

The first run is what each other one is held against. Needs the runs' rows only, no benchmark data.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, Final

from evals.paired import Difference, Discordance, difference, discordance, holm
from evals.stored import Stored
from evals.tally import Answer
from sandbox import Kind
from seedcoder.errors import UsageError

_PARTS: Final = re.compile(r"(\d+)")
NAMES: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One run's answers to one problem that has a verdict."""

    answers: tuple[Answer, ...]

    @property
    def rate(self) -> float:
        """The share of samples that pass."""
        return fmean(float(_ok(answer)) for answer in self.answers)

    @property
    def words(self) -> str:
        """Kinds of verdict, with counts where there are several samples."""
        kinds = Counter(_kind(answer) for answer in self.answers)
        if len(self.answers) == 1:
            return next(iter(kinds)).value
        return ", ".join(f"{count} {kind.value}" for kind, count in kinds.most_common())

    @property
    def telling(self) -> Answer:
        """The first sample that fails, or the first of all."""
        return next((answer for answer in self.answers if not _ok(answer)), self.answers[0])

    @property
    def reason(self) -> str:
        """What the first failure said, in a line; "" where nothing failed."""
        verdict = self.telling.verdict
        failure = verdict.first_failure if verdict else None
        if failure is None:
            return ""
        said = failure.got if failure.reason == "AssertionError" else failure.reason
        return " ".join(said.split())[:160]

    def value(self, name: str) -> float | None:
        """Return the mean of what the benchmark measured besides; None where it did not."""
        found = [answer.values[name] for answer in self.answers if name in answer.values]
        return fmean(found) if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """One problem, in both runs."""

    problem: str
    first: Side
    second: Side

    @property
    def change(self) -> float:
        """How much more of the second's samples pass."""
        return self.second.rate - self.first.rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The first run and another.

    name: which, "B". twins: the problems that both have a verdict on. left_out: those that only one
    has. passing: the difference of pass rates. values: of what else was measured, by name.
    chance: McNemar's test. several: more than one sample of a problem. corrected: the p-value
    corrected for as many comparisons as were made at once (Holm).
    """

    name: str
    first: Stored
    second: Stored
    twins: tuple[Twin, ...]
    left_out: int
    passing: Difference
    values: Mapping[str, Difference]
    chance: Discordance
    several: bool
    corrected: float

    @property
    def flips(self) -> list[Twin]:
        """The problems on which one does better: what the second loses first, then its gains."""
        lost = [twin for twin in self.twins if twin.change < 0]
        return lost + [twin for twin in self.twins if twin.change > 0]

    @property
    def kinds(self) -> Counter[tuple[Kind, Kind]]:
        """How often each kind of verdict became which, sample by sample."""
        return Counter(
            (_kind(here), _kind(there))
            for twin in self.twins
            for here, there in zip(twin.first.answers, twin.second.answers, strict=False)
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain data for scripts."""
        return {
            "name": self.name,
            "run": str(self.second.folder),
            "problems": len(self.twins),
            "left_out": self.left_out,
            "several_samples": self.several,
            "pass_rate": self.passing.to_json(),
            "values": {name: gap.to_json() for name, gap in self.values.items()},
            "chance": {**self.chance.to_json(), "corrected_p_value": self.corrected},
            "flips": [_flip(twin) for twin in self.flips],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All that is known of some runs beside the first. runs: by their letters."""

    runs: Mapping[str, Stored]
    pairs: tuple[Pair, ...]
    differs: Mapping[str, tuple[str, ...]]

    def to_json(self) -> dict[str, Any]:
        """Return plain data for scripts."""
        first = next(iter(self.runs.values()))
        return {
            "bench": first.bench,
            "version": first.version,
            "runs": {
                name: {
                    "folder": str(run.folder),
                    "model": run.model,
                    "state": run.state,
                    "scores": [score.to_json() for score in run.scores],
                }
                for name, run in self.runs.items()
            },
            "differs": {key: list(values) for key, values in self.differs.items()},
            "pairs": [pair.to_json() for pair in self.pairs],
        }


def compare(runs: Sequence[Stored], *, seed: int = 0) -> Comparison:
    """Hold each run against the first.

    Raises UsageError, one line, for fewer than two runs, the same one twice, runs of different
    benchmarks, versions, options or data, and runs without a problem in common.
    """
    if not 2 <= len(runs) <= len(NAMES):
        raise UsageError(f"compare needs 2 to {len(NAMES)} runs, got {len(runs)}")
    folders = Counter(run.folder.resolve() for run in runs)
    if (twice := folders.most_common(1)[0])[1] > 1:
        raise UsageError(f"{twice[0]} was given twice")
    first = runs[0]
    for run in runs[1:]:
        _check_same(first, run)
    named = dict(zip(NAMES, runs, strict=False))
    sides = {name: _sides(run.answers()) for name, run in named.items()}
    pairs = [
        _pair(name, first, run, sides["A"], sides[name], seed)
        for name, run in named.items()
        if name != "A"
    ]
    corrected = holm({pair.name: pair.chance.p_value for pair in pairs})
    return Comparison(
        runs=named,
        pairs=tuple(replace(pair, corrected=corrected[pair.name]) for pair in pairs),
        differs=_differs([run.recipe for run in runs]),
    )


def by_place(key: str) -> tuple[tuple[int, int | str], ...]:
    """Return what problems are sorted by: numbers in a key as numbers."""
    return tuple((0, int(part)) if part.isdecimal() else (1, part) for part in _PARTS.split(key))


def _check_same(first: Stored, other: Stored) -> None:
    for what, here, there in (
        ("benchmark", first.bench, other.bench),
        ("version", first.version, other.version),
        ("options", first.options, other.options),
    ):
        if here != there:
            raise UsageError(
                f"{first.folder.name} and {other.folder.name} do not compare: "
                f"{what} {here} and {there}"
            )
    for file in sorted(first.data_sha256.keys() | other.data_sha256.keys()):
        if first.data_sha256.get(file) != other.data_sha256.get(file):
            raise UsageError(
                f"{first.folder.name} and {other.folder.name} do not compare: "
                f"their data differs ({file})"
            )


def _pair(
    name: str,
    first: Stored,
    second: Stored,
    here: Mapping[str, Side],
    there: Mapping[str, Side],
    seed: int,
) -> Pair:
    both = sorted(here.keys() & there.keys(), key=by_place)
    if not both:
        raise UsageError(
            f"{first.folder.name} and {second.folder.name} have no judged problem in common"
        )
    twins = tuple(Twin(problem=key, first=here[key], second=there[key]) for key in both)
    several = any(len(side.answers) > 1 for twin in twins for side in (twin.first, twin.second))
    rates = [twin.first.rate for twin in twins], [twin.second.rate for twin in twins]
    chance = discordance(*rates, several=several, seed=seed)
    return Pair(
        name=name,
        first=first,
        second=second,
        twins=twins,
        left_out=len(here.keys() ^ there.keys()),
        passing=difference(*rates, seed=seed),
        values=_values(twins, seed),
        chance=chance,
        several=several,
        corrected=chance.p_value,
    )


def _values(twins: Sequence[Twin], seed: int) -> Mapping[str, Difference]:
    names = {name: None for t in twins for answer in t.first.answers for name in answer.values}
    found = {}
    for name in names:
        pairs = [(twin.first.value(name), twin.second.value(name)) for twin in twins]
        known = [(here, there) for here, there in pairs if here is not None and there is not None]
        if known:
            here, there = zip(*known, strict=True)
            found[name] = difference(here, there, seed=seed)
    return found


def _sides(answers: Sequence[Answer]) -> Mapping[str, Side]:
    judged: dict[str, list[Answer]] = {}
    for answer in answers:
        if answer.verdict:
            judged.setdefault(answer.problem, []).append(answer)
    return {problem: Side(answers=tuple(found)) for problem, found in judged.items()}


def _differs(recipes: Sequence[Mapping[str, Any]]) -> Mapping[str, tuple[str, ...]]:
    """Return where the recipes differ: a dotted key, and each one's value in words."""
    flat = [_flat(recipe) for recipe in recipes]
    keys = dict.fromkeys(key for one in flat for key in one)
    said = {key: tuple(str(one.get(key, "unset")) for one in flat) for key in keys}
    return {key: values for key, values in said.items() if len(set(values)) > 1}


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def _flip(twin: Twin) -> dict[str, Any]:
    return {
        "problem": twin.problem,
        "better": "second" if twin.change > 0 else "first",
        "rates": [twin.first.rate, twin.second.rate],
        "verdicts": [twin.first.words, twin.second.words],
        "reasons": [twin.first.reason, twin.second.reason],
    }


def _ok(answer: Answer) -> bool:
    return answer.verdict is not None and answer.verdict.ok


def _kind(answer: Answer) -> Kind:
    assert answer.verdict is not None
    return answer.verdict.kind
