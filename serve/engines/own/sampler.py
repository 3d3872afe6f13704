"""The next token of each reply, each by its own wishes.

Order, as in vLLM: bias and penalties, temperature, min_p, top_k, top_p. Logprobs are the model's
own: before all of these. One uniform number a token decides, from the reply's own stream, so that
who else is in the batch changes nothing but the last bits of the logits.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from seedcoder.models.draw import draw


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """How a reply's tokens are drawn; the defaults are the model as it is.

    top: how many likeliest tokens to tell beside each; None for no logprobs at all.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition: float = 1.0
    presence: float = 0.0
    frequency: float = 0.0
    bias: Mapping[int, float] = field(default_factory=dict)
    top: int | None = None

    @property
    def is_penalised(self) -> bool:
        """Whether the tokens so far matter."""
        return bool(self.repetition != 1.0 or self.presence or self.frequency)


class Past:
    """What a reply's penalties look at: the tokens of the prompt, and how often it said each."""

    def __init__(self, prompt: Sequence[int], vocabulary: int, device: Any) -> None:
        self._said = torch.zeros(vocabulary, device=device)
        self._seen = torch.zeros(vocabulary, dtype=torch.bool, device=device)
        self._seen[torch.tensor(list(prompt), device=device)] = True

    def add(self, token: int) -> None:
        """Count a token of the reply."""
        self._said[token] += 1
        self._seen[token] = True

    def penalise(self, row: torch.Tensor, wishes: Wishes) -> torch.Tensor:
        """Return the logits [vocabulary] with the penalties taken off."""
        if wishes.repetition != 1.0:
            factor = torch.where(row > 0, 1 / wishes.repetition, wishes.repetition)
            row = torch.where(self._seen, row * factor, row)
        said = self._said
        return row - wishes.frequency * said - wishes.presence * (said > 0)


@dataclass(slots=True, kw_only=True)
class Row:
    """What is needed of one reply. forbidden: ids that it must not say now."""

    wishes: Wishes
    stream: random.Random
    past: Past | None = None
    forbidden: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Drawn:
    """One token. top: (id, logprob) of the likeliest in its place. token None: not finite."""

    token: int | None
    logprob: float = 0.0
    top: tuple[tuple[int, float], ...] = ()


def choose(logits: torch.Tensor, rows: Sequence[Row]) -> list[Drawn]:
    """Return the next token of each row of logits, float32 [rows, vocabulary]."""
    shaped = logits
    for at, row in enumerate(rows):
        changed = _shape(logits[at], row)
        if changed is not None:
            if shaped is logits:
                shaped = logits.clone()
            shaped[at] = changed
    tokens: list[int | None] = [None] * len(rows)
    alike: dict[tuple[float, float], list[int]] = defaultdict(list)
    for at, row in enumerate(rows):
        alike[row.wishes.temperature, row.wishes.top_p].append(at)
    for (temperature, top_p), members in alike.items():
        part = shaped if len(members) == len(rows) else shaped[members]
        streams = [rows[at].stream for at in members]
        drawn = draw(part, temperature=temperature, top_p=top_p, streams=streams)
        for at, token in zip(members, drawn, strict=True):
            tokens[at] = token
    return [_weighed(logits[at], token, rows[at]) for at, token in enumerate(tokens)]


def _shape(logits: torch.Tensor, row: Row) -> torch.Tensor | None:
    """Return one row's logits [vocabulary] as its wishes make them; None where they change nothing.

    What is ruled out becomes -inf, which no later step brings back.
    """
    wishes = row.wishes
    changed = logits
    if wishes.bias:
        ids = torch.tensor(list(wishes.bias), device=logits.device)
        weights = torch.tensor(list(wishes.bias.values()), device=logits.device)
        changed = changed.index_add(0, ids, weights.to(logits.dtype))
    if row.past is not None and wishes.is_penalised:
        changed = row.past.penalise(changed, wishes)
    if row.forbidden:
        ids = torch.tensor(sorted(row.forbidden), device=logits.device)
        changed = changed.index_fill(0, ids, -math.inf)
    if wishes.temperature > 0:
        if wishes.min_p > 0:
            # p >= min_p * p_max, said of logits.
            floor = changed.max() + wishes.temperature * math.log(wishes.min_p)
            changed = changed.masked_fill(changed < floor, -math.inf)
        if 0 < wishes.top_k < changed.shape[0]:
            least = changed.topk(wishes.top_k).values[-1]
            changed = changed.masked_fill(changed < least, -math.inf)
    return None if changed is logits else changed


def _weighed(logits: torch.Tensor, token: int | None, row: Row) -> Drawn:
    most = row.wishes.top
    if token is None or most is None:
        return Drawn(token)
    logprobs = torch.log_softmax(logits, dim=-1)
    top: tuple[tuple[int, float], ...] = ()
    if most:
        values, ids = logprobs.topk(most)
        top = tuple(zip(ids.tolist(), values.tolist(), strict=True))
    return Drawn(token, float(logprobs[token]), top)
