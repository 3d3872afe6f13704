"""The page of a corpus: what came, what each condition dropped and why, scores and examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from curate.funnel.amount import Amount, whole
from curate.funnel.facts import Example, Facts, Flagged, Stage
from curate.kept import Corpus
from curate.select import Condition
from seedcoder import report
from seedcoder.report import Html

_LANGUAGES: Final = 60  # rows of a table: ours
_QUARANTINED: Final = 50


def funnel_page(corpus: Corpus, facts: Facts, recipe: Mapping[str, Any]) -> str:
    """Return the page as one HTML text."""
    came, kept = whole(iter(facts.came.values())), whole(iter(facts.kept.values()))
    sections = [
        report.tiles(*_tiles(facts, came, kept, sum(corpus.refused.values()))),
        report.section(
            "Where every document went",
            _flow(facts, came),
            note="Each bar is what was still there; what a condition dropped ends.",
        ),
        report.section(
            "Conditions",
            _stages(facts, came),
            note="A document counts where it was dropped first. Open a row for reasons.",
        ),
        report.section("Languages", _languages(facts)),
        report.section("Steps", _steps(facts), note="What each step said, whatever came before."),
        *_scores(corpus, facts),
        *_examples(facts),
        report.section("Sources", _sources(facts, corpus.refused)),
        *_quarantine(corpus, facts),
        report.section("Recipe", report.key_values(recipe)),
    ]
    return report.page(
        "Curation funnel",
        f"{came.documents:,} documents, {_size(came.bytes)}; kept {kept.documents:,},"
        f" {_size(kept.bytes)}",
        sections,
        foot="A quarantined document was not computed and meets no condition on that step.",
    )


def _tiles(facts: Facts, came: Amount, kept: Amount, refused: int) -> list[Html]:
    bad = sum(one.quarantined for one in facts.steps)
    tiles = [
        report.tile(
            "documents kept", f"{kept.documents:,}", note=_of(kept.documents, came.documents)
        ),
        report.tile("bytes kept", _size(kept.bytes), note=_of(kept.bytes, came.bytes)),
    ]
    if facts.tokens_step:
        tiles.append(
            report.tile("tokens kept", _count(kept.tokens), note=_of(kept.tokens, came.tokens))
        )
    tiles += [
        report.tile("records refused", f"{refused:,}", note="by sources, with a reason each"),
        report.tile("quarantined", f"{bad:,}", note="a step could not compute them"),
    ]
    return tiles


def _flow(facts: Facts, came: Amount) -> Html:
    on, left = report.Step("goes on", "good"), came.documents
    kept = tuple([on] * len(facts.stages))
    paths: dict[tuple[report.Step, ...], int] = {kept: 0}
    for place, stage in enumerate(facts.stages):
        lost = whole(iter(stage.dropped.values())).documents
        paths[(*[on] * place, report.Step("dropped", "bad"))] = lost
        left -= lost
    paths[kept] = left
    if not facts.stages:
        return report.text("The recipe has no conditions: everything is kept.")
    ordered = dict(sorted(paths.items(), key=lambda one: -len(one[0])))
    return report.flow([stage.condition.text for stage in facts.stages], ordered)


def _stages(facts: Facts, came: Amount) -> Html:
    columns = [
        report.Column(title="condition"),
        report.Column(title="dropped", high_first=True),
        report.Column(title="dropped", unit="% of what came to it", high_first=True),
        report.Column(title="left", unit="documents"),
        report.Column(title="left", unit="MB"),
    ]
    if facts.tokens_step:
        columns.append(report.Column(title="left", unit="tokens"))
    rows = []
    left = came
    for stage in facts.stages:
        lost = whole(iter(stage.dropped.values()))
        before, left = left, left.less(lost)
        cells: list[Any] = [
            stage.condition.text,
            lost.documents,
            round(100 * lost.documents / max(1, before.documents), 2),
            left.documents,
            round(left.bytes / 1e6, 1),
        ]
        cells += [left.tokens] if facts.tokens_step else []
        rows.append(report.Row(cells=cells, detail=_why(stage)))
    return report.table(columns, rows, name="conditions")


def _why(stage: Stage) -> Html:
    languages = Counter({name or "?": one.documents for name, one in stage.dropped.items()})
    return report.side_by_side(
        report.panel("Reasons", report.key_values(dict(stage.reasons.most_common(30)))),
        report.panel("Languages", report.key_values(dict(languages.most_common(30)))),
    )


def _languages(facts: Facts) -> Html:
    columns = [
        report.Column(title="language"),
        report.Column(title="came", unit="documents", high_first=True),
        report.Column(title="came", unit="MB", high_first=True),
        report.Column(title="kept", unit="documents", high_first=True),
        report.Column(title="kept", unit="MB", high_first=True),
        report.Column(title="kept", unit="% of MB", high_first=True),
    ]
    columns += [report.Column(title="kept", unit="tokens")] if facts.tokens_step else []
    columns += [
        report.Column(title=stage.condition.text, unit="% dropped") for stage in facts.stages
    ]
    rows = []
    for language, came in sorted(facts.came.items(), key=lambda one: -one[1].bytes)[:_LANGUAGES]:
        kept = facts.kept.get(language, Amount())
        cells: list[Any] = [
            language or "unknown",
            came.documents,
            round(came.bytes / 1e6, 2),
            kept.documents,
            round(kept.bytes / 1e6, 2),
            round(100 * kept.bytes / max(1, came.bytes), 1),
        ]
        cells += [kept.tokens] if facts.tokens_step else []
        left = came.documents
        for stage in facts.stages:
            lost = stage.dropped.get(language, Amount()).documents
            cells.append(round(100 * lost / left, 1) if left else 0.0)
            left -= lost
        rows.append(report.Row(cells=cells))
    more = len(facts.came) - len(rows)
    said = report.text(f"{more} languages of less bytes are left out.") if more > 0 else Html("")
    return report.stack(report.table(columns, rows, name="languages", pinned=True), said)


def _steps(facts: Facts) -> Html:
    columns = [
        report.Column(title="step"),
        report.Column(title="kept"),
        report.Column(title="dropped"),
        report.Column(title="not computed"),
        report.Column(title="quarantined"),
    ]
    rows = [
        report.Row(cells=[one.step, one.kept, one.dropped, one.unknown, one.quarantined])
        for one in facts.steps
    ]
    return report.table(columns, rows, name="steps")


def _scores(corpus: Corpus, facts: Facts) -> list[Html]:
    panels = [_score(one, corpus.conditions) for one in facts.steps if one.low <= one.high]
    if not panels:
        return []
    return [report.section("Scores", report.side_by_side(*panels), note="Lines are thresholds.")]


def _score(flagged: Flagged, conditions: Sequence[Condition]) -> Html:
    name = f"{flagged.step}.value"
    if not flagged.low < flagged.high:
        return report.panel(name, report.text(f"All are {flagged.low:g}."))
    marks = [
        (f"{how} {value:g}", float(value))
        for one in conditions
        for column, how, value in one.comparisons
        if column == name and isinstance(value, int | float)
    ]
    drawn = report.counted(flagged.counts, flagged.low, flagged.high, marks=marks, label=name)
    return report.panel(name, drawn)


def _examples(facts: Facts) -> list[Html]:
    folds = []
    for flagged in facts.steps:
        if not any(flagged.examples.values()):
            continue
        sides = [
            report.stack(
                report.text(f"{kind}: {flagged.kept if kind == 'kept' else flagged.dropped:,}"),
                *(_example(one) for one in flagged.examples[kind]),
            )
            for kind in ("kept", "dropped")
        ]
        note = f"{flagged.kept:,} kept, {flagged.dropped:,} dropped"
        folds.append(report.fold(flagged.step, report.side_by_side(*sides), note=note))
    if not folds:
        return []
    return [report.section("Examples", *folds, note="Drawn by lot; the seed is the recipe's.")]


def _example(one: Example) -> Html:
    told = ", ".join(f"{name} {_short(value)}" for name, value in one.told.items() if value != "")
    label = "/".join(name for name in (one.repo, one.path) if name)
    return report.code(one.text, label=label, note=f"{one.language} {one.key[:12]} · {told}")


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _sources(facts: Facts, refused: Mapping[str, int]) -> Html:
    columns = [
        report.Column(title="source"),
        report.Column(title="came", unit="documents"),
        report.Column(title="came", unit="MB"),
        report.Column(title="kept", unit="documents"),
        report.Column(title="kept", unit="MB"),
        report.Column(title="refused", unit="records"),
    ]
    rows = [
        report.Row(
            cells=[
                name,
                came.documents,
                round(came.bytes / 1e6, 2),
                kept.documents,
                round(kept.bytes / 1e6, 2),
                refused.get(name, 0),
            ]
        )
        for name, (came, kept) in facts.sources.items()
    ]
    return report.table(columns, rows, name="sources")


def _quarantine(corpus: Corpus, facts: Facts) -> list[Html]:
    rows = [
        report.Row(cells=[one.title, row["key"], row["reason"]])
        for one in corpus.steps
        for row in corpus.store.quarantined(one.title, one.digest)
    ]
    if not rows:
        return []
    columns = [report.Column(title=name) for name in ("step", "document", "reason")]
    note = f"{len(rows):,} in all; the first {_QUARANTINED}" if len(rows) > _QUARANTINED else ""
    shown = report.table(columns, rows[:_QUARANTINED], name="quarantine")
    return [report.section("Quarantine", shown, note=note)]


def _of(part: int, all_: int) -> str:
    return f"{100 * part / all_:.1f}% of {all_:,}" if all_ else "of none"


def _size(bytes_: int) -> str:
    return f"{bytes_ / 1e9:,.2f} GB" if bytes_ >= 1e9 else f"{bytes_ / 1e6:,.1f} MB"


def _count(number: int) -> str:
    return f"{number / 1e6:,.1f} M" if number >= 10_000_000 else f"{number:,}"
