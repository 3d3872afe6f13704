"""The table of problems: a row an answer, and what lies behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from evals.problem import Problem
from evals.report.words import LOST, NOT_TRIED, TONES, WORDS
from evals.result import Result
from evals.tally import Answer
from sandbox import Outcome
from seedcoder import report
from seedcoder.report import Html

# What a reader can still scroll through; beyond it only each problem's first sample is shown.
MOST_ROWS: Final = 2_000
PROBLEMS: Final = "problems"


def problem_table(result: Result, problems: Sequence[Problem]) -> Html:
    by_key = {problem.key: problem for problem in problems}
    answers = result.tally.answers
    several = any(answer.n for answer in answers)
    shown = [a for a in answers if len(answers) <= MOST_ROWS or a.n == 0]
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
    table = report.table(columns, rows, name=PROBLEMS)
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
            round(1000 * cpu_s(answer), 1) if answer.verdict else None,
            tokens,
        ],
        detail=_detail(answer, problem),
        anchor=answer.key if several else answer.problem,
    )


def _badge(answer: Answer) -> report.Cell:
    if answer.verdict is None:
        word = LOST if answer.error else NOT_TRIED
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


def cpu_s(answer: Answer) -> float:
    """Return the CPU time of all runs behind an answer's verdict."""
    return sum(outcome.cpu_s for outcome in answer.verdict.outcomes) if answer.verdict else 0.0


def _place(key: str) -> float | str:
    """Return what a key is sorted by: its number, when it ends in one."""
    number = key.rpartition("/")[2]
    return float(number) if number.isdigit() else key
