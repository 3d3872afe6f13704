"""The page of two runs beside each other: how far apart, and every reply and program in both."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from evals.bench import open_bench
from evals.compare import Comparison, Pair, Side, Twin
from evals.data import only_here
from evals.paired import Difference
from evals.problem import Problem
from evals.report.words import TONES, WORDS
from evals.stats import wilson
from evals.stored import Stored
from evals.tally import Answer
from sandbox import Kind
from seedcoder import report
from seedcoder.errors import MachineLacks, UsageError
from seedcoder.report import Html

# What a reader can scroll through, and a browser hold; beyond it only flips can be opened.
_MOST_OPEN = 600
_LOST, _GAINED, _BOTH, _NEITHER, _ALIKE = (
    "only A passes",
    "only B passes",
    "both pass",
    "neither passes",
    "as often",
)


def render(comparison: Comparison) -> str:
    """Return the page of the first two runs as one HTML text."""
    pair = comparison.pairs[0]
    first, second = pair.first, pair.second
    prompts = _prompts(first)
    sections = [
        report.tiles(
            _run_tile("A", first, pair, [twin.first for twin in pair.twins]),
            _run_tile("B", second, pair, [twin.second for twin in pair.twins]),
            _gap_tile(pair),
            _chance_tile(pair),
        ),
        *_warnings(pair),
        report.section(
            "Verdicts",
            report.heat_map(*_kinds(pair), corner="A ↓  B →", span=(0.0, _most(pair))),
            note="How often each kind of verdict in A (rows) became which in B.",
        ),
        report.section(
            "Problems",
            _table(pair, prompts),
            note="Open a row for both replies and programs, line by line.",
        ),
        *_value_section(pair.values),
        report.section(
            "Recipes",
            _recipes(comparison.differs),
            note="What the two were asked differently; the rest is the same.",
        ),
    ]
    return report.page(
        f"{first.model} and {second.model} on {first.bench}",
        f"{first.version}; A is {first.folder.name}, B is {second.folder.name}",
        sections,
        foot="Intervals: paired bootstrap over problems. "
        "They say nothing of doubt about the tests themselves.",
    )


def _run_tile(name: str, run: Stored, pair: Pair, sides: Sequence[Side]) -> Html:
    rate = sum(side.rate for side in sides) / len(sides)
    note = f"{run.model}: share of samples that pass, over {len(sides)} problems that both have"
    low, high = wilson(rate * len(sides), len(sides))
    bar = report.interval_bar(rate, min(low, rate), max(high, rate))
    return report.tile(name, f"{100 * rate:.1f}%", note=note, figure=bar, wide=True)


def _gap_tile(pair: Pair) -> Html:
    gap = pair.passing
    # To the next ten points, so that the axis is told in round numbers.
    reach = math.ceil(10 * max(0.01, abs(gap.low), abs(gap.high))) / 10
    return report.tile(
        "B minus A",
        f"{_points(gap.value)} points",
        note=f"95% interval {_points(gap.low)} to {_points(gap.high)} (paired bootstrap)",
        figure=report.interval_bar(
            round(100 * gap.value, 1),
            round(100 * min(gap.low, gap.value), 1),
            round(100 * max(gap.high, gap.value), 1),
            span=(-round(100 * reach), round(100 * reach)),
            percent=False,
            tone="plain" if gap.low <= 0 <= gap.high else "good" if gap.value > 0 else "bad",
        ),
        wide=True,
    )


def _chance_tile(pair: Pair) -> Html:
    chance = pair.chance
    parts = [
        report.Part(label="A better", count=chance.first_better, tone="bad"),
        report.Part(label="alike", count=chance.equal, tone="muted"),
        report.Part(label="B better", count=chance.second_better, tone="good"),
    ]
    return report.tile(
        "By chance?",
        f"p = {chance.p_value:.3g}",
        note=f"{chance.method}: how often chance alone would part the two so far",
        figure=report.stacked_bar(parts),
        wide=True,
    )


def _warnings(pair: Pair) -> list[Html]:
    said = [
        f"{name} is {run.state}: {run.why}."
        for name, run in (("A", pair.first), ("B", pair.second))
        if run.state != "complete"
    ]
    if pair.left_out:
        said.append(f"{pair.left_out} problems are left out: only one run has a verdict on them.")
    if pair.several:
        said.append("Problems have several samples: each one's pass rate is what is compared.")
    return [report.section("Mind", report.text(*said))] if said else []


def _kinds(
    pair: Pair,
) -> tuple[list[str], list[str], dict[tuple[str, str], report.Heat]]:
    counts = pair.kinds
    rows = [kind for kind in Kind if any(here is kind for here, _ in counts)]
    columns = [kind for kind in Kind if any(there is kind for _, there in counts)]
    cells = {
        (WORDS[here], WORDS[there]): report.Heat(
            value=float(count),
            text=str(count),
            note=f"{WORDS[here]} in A, {WORDS[there]} in B: {count}",
        )
        for (here, there), count in counts.items()
    }
    return [WORDS[kind] for kind in rows], [WORDS[kind] for kind in columns], cells


def _most(pair: Pair) -> float:
    return float(max(pair.kinds.values(), default=1))


def _table(pair: Pair, prompts: Mapping[str, Problem]) -> Html:
    columns = [
        report.Column(title="Problem", align="left"),
        report.Column(title="Change", choose=True),
        report.Column(title="A"),
        report.Column(title="B"),
        report.Column(title="What the tests said"),
    ]
    flips = pair.flips
    alike = [twin for twin in pair.twins if not twin.change]
    everything = len(pair.twins) <= _MOST_OPEN
    rows = [
        report.Row(
            cells=[
                report.Cell(content=twin.problem, sort=place),
                _change(twin),
                _side(twin.first),
                _side(twin.second),
                _said(twin),
            ],
            detail=_detail(twin, prompts) if twin.change or everything else None,
            anchor=twin.problem,
        )
        for place, twin in enumerate([*flips, *alike])
    ]
    return report.table(columns, rows, name="problems", pinned=True)


def _said(twin: Twin) -> str:
    here, there = twin.first.reason, twin.second.reason
    if here and there:
        return f"A: {here[:90]} | B: {there[:90]}" if here != there else f"both: {here}"
    return f"A: {here}" if here else f"B: {there}" if there else ""


def _change(twin: Twin) -> report.Cell:
    one = len(twin.first.answers) == len(twin.second.answers) == 1
    if twin.change:
        word = _LOST if twin.change < 0 else _GAINED
        if not one:
            word = "A passes more" if twin.change < 0 else "B passes more"
        tone: report.Tone = "bad" if twin.change < 0 else "good"
        return report.Cell(content=report.badge(word, tone), value=word)
    word = _BOTH if twin.first.rate == 1 else _NEITHER if twin.first.rate == 0 else _ALIKE
    return report.Cell(content=report.badge(word, "muted"), value=word)


def _side(side: Side) -> report.Cell:
    if len(side.answers) == 1:
        verdict = side.answers[0].verdict
        assert verdict is not None
        word = WORDS[verdict.kind]
        return report.Cell(content=report.badge(word, TONES[verdict.kind]), value=word)
    passed = round(side.rate * len(side.answers))
    return report.Cell(content=f"{passed} of {len(side.answers)} pass", sort=side.rate)


def _detail(twin: Twin, prompts: Mapping[str, Problem]) -> Html:
    here, there = _shown(twin)
    pieces: list[Html] = []
    for name, side, answer in (("A", twin.first, here), ("B", twin.second, there)):
        said = {f"{name}, sample {answer.n}" if answer.n else name: side.words}
        failure = answer.verdict.first_failure if answer.verdict else None
        if failure:
            told = {"First failing test": failure.test, "Expected": failure.expected}
            told |= {"Got": failure.got, "Reason": failure.reason}
            said |= {what: text for what, text in told.items() if text}
        pieces.append(report.key_values(said))
    problem = prompts.get(twin.problem)
    replies = tuple(answer.sample.text if answer.sample else "" for answer in (here, there))
    return report.stack(
        report.side_by_side(*pieces),
        *([report.code(problem.prompt.strip("\n"), label="Prompt")] if problem else []),
        report.diff(here.program, there.program, labels=("A's program", "B's program")),
        report.diff(replies[0], replies[1], labels=("A's reply", "B's reply")),
    )


def _shown(twin: Twin) -> tuple[Answer, Answer]:
    """Return the first two samples that come out differently; else the first of each."""
    for here, there in zip(twin.first.answers, twin.second.answers, strict=False):
        if here.verdict and there.verdict and here.verdict.ok != there.verdict.ok:
            return here, there
    return twin.first.answers[0], twin.second.answers[0]


def _value_section(values: Mapping[str, Difference]) -> list[Html]:
    if not values:
        return []
    columns = [
        report.Column(title="Value", align="left"),
        report.Column(title="Problems"),
        report.Column(title="B minus A"),
        report.Column(title="95% interval"),
    ]
    rows = [
        report.Row(
            cells=[
                name,
                gap.problems,
                report.Cell(content=f"{gap.value:+.3f}", sort=gap.value),
                f"{gap.low:+.3f} to {gap.high:+.3f}",
            ]
        )
        for name, gap in values.items()
    ]
    return [report.section("Also measured", report.table(columns, rows, name="values"))]


def _recipes(differs: Mapping[str, Sequence[str]]) -> Html:
    if not differs:
        return report.text("Nothing: the recipes are the same.")
    facts: dict[str, object] = {
        key: {"A": values[0], "B": values[1]} for key, values in differs.items()
    }
    return report.key_values(facts)


def _prompts(run: Stored) -> Mapping[str, Problem]:
    """Return the problems where the benchmark's data is here: a page without them is one still."""
    try:
        with only_here():
            problems = open_bench(run.bench, run.recipe.get("options")).problems()
    except (MachineLacks, UsageError):
        return {}
    return {problem.key: problem for problem in problems}


def _points(share: float) -> str:
    return f"{100 * share:+.1f}"
