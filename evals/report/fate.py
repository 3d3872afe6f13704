"""What became of every planned sample: asked, replied, code found, verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from evals.report.words import LOST, NOT_TRIED, TONES, WORDS
from evals.tally import Answer
from sandbox import Kind
from seedcoder import report
from seedcoder.report import Html, Step

LEVELS: Final = ("Planned", "Model", "Reply", "Verdict")
_PLANNED: Final = Step("samples", "plain")
_REPLIED: Final = Step("replied", "cool")
_CUT: Final = Step("cut at the most tokens", "warn")
_OVERFLOW: Final = Step("prompt beyond the context", "odd")
_CODE: Final = Step("code found", "cool")
_NO_CODE: Final = Step("no code", "muted")
_UNTRIED: Final = Step(NOT_TRIED, "plain")
_LOST: Final = Step(LOST, "hot")
# Those that came to an answer first, what was never had last.
_ORDER: Final = (_REPLIED, _CUT, _OVERFLOW, _LOST, _UNTRIED, _CODE, _NO_CODE)


def fate(answers: Sequence[Answer]) -> Html:
    """Return the drawing of `path` over all answers."""
    counted = Counter(map(path, answers))
    kinds = [Step(WORDS[kind], TONES[kind]) for kind in Kind]
    rank = {step.label: place for place, step in enumerate((_PLANNED, *_ORDER, *kinds))}
    # As a verdict "no code" stands where the reply had it; the label is the same.
    ordered = sorted(counted, key=lambda steps: [rank[step.label] for step in steps])
    return report.flow(LEVELS, {steps: counted[steps] for steps in ordered})


def path(answer: Answer) -> tuple[Step, ...]:
    """Return the steps of one answer, to where it came."""
    sample, verdict = answer.sample, answer.verdict
    if sample is None:
        return (_PLANNED, _LOST if answer.error else _UNTRIED)
    said = {"length": _CUT, "overflow": _OVERFLOW}.get(sample.finish, _REPLIED)
    if verdict is None:
        return (_PLANNED, said, _LOST if answer.error else _UNTRIED)
    # A program may be text that is only compared, so it is the verdict that tells.
    if verdict.kind is Kind.NO_CODE:
        return (_PLANNED, said, _NO_CODE)
    return (_PLANNED, said, _CODE, Step(WORDS[verdict.kind], TONES[verdict.kind]))
