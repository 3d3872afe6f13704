"""What a run cost: tokens as the model counts them, seconds by the clock, money where priced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evals.tally import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """A run's cost.

    prompt_tokens, tokens: sent and written; of replies that are kept (what was asked again after a
    failure is not counted). generation_s: by the clock, over all sittings. judging_cpu_s: of the
    boxes. usd: None where the recipe gives no price.
    """

    prompt_tokens: int
    tokens: int
    generation_s: float
    judging_cpu_s: float
    usd: float | None = None

    def words(self) -> str:
        """Return one line."""
        line = (
            f"{self.prompt_tokens:,} prompt and {self.tokens:,} reply tokens, "
            f"{self.generation_s:.0f} s of generation, {self.judging_cpu_s:.1f} CPU s of judging"
        )
        return line if self.usd is None else f"{line}, ${self.usd:,.4f}"

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`."""
        return {name: getattr(self, name) for name in self.__slots__}


def cost(
    tally: Tally, manifest: Mapping[str, Any], price: Mapping[str, float] | None = None
) -> Cost:
    """Return the cost of a run. price: US dollars for a million tokens, "prompt" and "reply"."""
    usd = None
    if price is not None:
        usd = (tally.prompt_tokens * price["prompt"] + tally.tokens * price["reply"]) / 1e6
    verdicts = (answer.verdict for answer in tally.answers if answer.verdict)
    return Cost(
        prompt_tokens=tally.prompt_tokens,
        tokens=tally.tokens,
        generation_s=manifest.get("generation", {}).get("seconds", 0.0),
        judging_cpu_s=round(sum(o.cpu_s for verdict in verdicts for o in verdict.outcomes), 3),
        usd=usd,
    )
