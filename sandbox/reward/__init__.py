"""Rewards for reinforcement learning: a verdict becomes a number with named parts.

from sandbox import Pool, StdioTests
from sandbox.reward import Overlong, Rewarder, Rollout, Scheme

scheme = Scheme(format=r"(?s)<think>.*</think>.*", length=Overlong(most=16_384, cache=2_048))
with Pool() as pool, Rewarder(pool, scheme=scheme, extract=program_of) as rewarder:
    rewards = rewarder.rewards([Rollout(reply=text, tokens=n, tests=tests) for text, n in ...])
"""

from __future__ import annotations

from sandbox.reward.batch import Extractor, Judges, Rewarder, Rollout
from sandbox.reward.cache import VerdictCache, default_path
from sandbox.reward.parts import WEIGHTS, Overlong, Scheme, ThinkAnswer
from sandbox.verdict import Reward, Verdict

__all__ = [
    "WEIGHTS",
    "Extractor",
    "Judges",
    "Overlong",
    "Reward",
    "Rewarder",
    "Rollout",
    "Scheme",
    "ThinkAnswer",
    "VerdictCache",
    "default_path",
    "reward",
]


def reward(
    verdict: Verdict,
    scheme: Scheme | None = None,
    *,
    reply: str | None = None,
    tokens: int | None = None,
) -> Reward:
    """Return what a verdict is worth by `scheme`; without one, 1.0 when all tests passed, else 0.0.

    reply, tokens: the model's text and its length, where the scheme has a part that needs them.
    """
    return (scheme or Scheme()).reward(verdict, reply=reply, tokens=tokens)
