"""Draw the next token of each row from its own logits and its own random stream.

One uniform number a token decides, so a row's draw depends on its seed and its logits alone, and
not on who else is in the batch. (Logits themselves differ in the last bits with the batch's size:
a near-tie can fall the other way.)
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence

import torch

_FIRST_LOOK = 128  # ours: top_p seldom needs more of the vocabulary, and sorting it all is slow


def stream(seed: int, key: str) -> random.Random:
    """The random stream of one sample: its own for each seed and each request."""
    digest = hashlib.sha256(f"{seed} {key}".encode()).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))


def draw(
    logits: torch.Tensor, *, temperature: float, top_p: float, streams: Sequence[random.Random]
) -> list[int | None]:
    """Return one token a row of logits [rows, vocabulary]; None where they are not finite.

    temperature 0 takes the likeliest; top_p < 1 draws from the fewest tokens that together hold
    that much of the probability.
    """
    best, tokens = logits.max(dim=-1)
    finite = torch.isfinite(best).tolist()
    if temperature > 0:
        probabilities = torch.softmax(logits / temperature, dim=-1)
        points = torch.tensor([one.random() for one in streams], dtype=torch.float64)
        points = points.to(logits.device)
        if top_p < 1:
            tokens = _from_nucleus(probabilities, top_p, points)
        else:
            tokens = _from_line(probabilities, points)
    return [token if ok else None for token, ok in zip(tokens.tolist(), finite, strict=True)]


def _from_line(probabilities: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """The token at which the running sum passes `points` (of the whole sum)."""
    sums = probabilities.to(torch.float64).cumsum(dim=-1)
    target = (points * sums[:, -1])[:, None]
    found = torch.searchsorted(sums, target, right=True)[:, 0]
    return found.clamp_(max=probabilities.shape[-1] - 1)


def _from_nucleus(probabilities: torch.Tensor, top_p: float, points: torch.Tensor) -> torch.Tensor:
    size = probabilities.shape[-1]
    look = min(_FIRST_LOOK, size)
    likeliest, order = probabilities.topk(look, dim=-1)
    if look < size and bool((likeliest.sum(dim=-1) < top_p).any()):
        likeliest, order = probabilities.sort(dim=-1, descending=True, stable=True)
    before = likeliest.to(torch.float64).cumsum(dim=-1) - likeliest
    kept = likeliest.masked_fill(before >= top_p, 0.0)
    return order.gather(1, _from_line(kept, points)[:, None])[:, 0]
