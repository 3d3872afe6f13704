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
from evals.result import FAILED, Result
from evals.tally import Answer
from sandbox import Kind, Outcome
from seedcoder import report
from seedcoder.report import Html, Tone

# What a reader can still scroll through; beyond it only each problem's first sample is shown.
_MOST_ROWS: Final = 2_000
_SLOWEST: Final = 10
_PROBLEMS: Final = "problems"

TONES: Final[Mapping[Kind, Tone]] = {
    Kind.PASSED: "good",
    Kind.WRONG: "bad",
    Kind.CRASHED: "hot",
    Kind.TIMEOUT: "warn",
    Kind.MEMORY: "odd",
    Kind.OUTPUT: "odd",
    Kind.COMPILE_ERROR: "cool",
    Kind.FORBIDDEN: "odd",
    Kind.NO_CODE: "muted",
}
WORDS: Final[Mapping[Kind, str]] = {
    Kind.PASSED: "passed",
    Kind.WRONG: "wrong",
    Kind.CRASHED: "crashed",
    Kind.TIMEOUT: "time-out",
    Kind.MEMORY: "memory",
    Kind.OUTPUT: "output",
    Kind.COMPILE_ERROR: "does not compile",
    Kind.FORBIDDEN: "forbidden",
    Kind.NO_CODE: "no code",
}
_LOST: Final = "lost"


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
        *(
            [report.section("Parts", _parts(tally.parts), note="The first score, by tag.")]
            if tally.parts
            else []
        ),
        report.section(
            "Problems",
            _problem_table(result, problems),
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
        figure=report.interval_bar(score.value, low, high) if score.unit == "share" else None,
        wide=True,
    )


def _range(score: Score, bounds: tuple[float, float]) -> str:
    return f"{score.words(bounds[0])} to {score.words(bounds[1])}"


def _parts(parts: Mapping[str, Score]) -> Html:
    columns = [
        report.Column(title="Part", align="left"),
        report.Column(title="Problems"),
        report.Column(title="Score"),
        report.Column(title="95% interval"),
    ]
    rows = [
        report.Row(
            cells=[
                tag,
                score.problems,
                report.Cell(content=score.words(), sort=score.value),
                _range(score, score.interval),
            ]
        )
        for tag, score in parts.items()
    ]
    return report.table(columns, rows, name="parts")


def _verdicts_tile(result: Result) -> Html:
    tally = result.tally
    parts = [
        report.Part(label=WORDS[kind], count=count, tone=TONES[kind])
        for kind, count in tally.kinds.items()
    ]
    parts.append(report.Part(label=_LOST, count=len(tally.errors), tone="plain"))
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
    generation = manifest.get("generation", {})
    if tally.tokens:
        seconds = generation.get("seconds", 0)
        # Answers out of a file come at no speed worth telling.
        note = f"{generation['tokens'] / seconds:,.0f} a second" if seconds > 1 else "in all"
        tiles.append(report.tile("Reply tokens", f"{tally.tokens:,}", note=note))
    cpu_s = sum(map(_cpu_s, tally.answers))
    each = f", {1000 * cpu_s / tally.judged:.1f} ms a program" if tally.judged else ""
    note = f"of CPU time in the {manifest.get('box', 'unknown')} box{each}"
    return [*tiles, report.tile("Judging", f"{cpu_s:.1f} s", note=note, wide=True)]


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


def _problem_table(result: Result, problems: Sequence[Problem]) -> Html:
    by_key = {problem.key: problem for problem in problems}
    answers = result.tally.answers
    several = any(answer.n for answer in answers)
    shown = [a for a in answers if len(answers) <= _MOST_ROWS or a.n == 0]
    columns = [
        report.Column(title="Problem", align="left"),
        *([report.Column(title="Sample")] if several else []),
        report.Column(title="Function"),
        report.Column(title="Verdict", choose=True),
        report.Column(title="What the tests said"),
        report.Column(title="CPU", unit="ms"),
        report.Column(title="Reply", unit="tokens"),
    ]
    rows = [_row(answer, by_key[answer.problem], several) for answer in shown]
    table = report.table(columns, rows, name=_PROBLEMS)
    if len(shown) < len(answers):
        left_out = f"Of {len(answers)} samples only each problem's first is shown."
        return report.stack(report.text(left_out), table)
    return table


def _row(answer: Answer, problem: Problem, several: bool) -> report.Row:
    place = _place(problem.key)
    tokens = answer.sample.tokens if answer.sample and answer.sample.tokens else None
    return report.Row(
        cells=[
            report.Cell(content=problem.key, sort=place),
            *([answer.n] if several else []),
            problem.entry_point,
            _badge(answer),
            _line(answer),
            round(1000 * _cpu_s(answer), 1) if answer.verdict else None,
            tokens,
        ],
        detail=_detail(answer, problem),
        anchor=answer.key if several else answer.problem,
    )


def _badge(answer: Answer) -> report.Cell:
    if answer.verdict is None:
        word = _LOST if answer.error else "not tried"
        return report.Cell(content=report.badge(word), value=word)
    word = WORDS[answer.verdict.kind]
    return report.Cell(content=report.badge(word, TONES[answer.verdict.kind]), value=word)


def _line(answer: Answer) -> str:
    if answer.error:
        return answer.error[:160]
    failure = answer.verdict.first_failure if answer.verdict else None
    if not failure:
        return ""
    # A bare assert has no words of its own; what came back instead has.
    return (failure.got if failure.reason == "AssertionError" else failure.reason)[:160]


def _detail(answer: Answer, problem: Problem) -> Html:
    pieces: list[Html] = []
    if answer.error:
        facts: dict[str, object] = {"Lost in": answer.stage, "Because": answer.error}
        pieces.append(report.key_values(facts))
    verdict = answer.verdict
    if verdict and verdict.first_failure:
        failure = verdict.first_failure
        said = {
            "First failing test": failure.test,
            "Expected": failure.expected,
            "Got": failure.got,
            "Reason": failure.reason,
        }
        pieces.append(report.key_values({name: text for name, text in said.items() if text}))
    reply = answer.sample.text if answer.sample else ""
    note = "cut at the most tokens allowed" if answer.sample and _is_cut(answer) else ""
    pieces.append(
        report.side_by_side(
            report.code(problem.prompt.strip("\n"), label="Prompt"),
            report.code(reply, label="Reply", note=note),
        )
    )
    if answer.verdict:
        label = "Program, as it was judged"
        pieces.append(report.code(answer.program, label=label))
    if verdict and verdict.outcomes:
        pieces.extend(_printed(verdict.outcomes[0]))
        pieces.append(report.key_values(_figures(verdict.outcomes[0], verdict.mode)))
    return report.stack(*pieces)


def _is_cut(answer: Answer) -> bool:
    return answer.sample is not None and answer.sample.finish == "length"


def _printed(outcome: Outcome) -> list[Html]:
    return [
        report.code(text.rstrip("\n"), label=label)
        for label, text in (("stderr", outcome.stderr), ("stdout", outcome.stdout))
        if text.strip()
    ]


def _figures(outcome: Outcome, mode: str) -> dict[str, object]:
    ended = f"signal {outcome.signal}" if outcome.signal else f"exit code {outcome.exit_code}"
    return {
        "The program's run": f"{ended}, {1000 * outcome.cpu_s:.1f} ms of CPU, "
        f"{1000 * outcome.wall_s:.1f} ms by the clock, {outcome.peak_mb:.1f} MiB at most",
        "Judged": {"proxy": "with the tests in a box of their own"}.get(mode, mode),
    }


def _slowest(answers: Sequence[Answer]) -> Html:
    several = any(answer.n for answer in answers)
    judged = [answer for answer in answers if answer.verdict and answer.verdict.outcomes]
    judged.sort(key=lambda answer: (-_cpu_s(answer), answer.key))
    rows = [
        (answer.key if several else answer.problem, round(1000 * _cpu_s(answer), 1))
        for answer in judged[:_SLOWEST]
    ]
    target = _PROBLEMS if len(answers) <= _MOST_ROWS else ""
    return report.bars(rows, unit="ms", target=target)


def _cpu_s(answer: Answer) -> float:
    return sum(outcome.cpu_s for outcome in answer.verdict.outcomes) if answer.verdict else 0.0


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


def _place(key: str) -> float | str:
    """Return what a key is sorted by: its number, when it ends in one."""
    number = key.rpartition("/")[2]
    return float(number) if number.isdigit() else key
