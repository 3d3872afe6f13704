"""What a reward is made of: named parts of a verdict and of the reply, and their weights.

Sources. Tests and format: Seed-Coder's reinforcement learning rewards passed tests plus a format
reward; neither its formula nor its values are published, so the numbers here are ours. All tests or
nothing, not a share of them, is what its reference recipe DeepCoder does. Overlong: DAPO's soft
overlong punishment (arXiv 2503.14476). Masking replies that were cut off, which both recipes also
do, is the trainer's, for it is about the loss and not the reward.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from sandbox.verdict import Reward, Verdict

PARTS = ("tests", "format", "length")
# Ours: a right program in the wrong form is worth more than a wrong one in the right form.
WEIGHTS: Mapping[str, float] = {"tests": 1.0, "format": 0.1, "length": 1.0}

_TAGS = re.compile(r"</?(?:think|answer)>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlong:
    """DAPO's soft overlong punishment, in tokens: 0 up to `most - cache`, -1 from `most` on.

    With y the reply's length, L_max = most and L_cache = cache: 0 where y <= L_max - L_cache,
    ((L_max - L_cache) - y) / L_cache up to L_max, and -1 above (arXiv 2503.14476, soft overlong
    punishment).
    """

    most: int
    cache: int

    def __post_init__(self) -> None:
        if not 0 < self.cache <= self.most:
            raise ValueError(
                f"cache must be from 1 to most, got cache={self.cache} and most={self.most}"
            )

    def __call__(self, tokens: int) -> float:
        """Return the punishment of a reply of so many tokens, from -1.0 to 0.0."""
        over = tokens - (self.most - self.cache)
        return -min(1.0, over / self.cache) if over > 0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ThinkAnswer:
    """A form: thoughts between <think> tags, then the answer between <answer> tags, each tag once.

    opened: the prompt already ended in "<think>", as chat templates of reasoning models do.
    bare: the answer has no tags of its own: whatever follows the thoughts, and not nothing.
    """

    opened: bool = False
    bare: bool = False

    def __call__(self, reply: str) -> bool:
        """Return whether the reply has that form."""
        text = f"<think>{reply}" if self.opened else reply
        wanted = ["<think>", "</think>"]
        if not self.bare:
            wanted += ["<answer>", "</answer>"]
        if _TAGS.findall(text) != wanted:
            return False
        head, _, rest = text.partition("<think>")
        _, _, answer = rest.partition("</think>")
        if self.bare:
            return not head.strip() and bool(answer.strip())
        between, _, answer = answer.partition("<answer>")
        answer, _, tail = answer.partition("</answer>")
        return bool(answer.strip()) and not (head + between + tail).strip()


Form = Callable[[str], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """How a verdict becomes a number: parts, each from its own rule, and the weight of each.

    tests: "all", 1.0 when the verdict is PASSED; "fraction", passed of all tests; "points", points
        of all points where the verdict has subtasks, else the fraction.
    format: a function of the reply, or a regular expression that the whole reply must match; worth
        1.0 or 0.0. None: no such part.
    length: `Overlong`, or another function of the reply's tokens. None: no such part.
    weights: of parts by name; those not named have `WEIGHTS`.
    """

    tests: Literal["all", "fraction", "points"] = "all"
    format: Form | str | re.Pattern[str] | None = None
    length: Callable[[int], float] | None = None
    weights: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.tests not in ("all", "fraction", "points"):
            raise ValueError(f"tests must be all, fraction or points, got {self.tests!r}")
        for name, weight in self.weights.items():
            if name not in PARTS:
                raise ValueError(f"weights: {name!r} is none of {', '.join(PARTS)}")
            if not math.isfinite(weight):
                raise ValueError(f"weights: {name} must be a finite number, got {weight}")
        if isinstance(self.format, str):
            try:
                re.compile(self.format)
            except re.error as error:
                raise ValueError(f"format: {self.format!r} is no pattern: {error}") from None

    def reward(
        self, verdict: Verdict, *, reply: str | None = None, tokens: int | None = None
    ) -> Reward:
        """Return the reward. Raises ValueError where a part lacks what it is made of."""
        parts = {"tests": self._tests(verdict)}
        if self.format is not None:
            if reply is None:
                raise ValueError("the format part needs the reply's text")
            parts["format"] = 1.0 if _has_form(reply, self.format) else 0.0
        if self.length is not None:
            if tokens is None:
                raise ValueError("the length part needs the reply's number of tokens")
            parts["length"] = float(self.length(tokens))
        weights = {**WEIGHTS, **self.weights}
        value = math.fsum(weights[name] * part for name, part in parts.items())
        return Reward(value=value, parts=parts, verdict=verdict)

    def _tests(self, verdict: Verdict) -> float:
        if self.tests == "all":
            return 1.0 if verdict.ok else 0.0
        if self.tests == "points" and verdict.points_most:
            return verdict.points / verdict.points_most
        return verdict.passed / verdict.total if verdict.total else 0.0


def _has_form(reply: str, form: Form | str | re.Pattern[str]) -> bool:
    if isinstance(form, str | re.Pattern):
        return re.fullmatch(form, reply) is not None
    return bool(form(reply))
