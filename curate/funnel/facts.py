"""What became of a corpus, counted in one walk over its columns, a part at a time.

A document is counted as dropped by the first condition of `select` that it does not meet, so the
numbers of all conditions and of what is kept add up to what came.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.funnel.amount import Amount, grouped
from curate.funnel.draw import Drawn, lots
from curate.kept import Corpus
from curate.select import Condition, first_unmet

BINS: Final = 40
# Ours: of a histogram, so much is left out at each end (it counts in the outermost bars).
_TAIL: Final = 0.002
_VALUES: Final = 100_000  # of a part, that the ends are found by
_SHOWN_CHARS: Final = 3_000  # of an example: ours


@dataclass(slots=True, kw_only=True)
class Stage:
    """A condition: what it dropped, by language, and for which reasons."""

    condition: Condition
    step: str
    dropped: dict[str, Amount] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A document that was drawn. told: the step's columns of it."""

    key: str
    path: str
    repo: str
    language: str
    text: str
    told: Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class Flagged:
    """What a step said, whatever came before it. unknown: not computed, or quarantined."""

    step: str
    kept: int = 0
    dropped: int = 0
    unknown: int = 0
    low: float = float("inf")
    high: float = float("-inf")
    counts: list[int] = field(default_factory=list)
    examples: dict[str, list[Example]] = field(default_factory=dict)
    quarantined: int = 0


@dataclass(slots=True, kw_only=True)
class Facts:
    """All of it. tokens_step: where the tokens were counted, "" where they were not."""

    came: dict[str, Amount] = field(default_factory=dict)
    kept: dict[str, Amount] = field(default_factory=dict)
    sources: dict[str, tuple[Amount, Amount]] = field(default_factory=dict)
    stages: list[Stage] = field(default_factory=list)
    steps: list[Flagged] = field(default_factory=list)
    tokens_step: str = ""


def facts_of(corpus: Corpus, *, tokens: str = "", examples: int = 3, seed: int = 0) -> Facts:
    """Count. tokens: the step that counted tokens. examples: drawn of each step and kind."""
    facts = Facts(tokens_step=tokens)
    facts.stages = [
        Stage(condition=one, step=one.columns[0].partition(".")[0] if "." in one.columns[0] else "")
        for one in corpus.conditions
    ]
    schemas = {one.title: one.step.schema().names for one in corpus.steps}
    facts.steps = [Flagged(step=title) for title in schemas]
    names = _columns(corpus, schemas, tokens)
    _find_spans(corpus, facts.steps, schemas)
    drawn = {
        (flagged.step, kind): Drawn(examples)
        for flagged in facts.steps
        for kind in ("kept", "dropped")
    }
    for part in corpus.parts:
        table = corpus.joined.columns(part.digest, names)
        counted = table.column(f"{tokens}.value") if tokens else pa.nulls(table.num_rows)
        dropped = first_unmet(table, corpus.conditions)
        table = table.append_column("tokens", counted.cast(pa.float64()))
        table = table.append_column("dropped", dropped)
        _amounts(facts, table)
        _reasons(facts, table, schemas)
        wanted: list[tuple[Flagged, str, list[int]]] = []
        numbers = lots(table.column("key"), seed)
        for flagged in facts.steps:
            keep, drop = _said(flagged.step, table, schemas, corpus.conditions)
            flagged.kept += int(keep.sum())
            flagged.dropped += int(drop.sum())
            flagged.unknown += table.num_rows - int(keep.sum()) - int(drop.sum())
            if "value" in schemas[flagged.step]:
                _bin(flagged, table)
            for kind, mask in (("kept", keep), ("dropped", drop)):
                wanted.append((flagged, kind, drawn[flagged.step, kind].wants(numbers, mask)))
        _draw(corpus, part.digest, table, numbers, wanted, drawn)
    for flagged, planned in zip(facts.steps, corpus.steps, strict=True):
        flagged.quarantined = len(corpus.store.quarantined(planned.title, planned.digest))
        for kind in ("kept", "dropped"):
            flagged.examples[kind] = drawn[flagged.step, kind].all()
    return facts


def _columns(corpus: Corpus, schemas: Mapping[str, Sequence[str]], tokens: str) -> list[str]:
    names = ["language", "bytes", "source"]
    names += [name for one in corpus.conditions for name in one.columns]
    for title, there in schemas.items():
        names += [f"{title}.{name}" for name in ("keep", "reason", "value") if name in there]
    if tokens:
        names.append(f"{tokens}.value")
    return list(dict.fromkeys(names))


def _amounts(facts: Facts, table: pa.Table) -> None:
    stages = {stage.condition.text: stage for stage in facts.stages}
    for (language, source, dropped), amount in grouped(table, ("language", "source", "dropped")):
        came, kept = facts.sources.setdefault(source, (Amount(), Amount()))
        came.add(amount)
        facts.came.setdefault(language, Amount()).add(amount)
        if dropped is None:
            kept.add(amount)
            facts.kept.setdefault(language, Amount()).add(amount)
        else:
            stages[dropped].dropped.setdefault(language, Amount()).add(amount)


def _reasons(facts: Facts, table: pa.Table, schemas: Mapping[str, Sequence[str]]) -> None:
    for stage in facts.stages:
        mine = table.filter(pc.equal(table.column("dropped"), stage.condition.text))
        if not mine.num_rows:
            continue
        if "reason" in schemas.get(stage.step, ()):
            words = mine.column(f"{stage.step}.reason")
            for row in words.value_counts().to_pylist():
                said = row["values"]
                stage.reasons["not computed" if said is None else said or "below"] += row["counts"]
        else:
            column = mine.column(stage.condition.columns[0])
            stage.reasons["not computed"] += column.null_count
            stage.reasons[f"not {stage.condition.text}"] += len(column) - column.null_count
    for stage in facts.stages:
        stage.reasons = +stage.reasons


def _said(
    step: str,
    table: pa.Table,
    schemas: Mapping[str, Sequence[str]],
    conditions: Sequence[Condition],
) -> tuple[Any, Any]:
    """Return which rows a step is for, and against: by `keep`, else by conditions on it."""
    if "keep" in schemas[step]:
        column = table.column(f"{step}.keep").cast(pa.bool_())
        known = column.is_valid().to_numpy()
        keep = pc.fill_null(column, False).to_numpy()
        return keep, known & ~keep
    mine = [one for one in conditions if any(c.startswith(f"{step}.") for c in one.columns)]
    if not mine:
        nothing = np.zeros(table.num_rows, bool)
        return nothing, nothing
    known = np.ones(table.num_rows, bool)
    keep = np.ones(table.num_rows, bool)
    for one in mine:
        keep &= one.met(table).to_numpy(zero_copy_only=False)
        for column in one.columns:
            known &= table.column(column).is_valid().to_numpy()
    return keep & known, known & ~keep


def _values(step: str, table: pa.Table) -> Any:
    column = table.column(f"{step}.value").cast(pa.float64())
    values = column.drop_null().to_numpy()
    return values[np.isfinite(values)]


def _find_spans(
    corpus: Corpus, steps: Sequence[Flagged], schemas: Mapping[str, Sequence[str]]
) -> None:
    """Find from where to where each step's values are drawn, thresholds included."""
    for flagged in steps:
        name = f"{flagged.step}.value"
        if "value" not in schemas[flagged.step]:
            continue
        tables = (corpus.joined.columns(part.digest, (name,)) for part in corpus.parts)
        seen = [_values(flagged.step, table)[:_VALUES] for table in tables]
        values = np.concatenate(seen) if seen else np.zeros(0)
        if not len(values):
            continue
        marks = [
            float(value)
            for one in corpus.conditions
            for column, _, value in one.comparisons
            if column == name and isinstance(value, int | float)
        ]
        low, high = np.quantile(values, (_TAIL, 1 - _TAIL))
        flagged.low, flagged.high = min([float(low), *marks]), max([float(high), *marks])


def _bin(flagged: Flagged, table: pa.Table) -> None:
    if not flagged.low < flagged.high:
        return
    values = _values(flagged.step, table).clip(flagged.low, flagged.high)
    counts, _ = np.histogram(values, bins=BINS, range=(flagged.low, flagged.high))
    before = flagged.counts or [0] * BINS
    flagged.counts = [old + int(new) for old, new in zip(before, counts, strict=True)]


def _draw(
    corpus: Corpus,
    part: str,
    table: pa.Table,
    numbers: Any,
    wanted: Sequence[tuple[Flagged, str, list[int]]],
    drawn: Mapping[tuple[str, str], Drawn],
) -> None:
    """Offer the rows that may be drawn; a part's texts are read once, where there are any."""
    if not any(rows for _, _, rows in wanted):
        return
    texts = corpus.joined.documents(part, ("key", "path", "repo", "text"))
    for flagged, kind, rows in wanted:
        if not rows:  # arrow takes no nothing
            continue
        own = [name for name in table.column_names if name.startswith(f"{flagged.step}.")]
        beside = table.select(["language", *own]).take(rows).to_pylist()
        for row, text, said in zip(rows, texts.take(rows).to_pylist(), beside, strict=True):
            example = Example(
                key=text["key"],
                path=text["path"],
                repo=text["repo"],
                language=said["language"],
                text=text["text"][:_SHOWN_CHARS],
                told={name.partition(".")[2]: said[name] for name in own},
            )
            drawn[flagged.step, kind].offer(int(numbers[row]), text["key"], example)
