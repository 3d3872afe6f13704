"""The page of a run: its score and the doubt in it, every verdict, and what lies behind each.

One file that needs no network. What a model or a program wrote is shown as text, never as markup
(`seedcoder.report` sees to it).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from evals.bench import Bench
from evals.gold import Gold
from evals.problem import Problem, Score
from evals.report.fate import fate
from evals.report.parts import grids, months, parts_table
from evals.report.problems import MOST_ROWS, PROBLEMS, cpu_s, problem_table
from evals.report.spread import distributions
from evals.report.words import LOST, TONES, WORDS
from evals.result import FAILED, Result
from evals.tally import Answer
from sandbox import Kind
from seedcoder import report
from seedcoder.report import Html

_SLOWEST: Final = 10


def render(result: Result, problems: Sequence[Problem], bench: Bench) -> str:
    """Return the page as one HTML text."""
    manifest, tally = result.manifest, result.tally
    recipe = manifest["recipe"]
    model = manifest.get("model", recipe["model"])
    lost = _lost_words(result)
    sections = [
        report.tiles(
            *(_score_tile(score) for score in tally.scores),
            _verdicts_tile(result),
            *_count_tiles(result),
        ),
        report.section(
            "What became of each sample",
            fate(tally.answers),
            note="Each part stands below the part it came out of.",
        ),
        *_parts(result, problems),
        report.section(
            "Problems",
            problem_table(result, problems),
            note="Open a row for the prompt, the reply, the program and what the tests said.",
        ),
        report.section(
            "Slowest programs",
            _slowest(tally.answers),
            note="CPU time of all runs behind a verdict; a name opens its row above.",
        ),
        report.section("Recipe", report.key_values(recipe)),
        report.section("Manifest", report.key_values(_manifest(manifest))),
    ]
    if lost:
        sections.insert(0, report.section("Not every answer was judged", report.text(lost)))
    return report.page(
        f"{model} on {bench.name}",
        f"{bench.version}, {recipe['protocol']} protocol, "
        f"{len(problems)} problems, {recipe['samples']} "
        f"{'sample' if recipe['samples'] == 1 else 'samples'} each, "
        f"judged in the {manifest.get('box', 'unknown')} box",
        sections,
        foot=f"{result.folder.name} · data {bench.licence} · seedcoder "
        f"{manifest.get('machine', {}).get('packages', {}).get('seedcoder', '')}",
    )


def _score_tile(score: Score) -> Html:
    low = min(score.interval[0], score.value)
    high = max(score.interval[1], score.value)
    wilson = f"{_range(score, score.wilson)} (Wilson), " if score.wilson else ""
    left_out = f"; {score.left_out} left out" if score.left_out else ""
    return report.tile(
        score.metric,
        score.words(),
        note=(
            f"95% interval {wilson}{_range(score, score.bootstrap)} (bootstrap), "
            f"over {score.problems} problems{left_out}"
        ),
        figure=_score_bar(score, low, high),
        wide=True,
    )


def _score_bar(score: Score, low: float, high: float) -> Html:
    if score.unit == "share":
        return report.interval_bar(score.value, low, high)
    # Points and ratings have no whole to be shares of: the axis goes round the interval.
    room = max(high - low, 0.1 * abs(score.value), 1.0)
    span = (min(0.0, low) if low < room else low - room, high + room)
    return report.interval_bar(score.value, low, high, span=span, percent=False)


def _range(score: Score, bounds: tuple[float, float]) -> str:
    return f"{score.words(bounds[0])} to {score.words(bounds[1])}"


def _parts(result: Result, problems: Sequence[Problem]) -> list[Html]:
    """Return the sections that only some benchmarks have: by tag, as a grid, by month, values."""
    tally = result.tally
    sections = []
    if tally.parts:
        note = f"{tally.scores[0].metric if tally.scores else 'The first score'}, by tag."
        sections.append(report.section("Parts", parts_table(tally.parts), note=note))
    for heading, drawing, note in grids(tally.answers, problems):
        sections.append(report.section(heading, drawing, note=note))
    if trend := months(tally.answers, problems):
        note = "By when problems became public: a fall where training data ends is a hint."
        sections.append(report.section("Months", trend, note=note))
    if spread := distributions(tally.answers):
        sections.append(report.section("Also measured", report.side_by_side(*spread)))
    return sections


def _verdicts_tile(result: Result) -> Html:
    tally = result.tally
    parts = [
        report.Part(label=WORDS[kind], count=count, tone=TONES[kind])
        for kind, count in tally.kinds.items()
    ]
    parts.append(report.Part(label=LOST, count=len(tally.errors), tone="plain"))
    planned = len(tally.answers)
    return report.tile(
        "Verdicts",
        f"{tally.judged}",
        note="judged, each in a sandbox of its own"
        if tally.judged == planned
        else f"of {planned} samples judged",
        figure=report.stacked_bar(parts),
        wide=True,
    )


def _count_tiles(result: Result) -> list[Html]:
    tally, manifest = result.tally, result.manifest
    timeouts = tally.kinds.get(Kind.TIMEOUT, 0)
    gold = Gold.from_json(manifest["gold"]) if "gold" in manifest else None
    errors = len(tally.errors)
    tiles = [
        report.tile(
            "Gold check",
            f"{gold.canonical_passed} / {gold.broken_passed}" if gold else "skipped",
            note=(
                f"of {gold.total} canonical and {gold.broken_total} broken solutions passed"
                if gold
                else ""
            ),
            tone="good" if gold and gold.ok else "warn",
        ),
        report.tile("Time-outs", timeouts, note="by CPU time, each run once more alone"),
        report.tile(
            "Shared mode",
            tally.shared,
            note="judged beside their tests, the weaker way",
            tone="warn" if tally.shared else "plain",
        ),
        report.tile(
            "Lost",
            errors,
            note="to failures of ours; no verdict, not in the score",
            tone="bad" if result.status == FAILED else "warn" if errors else "plain",
        ),
        report.tile("Cut replies", tally.cut, note="reached the most tokens allowed"),
    ]
    if tally.overflows:
        note = "prompts beyond the model's context; they count as not solved"
        tiles.append(report.tile("Overflows", tally.overflows, note=note, tone="warn"))
    if tally.thinking:
        value = f"{100 * tally.thinking.share:.0f}%"
        tiles.append(report.tile("Thinking", value, note=tally.thinking.words(), wide=True))
    if result.cost.usd is not None:
        value = f"${result.cost.usd:,.2f}" if result.cost.usd >= 1 else f"${result.cost.usd:,.4f}"
        tiles.append(report.tile("Price", value, note=result.cost.words(), wide=True))
    generation = manifest.get("generation", {})
    if tally.tokens:
        seconds = generation.get("seconds", 0)
        # Answers out of a file come at no speed worth telling.
        note = f"{generation['tokens'] / seconds:,.0f} a second" if seconds > 1 else "in all"
        tiles.append(report.tile("Reply tokens", f"{tally.tokens:,}", note=note))
    spent_s = sum(map(cpu_s, tally.answers))
    each = f", {1000 * spent_s / tally.judged:.1f} ms a program" if tally.judged else ""
    note = f"of CPU time in the {manifest.get('box', 'unknown')} box{each}"
    return [*tiles, report.tile("Judging", f"{spent_s:.1f} s", note=note, wide=True)]


def _lost_words(result: Result) -> str:
    tally = result.tally
    missing = len(tally.answers) - tally.judged
    if not missing:
        return ""
    untried = missing - len(tally.errors)
    reasons = sorted({answer.error for answer in tally.errors})
    words = (
        f"{missing} of {len(tally.answers)} samples have no verdict: {len(tally.errors)} were lost "
        f"to failures of ours and {untried} were not tried. They are not in the score."
    )
    if result.status == FAILED:
        words += " That is more than the recipe allows, so the run counts as failed."
    return f"{words} Running the same recipe again tries them again. First reasons: " + (
        "; ".join(reasons[:3]) or "none"
    )


def _slowest(answers: Sequence[Answer]) -> Html:
    several = any(answer.n for answer in answers)
    judged = [answer for answer in answers if answer.verdict and answer.verdict.outcomes]
    judged.sort(key=lambda answer: (-cpu_s(answer), answer.key))
    rows = [
        (answer.key if several else answer.problem, round(1000 * cpu_s(answer), 1))
        for answer in judged[:_SLOWEST]
    ]
    target = PROBLEMS if len(answers) <= MOST_ROWS else ""
    return report.bars(rows, unit="ms", target=target)


def _manifest(manifest: Mapping[str, Any]) -> dict[str, object]:
    """Return what the recipe's section has not said yet; of a sitting's machine what differs."""
    shown = {name: value for name, value in manifest.items() if name not in ("recipe", "format")}
    machine = manifest.get("machine") or {}
    shown["sittings"] = [_sitting(sitting, machine) for sitting in manifest.get("sittings", ())]
    return shown


def _sitting(sitting: Mapping[str, Any], machine: Mapping[str, Any]) -> dict[str, object]:
    said = dict(sitting)
    differs = {
        name: value
        for name, value in (said.pop("machine", None) or {}).items()
        if value != machine.get(name)
    }
    return {**said, "machine then": differs} if differs else said
